//! What comes back: RFC 3261 s.16.7, RFC 6026 s.7.2 and s.8. A response is matched to its branch, the branch's machine says what it means, and
//! the context decides: forward at once, ask the caller, or keep it until every branch has ended.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Manager;
use super::verdicts::to_tag;
use crate::message::{HeaderId, Message, Method};
use crate::transaction::best::{Final, best, with_all_challenges};
use crate::transaction::cell::Context;
use crate::transaction::client::{Act, Client};
use crate::transaction::invite_client::InviteClient;
use crate::transaction::io::{Best, Key, Matched, Origin, Output};
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
            leg.cancel_response(status);
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

    /// The branch has ended in a way made here: 408, 487 or 503.
    pub(super) fn fail_made(&mut self, now: Time, leg_id: SlotId, status: u16) {
        let Some(leg) = self.legs.get_mut(leg_id) else {
            return;
        };
        if leg.progress != Progress::Open {
            return;
        }
        let (id, branch) = (leg.cell, leg.target);
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
        let (id, number, progress) = (leg.cell, leg.target, leg.progress);
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
        // A 503 is no answer while there is another address to ask (RFC 3263 s.4.3).
        if status == 503
            && leg.spare > 0
            && let Some(bytes) = self.relayed(id, response)
            && self.move_on(now, leg_id, status, bytes)
        {
            return;
        }
        let (Some(cell), Some(leg)) = (self.cells.get(id), self.legs.get_mut(leg_id)) else {
            return;
        };
        if success
            && progress == Progress::Settled
            && let Some(went) = leg.remembered(self.keys.hash_one(to_tag(response)))
        {
            let bytes = Some(went).filter(|went| !went.is_empty());
            if let Some(bytes) = bytes.or_else(|| self.relayed(id, response)) {
                self.accept(now, id, status, bytes);
            }
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
    pub(super) fn accept(&mut self, now: Time, id: SlotId, status: u16, bytes: Bytes) {
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
    pub(super) fn fail(&mut self, now: Time, id: SlotId, end: Final) {
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
            self.stop_moving(id, None);
        }
        self.advance(now, id);
    }

    /// The context knows how this branch ends.
    pub(super) fn close(&mut self, leg: SlotId, id: SlotId) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.progress = Progress::Settled;
        }
        if let Some(cell) = self.cells.get_mut(id) {
            cell.open = cell.open.saturating_sub(1);
        }
    }

    /// When every branch has failed: the next group, else the caller's verdict, else the best response.
    pub(super) fn advance(&mut self, now: Time, id: SlotId) {
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
    pub(super) fn give_best(&mut self, now: Time, id: SlotId) {
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
            origin: Origin::Branch(Key(leg.cell), leg.place),
        });
    }

    fn acknowledge_again(&mut self, leg: SlotId) {
        let Some(leg) = self.legs.get(leg) else {
            return;
        };
        self.outputs.push_back(Output::Send {
            bytes: leg.bytes.clone(),
            destination: leg.destination,
            origin: Origin::Branch(Key(leg.cell), leg.place),
        });
    }
}

fn message(bytes: &Bytes) -> Option<Arc<Message>> {
    if bytes.is_empty() {
        return None;
    }
    Message::parse(bytes.clone()).ok().map(Arc::new)
}
