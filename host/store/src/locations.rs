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
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
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

/// A contact that was changed here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Moved<'a> {
    /// It was added, refreshed or changed.
    Saved(&'a Binding),
    /// It was removed.
    Removed(&'a Binding),
}

/// Is told of changes. It is called under a lock of the table: it must be quick, and must not use the table.
pub trait WatchContacts: Send + Sync {
    /// A contact of an address of record has changed.
    fn moved(&self, aor: &str, moved: Moved<'_>);
}

/// The contacts of all addresses of record. See the module's header.
pub struct Locations {
    watch: Option<Arc<dyn WatchContacts>>,
    shards: Box<[RwLock<Shard>]>,
    hasher: ahash::RandomState,
    limits: LocationLimits,
    aors: AtomicUsize,
    contacts: AtomicUsize,
    /// The shard that [`Locations::expire`] begins with next.
    turn: AtomicUsize,
}

impl std::fmt::Debug for Locations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locations")
            .field("limits", &self.limits)
            .field("aors", &self.aors)
            .field("contacts", &self.contacts)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Shard {
    /// Places in `slots`, by the hash of their address.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// When to look at a slot; each that has contacts is in it once, with its `due`.
    ends: BTreeSet<(Instant, u32)>,
    /// Over, but not reported.
    over: VecDeque<Expired>,
}

#[derive(Debug, Default)]
struct Slot {
    aor: Box<str>,
    bindings: Box<[Binding]>,
    /// No later than its first contact ends. A refresh leaves it, so that contacts which are refreshed in time move it once in their
    /// life's length, not with every refresh.
    due: Option<Instant>,
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
            watch: None,
            limits,
            aors: AtomicUsize::new(0),
            contacts: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }
    }

    /// Has the changes that are made here told to somebody.
    pub fn watch(&mut self, watch: Arc<dyn WatchContacts>) {
        self.watch = Some(watch);
    }

    /// Changes the contacts of one address in one step: `change` sees those that are alive and gives the new ones, or `None`
    /// to leave them. It runs under the address's lock and must not use this table.
    pub fn update<R>(
        &self,
        now: Instant,
        aor: &str,
        change: impl FnOnce(&[Binding]) -> (Option<Vec<Binding>>, R),
    ) -> Result<R, Full> {
        self.write_aor(now, aor, true, change)
    }

    /// The same for what came from another node: nobody is told.
    pub fn update_replica<R>(
        &self,
        now: Instant,
        aor: &str,
        change: impl FnOnce(&[Binding]) -> (Option<Vec<Binding>>, R),
    ) -> Result<R, Full> {
        self.write_aor(now, aor, false, change)
    }

    fn tell(&self, aor: &str, before: &[Binding], after: &[Binding]) {
        let Some(watch) = &self.watch else {
            return;
        };
        for gone in before
            .iter()
            .filter(|old| !after.iter().any(|new| is_same(old, new)))
        {
            watch.moved(aor, Moved::Removed(gone));
        }
        for new in after.iter().filter(|new| !before.contains(new)) {
            watch.moved(aor, Moved::Saved(new));
        }
    }

    fn write_aor<R>(
        &self,
        now: Instant,
        aor: &str,
        told: bool,
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
        if told {
            self.tell(aor, current, &new);
        }
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
        for part in 0..SHARDS {
            self.each_of_part(now, part, &mut each);
        }
    }

    /// The same for one of [`SHARDS`] parts of the table; `false` where there is none of that number.
    pub fn each_of_part(
        &self,
        now: Instant,
        part: usize,
        mut each: impl FnMut(&str, &Binding),
    ) -> bool {
        let Some(lock) = self.shards.get(part) else {
            return false;
        };
        let shard = lock.read().unwrap_or_else(PoisonError::into_inner);
        for slot in &shard.slots {
            let live = slot.bindings.iter().filter(|b| b.is_live(now));
            live.for_each(|binding| each(&slot.aor, binding));
        }
        true
    }

    /// Every address of record that has a contact that is alive, in no order, as [`Locations::each`].
    pub fn each_aor(&self, now: Instant, mut each: impl FnMut(&str)) {
        for lock in &self.shards {
            let shard = lock.read().unwrap_or_else(PoisonError::into_inner);
            // While none of its contacts can be over there is no need to look at them.
            let live = |slot: &&Slot| {
                slot.due.is_some_and(|due| due > now)
                    || slot.bindings.iter().any(|b| b.is_live(now))
            };
            shard
                .slots
                .iter()
                .filter(live)
                .for_each(|slot| each(&slot.aor));
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

/// The same contact, changed or not: its name, the flow of a phone (RFC 5626), or its URI as it was written.
fn is_same(old: &Binding, new: &Binding) -> bool {
    let flow = |one: &Binding| !one.instance().is_empty() && one.reg_id() > 0;
    if !old.ruid().is_empty() && old.ruid() == new.ruid() {
        return true;
    }
    if flow(old) && flow(new) {
        return old.instance() == new.instance() && old.reg_id() == new.reg_id();
    }
    old.uri() == new.uri()
}

/// Takes `before` from a count and adds `after`. One that does not grow is never refused.
fn exchange(
    count: &AtomicUsize,
    before: usize,
    after: usize,
    limit: usize,
    what: &'static str,
) -> Result<(), Full> {
    if after == before {
        return Ok(());
    }
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
            due: None,
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
        slot.bindings = bindings.into_boxed_slice();
        match (slot.due, slot.first_end()) {
            (Some(due), Some(end)) if due <= end => {}
            _ => self.look(at),
        }
    }

    /// Has a slot looked at when its first contact ends.
    fn look(&mut self, at: u32) {
        let Some(slot) = self.slots.get_mut(at as usize) else {
            return;
        };
        if let Some(due) = slot.due {
            self.ends.remove(&(due, at));
        }
        slot.due = slot.first_end();
        if let Some(end) = slot.due {
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
            self.look(at);
            emptied += usize::from(self.release(at, hasher));
        }
        emptied
    }
}

#[cfg(test)]
mod tests;
