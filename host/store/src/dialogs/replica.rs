//! Dialogs as other nodes tell them. Nobody is told of these again, and a call never goes back.

use std::time::Instant;

use switchhook_sip::dialog::{Id, State};

use super::dialog::{Dialog, MAX_PROFILES, MAX_VARS};
use super::{DialogError, Dialogs};

/// A table for what other nodes tell.
#[derive(Debug, Clone, Copy)]
pub struct Replica<'a>(&'a Dialogs);

impl<'a> Replica<'a> {
    pub(super) fn of(dialogs: &'a Dialogs) -> Self {
        Self(dialogs)
    }

    /// A dialog as another node has it, new or anew. One that is further here stays as it is; whose it is stays too.
    pub fn save(self, now: Instant, mut dialog: Dialog) -> Result<(), DialogError> {
        let Self(table) = self;
        let id = dialog.id;
        dialog.vars.truncate(MAX_VARS);
        dialog.profiles.truncate(MAX_PROFILES);
        let mut shard = table.lock(id.entry);
        match shard.get_mut(id) {
            None => {
                dialog.here = false;
                table.reserve()?;
                table.insert(now, &mut shard, dialog, false);
            }
            Some(slot) if slot.dialog.state > dialog.state => {}
            Some(slot) => {
                if slot.dialog.state != State::Deleted {
                    table.leave_profiles(&slot.dialog);
                }
                dialog.here = slot.dialog.here;
                // By our own clock, where we saw it.
                dialog.begun = slot.dialog.begun;
                dialog.answered = slot.dialog.answered.or(dialog.answered);
                let gone_on =
                    slot.dialog.state != dialog.state || slot.dialog.lifetime != dialog.lifetime;
                let ended = dialog.state == State::Deleted;
                if !ended {
                    dialog.profiles.iter().for_each(|m| table.profiles.enter(m));
                }
                slot.dialog = dialog;
                if gone_on {
                    table.arm(now, &mut shard, id);
                }
            }
        }
        Ok(())
    }

    /// A dialog goes on: `change` says whether it did. `Err` where there is none of that name.
    pub fn go_on(
        self,
        now: Instant,
        id: Id,
        change: impl FnOnce(&mut Dialog) -> bool,
    ) -> Result<bool, DialogError> {
        let Self(table) = self;
        let mut shard = table.lock(id.entry);
        let slot = shard.get_mut(id).ok_or(DialogError::Unknown)?;
        let before = slot.dialog.state;
        let changed = change(&mut slot.dialog);
        // A call never goes back, whatever is told.
        slot.dialog.state = slot.dialog.state.max(before);
        if slot.dialog.state == State::Deleted && before != State::Deleted {
            table.leave_profiles(&slot.dialog);
        }
        if changed && before != State::Deleted {
            table.arm(now, &mut shard, id);
        }
        Ok(changed)
    }

    /// A dialog is gone; tells whether it was there.
    pub fn remove(self, id: Id) -> bool {
        let Self(table) = self;
        let mut shard = table.lock(id.entry);
        let Some(slot) = shard.remove(id, &table.hasher) else {
            return false;
        };
        table.gone(&slot);
        true
    }
}
