//! What the caller is asked about, and what it says: replies that wait, failures that may be tried elsewhere. RFC 3261 s.16.7 leaves the choice to
//! the proxy's policy; here that is the caller's, now, later or never.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{Held, Manager};
use crate::message::{Edits, Message, View};
use crate::transaction::best::Final;
use crate::transaction::cell::Context;
use crate::transaction::io::{Key, Output, Refusal, ReplyId};
use crate::transaction::slots::SlotId;
use crate::transaction::timers::Time;

impl<X> Manager<X> {
    /// Verdict on an [`Output::Reply`]: let it go on, with these edits to it if there are any. Removing the top Via is added to them. On an
    /// error nothing has happened, and another verdict is due.
    pub fn pass(
        &mut self,
        now: Instant,
        reply: ReplyId,
        edits: Option<&mut Edits>,
    ) -> Result<(), Refusal> {
        let now = self.time(now);
        self.let_go(now, reply, edits)
    }

    /// Verdict on an [`Output::Reply`]: it does not go on. A branch whose final response is withheld has ended without one.
    pub fn withhold(&mut self, now: Instant, reply: ReplyId) -> Result<(), Refusal> {
        let now = self.time(now);
        self.held.get(reply.0).ok_or(Refusal::Gone)?;
        self.drop_held(now, reply);
        Ok(())
    }

    /// Verdict on an [`Output::Failure`]: the best response goes upstream.
    pub fn forward_best(&mut self, now: Instant, key: Key) -> Result<(), Refusal> {
        let now = self.time(now);
        let cell = self.cells.get(key.0).ok_or(Refusal::Gone)?;
        match cell.context {
            Context::Failing => {
                self.give_best(now, key.0);
                Ok(())
            }
            Context::Done => Err(Refusal::Answered),
            Context::Deciding | Context::Waiting => Err(Refusal::NotFailing),
        }
    }

    pub(super) fn ask(&mut self, id: SlotId, leg: SlotId, response: &Message, again: bool) {
        let number = self.legs.get(leg).map_or(0, |leg| leg.target);
        let message = Arc::new(response.clone());
        let reply = self.held.insert(Held {
            cell: id,
            leg,
            number,
            message: message.clone(),
            again,
        });
        if let Some(cell) = self.cells.get_mut(id) {
            cell.held.push(reply);
        }
        self.outputs.push_back(Output::Reply {
            key: Key(id),
            branch: number,
            id: ReplyId(reply),
            message,
        });
        self.touch(id);
    }

    /// The final response is out: no question matters any more but about a 2xx to INVITE, which goes upstream in any case.
    pub(super) fn void_questions(&mut self, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        let invite = cell.server.is_invite();
        for reply in std::mem::take(&mut cell.held) {
            let status = self.held.get(reply).map_or(0, |held| held.message.status());
            if invite && (200..300).contains(&status) {
                if let Some(cell) = self.cells.get_mut(id) {
                    cell.held.push(reply);
                }
            } else if let Some(held) = self.held.remove(reply)
                && status >= 200
            {
                self.close(held.leg, id);
            }
        }
    }

    /// The caller has not decided in time: what it is asked goes on as if it did not care; a request without any decision is answered 500.
    pub(super) fn lose_patience(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        match cell.context {
            Context::Deciding => self.give_made(now, id, 500),
            Context::Failing => self.give_best(now, id),
            Context::Waiting | Context::Done => {
                self.stop_moving(id, None);
                self.advance(now, id);
                let Some(cell) = self.cells.get(id) else {
                    return;
                };
                for held in cell.held.clone() {
                    if self.let_go(now, ReplyId(held), None).is_err() {
                        self.drop_held(now, ReplyId(held));
                    }
                }
            }
        }
    }

    fn let_go(
        &mut self,
        now: Time,
        reply: ReplyId,
        edits: Option<&mut Edits>,
    ) -> Result<(), Refusal> {
        let held = self.held.get(reply.0).ok_or(Refusal::Gone)?;
        let cell = self.cells.get_mut(held.cell).ok_or(Refusal::Gone)?;
        let came = held.message.status();
        let tag = self.keys.hash_one(to_tag(&held.message));
        let edited = edits.as_ref().is_some_and(|edits| !edits.is_empty());
        let status = match &edits {
            Some(edits) => View::new(&held.message, edits).status(),
            None => came,
        };
        if (came < 200) != (status < 200) {
            return Err(Refusal::Status(status));
        }
        let stream = cell.way.transport.is_stream();
        let bytes = self
            .scratch
            .relayed(&held.message, edits, stream)
            .map_err(|_| Refusal::Edit)?;
        cell.held.retain(|held| *held != reply.0);
        let Some(Held {
            cell: id,
            leg,
            number,
            again,
            ..
        }) = self.held.remove(reply.0)
        else {
            return Ok(());
        };
        match status {
            ..200 => {
                self.give(now, id, status, bytes);
            }
            200..300 => {
                if !again {
                    self.close(leg, id);
                }
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.remember(tag, if edited { bytes.clone() } else { Bytes::new() });
                }
                self.accept(now, id, status, bytes);
            }
            _ if again => {}
            _ => {
                self.close(leg, id);
                self.fail(
                    now,
                    id,
                    Final {
                        branch: number,
                        status,
                        bytes,
                    },
                );
            }
        }
        self.touch(id);
        Ok(())
    }

    fn drop_held(&mut self, now: Time, reply: ReplyId) {
        let Some(held) = self.held.remove(reply.0) else {
            return;
        };
        if let Some(cell) = self.cells.get_mut(held.cell) {
            cell.held.retain(|held| *held != reply.0);
        }
        if held.message.status() >= 200 && !held.again {
            self.close(held.leg, held.cell);
            self.advance(now, held.cell);
        }
        self.touch(held.cell);
    }
}

/// What tells the answers of several callees apart.
pub(super) fn to_tag(response: &Message) -> Option<&[u8]> {
    response.to().ok().and_then(|to| to.tag())
}
