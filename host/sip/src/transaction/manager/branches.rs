//! What goes downstream: forwarded requests in groups, and their CANCELs. RFC 3261 s.9.1, s.16.6, s.16.10.

use std::time::Instant;

use super::Manager;
use crate::message::Message;
use crate::transaction::cell::{Cell, Context};
use crate::transaction::client::Client;
use crate::transaction::io::{Branch, Key, Origin, Output, Refusal};
use crate::transaction::leg::{Cancel, Leg, Place, Sent};
use crate::transaction::non_invite_client::NonInviteClient;
use crate::transaction::request;
use crate::transaction::slots::SlotId;
use crate::transaction::timers::Time;

impl<X> Manager<X> {
    /// Forwards the request to these targets, all at once, and says 100 upstream if it is an INVITE that has heard nothing. As a verdict on
    /// a failure it starts afresh: what failed before no longer counts for the best response.
    pub fn relay(
        &mut self,
        now: Instant,
        key: Key,
        branches: impl IntoIterator<Item = Branch, IntoIter: ExactSizeIterator>,
    ) -> Result<(), Refusal> {
        let now = self.time(now);
        let branches = branches.into_iter();
        let cell = self.cells.get_mut(key.0).ok_or(Refusal::Gone)?;
        admit(cell, branches.len(), self.config.max_branches)?;
        if cell.context == Context::Failing {
            cell.finals.clear();
        }
        cell.context = Context::Waiting;
        let say_trying = cell.server.is_invite() && cell.server.is_silent();
        self.start(now, key.0, branches);
        if say_trying {
            self.give_made(now, key.0, 100);
        }
        self.touch(key.0);
        Ok(())
    }

    /// Adds a further group of targets: it starts when every branch before it has failed (serial forking). It is
    /// [`relay`](Manager::relay) that starts the first group, and the first after an [`Output::Failure`].
    pub fn queue(&mut self, key: Key, group: Vec<Branch>) -> Result<(), Refusal> {
        let cell = self.cells.get_mut(key.0).ok_or(Refusal::Gone)?;
        let waiting: usize = cell.queue.iter().map(Vec::len).sum();
        admit(cell, group.len() + waiting, self.config.max_branches)?;
        if !group.is_empty() {
            cell.queue.push_back(group);
        }
        Ok(())
    }

    /// Cancels one branch; the others go on.
    pub fn cancel_branch(&mut self, now: Instant, key: Key, branch: usize) -> Result<(), Refusal> {
        let now = self.time(now);
        let cell = self.cells.get(key.0).ok_or(Refusal::Gone)?;
        let legs = cell.branches.clone();
        let mut of_it = legs
            .into_iter()
            .filter(|id| self.legs.get(*id).is_some_and(|leg| leg.target == branch));
        // Those of its addresses that were tried before have ended.
        let leg = of_it.next_back().ok_or(Refusal::Gone)?;
        self.cancel_leg(now, leg);
        Ok(())
    }

    /// Starts these branches.
    pub(super) fn start(&mut self, now: Time, id: SlotId, branches: impl Iterator<Item = Branch>) {
        for branch in branches {
            let Some(cell) = self.cells.get_mut(id) else {
                return;
            };
            let target = cell.targets;
            cell.targets += 1;
            cell.open += 1;
            self.launch(now, id, branch, target, None);
        }
    }

    /// Sends the request to one address of a target.
    pub(super) fn launch(
        &mut self,
        now: Time,
        id: SlotId,
        branch: Branch,
        target: usize,
        answer: Option<Time>,
    ) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        let at = Place {
            cell: id,
            place: cell.branches.len(),
            target,
        };
        let invite = cell.server.is_invite();
        let leg = Leg::new(at, branch, answer, invite, now, &self.config.timers);
        self.outputs.push_back(Output::Send {
            bytes: leg.bytes.clone(),
            destination: leg.destination,
            origin: Origin::Branch(Key(id), at.place),
        });
        let serial = leg.serial;
        let leg = self.legs.insert(leg);
        cell.branches.push(leg);
        cell.live += 1;
        self.table.add_branch(serial, leg);
        self.touch_leg(leg);
    }

    /// Cancels every branch that has no final response.
    pub(super) fn cancel_legs(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        if cell.live == 0 || !cell.server.is_invite() {
            return;
        }
        for leg in cell.branches.clone() {
            self.cancel_leg(now, leg);
        }
    }

    /// Sends a branch's CANCEL, or notes that it is to be sent with the first provisional response (s.9.1).
    pub(super) fn cancel_leg(&mut self, now: Time, id: SlotId) {
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        if !matches!(leg.client, Client::Invite(_))
            || !leg.client.is_pending()
            || matches!(leg.cancel, Cancel::Sent(_))
        {
            return;
        }
        if leg.client.is_silent() {
            leg.cancel = Cancel::Wanted;
            return;
        }
        let Ok(invite) = Message::parse(leg.bytes.clone()) else {
            return;
        };
        let bytes = request::cancel(&invite, &mut self.scratch.out);
        self.outputs.push_back(Output::Send {
            bytes: bytes.clone(),
            destination: leg.destination,
            origin: Origin::Cancel(Key(leg.cell), leg.place),
        });
        let timers = &self.config.timers;
        leg.cancel = Cancel::Sent(Box::new(Sent {
            client: NonInviteClient::new(now, leg.reliable(), timers),
            bytes,
            until: now + timers.cancelled,
        }));
        self.touch_leg(id);
    }
}

/// Whether so many more branches may start.
pub(super) fn admit<X>(cell: &Cell<X>, more: usize, max: usize) -> Result<(), Refusal> {
    let got = cell.branches.len() + more;
    if cell.cancelled {
        Err(Refusal::Cancelled)
    } else if !cell.server.is_pending() {
        Err(Refusal::Answered)
    } else if more == 0 || got > max {
        Err(Refusal::Branches { got, max })
    } else {
        Ok(())
    }
}
