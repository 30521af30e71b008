//! A plain map for each set: the simplest tables that can be replicated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchhook_dmq::Now;
use switchhook_dmq::own::repair::{Digest, Merged, Place, Replica, SetId};
use switchhook_dmq::own::version::{AddError, Clock, Record, Value};

/// How long removals are remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(600);

pub(crate) struct Memory {
    pub(crate) clock: Arc<Clock>,
    names: Vec<String>,
    sets: Vec<BTreeMap<String, Record>>,
}

impl Memory {
    pub(crate) fn new(clock: Arc<Clock>, names: &[&str]) -> Self {
        Self {
            clock,
            names: names.iter().map(ToString::to_string).collect(),
            sets: names.iter().map(|_| BTreeMap::new()).collect(),
        }
    }

    fn record(&mut self, set: SetId, key: &str) -> &mut Record {
        self.sets[usize::from(set.0)].entry(key.into()).or_default()
    }

    pub(crate) fn set(&mut self, now: Now, set: SetId, key: &str, value: Value, life: Duration) {
        let version = self.clock.write(now.unix_ms);
        self.record(set, key).set(version, now.at, value, life);
    }

    pub(crate) fn remove(&mut self, now: Now, set: SetId, key: &str) {
        let version = self.clock.write(now.unix_ms);
        self.record(set, key).remove(version, now.at, REMEMBERED);
    }

    pub(crate) fn add(
        &mut self,
        now: Now,
        set: SetId,
        key: &str,
        delta: i64,
    ) -> Result<i64, AddError> {
        let version = self.clock.write(now.unix_ms);
        let record = self.record(set, key);
        record.add(version, now.at, delta, Duration::ZERO)
    }

    pub(crate) fn expire(&mut self, now: Now, set: SetId, key: &str, life: Duration) -> bool {
        let version = self.clock.write(now.unix_ms);
        self.record(set, key).expire(version, now.at, life)
    }

    /// Forgets what is over, as a store does now and then.
    pub(crate) fn sweep(&mut self, now: Instant) {
        for set in &mut self.sets {
            set.retain(|_, record| !record.is_over(now));
        }
    }

    pub(crate) fn get(&self, now: Instant, set: SetId, key: &str) -> Option<Value> {
        self.sets[usize::from(set.0)].get(key)?.value(now)
    }

    /// What is alive: all that a user of the tables can see, and its version.
    pub(crate) fn view(&self, now: Instant) -> BTreeMap<(u16, String), (Value, u64)> {
        let mut view = BTreeMap::new();
        for (at, set) in (0u16..).zip(&self.sets) {
            for (key, record) in set {
                if let Some(value) = record.value(now) {
                    view.insert((at, key.clone()), (value, record.print()));
                }
            }
        }
        view
    }

    /// Whether the other knows all that is alive here, in the same version. Of a value whose life is ending one may see the end
    /// a moment before the other.
    pub(crate) fn is_known_to(&self, other: &Self, now: Instant) -> bool {
        let pairs = self.sets.iter().zip(&other.sets);
        let mut live = pairs.flat_map(|(set, other)| {
            let live = set.iter().filter(|(_, record)| record.is_live(now));
            live.map(|(key, record)| (record, other.get(key)))
        });
        live.all(|(record, theirs)| theirs.is_some_and(|theirs| theirs.print() == record.print()))
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.iter().map(BTreeMap::len).sum()
    }
}

impl Replica for Memory {
    fn sets(&self) -> u16 {
        u16::try_from(self.names.len()).unwrap()
    }

    fn name(&self, set: SetId) -> &str {
        &self.names[usize::from(set.0)]
    }

    fn find(&self, name: &str) -> Option<SetId> {
        let at = self.names.iter().position(|is| is == name)?;
        Some(SetId(u16::try_from(at).unwrap()))
    }

    fn digest(&mut self, now: Instant, set: SetId) -> Digest {
        let mut digest = Digest::default();
        for (key, record) in &self.sets[usize::from(set.0)] {
            if record.is_live(now) {
                digest.add(Place::of(key), record.print());
            }
        }
        digest
    }

    fn each(
        &mut self,
        now: Instant,
        set: SetId,
        group: usize,
        visit: &mut dyn FnMut(Place, &str, &Record),
    ) {
        for (key, record) in &self.sets[usize::from(set.0)] {
            let place = Place::of(key);
            if place.group() == group && !record.is_over(now) {
                visit(place, key, record);
            }
        }
    }

    fn read(&mut self, now: Instant, set: SetId, key: &str, visit: &mut dyn FnMut(&Record)) {
        let record = self.sets[usize::from(set.0)].get(key);
        if let Some(record) = record.filter(|record| !record.is_over(now)) {
            visit(record);
        }
    }

    fn merge(&mut self, now: Instant, set: SetId, key: &str, record: &Record) -> Merged {
        let own = self.record(set, key);
        if own.is_over(now) {
            *own = Record::default();
        }
        if own.merge(record) {
            Merged::Changed
        } else {
            Merged::Known
        }
    }
}
