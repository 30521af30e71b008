//! What phones hear: each message finds its call by the integers in it, is checked, and moves the call on.
//!
//! A message of no call under way (of one that ended, or of somebody else's) is a stray: counted, and otherwise ignored.

use std::net::SocketAddr;

use super::call::Call;
use super::{Engine, Nanos, check};
use crate::digest::Challenge;
use crate::ids::{self, Found};
use crate::scenario::program::{Act, Party, Reply, Transaction};
use crate::template;
use crate::verdict::{Fault, Reason};
use crate::wire::{self, Message, Name, Start};

/// A message that was found to belong to a call.
struct Heard<'p> {
    slot: usize,
    index: usize,
    transaction: &'p Transaction,
    attempt: u8,
}

impl<'p> Engine<'p> {
    /// A datagram came to a line.
    pub(crate) fn hear(&mut self, line: usize, bytes: &[u8], from: SocketAddr, now: Nanos) {
        // keep-alives (RFC 5626 3.5.1)
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return;
        }
        self.stats.received();
        let Some(message) = Message::read(bytes) else {
            return self.stats.stray();
        };
        match message.start {
            Start::Request { method, .. } => self.request(line, &message, method, from, now),
            Start::Response { status } => self.response(line, &message, status, now),
        }
    }

    /// The role whose phones listen on a line.
    fn role_of(&self, line: usize) -> Option<usize> {
        let of = |first: &usize| (*first..*first + self.setup.sockets).contains(&line);
        self.setup.first_line.iter().position(of)
    }

    /// The call under way that an id names.
    fn find(&self, found: &Found) -> Option<&Call> {
        let call = self.calls.get(found.slot)?;
        (call.live && call.serial == found.serial && self.setup.run == found.run).then_some(call)
    }

    fn request(
        &mut self,
        line: usize,
        message: &Message<'_>,
        method: &[u8],
        from: SocketAddr,
        now: Nanos,
    ) {
        let Some(heard) = self.whose_request(line, message, method) else {
            return self.stats.stray();
        };
        let Heard {
            slot,
            index,
            transaction,
            ..
        } = heard;
        if method == b"ACK" && transaction.is_invite() {
            return self.refusal_acknowledged(slot, index, now);
        }
        let bit = 1 << transaction.step;
        let call = self.call(slot);
        if call.arrived & bit != 0 {
            self.stats.received_again();
            return self.repeat_reply(slot, index);
        }
        if call.sent & bit == 0 {
            return self.stats.stray();
        }
        if let Err(fault) = self.check_request(&heard, line, message) {
            return self.bad(slot, transaction.step, fault);
        }
        let call = self.call(slot);
        call.arrived |= bit;
        if transaction.is_invite()
            && !transaction.in_dialog
            && let Some(routes) = call.routes.get_mut(transaction.dialog)
        {
            routes.clear();
            check::join(message, routes);
        }
        if let Some(leg) = call.legs.get_mut(index) {
            leg.source = Some(from);
            echo(message, &mut leg.echo);
        }
        if let Some(template) = &transaction.automatic {
            self.send_reply(slot, index, 200, template);
        }
        self.go_on(slot, now);
    }

    fn whose_request(
        &self,
        line: usize,
        message: &Message<'_>,
        method: &[u8],
    ) -> Option<Heard<'p>> {
        let found = ids::call_id(message.first(Name::CallId)?)?;
        let call = self.find(&found)?;
        let role = self.role_of(line)?;
        let (number, _) = message.cseq()?;
        let ours = |transaction: &Transaction, attempt: u8| {
            transaction.dialog == found.index
                && transaction.to == Party::Phone(role)
                && transaction.cseq + u32::from(attempt) == number
        };
        let program = self.program;
        let mut candidates =
            program
                .transactions
                .iter()
                .enumerate()
                .filter(|(index, transaction)| {
                    let counted = transaction.invite.unwrap_or(*index);
                    ours(
                        transaction,
                        call.legs.get(counted).map_or(0, |leg| leg.attempt),
                    )
                });
        let exact = candidates
            .clone()
            .find(|(_, t)| t.method.as_bytes() == method);
        // the ACK of a refusal has no transaction of its own
        let refused = || candidates.find(|(_, t)| method == b"ACK" && t.is_invite());
        let (index, transaction) = exact.or_else(refused)?;
        Some(Heard {
            slot: found.slot,
            index,
            transaction,
            attempt: 0,
        })
    }

    fn refusal_acknowledged(&mut self, slot: usize, index: usize, now: Nanos) {
        let program = self.program;
        let acked = |act: &Act| matches!(act, Act::Acked { transaction } if *transaction == index);
        let Some(step) = program.steps.iter().position(|step| acked(&step.act)) else {
            return self.stats.stray();
        };
        self.call(slot).arrived |= 1 << step;
        // it may come before the refusal itself has reached the caller
        if self.call(slot).step == step {
            self.go_on(slot, now);
        }
    }

    fn check_request(
        &mut self,
        heard: &Heard<'_>,
        line: usize,
        message: &Message<'_>,
    ) -> Result<(), Fault> {
        let Heard {
            slot,
            index,
            transaction,
            ..
        } = *heard;
        if !transaction.relayed {
            let detail = format!(
                "{} came to the phone, expected the server to answer it",
                transaction.method
            );
            return Err(Fault::new(Reason::Unexpected, detail));
        }
        let mut uri = std::mem::take(&mut self.scratch);
        uri.clear();
        uri.extend_from_slice(b"sip:");
        let phone = self.call(slot).phone;
        if let Some(line) = self.lines.get(line) {
            template::user(
                &line.face.role,
                (self.setup.users > 1).then_some(phone),
                &mut uri,
            );
            uri.push(b'@');
            uri.extend_from_slice(&line.face.address);
        }
        let call = self.call(slot);
        let checked = match call.legs.get(index) {
            Some(leg) => check::request(message, transaction, leg, &uri),
            None => Ok(()),
        };
        self.scratch = uri;
        checked
    }

    fn response(&mut self, line: usize, message: &Message<'_>, status: u16, now: Nanos) {
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
    leg: &super::call::Leg,
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

/// What an answer takes over from its request (RFC 3261 8.2.6.2, 12.1.1): To comes last, for its tag.
fn echo(message: &Message<'_>, out: &mut Vec<u8>) {
    out.clear();
    for (name, text) in [
        (Name::Via, &b"Via: "[..]),
        (Name::RecordRoute, b"Record-Route: "),
        (Name::From, b"From: "),
        (Name::CallId, b"Call-ID: "),
        (Name::CSeq, b"CSeq: "),
    ] {
        for value in message.all(name) {
            out.extend_from_slice(text);
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"To: ");
    out.extend_from_slice(message.first(Name::To).unwrap_or_default());
}
