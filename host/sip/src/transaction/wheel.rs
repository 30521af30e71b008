//! A hierarchical timer wheel over a slab: constant-time insert and cancel, for a million timers on one lane.
//!
//! Owns every timer of the transaction layer. Seven levels of 64 slots, one tick a millisecond: level 0 holds what is due within
//! this 64 ms block, level 1 what is due within this 4 s block, and so on up to 139 years. An entry sits at the level of
//! the highest 6-bit group in which its time differs from the wheel's, and falls to lower levels as time comes near; so
//! everything on a level is due before anything on a higher one, and the next deadline is one bit scan.
//!
//! Never reads a clock and never calls back: the owner pops what is due. A timer never fires before its millisecond.
//! Memory: 32 bytes a timer for a payload of 8; slots of cancelled timers are used again first.
#![expect(
    clippy::indexing_slicing,
    reason = "slots and entries are addressed by the wheel's own links, never by anything from the network"
)]

use super::timers::Time;

const LEVELS: usize = 7;
const SLOTS: usize = 64;
const BITS: u32 = 6;
const NONE: u32 = u32::MAX;
const LAST: u64 = (1 << (BITS * LEVELS as u32)) - 1;

/// Names one inserted timer. A name that has fired or was cancelled is known as stale and does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

/// Timers with a payload each, sorted by nothing and found by time.
#[derive(Debug)]
pub struct Wheel<T> {
    entries: Vec<Entry<T>>,
    heads: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    /// The wheel's own time: everything before it has been popped.
    elapsed: u64,
    free: u32,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    when: u64,
    next: u32,
    prev: u32,
    generation: u32,
    level: u8,
    slot: u8,
    live: bool,
    value: T,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel whose time is zero.
    pub fn new() -> Wheel<T> {
        Wheel {
            entries: Vec::new(),
            heads: [[NONE; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            elapsed: 0,
            free: NONE,
            len: 0,
        }
    }

    /// How many timers are waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is waiting.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a timer. A time that has passed fires at the next [`Wheel::pop`].
    pub fn insert(&mut self, at: Time, value: T) -> TimerId {
        let index = self.allot(at.0.min(LAST), value);
        self.link(index);
        self.len += 1;
        TimerId {
            index,
            generation: self.entries[index as usize].generation,
        }
    }

    /// Takes a timer back; `None` when it has fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let entry = self.entries.get(id.index as usize)?;
        if !entry.live || entry.generation != id.generation {
            return None;
        }
        self.unlink(id.index);
        Some(self.release(id.index))
    }

    /// The next timer that is due at `now`, in order of time; timers of one millisecond come in no particular order.
    pub fn pop(&mut self, now: Time) -> Option<T> {
        let now = now.0.min(LAST);
        loop {
            let Some((level, slot, start)) = self.earliest() else {
                self.elapsed = self.elapsed.max(now);
                return None;
            };
            if start > now {
                self.elapsed = self.elapsed.max(now);
                return None;
            }
            self.elapsed = self.elapsed.max(start);
            if level == 0 {
                let index = self.heads[0][slot];
                self.unlink(index);
                return Some(self.release(index));
            }
            self.cascade(level, slot);
        }
    }

    /// When to call [`Wheel::pop`] next. For a far timer this may lie up to one slot of its level before it: the pop then finds
    /// nothing and the next answer is closer.
    pub fn deadline(&self) -> Option<Time> {
        self.earliest().map(|(_, _, start)| Time(start))
    }

    /// The first slot in use: level, slot, and the time at which the slot begins.
    fn earliest(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = BITS * level as u32;
        let above = self.elapsed & !(((SLOTS as u64) << shift) - 1);
        Some((level, slot as usize, above | u64::from(slot) << shift))
    }

    /// Moves the entries of a slot whose time has come to the levels below.
    fn cascade(&mut self, level: usize, slot: usize) {
        let mut index = std::mem::replace(&mut self.heads[level][slot], NONE);
        self.occupied[level] &= !(1 << slot);
        while index != NONE {
            let next = self.entries[index as usize].next;
            self.link(index);
            index = next;
        }
    }

    fn allot(&mut self, when: u64, value: T) -> u32 {
        if self.free == NONE {
            let index = self.entries.len() as u32;
            self.entries.push(Entry {
                when,
                next: NONE,
                prev: NONE,
                generation: 0,
                level: 0,
                slot: 0,
                live: true,
                value,
            });
            return index;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.when = when;
        entry.live = true;
        entry.value = value;
        index
    }

    fn release(&mut self, index: u32) -> T {
        let free = self.free;
        let entry = &mut self.entries[index as usize];
        entry.live = false;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = free;
        let value = entry.value;
        self.free = index;
        self.len -= 1;
        value
    }

    fn link(&mut self, index: u32) {
        // What has passed is filed under the present, which is the first slot looked at.
        let when = self.entries[index as usize].when.max(self.elapsed);
        let differs = (when ^ self.elapsed) | 1;
        let level = ((63 - differs.leading_zeros()) / BITS) as usize;
        let slot = ((when >> (BITS * level as u32)) % SLOTS as u64) as usize;
        let next = std::mem::replace(&mut self.heads[level][slot], index);
        if next != NONE {
            self.entries[next as usize].prev = index;
        }
        self.occupied[level] |= 1 << slot;
        let entry = &mut self.entries[index as usize];
        entry.level = level as u8;
        entry.slot = slot as u8;
        entry.next = next;
        entry.prev = NONE;
    }

    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (next, prev) = (entry.next, entry.prev);
        let (level, slot) = (entry.level as usize, entry.slot as usize);
        if next != NONE {
            self.entries[next as usize].prev = prev;
        }
        if prev != NONE {
            self.entries[prev as usize].next = next;
        } else {
            self.heads[level][slot] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << slot);
            }
        }
    }
}

impl<T: Copy> Default for Wheel<T> {
    fn default() -> Wheel<T> {
        Wheel::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::transaction::testing::Rng;

    /// Jumps from deadline to deadline and notes when each timer fired.
    fn drain(wheel: &mut Wheel<u64>) -> Vec<(u64, u64)> {
        let mut fired = Vec::new();
        while let Some(at) = wheel.deadline() {
            while let Some(value) = wheel.pop(at) {
                fired.push((at.0, value));
            }
        }
        fired
    }

    #[test]
    fn timers_fire_at_their_own_millisecond_in_order() {
        let mut wheel = Wheel::new();
        let times = [
            1,
            63,
            64,
            65,
            500,
            4095,
            4096,
            32_000,
            181_000,
            262_144,
            86_400_000,
            1 << 37,
        ];
        for at in times.iter().rev() {
            wheel.insert(Time(*at), *at);
        }
        let fired = drain(&mut wheel);
        assert_eq!(fired, times.iter().map(|at| (*at, *at)).collect::<Vec<_>>());
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_time_that_has_passed_fires_at_once() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop(Time(10_000)), None);
        wheel.insert(Time(3), 7);
        assert_eq!(wheel.pop(Time(10_000)), Some(7));
        assert_eq!(wheel.deadline(), None);
    }

    #[test]
    fn a_cancelled_timer_never_fires_and_its_name_goes_stale() {
        let mut wheel = Wheel::new();
        let first = wheel.insert(Time(100), 1);
        assert_eq!(wheel.cancel(first), Some(1));
        assert_eq!(wheel.cancel(first), None);
        let second = wheel.insert(Time(200), 2);
        assert_eq!(wheel.cancel(first), None, "the slot has a new owner");
        assert_eq!(wheel.pop(Time(200)), Some(2));
        assert_eq!(wheel.cancel(second), None);
    }

    #[test]
    fn slots_are_used_again() {
        let mut wheel = Wheel::new();
        for round in 0..10_000u64 {
            let id = wheel.insert(Time(round + 500), round);
            wheel.insert(Time(round), round);
            assert_eq!(wheel.pop(Time(round)), Some(round));
            wheel.cancel(id);
        }
        assert_eq!(wheel.entries.len(), 2);
    }

    #[test]
    fn agrees_with_a_sorted_map_whatever_happens() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<(u64, u64), TimerId> = BTreeMap::new();
            let mut now = 0;
            for serial in 0..2_000u64 {
                match rng.below(4) {
                    0 | 1 => {
                        let span = 1u64 << rng.below(24);
                        let at = now + rng.below(span + 1);
                        model.insert((at, serial), wheel.insert(Time(at), serial));
                    }
                    2 if !model.is_empty() => {
                        let nth = rng.below(model.len() as u64) as usize;
                        let (key, id) = model.iter().nth(nth).map(|(k, v)| (*k, *v)).unwrap();
                        assert_eq!(wheel.cancel(id), Some(key.1), "seed {seed}");
                        model.remove(&key);
                    }
                    _ => {
                        let width = rng.below(20);
                        now += rng.below(1 << width);
                        while let Some(value) = wheel.pop(Time(now)) {
                            let (at, serial) = *model.keys().next().unwrap();
                            assert!(at <= now, "seed {seed}: {value} fired early");
                            let key = *model
                                .keys()
                                .take_while(|key| key.0 == at)
                                .find(|key| key.1 == value)
                                .unwrap_or(&(at, serial));
                            assert_eq!(key.1, value, "seed {seed}: out of order");
                            model.remove(&key);
                        }
                        assert!(
                            model.keys().next().is_none_or(|key| key.0 > now),
                            "seed {seed}: one was missed"
                        );
                    }
                }
                assert_eq!(wheel.len(), model.len(), "seed {seed}");
                let first = model.keys().next().map(|key| key.0);
                assert!(
                    match (wheel.deadline(), first) {
                        (None, None) => true,
                        (Some(at), Some(first)) => at.0 <= first,
                        _ => false,
                    },
                    "seed {seed}: the deadline is never late"
                );
            }
        }
    }
}
