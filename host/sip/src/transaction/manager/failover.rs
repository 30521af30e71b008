//! Further addresses of a target: RFC 3263 s.4.3. An address that stays silent, cannot be reached or says 503 is not the end of its branch
//! while the caller has another; to the response context, and to whoever is asked about responses, it is one branch all the time.

use std::time::Instant;

use bytes::Bytes;

use super::Manager;
use super::branches::admit;
use crate::transaction::best::Final;
use crate::transaction::cell::{Context, Moving};
use crate::transaction::io::{Branch, Key, Output, Refusal};
use crate::transaction::leg::{Cancel, Progress};
use crate::transaction::names::BranchId;
use crate::transaction::slots::SlotId;
use crate::transaction::timers::Time;

impl<X> Manager<X> {
    /// Answer to an [`Output::NextAddress`]: the same request to the next address, as a new client transaction of the same branch. What is
    /// left of the branch's time is what it gets.
    pub fn retry(
        &mut self,
        now: Instant,
        key: Key,
        failed: BranchId,
        branch: Branch,
    ) -> Result<(), Refusal> {
        let now = self.time(now);
        let cell = self.cells.get_mut(key.0).ok_or(Refusal::Gone)?;
        let at = cell
            .moving
            .iter()
            .position(|moving| moving.failed == failed);
        let at = at.ok_or(Refusal::Gone)?;
        admit(cell, 1, self.config.max_branches)?;
        let Moving { target, answer, .. } = cell.moving.swap_remove(at);
        cell.finals.retain(|end| end.branch != target);
        self.launch(now, key.0, branch, target, answer);
        self.touch(key.0);
        Ok(())
    }

    /// Answer to an [`Output::NextAddress`]: there is none after all; the branch ends as its last address did.
    pub fn give_up(&mut self, now: Instant, key: Key, failed: BranchId) -> Result<(), Refusal> {
        let now = self.time(now);
        let cell = self.cells.get_mut(key.0).ok_or(Refusal::Gone)?;
        let at = cell
            .moving
            .iter()
            .position(|moving| moving.failed == failed);
        cell.moving.swap_remove(at.ok_or(Refusal::Gone)?);
        cell.open = cell.open.saturating_sub(1);
        self.advance(now, key.0);
        self.touch(key.0);
        Ok(())
    }

    /// An address failed with that status, and that response if there was one. Says whether the caller is asked for another: not where
    /// nothing waits for the branch any more, or its time is over.
    pub(super) fn move_on(&mut self, now: Time, leg: SlotId, status: u16, bytes: Bytes) -> bool {
        let Some(leg) = self.legs.get_mut(leg) else {
            return false;
        };
        let over = leg.answer.is_some_and(|end| end <= now);
        let wanted = leg.progress == Progress::Open && matches!(leg.cancel, Cancel::No);
        let (id, target) = (leg.cell, leg.target);
        let Some(cell) = self.cells.get_mut(id) else {
            return false;
        };
        let goes_on =
            cell.context == Context::Waiting && cell.server.is_pending() && !cell.cancelled;
        if leg.spare == 0 || over || !wanted || !goes_on {
            return false;
        }
        // The target stays open; this is how it has ended if no other address follows.
        leg.progress = Progress::Settled;
        let failed = BranchId::new(leg.serial, &self.keys);
        cell.finals.push(Final {
            branch: target,
            status,
            bytes,
        });
        cell.moving.push(Moving {
            failed,
            target,
            answer: leg.answer,
        });
        self.outputs.push_back(Output::NextAddress {
            key: Key(id),
            failed,
        });
        self.touch(id);
        true
    }

    /// No target that is between two addresses is to go on: it has ended as `status`, or as its last address did.
    pub(super) fn stop_moving(&mut self, id: SlotId, status: Option<u16>) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        for Moving { target, .. } in std::mem::take(&mut cell.moving) {
            cell.open = cell.open.saturating_sub(1);
            if let Some(status) = status {
                cell.finals.retain(|end| end.branch != target);
                cell.finals.push(Final {
                    branch: target,
                    status,
                    bytes: Bytes::new(),
                });
            }
        }
    }
}
