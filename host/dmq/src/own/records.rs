//! The replicated state of every set, beside the tables that scripts see: records with versions, in the bus's thread alone.
//!
//! Owns the records; the tables are the caller's. A write that was made there is recorded here ([`Records::set`] and its
//! neighbours), and what was merged here is to be made there ([`Records::merged`]). What is replicated is kept twice so that
//! no lane ever waits for the bus, and a lane's write costs what it costs without one.
//!
//! Records lie in 64 groups by their place, so a comparison or a sweep reads a part at a time. A group's sums are kept until
//! something in it changes or ends.
//!
//! Limits: `most` records of a set, removals that are remembered included. When it is reached, what is over is freed; if that
//! does not help, a write is not recorded (and so not replicated) and a record of another node is refused, until there is room.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::repair::{Digest, GROUPS, Merged, Place, Replica, SetId};
use super::version::{AddError, MAX_REMEMBERED, Record, Value, Version};

/// For how long after the bus wrote a key into a table a write of a lane may have come before it.
pub const OVERLAP: Duration = Duration::from_secs(2);

/// A record that was merged: the table is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Whose it is.
    pub set: SetId,
    /// Its key.
    pub key: Box<str>,
}

/// See the module's header.
#[derive(Debug)]
pub struct Records {
    sets: Vec<Set>,
    most: usize,
    merged: Vec<Changed>,
    /// When the bus last wrote anything into a table.
    wrote: Option<Instant>,
    /// The group that is swept next.
    turn: usize,
    /// Of a set that is not there.
    none: Digest,
}

#[derive(Debug)]
struct Set {
    name: Arc<str>,
    groups: Vec<Group>,
    count: usize,
    /// Right for the groups that are not `changed`, until they end.
    digest: Digest,
}

#[derive(Debug, Default)]
struct Group {
    records: HashMap<Box<str>, Entry, ahash::RandomState>,
    changed: bool,
    /// When the first of its live records ends.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    /// When the bus last wrote it into the table.
    wrote: Option<Instant>,
}

impl Group {
    /// The live records, and when the first of them ends.
    fn live(&self, now: Instant) -> (Vec<(Place, u64)>, Option<Instant>) {
        let mut until: Option<Instant> = None;
        let live = self.records.iter();
        let live = live.filter(|(_, entry)| entry.record.is_live(now));
        let live = live.map(|(key, Entry { record, .. })| {
            until = until.into_iter().chain(record.end()).min();
            (Place::of(key), record.print())
        });
        (live.collect(), until)
    }
}

impl Records {
    /// Empty sets of those names, each of at most so many records.
    pub fn new(names: impl IntoIterator<Item = Arc<str>>, most: usize) -> Self {
        let sets = names.into_iter().map(|name| Set {
            name,
            groups: (0..GROUPS).map(|_| Group::default()).collect(),
            count: 0,
            digest: Digest::default(),
        });
        Self {
            sets: sets.collect(),
            most,
            merged: Vec::new(),
            wrote: None,
            turn: 0,
            none: Digest::default(),
        }
    }

    /// A key was set. False where there is no room for its record.
    pub fn set(
        &mut self,
        (now, version): (Instant, Version),
        set: SetId,
        key: &str,
        value: Value,
        life: Duration,
    ) -> bool {
        self.write(now, set, key, |record| {
            record.set(version, now, value, life)
        })
        .is_some()
    }

    /// A key was removed.
    pub fn remove(&mut self, (now, version): (Instant, Version), set: SetId, key: &str) -> bool {
        self.write(now, set, key, |record| {
            record.remove(version, now, MAX_REMEMBERED)
        })
        .is_some()
    }

    /// A key was given another life.
    pub fn expire(
        &mut self,
        (now, version): (Instant, Version),
        set: SetId,
        key: &str,
        life: Duration,
    ) -> bool {
        let write = |record: &mut Record| record.expire(version, now, life);
        self.write(now, set, key, write) == Some(true)
    }

    /// Something was added to a key. `None`: there is no room.
    pub fn add(
        &mut self,
        (now, version): (Instant, Version),
        set: SetId,
        key: &str,
        delta: i64,
        life: Duration,
    ) -> Option<Result<i64, AddError>> {
        self.write(now, set, key, |record| {
            record.add(version, now, delta, life)
        })
    }

    /// The value of a key.
    pub fn get(&self, now: Instant, set: SetId, key: &str) -> Option<Value> {
        self.entry(set, key)?.record.value(now)
    }

    /// A key's record, if there is one.
    pub fn record(&self, set: SetId, key: &str) -> Option<&Record> {
        Some(&self.entry(set, key)?.record)
    }

    /// Every key of a set that has a value now.
    pub fn live(&self, now: Instant, set: SetId) -> impl Iterator<Item = (&str, &Record)> {
        let groups = self.sets.get(usize::from(set.0)).map(|set| &set.groups);
        let entries = groups
            .into_iter()
            .flatten()
            .flat_map(|group| &group.records);
        let live = entries.filter(move |(_, entry)| entry.record.is_live(now));
        live.map(|(key, entry)| (&**key, &entry.record))
    }

    /// Takes out what was merged since the last call.
    pub fn merged(&mut self) -> Vec<Changed> {
        std::mem::take(&mut self.merged)
    }

    /// The bus has written a key into its table.
    pub fn wrote(&mut self, now: Instant, set: SetId, key: &str) {
        self.wrote = self.wrote.max(Some(now));
        let group = self.group(set, Place::of(key).group());
        if let Some(entry) = group.and_then(|group| group.records.get_mut(key)) {
            entry.wrote = Some(now);
        }
    }

    /// Whether a lane's write of that time may have been undone by one of the bus.
    pub fn overlaps(&self, then: Instant, set: SetId, key: &str) -> bool {
        let overlaps = |wrote: Option<Instant>| wrote.is_some_and(|wrote| then <= wrote + OVERLAP);
        // Where it wrote nothing lately there is nothing to look up.
        overlaps(self.wrote) && overlaps(self.entry(set, key).and_then(|entry| entry.wrote))
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.sets.iter().map(|set| set.count).sum()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frees what is over in one group of each set, another at each call.
    pub fn sweep(&mut self, now: Instant) {
        self.turn = (self.turn + 1) % GROUPS;
        let turn = self.turn;
        for set in &mut self.sets {
            set.sweep(now, turn..turn + 1);
        }
    }

    fn entry(&self, set: SetId, key: &str) -> Option<&Entry> {
        let set = self.sets.get(usize::from(set.0))?;
        set.groups.get(Place::of(key).group())?.records.get(key)
    }

    fn group(&mut self, set: SetId, group: usize) -> Option<&mut Group> {
        self.sets.get_mut(usize::from(set.0))?.groups.get_mut(group)
    }

    /// Changes a record, a new one if there is none; `None`: no room.
    fn write<R>(
        &mut self,
        now: Instant,
        set: SetId,
        key: &str,
        write: impl FnOnce(&mut Record) -> R,
    ) -> Option<R> {
        let most = self.most;
        let set = self.sets.get_mut(usize::from(set.0))?;
        let at = Place::of(key).group();
        let group = set.groups.get_mut(at)?;
        if let Some(Entry { record, .. }) = group.records.get_mut(key) {
            group.changed = true;
            if record.is_over(now) {
                *record = Record::default();
            }
            return Some(write(record));
        }
        if set.count >= most {
            set.sweep(now, 0..GROUPS);
            if set.count >= most {
                return None;
            }
        }
        let mut record = Record::default();
        let result = write(&mut record);
        let entry = Entry {
            record,
            wrote: None,
        };
        let group = set.groups.get_mut(at)?;
        group.changed = true;
        group.records.insert(key.into(), entry);
        set.count += 1;
        Some(result)
    }
}

impl Set {
    fn sweep(&mut self, now: Instant, groups: std::ops::Range<usize>) {
        for group in self.groups.get_mut(groups).into_iter().flatten() {
            let before = group.records.len();
            group.records.retain(|_, entry| !entry.record.is_over(now));
            self.count -= before - group.records.len();
        }
    }
}

impl Replica for Records {
    fn sets(&self) -> u16 {
        u16::try_from(self.sets.len()).unwrap_or(u16::MAX)
    }

    fn name(&self, set: SetId) -> &str {
        let set = self.sets.get(usize::from(set.0));
        set.map_or("", |set| &set.name)
    }

    fn find(&self, name: &str) -> Option<SetId> {
        let at = self.sets.iter().position(|set| *set.name == *name)?;
        Some(SetId(u16::try_from(at).ok()?))
    }

    fn digest(&mut self, now: Instant, set: SetId) -> &Digest {
        let Some(set) = self.sets.get_mut(usize::from(set.0)) else {
            return &self.none;
        };
        for (at, group) in set.groups.iter_mut().enumerate() {
            if group.changed || group.until.is_some_and(|until| until <= now) {
                let (live, until) = group.live(now);
                set.digest.sum_group(at, live.into_iter());
                (group.changed, group.until) = (false, until);
            }
        }
        &set.digest
    }

    fn each(
        &mut self,
        now: Instant,
        set: SetId,
        group: usize,
        visit: &mut dyn FnMut(Place, &str, &Record),
    ) {
        let group = self.group(set, group);
        for (key, entry) in group.into_iter().flat_map(|group| &group.records) {
            if !entry.record.is_over(now) {
                visit(Place::of(key), key, &entry.record);
            }
        }
    }

    fn read(&mut self, now: Instant, set: SetId, key: &str, visit: &mut dyn FnMut(&Record)) {
        let record = self.entry(set, key).map(|entry| &entry.record);
        if let Some(record) = record.filter(|record| !record.is_over(now)) {
            visit(record);
        }
    }

    fn merge(&mut self, now: Instant, set: SetId, key: &str, record: &Record) -> Merged {
        // What is over on arrival need not be known.
        if record.is_over(now) && self.entry(set, key).is_none() {
            return Merged::Known;
        }
        match self.write(now, set, key, |own| own.merge(record)) {
            None => Merged::Full,
            Some(false) => Merged::Known,
            Some(true) => {
                let key = key.into();
                self.merged.push(Changed { set, key });
                Merged::Changed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::version::{NodeId, Stamp};

    const HT: SetId = SetId(0);

    fn version(ms: u64) -> Version {
        Version {
            stamp: Stamp::new(ms, 0).unwrap(),
            node: NodeId::new(1),
        }
    }

    #[test]
    fn sums_follow_every_change_and_every_end() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut records = Records::new(["ht".into()], 1000);
        let empty = Digest::default();
        let when = |ms| (start, version(ms));
        let life = Duration::from_secs(5);
        assert!(records.set(when(1), HT, "short", Value::Integer(1), life));
        assert!(records.set(when(2), HT, "long", Value::Integer(1), Duration::ZERO));
        let both = records.digest(start, HT).clone();
        assert_eq!(both.items(), 2);
        let one = records.digest(at(5), HT);
        assert_eq!(one.items(), 1);
        assert!(records.expire((at(1), version(3)), HT, "long", life));
        assert_ne!(*records.digest(at(1), HT), both);
        assert!(records.remove((at(1), version(4)), HT, "long"));
        assert_eq!(*records.digest(at(5), HT), empty);
        for _ in 0..GROUPS {
            records.sweep(at(4000));
        }
        assert!(records.is_empty());
    }

    #[test]
    fn a_full_set_records_nothing_new_until_there_is_room() {
        let now = Instant::now();
        let mut records = Records::new(["ht".into()], 2);
        let life = Duration::from_secs(1);
        for key in ["a", "b"] {
            assert!(records.set((now, version(1)), HT, key, Value::Integer(1), life));
        }
        assert!(!records.set((now, version(2)), HT, "c", Value::Integer(1), life));
        assert!(records.set((now, version(2)), HT, "a", Value::Integer(2), life));
        let later = now + Duration::from_secs(70);
        assert!(records.set((later, version(3)), HT, "c", Value::Integer(1), life));
    }
}
