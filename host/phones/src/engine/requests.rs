//! Requests that come to phones: checked against what was sent, answered again where they come again.

use std::net::SocketAddr;

use super::hear::Heard;
use super::{Engine, Nanos, check};
use crate::ids;
use crate::scenario::program::{Act, Party, Transaction};
use crate::template;
use crate::verdict::{Fault, Reason};
use crate::wire::{Message, Name};

impl<'p> Engine<'p> {
    /// A request came to a line.
    pub(super) fn request(
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
