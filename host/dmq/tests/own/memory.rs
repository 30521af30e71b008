//! A node's records, with its clock: what the bus keeps of the tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchhook_dmq::Now;
use switchhook_dmq::own::records::Records;
use switchhook_dmq::own::repair::SetId;
use switchhook_dmq::own::version::{AddError, Clock, Value, Version};

pub(crate) struct Memory {
    pub(crate) clock: Arc<Clock>,
    pub(crate) records: Records,
    sets: u16,
}

impl Memory {
    pub(crate) fn new(clock: Arc<Clock>, names: &[&str]) -> Self {
        let records = Records::new(names.iter().map(|name| (*name).into()), 1_000_000);
        let sets = u16::try_from(names.len()).unwrap();
        Self {
            clock,
            records,
            sets,
        }
    }

    fn write(&self, now: Now) -> (Instant, Version) {
        (now.at, self.clock.write(now.unix_ms))
    }

    pub(crate) fn set(&mut self, now: Now, set: SetId, key: &str, value: Value, life: Duration) {
        assert!(self.records.set(self.write(now), set, key, value, life));
    }

    pub(crate) fn remove(&mut self, now: Now, set: SetId, key: &str) {
        assert!(self.records.remove(self.write(now), set, key));
    }

    pub(crate) fn add(
        &mut self,
        now: Now,
        set: SetId,
        key: &str,
        delta: i64,
    ) -> Result<i64, AddError> {
        let sum = self
            .records
            .add(self.write(now), set, key, delta, Duration::ZERO);
        sum.expect("room")
    }

    /// Forgets what is over in a part, as the bus does now and then.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.records.sweep(now);
    }

    pub(crate) fn get(&self, now: Instant, set: SetId, key: &str) -> Option<Value> {
        self.records.get(now, set, key)
    }

    /// What is alive: all that a user of the tables can see, and its version.
    pub(crate) fn view(&self, now: Instant) -> BTreeMap<(u16, String), (Value, u64)> {
        let sets = (0..self.sets).map(SetId);
        let live = sets.flat_map(|set| self.records.live(now, set).map(move |live| (set, live)));
        live.filter_map(|(set, (key, record))| {
            Some((
                (set.0, key.to_owned()),
                (record.value(now)?, record.print()),
            ))
        })
        .collect()
    }

    /// Whether the other knows all that is alive here, in the same version. Of a value whose life is ending one may see the end
    /// a moment before the other.
    pub(crate) fn is_known_to(&self, other: &Self, now: Instant) -> bool {
        (0..self.sets).map(SetId).all(|set| {
            self.records.live(now, set).all(|(key, record)| {
                let theirs = other.records.record(set, key);
                theirs.is_some_and(|theirs| theirs.print() == record.print())
            })
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}
