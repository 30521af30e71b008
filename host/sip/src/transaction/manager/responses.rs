//! What comes back: RFC 3261 s.16.7, RFC 6026 s.7.2 and s.8. A response is matched to its branch, the branch's machine says what it means, and
//! the context decides: forward at once, ask the caller, or keep it until every branch has ended.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{Held, Manager};
use crate::message::{Edits, HeaderId, Message, Method, View};
use crate::transaction::best::{Final, best, with_all_challenges};
use crate::transaction::cell::Context;
use crate::transaction::client::{Act, Client};
use crate::transaction::invite_client::InviteClient;
use crate::transaction::io::{Best, Key, Matched, Origin, Output, Refusal, ReplyId};
use crate::transaction::leg::{Cancel, Progress};
use crate::transaction::names::BranchId;
use crate::transaction::request;
use crate::transaction::slots::SlotId;
use crate::transaction::timers::Time;

impl<X> Manager<X> {
    /// Takes a response.
    pub fn on_response(&mut self, now: Instant, response: &Message) -> Matched {
        let now = self.time(now);
        let branch = response.via().ok().and_then(|via| via.branch());
        let Some(name) = branch.and_then(|branch| BranchId::read(branch, &self.keys)) else {
            return Matched::Unknown;
        };
        let (Some(id), Ok(cseq)) = (self.table.branch(name.serial()), response.cseq()) else {
            return Matched::Late;
        };
        let status = response.status();
        let Some(leg) = self.legs.get_mut(id) else {
            return Matched::Late;
        };
        let timers = &self.config.timers;
        if cseq.method == Method::Cancel {
            leg.cancel_response(status, now, timers);
            self.touch_leg(id);
            return Matched::Taken;
        }
        let sent = self.cells.get(leg.cell).map(|cell| cell.identity.method());
        if sent != Some(cseq.method) {
            return Matched::Late;
        }
        let before = leg.client;
        let reliable = leg.reliable();
        match leg.client.response(status, now, reliable, timers) {
            Act::Pass if status < 200 => {
                leg.heard(status, before.is_silent(), now, timers);
                self.provisional(now, id, response);
            }
            Act::Pass => self.end(now, id, response, before),
            Act::AckAndPass => {
                self.acknowledge(id, response);
                self.end(now, id, response, before);
            }
            Act::Ack => self.acknowledge_again(id),
            Act::Nothing | Act::Send | Act::TimedOut | Act::Failed => {}
        }
        self.touch_leg(id);
        Matched::Taken
    }

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

    fn let_go(
        &mut self,
        now: Time,
        reply: ReplyId,
        edits: Option<&mut Edits>,
    ) -> Result<(), Refusal> {
        let held = self.held.get(reply.0).ok_or(Refusal::Gone)?;
        let cell = self.cells.get_mut(held.cell).ok_or(Refusal::Gone)?;
        let came = held.message.status();
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

    /// The caller has not decided in time: what it is asked goes on as if it did not care; a request without any decision is answered 500.
    pub(super) fn lose_patience(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        match cell.context {
            Context::Deciding => self.give_made(now, id, 500),
            Context::Failing => self.give_best(now, id),
            Context::Waiting | Context::Done => {
                for held in cell.held.clone() {
                    if self.let_go(now, ReplyId(held), None).is_err() {
                        self.drop_held(now, ReplyId(held));
                    }
                }
            }
        }
    }

    /// Verdict on an [`Output::Reply`]: it does not go on. A branch whose final response is withheld has ended without one.
    pub fn withhold(&mut self, now: Instant, reply: ReplyId) -> Result<(), Refusal> {
        let now = self.time(now);
        self.held.get(reply.0).ok_or(Refusal::Gone)?;
        self.drop_held(now, reply);
        Ok(())
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

    /// The branch has ended in a way made here: 408, 487 or 503.
    pub(super) fn fail_made(&mut self, now: Time, leg_id: SlotId, status: u16) {
        let Some(leg) = self.legs.get_mut(leg_id) else {
            return;
        };
        if leg.progress != Progress::Open {
            return;
        }
        let (id, branch) = (leg.cell, leg.number);
        self.close(leg_id, id);
        let bytes = Bytes::new();
        self.fail(
            now,
            id,
            Final {
                branch,
                status,
                bytes,
            },
        );
    }

    /// 100 stays here; others go upstream as they come (s.16.7 step 5), but nothing else than 100 for a non-INVITE (RFC 4320 s.4.1).
    fn provisional(&mut self, now: Time, leg_id: SlotId, response: &Message) {
        let Some(leg) = self.legs.get(leg_id) else {
            return;
        };
        let (id, open) = (leg.cell, leg.progress == Progress::Open);
        if matches!(leg.cancel, Cancel::Wanted) {
            self.cancel_leg(now, leg_id);
        }
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        let status = response.status();
        if status == 100 || !open || !cell.server.is_invite() || !cell.server.is_pending() {
            return;
        }
        if !cell.arms.replies {
            if let Some(bytes) = self.relayed(id, response) {
                self.give(now, id, status, bytes);
            }
        } else if cell.held.len() < self.config.max_held {
            self.ask(id, leg_id, response, false);
        }
    }

    /// A final response that its machine passes on.
    fn end(&mut self, now: Time, leg_id: SlotId, response: &Message, before: Client) {
        let Some(leg) = self.legs.get_mut(leg_id) else {
            return;
        };
        let again = matches!(before, Client::Invite(InviteClient::Accepted { .. }));
        if !again {
            // Only an ACK is repeated from here on, and `acknowledge` has put it there.
            if !matches!(leg.client, Client::Invite(InviteClient::Completed { .. })) {
                leg.bytes = Bytes::new();
            }
        }
        let (id, number, progress) = (leg.cell, leg.number, leg.progress);
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        let status = response.status();
        let success = (200..300).contains(&status);
        let wanted = cell.server.is_pending() || (success && cell.server.is_invite());
        if progress == Progress::Asked || !(wanted || progress == Progress::Open) {
            return;
        }
        if progress == Progress::Settled && !success {
            return;
        }
        if wanted && cell.arms.replies {
            if progress == Progress::Open {
                leg.progress = Progress::Asked;
            } else if cell.held.len() >= self.config.max_held {
                return;
            }
            self.ask(id, leg_id, response, progress == Progress::Settled);
            return;
        }
        let bytes = if wanted {
            self.relayed(id, response)
        } else {
            None
        };
        if progress == Progress::Open {
            self.close(leg_id, id);
        }
        match bytes {
            Some(bytes) if success => self.accept(now, id, status, bytes),
            Some(bytes) => self.fail(
                now,
                id,
                Final {
                    branch: number,
                    status,
                    bytes,
                },
            ),
            None => self.advance(now, id),
        }
    }

    /// A 2xx goes upstream at once, to an INVITE whatever went before (s.16.7 step 5).
    fn accept(&mut self, now: Time, id: SlotId, status: u16, bytes: Bytes) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        let (invite, way) = (cell.server.is_invite(), cell.way);
        if !self.give(now, id, status, bytes.clone()) && invite {
            // The server transaction has sent another final response and takes no more: straight to the transport.
            self.outputs.push_back(Output::Send {
                bytes,
                destination: way,
                origin: Origin::Nobody,
            });
        }
    }

    /// A branch has failed. A 6xx ends the search: others are cancelled, further groups dropped (s.16.7 step 5).
    fn fail(&mut self, now: Time, id: SlotId, end: Final) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        let globally = end.status >= 600;
        if cell.context != Context::Done {
            cell.finals.push(end);
        }
        if globally {
            cell.queue.clear();
            self.cancel_legs(now, id);
        }
        self.advance(now, id);
    }

    /// The context knows how this branch ends.
    fn close(&mut self, leg: SlotId, id: SlotId) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.progress = Progress::Settled;
        }
        if let Some(cell) = self.cells.get_mut(id) {
            cell.open = cell.open.saturating_sub(1);
        }
    }

    /// When every branch has failed: the next group, else the caller's verdict, else the best response.
    fn advance(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        if cell.context != Context::Waiting || cell.open > 0 || !cell.server.is_pending() {
            return;
        }
        if let Some(group) = cell.queue.pop_front() {
            self.start(now, id, group.into_iter());
        } else if cell.arms.failure && !cell.cancelled {
            cell.arms.failure = false;
            cell.context = Context::Failing;
            let best = match best(&cell.finals, false) {
                Some(end) => Best {
                    branch: Some(end.branch),
                    status: end.status,
                    message: message(&end.bytes),
                },
                None => Best {
                    branch: None,
                    status: 408,
                    message: None,
                },
            };
            self.outputs
                .push_back(Output::Failure { key: Key(id), best });
            self.touch(id);
        } else {
            self.give_best(now, id);
        }
    }

    /// Sends the best response: 503 as 500 (s.16.7 step 6), a challenge with all others added (step 7), 408 when nothing has come.
    fn give_best(&mut self, now: Time, id: SlotId) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        let silence = if cell.cancelled { 487 } else { 408 };
        let Some(end) = best(&cell.finals, cell.cancelled) else {
            self.give_made(now, id, silence);
            return;
        };
        let status = end.status;
        if status == 503 {
            self.give_made(now, id, 500);
        } else if end.bytes.is_empty() {
            self.give_made(now, id, status);
        } else {
            let (edits, out) = (&mut self.scratch.edits, &mut self.scratch.out);
            let gathered = with_all_challenges(end, &cell.finals, edits, out);
            let bytes = match gathered {
                Ok(Some(bytes)) => bytes,
                Ok(None) | Err(_) => end.bytes.clone(),
            };
            self.give(now, id, status, bytes);
        }
    }

    fn ask(&mut self, id: SlotId, leg: SlotId, response: &Message, again: bool) {
        let number = self.legs.get(leg).map_or(0, |leg| leg.number);
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
            again,
        });
        self.touch(id);
    }

    /// The response as it goes upstream. `None` when it has no Via to be removed, which a matched one has.
    fn relayed(&mut self, id: SlotId, response: &Message) -> Option<Bytes> {
        let stream = self.cells.get(id)?.way.transport.is_stream();
        self.scratch.relayed(response, None, stream).ok()
    }

    /// Sends the ACK to a failure response and keeps it in place of the request.
    fn acknowledge(&mut self, leg: SlotId, response: &Message) {
        let Some(leg) = self.legs.get_mut(leg) else {
            return;
        };
        let Ok(invite) = Message::parse(leg.bytes.clone()) else {
            return;
        };
        let to = response.header(HeaderId::To).unwrap_or_default();
        leg.bytes = request::ack(&invite, to, &mut self.scratch.out);
        self.outputs.push_back(Output::Send {
            bytes: leg.bytes.clone(),
            destination: leg.destination,
            origin: Origin::Branch(Key(leg.cell), leg.number),
        });
    }

    fn acknowledge_again(&mut self, leg: SlotId) {
        let Some(leg) = self.legs.get(leg) else {
            return;
        };
        self.outputs.push_back(Output::Send {
            bytes: leg.bytes.clone(),
            destination: leg.destination,
            origin: Origin::Branch(Key(leg.cell), leg.number),
        });
    }
}

fn message(bytes: &Bytes) -> Option<Arc<Message>> {
    if bytes.is_empty() {
        return None;
    }
    Message::parse(bytes.clone()).ok().map(Arc::new)
}
