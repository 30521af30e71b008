//! Responses that come to phones: those that the scenario has at that step, those that come again, challenges, and others.

use super::call::Leg;
use super::hear::Heard;
use super::{Engine, Nanos, check};
use crate::digest::Challenge;
use crate::ids;
use crate::scenario::program::{Act, Party, Reply, Transaction};
use crate::verdict::{Fault, Reason};
use crate::wire::{self, Message, Name};

impl<'p> Engine<'p> {
    /// A response came to a line.
    pub(super) fn response(&mut self, line: usize, message: &Message<'_>, status: u16, now: Nanos) {
        let Some(heard) = self.whose_response(line, message) else {
            return self.stats.stray();
        };
        let Heard {
            slot,
            index,
            transaction,
            attempt,
        } = heard;
        let program = self.program;
        let Some((call, leg)) = self
            .calls
            .get(slot)
            .and_then(|call| Some((call, call.legs.get(index)?)))
        else {
            return;
        };
        if attempt != leg.attempt {
            // of a request that has been sent with credentials since
            return self.stats.received_again();
        }
        let port = self.port(transaction.from, call.phone);
        if let Err(fault) = check_response(message, &heard, leg, port) {
            return self.bad(slot, transaction.step, fault);
        }
        let call = self.call(slot);
        let (sent, arrived) = (call.sent, call.arrived);
        let steps = program
            .steps
            .iter()
            .enumerate()
            .filter_map(|(step, line)| match &line.act {
                Act::Reply(reply) if reply.transaction == index && reply.status == status => {
                    Some((step, reply))
                }
                _ => None,
            });
        let mut again = false;
        let mut unsent = None;
        for (step, reply) in steps {
            let bit = 1 << step;
            if arrived & bit != 0 {
                again = true;
            } else if reply.template.is_some() && sent & bit == 0 {
                unsent = unsent.or(Some(step));
            } else {
                return self.expected(&heard, message, step, reply, now);
            }
        }
        if again {
            self.stats.received_again();
            return self.answered_again(slot, index, transaction, status, message);
        }
        if let Some(step) = unsent {
            let detail = format!("got {status}, which the phone has not sent");
            return self.bad(slot, step, Fault::new(Reason::NotFromThePhone, detail));
        }
        self.other(&heard, message, status, now);
    }

    fn whose_response(&self, line: usize, message: &Message<'_>) -> Option<Heard<'p>> {
        let via = message.values(Name::Via).next()?;
        let found = ids::branch(wire::param(via, b"branch")?)?;
        self.find(&found)?;
        let program = self.program;
        let mut index = found.index;
        let mut transaction = program.transactions.get(index)?;
        if let (Some((_, b"CANCEL")), Some(cancel)) = (message.cseq(), transaction.cancel) {
            index = cancel;
            transaction = program.transactions.get(index)?;
        }
        let counted = transaction.invite.unwrap_or(index);
        let attempt = match transaction.invite {
            // it has the branch of its INVITE, which counts the attempts
            Some(_) if self.calls.get(found.slot)?.legs.get(counted)?.attempt == found.attempt => 0,
            _ => found.attempt,
        };
        (self.role_of(line)? == transaction.from).then_some(Heard {
            slot: found.slot,
            index,
            transaction,
            attempt,
        })
    }

    /// An answer that the scenario has at this step.
    fn expected(
        &mut self,
        heard: &Heard<'p>,
        message: &Message<'_>,
        step: usize,
        reply: &Reply,
        now: Nanos,
    ) {
        let Heard {
            slot,
            index,
            transaction,
            ..
        } = *heard;
        if let Err(fault) = self.check_expected(heard, message, reply) {
            return self.bad(slot, step, fault);
        }
        let call = self.call(slot);
        call.arrived |= 1 << step;
        if let Some(leg) = call.legs.get_mut(index) {
            if reply.status < 200 {
                leg.provisional = true;
            } else {
                leg.done = true;
                let time = now.saturating_sub(leg.sent_at);
                self.stats.answered(index, time);
            }
        }
        if transaction.is_invite() && reply.status >= 300 {
            self.acknowledge(slot, index, message.first(Name::To).unwrap_or_default());
        }
        self.go_on(slot, now);
    }

    fn check_expected(
        &mut self,
        heard: &Heard<'_>,
        message: &Message<'_>,
        reply: &Reply,
    ) -> Result<(), Fault> {
        let Heard {
            slot,
            index,
            transaction,
            ..
        } = *heard;
        let call = self.call(slot);
        let id = call.id;
        let (Some(leg), routes) = (call.legs.get(index), call.routes.get(transaction.dialog))
        else {
            return Ok(());
        };
        if transaction.challenged && leg.attempt == 0 && reply.status >= 200 {
            let detail = format!("got {}, expected 401 or 407 first", reply.status);
            return Err(Fault::new(Reason::NotChallenged, detail));
        }
        match (&reply.template, transaction.to) {
            (Some(_), Party::Phone(role)) => {
                let mut tag = [0; 2 + ids::LENGTH];
                let (head, tail) = tag.split_at_mut(2);
                ids::hex(role as u64, head);
                tail.copy_from_slice(id.as_bytes());
                check::to_tag(message, leg, Some(&tag))?;
                let forms = transaction.is_invite()
                    && !transaction.in_dialog
                    && (101..300).contains(&reply.status);
                let routes = routes.map_or(&b""[..], Vec::as_slice);
                check::relayed(message, leg, routes, forms)
            }
            _ => {
                if reply.status > 100 {
                    check::to_tag(message, leg, None)?;
                }
                if transaction.binds && (200..300).contains(&reply.status) {
                    check::bindings(message, leg)?;
                }
                Ok(())
            }
        }
    }

    /// An answer that came before: what was said to it is said again.
    fn answered_again(
        &mut self,
        slot: usize,
        index: usize,
        transaction: &Transaction,
        status: u16,
        message: &Message<'_>,
    ) {
        if !transaction.is_invite() || status < 200 {
            return;
        }
        match transaction.ack {
            Some(ack) => self.repeat_request(slot, ack),
            None if status >= 300 => {
                self.acknowledge(slot, index, message.first(Name::To).unwrap_or_default());
            }
            None => {}
        }
    }

    /// An answer that the scenario does not have.
    fn other(&mut self, heard: &Heard<'_>, message: &Message<'_>, status: u16, now: Nanos) {
        let Heard {
            slot,
            index,
            transaction,
            ..
        } = *heard;
        let Some(leg) = self.call(slot).legs.get_mut(index) else {
            return;
        };
        if status < 200 {
            leg.provisional = true;
            return;
        }
        if leg.done {
            return self.stats.stray();
        }
        if transaction.is_invite() && status >= 300 {
            self.acknowledge(slot, index, message.first(Name::To).unwrap_or_default());
        }
        let fault = match status {
            401 | 407 => {
                let (asks, answers) = if status == 401 {
                    (Name::WwwAuthenticate, "Authorization")
                } else {
                    (Name::ProxyAuthenticate, "Proxy-Authorization")
                };
                let challenge = message.all(asks).find_map(Challenge::read);
                if challenge.is_some_and(|challenge| {
                    self.authenticate(slot, index, answers, &challenge, now)
                }) {
                    return;
                }
                let detail = match (&self.setup.password, challenge) {
                    (None, _) => format!("got {status} and have no password"),
                    (_, None) => format!("got {status} without a challenge that can be answered"),
                    _ => format!("got {status} again, with credentials"),
                };
                Fault::new(Reason::Credentials, detail)
            }
            _ => {
                let detail = format!("got {status} to {}", transaction.method);
                Fault::new(Reason::Status(status), detail)
            }
        };
        self.bad(slot, transaction.step, fault);
    }
}

fn check_response(
    message: &Message<'_>,
    heard: &Heard<'_>,
    leg: &Leg,
    port: &[u8],
) -> Result<(), Fault> {
    let transaction = heard.transaction;
    let method = transaction.method.as_bytes();
    let right = message
        .cseq()
        .is_some_and(|(number, of)| of == method && number.wrapping_sub(transaction.cseq) < 10);
    if !right {
        let expected = format!("{} {}", transaction.cseq, transaction.method);
        return Err(Fault::differs(
            Reason::CSeq,
            message.first(Name::CSeq),
            expected.as_bytes(),
        ));
    }
    check::response(message, leg, port)
}
