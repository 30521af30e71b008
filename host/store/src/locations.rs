//! Where users are: the registered contacts of each address of record.
//!
//! Owns the contacts and their ends; what a REGISTER does to them is [`switchhook_sip::registrar`]'s. Safe from every lane: the
//! addresses are spread over [`SHARDS`] locks by a keyed hash, readers do not hinder each other, and one address changes in
//! one step. Time is passed in.
//!
//! A contact whose time is over is seen by nobody any more, and stays until [`Locations::expire`] reports it, once. Call that
//! regularly: until then it counts against the limits, so that memory is bounded whoever calls or does not.
//!
//! Limits: [`LocationLimits`]. When one is reached, an update that would add is refused as a whole and nothing changes;
//! refreshing and removing go on. About 450 bytes a contact of a phone of its own, texts of 200 bytes included.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use hashbrown::HashTable;
use switchhook_sip::registrar::Binding;

/// How many locks there are.
pub const SHARDS: usize = 64;
/// The longest address of record that is kept, in bytes.
pub const MAX_AOR: usize = 512;

/// How much may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocationLimits {
    /// Addresses of record with contacts.
    pub max_aors: usize,
    /// Contacts of all of them, those whose end was not reported yet included.
    pub max_contacts: usize,
}

impl Default for LocationLimits {
    fn default() -> Self {
        Self {
            max_aors: 1_000_000,
            max_contacts: 1_000_000,
        }
    }
}

/// An update that would go over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("location table: expected at most {limit} {what}")]
pub struct Full {
    /// What there is too much of.
    pub what: &'static str,
    /// How much there may be.
    pub limit: usize,
}

/// A contact whose time is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Expired {
    /// Its address of record.
    pub aor: Box<str>,
    /// The contact.
    pub binding: Binding,
}

/// The contacts of all addresses of record. See the module's header.
#[derive(Debug)]
pub struct Locations {
    shards: Box<[RwLock<Shard>]>,
    hasher: ahash::RandomState,
    limits: LocationLimits,
    aors: AtomicUsize,
    contacts: AtomicUsize,
    /// The shard that [`Locations::expire`] begins with next.
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    /// Places in `slots`, by the hash of their address.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// When the first contact of a slot ends; each slot that has contacts is in it once.
    ends: BTreeSet<(Instant, u32)>,
    /// Over, but not reported.
    over: VecDeque<Expired>,
}

#[derive(Debug, Default)]
struct Slot {
    aor: Box<str>,
    bindings: Box<[Binding]>,
}

impl Slot {
    fn first_end(&self) -> Option<Instant> {
        self.bindings.iter().map(Binding::expires).min()
    }
}

impl Locations {
    /// An empty table.
    pub fn new(limits: LocationLimits) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: ahash::RandomState::new(),
            limits,
            aors: AtomicUsize::new(0),
            contacts: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Changes the contacts of one address in one step: `change` sees those that are alive and gives the new ones, or `None`
    /// to leave them. It runs under the address's lock and must not use this table.
    pub fn update<R>(
        &self,
        now: Instant,
        aor: &str,
        change: impl FnOnce(&[Binding]) -> (Option<Vec<Binding>>, R),
    ) -> Result<R, Full> {
        if aor.len() > MAX_AOR {
            return Err(Full {
                what: "bytes of an address of record",
                limit: MAX_AOR,
            });
        }
        let hash = self.hasher.hash_one(aor);
        let mut shard = self.write(hash);
        let mut at = shard.find(hash, aor);
        if let Some(old) = at {
            shard.part(old, now);
            if shard.release(old, &self.hasher) {
                self.aors.fetch_sub(1, Ordering::Relaxed);
                at = None;
            }
        }
        let current = at.map_or(&[][..], |at| shard.bindings(at));
        let (before, (new, result)) = (current.len(), change(current));
        let Some(new) = new else {
            return Ok(result);
        };
        let (after, limits) = (new.len(), self.limits);
        exchange(
            &self.contacts,
            before,
            after,
            limits.max_contacts,
            "contacts",
        )?;
        let (had, has) = (usize::from(before > 0), usize::from(after > 0));
        exchange(&self.aors, had, has, limits.max_aors, "addresses of record")
            .inspect_err(|_| self.forget(after.saturating_sub(before)))?;
        let at = match at {
            Some(at) => at,
            None if new.is_empty() => return Ok(result),
            None => shard.insert(hash, aor, &self.hasher),
        };
        shard.set(at, new);
        shard.release(at, &self.hasher);
        Ok(result)
    }

    /// Reads the contacts of an address that are alive, under its lock: `read` must not use this table.
    pub fn read<R>(
        &self,
        now: Instant,
        aor: &str,
        read: impl FnOnce(&mut dyn Iterator<Item = &Binding>) -> R,
    ) -> R {
        let hash = self.hasher.hash_one(aor);
        let shard = self.shard(hash);
        let bindings = match shard.find(hash, aor) {
            Some(at) => shard.bindings(at),
            None => &[],
        };
        read(&mut bindings.iter().filter(|binding| binding.is_live(now)))
    }

    /// Whether an address has a contact that is alive.
    pub fn registered(&self, now: Instant, aor: &str) -> bool {
        self.read(now, aor, |live| live.next().is_some())
    }

    /// Removes all contacts of an address; tells how many were alive.
    pub fn remove(&self, now: Instant, aor: &str) -> usize {
        self.update(now, aor, |live| (Some(Vec::new()), live.len()))
            .unwrap_or(0)
    }

    /// Takes out up to `max` contacts whose time is over. As many as asked for: there may be more.
    pub fn expire(&self, now: Instant, max: usize) -> Vec<Expired> {
        let mut over = Vec::new();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for n in 0..SHARDS {
            if over.len() >= max {
                break;
            }
            let at = first.wrapping_add(n) % SHARDS;
            let Some(lock) = self.shards.get(at) else {
                continue;
            };
            let mut shard = lock.write().unwrap_or_else(PoisonError::into_inner);
            let emptied = shard.take_over(now, max, &mut over, &self.hasher);
            self.aors.fetch_sub(emptied, Ordering::Relaxed);
        }
        self.forget(over.len());
        over
    }

    /// Every contact that is alive, with its address, in no order. Holds one lock at a time, so what changes meanwhile may or
    /// may not be seen. `each` must not change this table.
    pub fn each(&self, now: Instant, mut each: impl FnMut(&str, &Binding)) {
        for lock in &self.shards {
            let shard = lock.read().unwrap_or_else(PoisonError::into_inner);
            for slot in &shard.slots {
                let live = slot.bindings.iter().filter(|b| b.is_live(now));
                live.for_each(|binding| each(&slot.aor, binding));
            }
        }
    }

    /// How many contacts there are, those whose end was not reported yet included.
    pub fn contacts(&self) -> usize {
        self.contacts.load(Ordering::Relaxed)
    }

    /// How many addresses of record have contacts.
    pub fn aors(&self) -> usize {
        self.aors.load(Ordering::Relaxed)
    }

    fn forget(&self, contacts: usize) {
        self.contacts.fetch_sub(contacts, Ordering::Relaxed);
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is below the number of shards"
    )]
    fn lock(&self, hash: u64) -> &RwLock<Shard> {
        // The low bits and the top seven place an address within its shard.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn shard(&self, hash: u64) -> RwLockReadGuard<'_, Shard> {
        let lock = self.lock(hash).read();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Shard> {
        let lock = self.lock(hash).write();
        lock.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes `before` from a count and adds `after`. One that does not grow is never refused.
fn exchange(
    count: &AtomicUsize,
    before: usize,
    after: usize,
    limit: usize,
    what: &'static str,
) -> Result<(), Full> {
    let next = |count: usize| {
        let next = count.saturating_sub(before) + after;
        (after <= before || next <= limit).then_some(next)
    };
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        .map(drop)
        .map_err(|_| Full { what, limit })
}

impl Shard {
    fn find(&self, hash: u64, aor: &str) -> Option<u32> {
        let is = |at: &u32| self.slot(*at).is_some_and(|slot| *slot.aor == *aor);
        self.index.find(hash, is).copied()
    }

    fn slot(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)
    }

    fn bindings(&self, at: u32) -> &[Binding] {
        self.slot(at).map_or(&[], |slot| &slot.bindings)
    }

    /// A new slot for an address that has none. It has no contacts yet and is not in `ends`.
    fn insert(&mut self, hash: u64, aor: &str, hasher: &ahash::RandomState) -> u32 {
        let slot = Slot {
            aor: aor.into(),
            bindings: Box::default(),
        };
        let reused = self.free.pop();
        let at = reused.unwrap_or(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        match self.slots.get_mut(at as usize) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |at| {
            hasher.hash_one(slots.get(*at as usize).map_or("", |slot| &slot.aor))
        });
        at
    }

    /// Other contacts for a slot.
    fn set(&mut self, at: u32, bindings: Vec<Binding>) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        if let Some(end) = slot.first_end() {
            self.ends.remove(&(end, at));
        }
        slot.bindings = bindings.into_boxed_slice();
        if let Some(end) = slot.first_end() {
            self.ends.insert((end, at));
        }
    }

    /// Gives a slot back if it has no contacts; tells whether it did.
    fn release(&mut self, at: u32, hasher: &ahash::RandomState) -> bool {
        let empty = |slot: &&mut Slot| slot.bindings.is_empty();
        let Some(slot) = self.slots.get_mut(at as usize).filter(empty) else {
            return false;
        };
        let aor = std::mem::take(&mut slot.aor);
        let entry = self
            .index
            .find_entry(hasher.hash_one(&*aor), |is| *is == at);
        let Ok(entry) = entry else {
            return false;
        };
        entry.remove();
        self.free.push(at);
        true
    }

    /// Moves a slot's contacts that are over out of it; all may be.
    fn part(&mut self, at: u32, now: Instant) {
        let Some(slot) = self.slot(at) else {
            return;
        };
        if slot.first_end().is_none_or(|end| end > now) {
            return;
        }
        let all = slot.bindings.iter().cloned();
        let (live, over): (Vec<_>, Vec<_>) = all.partition(|binding| binding.is_live(now));
        let aor = slot.aor.clone();
        self.set(at, live);
        self.over.extend(over.into_iter().map(|binding| Expired {
            aor: aor.clone(),
            binding,
        }));
    }

    /// Moves contacts that are over to `over`, until that has `max`; tells how many addresses have none any more.
    fn take_over(
        &mut self,
        now: Instant,
        max: usize,
        over: &mut Vec<Expired>,
        hasher: &ahash::RandomState,
    ) -> usize {
        let mut emptied = 0;
        while over.len() < max {
            if let Some(one) = self.over.pop_front() {
                over.push(one);
                continue;
            }
            let Some((_, at)) = self.ends.first().copied().filter(|(end, _)| *end <= now) else {
                break;
            };
            self.part(at, now);
            emptied += usize::from(self.release(at, hasher));
        }
        emptied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::time::Duration;
    use switchhook_sip::flow::{FlowId, Source, Transport};
    use switchhook_sip::message::Message;
    use switchhook_sip::registrar::{Limits, save};

    /// Registers `host` for so many seconds, each time as a phone that just started does.
    fn register(
        table: &Locations,
        now: Instant,
        aor: &str,
        host: u32,
        seconds: u64,
    ) -> Result<u16, Full> {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let request = format!(
            "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <sip:a@x>\r\nCall-ID: {call}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:a@h{host}>;expires={seconds}\r\n\r\n"
        );
        let request = Message::parse(request.into()).unwrap();
        let source = Source {
            transport: Transport::Udp,
            remote: "192.0.2.1:5060".parse().unwrap(),
            local: "192.0.2.9:5060".parse().unwrap(),
            flow: FlowId::new(1),
        };
        let limits = Limits {
            min_expires: Duration::ZERO,
            ..Limits::default()
        };
        table.update(now, aor, |current| {
            let outcome = save(now, request.view(), &source, current, &limits);
            (outcome.bindings, outcome.answer.status)
        })
    }

    fn hosts(table: &Locations, now: Instant, aor: &str) -> Vec<String> {
        table.read(now, aor, |live| live.map(host).collect())
    }

    fn host(binding: &Binding) -> String {
        String::from_utf8_lossy(binding.uri()).replace("sip:a@", "")
    }

    fn expired(table: &Locations, now: Instant, max: usize) -> Vec<String> {
        let over = table.expire(now, max).into_iter();
        let mut over: Vec<_> = over
            .map(|e| format!("{} {}", e.aor, host(&e.binding)))
            .collect();
        over.sort();
        over
    }

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn contacts_come_are_refreshed_and_end_once() {
        let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
        for (aor, host, seconds) in [("alice", 1, 60), ("alice", 2, 120), ("bob", 3, 60)] {
            assert_eq!(register(&table, start, aor, host, seconds), Ok(200));
        }
        assert_eq!(hosts(&table, start, "alice"), ["h1", "h2"]);
        assert_eq!((table.aors(), table.contacts()), (2, 3));
        assert!(expired(&table, at(start, 59), 10).is_empty());

        register(&table, at(start, 59), "bob", 3, 60).unwrap();
        assert_eq!(
            hosts(&table, at(start, 60), "alice"),
            ["h2"],
            "not seen any more"
        );
        assert_eq!(table.contacts(), 3, "but not reported yet");
        assert_eq!(expired(&table, at(start, 60), 10), ["alice h1"]);
        assert_eq!((table.aors(), table.contacts()), (2, 2));
        assert!(expired(&table, at(start, 61), 10).is_empty(), "only once");

        assert_eq!(expired(&table, at(start, 500), 10), ["alice h2", "bob h3"]);
        assert_eq!((table.aors(), table.contacts()), (0, 0));
        assert!(!table.registered(start, "alice"));
    }

    #[test]
    fn what_ended_is_reported_even_if_the_phone_came_back_meanwhile() {
        let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
        register(&table, start, "alice", 1, 60).unwrap();
        register(&table, at(start, 100), "alice", 2, 60).unwrap();
        assert_eq!(hosts(&table, at(start, 100), "alice"), ["h2"]);
        assert_eq!(expired(&table, at(start, 100), 10), ["alice h1"]);
        // A query alone finds nothing and leaves nothing.
        let none = table.update(at(start, 200), "alice", |live| (None, live.len()));
        assert_eq!((none, table.aors(), table.contacts()), (Ok(0), 0, 1));
        assert_eq!(expired(&table, at(start, 200), 10), ["alice h2"]);
    }

    #[test]
    fn ends_are_reported_in_batches() {
        let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
        for n in 0..100 {
            register(&table, start, &format!("user{}", n / 2), n, 60).unwrap();
        }
        let mut all = Vec::new();
        while table.contacts() > 0 {
            let batch = expired(&table, at(start, 60), 7);
            assert!((1..=7).contains(&batch.len()));
            all.extend(batch);
        }
        all.sort();
        all.dedup();
        assert_eq!((all.len(), table.aors()), (100, 0));
    }

    #[test]
    fn a_full_table_refuses_what_is_new_and_keeps_what_is_there() {
        let table = Locations::new(LocationLimits {
            max_aors: 2,
            max_contacts: 3,
        });
        let start = Instant::now();
        let mut late = start;
        for (aor, host) in [("alice", 1), ("bob", 2)] {
            register(&table, start, aor, host, 60).unwrap();
        }
        let full = register(&table, start, "carol", 3, 60).unwrap_err();
        assert_eq!(
            full.to_string(),
            "location table: expected at most 2 addresses of record"
        );
        assert_eq!(table.contacts(), 2, "nothing of it is left");
        register(&table, start, "bob", 4, 60).unwrap();
        let full = register(&table, start, "bob", 5, 60).unwrap_err();
        assert_eq!((full.what, full.limit), ("contacts", 3));
        late += Duration::from_secs(1);
        assert_eq!(register(&table, late, "bob", 4, 60), Ok(200), "a refresh");
        assert_eq!(register(&table, late, "alice", 1, 0), Ok(200), "a removal");
        assert_eq!(register(&table, late, "carol", 3, 60), Ok(200));
        assert!(register(&table, late, &"x".repeat(MAX_AOR + 1), 3, 60).is_err());
    }

    #[test]
    fn removal_and_dump() {
        let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
        for (aor, host, seconds) in [("alice", 1, 60), ("alice", 2, 10), ("bob", 3, 60)] {
            register(&table, start, aor, host, seconds).unwrap();
        }
        let mut all = Vec::new();
        table.each(at(start, 20), |aor, b| {
            all.push(format!("{aor} {}", host(b)))
        });
        all.sort();
        assert_eq!(all, ["alice h1", "bob h3"]);
        assert_eq!(table.remove(at(start, 20), "alice"), 1);
        assert_eq!(table.remove(at(start, 20), "nobody"), 0);
        assert!(!table.registered(at(start, 20), "alice"));
        assert_eq!(table.aors(), 1);
    }

    #[test]
    fn lanes_work_side_by_side() {
        let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
        std::thread::scope(|scope| {
            for lane in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for n in 0..200 {
                        register(table, start, &format!("own{lane}"), n % 8, 60).unwrap();
                        register(table, start, "shared", lane, 60).unwrap();
                        table.registered(start, "shared");
                    }
                });
            }
        });
        assert_eq!(hosts(&table, start, "shared").len(), 4);
        assert_eq!((table.aors(), table.contacts()), (5, 4 * 8 + 4));
    }

    proptest! {
        /// Against a plain map of (address, host) to its end.
        #[test]
        fn it_does_what_a_plain_map_does(
            steps in prop::collection::vec((0u32..5, 0u32..4, prop::sample::select(vec![0u64, 5, 30, 60]), 0u64..20, 0usize..4), 1..80)
        ) {
            let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
            let mut model = BTreeMap::<(u32, u32), u64>::new();
            let (mut seconds, mut reported, mut ended) = (0, Vec::new(), Vec::new());
            for (aor, host, expires, wait, max) in steps {
                seconds += wait;
                model.retain(|key, end| {
                    let live = *end > seconds;
                    if !live { ended.push(format!("u{} h{}", key.0, key.1)); }
                    live
                });
                prop_assert_eq!(register(&table, at(start, seconds), &format!("u{aor}"), host, expires), Ok(200));
                match expires {
                    0 => { model.remove(&(aor, host)); }
                    _ => { model.insert((aor, host), seconds + expires); }
                }
                reported.extend(expired(&table, at(start, seconds), max));
                for user in 0..5 {
                    let mut came = hosts(&table, at(start, seconds), &format!("u{user}"));
                    came.sort();
                    let expected: Vec<_> = model.keys().filter(|k| k.0 == user).map(|k| format!("h{}", k.1)).collect();
                    prop_assert_eq!(came, expected);
                }
            }
            ended.extend(model.keys().map(|k| format!("u{} h{}", k.0, k.1)));
            reported.extend(expired(&table, at(start, seconds + 1000), usize::MAX));
            ended.sort();
            reported.sort();
            prop_assert_eq!(reported, ended, "each end is reported once");
            prop_assert_eq!((table.aors(), table.contacts()), (0, 0));
            for shard in &table.shards {
                let shard = shard.read().unwrap();
                prop_assert!(shard.ends.is_empty() && shard.index.is_empty());
                prop_assert_eq!(shard.free.len(), shard.slots.len());
            }
        }
    }
}
