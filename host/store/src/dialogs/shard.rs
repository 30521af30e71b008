//! One lock's part of the table: dialogs by name, by Call-ID, and by the time at which they end.

use std::time::Instant;

use ahash::RandomState;
use hashbrown::{HashMap, HashTable};
use switchhook_sip::dialog::Id;
use switchhook_sip::transaction::timers::Time;
use switchhook_sip::transaction::wheel::{TimerId, Wheel};

use super::dialog::Dialog;

/// A dialog in the table.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) dialog: Dialog,
    /// When its timer fires.
    pub(super) ends: Instant,
    /// What it is now was not told yet.
    pub(super) changed: bool,
    /// Whether both sides are to be sent a BYE when its time is over; none where that is as for all.
    pub(super) bye: Option<bool>,
    timer: Option<TimerId>,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Shard {
    slots: HashMap<Id, Box<Slot>, RandomState>,
    calls: HashTable<Id>,
    ends: Wheel<Id>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            slots: HashMap::default(),
            calls: HashTable::new(),
            ends: Wheel::new(),
        }
    }
}

impl Shard {
    pub(super) fn get(&self, id: Id) -> Option<&Slot> {
        self.slots.get(&id).map(|slot| &**slot)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Slot> {
        self.slots.get_mut(&id).map(|slot| &mut **slot)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().map(|slot| &**slot)
    }

    /// A dialog of that Call-ID that is the one looked for.
    pub(super) fn of_call(
        &self,
        hash: u64,
        call_id: &str,
        is: impl Fn(&Dialog) -> bool,
    ) -> Option<Id> {
        let found = self.calls.find(hash, |id| {
            let dialog = self.get(*id).map(|slot| &slot.dialog);
            dialog.is_some_and(|dialog| *dialog.call_id == *call_id && is(dialog))
        });
        found.copied()
    }

    /// A dialog that is not here yet. It has no timer.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        dialog: Dialog,
        changed: bool,
        ends: Instant,
        hasher: &RandomState,
    ) {
        let id = dialog.id;
        let slot = Slot {
            dialog,
            ends,
            changed,
            bye: None,
            timer: None,
        };
        self.slots.insert(id, Box::new(slot));
        let slots = &self.slots;
        self.calls.insert_unique(hash, id, |id| {
            let slot = slots.get(id);
            slot.map_or(0, |slot| hasher.hash_one(&*slot.dialog.call_id))
        });
    }

    pub(super) fn remove(&mut self, id: Id, hasher: &RandomState) -> Option<Box<Slot>> {
        let slot = self.slots.remove(&id)?;
        if let Some(timer) = slot.timer {
            self.ends.cancel(timer);
        }
        let hash = hasher.hash_one(&*slot.dialog.call_id);
        if let Ok(entry) = self.calls.find_entry(hash, |is| *is == id) {
            entry.remove();
        }
        Some(slot)
    }

    pub(super) fn set_timer(&mut self, id: Id, ends: Instant, at: Time) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if let Some(timer) = slot.timer.take() {
            self.ends.cancel(timer);
        }
        slot.ends = ends;
        slot.timer = Some(self.ends.insert(at, id));
    }

    /// A dialog whose timer has fired.
    pub(super) fn due(&mut self, now: Time) -> Option<Id> {
        let id = self.ends.pop(now)?;
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.timer = None;
        }
        Some(id)
    }
}
