//! What phones say: requests, answers, and both again where nothing comes of them.

use std::net::SocketAddr;

use super::{Engine, Nanos};
use crate::digest::{Challenge, Claim};
use crate::line::Line;
use crate::scenario::program::{Act, Party};
use crate::template::{self, Face, Fill, Part, Spans, Template};

impl<'p> Engine<'p> {
    /// The line of a role's phone in a call with this number.
    fn line_of(&self, role: usize, phone: usize) -> usize {
        let first = self.setup.first_line.get(role).copied().unwrap_or(0);
        first + phone % self.setup.sockets
    }

    fn line(&mut self, role: usize, phone: usize) -> Option<&mut Line> {
        let index = self.line_of(role, phone);
        self.lines.get_mut(index)
    }

    /// The port of a phone, in digits.
    pub(super) fn port(&self, role: usize, phone: usize) -> &[u8] {
        let index = self.line_of(role, phone);
        self.lines.get(index).map_or(b"", |line| &line.port)
    }

    /// Fills a template in for a transaction of a call.
    fn fill(
        &mut self,
        slot: usize,
        transaction: usize,
        template: &Template,
        attempt: u8,
        out: &mut Vec<u8>,
    ) -> Spans {
        let Engine {
            calls,
            lines,
            setup,
            scratch,
            ..
        } = self;
        let Some(call) = calls.get(slot) else {
            return Spans::default();
        };
        let Some(leg) = call.legs.get(transaction) else {
            return Spans::default();
        };
        let lines: &[Line] = lines;
        let nobody = Face {
            role: Vec::new(),
            address: Vec::new(),
            ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
        };
        let face = |role: usize| {
            let first = setup.first_line.get(role).copied().unwrap_or(0);
            let line = lines.get(first + call.phone % setup.sockets);
            line.map_or(&nobody, |line| &line.face)
        };
        let fill = Fill {
            id: &call.id,
            number: (setup.users > 1).then_some(call.phone),
            faces: &face,
            target: setup.targets.get(call.target).map_or(b"", |(_, name)| name),
            attempt,
            routes: &call.routes,
            credentials: &leg.credentials,
            echo: &leg.echo,
        };
        template.fill(&fill, out, scratch)
    }

    /// Sends the request of a transaction.
    pub(super) fn send_request(&mut self, slot: usize, index: usize, now: Nanos) {
        let program = self.program;
        let Some(transaction) = program.transactions.get(index) else {
            return;
        };
        // an ACK and a CANCEL have the number of their INVITE
        let counted = transaction.invite.unwrap_or(index);
        let call = self.call(slot);
        let attempt = call.legs.get(counted).map_or(0, |leg| leg.attempt);
        let Some(leg) = call.legs.get_mut(index) else {
            return;
        };
        if leg.attempt == 0 {
            leg.sent_at = now;
        }
        let mut request = std::mem::take(&mut leg.request);
        request.clear();
        let spans = self.fill(slot, index, &transaction.template, attempt, &mut request);
        self.ask(slot, transaction.from, &request);
        if let Some(leg) = self.call(slot).legs.get_mut(index) {
            (leg.request, leg.spans) = (request, spans);
        }
    }

    /// Sends an answer of a phone's, and keeps it to be sent again.
    pub(super) fn send_reply(
        &mut self,
        slot: usize,
        index: usize,
        status: u16,
        template: &Template,
    ) {
        let Some(leg) = self.call(slot).legs.get_mut(index) else {
            return;
        };
        let mut reply = std::mem::take(&mut leg.reply);
        reply.clear();
        let spans = self.fill(slot, index, template, 0, &mut reply);
        if let Some(leg) = self.call(slot).legs.get_mut(index) {
            (leg.reply, leg.reply_spans, leg.reply_status) = (reply, spans, status);
        }
        self.repeat_reply(slot, index);
    }

    /// Sends what the phone answered last.
    pub(super) fn repeat_reply(&mut self, slot: usize, index: usize) {
        let program = self.program;
        let Some(Party::Phone(role)) = program.transactions.get(index).map(|t| t.to) else {
            return;
        };
        let call = self.call(slot);
        let phone = call.phone;
        let Some((source, reply)) = call
            .legs
            .get_mut(index)
            .and_then(|leg| Some((leg.source?, std::mem::take(&mut leg.reply))))
        else {
            return;
        };
        if !reply.is_empty() {
            self.send(role, phone, source, &reply);
        }
        if let Some(leg) = self.call(slot).legs.get_mut(index) {
            leg.reply = reply;
        }
    }

    /// Sends a request as it was sent before.
    pub(super) fn repeat_request(&mut self, slot: usize, index: usize) {
        let program = self.program;
        let Some(transaction) = program.transactions.get(index) else {
            return;
        };
        let Some(leg) = self.call(slot).legs.get_mut(index) else {
            return;
        };
        let request = std::mem::take(&mut leg.request);
        if !request.is_empty() {
            self.ask(slot, transaction.from, &request);
        }
        if let Some(leg) = self.call(slot).legs.get_mut(index) {
            leg.request = request;
        }
    }

    /// What a phone sends again when a step takes longer than it should (RFC 3261 17.1.1.2, 17.1.2.2, 13.3.1.4).
    pub(super) fn send_again(&mut self, slot: usize, act: &Act) {
        let program = self.program;
        let (index, from_phone, status) = match act {
            Act::Request { transaction } => (*transaction, false, 0),
            Act::Reply(reply) => (reply.transaction, reply.template.is_some(), reply.status),
            Act::Acked { transaction } => (*transaction, true, 300),
            Act::Pause(_) => return,
        };
        let Some(transaction) = program.transactions.get(index) else {
            return;
        };
        let has_it = self
            .call(slot)
            .legs
            .get(index)
            .is_some_and(|leg| leg.provisional);
        // the server has it and sends it on by itself
        if transaction.is_invite() && has_it && !from_phone {
            return;
        }
        self.stats.retransmission();
        match transaction.invite {
            // the ACK did not arrive: who was called sends the answer again, and the ACK follows it
            Some(invite) if transaction.method == "ACK" => self.repeat_reply(slot, invite),
            _ if from_phone && (transaction.is_invite() || status < 200) => {
                self.repeat_reply(slot, index);
            }
            _ => self.repeat_request(slot, index),
        }
    }

    /// The ACK of a refusal, which goes as far as the INVITE's next hop (RFC 3261 17.1.1.3).
    pub(super) fn acknowledge(&mut self, slot: usize, index: usize, to: &[u8]) {
        let program = self.program;
        let Some(transaction) = program.transactions.get(index) else {
            return;
        };
        let Some(leg) = self.call(slot).legs.get_mut(index) else {
            return;
        };
        let mut ack = std::mem::take(&mut leg.ack);
        ack.clear();
        let part = |part| leg.spans.of(part, &leg.request);
        for bytes in [
            &b"ACK "[..],
            part(Part::Uri),
            b" SIP/2.0\r\nVia: ",
            part(Part::Via),
            b"\r\nMax-Forwards: 70\r\nFrom: ",
            part(Part::From),
            b"\r\nTo: ",
            to,
            b"\r\nCall-ID: ",
            part(Part::CallId),
            b"\r\nCSeq: ",
        ] {
            ack.extend_from_slice(bytes);
        }
        template::number(
            transaction.cseq as usize + usize::from(leg.attempt),
            &mut ack,
        );
        ack.extend_from_slice(b" ACK\r\nContent-Length: 0\r\n\r\n");
        self.ask(slot, transaction.from, &ack);
        if let Some(leg) = self.call(slot).legs.get_mut(index) {
            leg.ack = ack;
        }
    }

    /// Sends a request again with credentials for a challenge. `false` where there is no password, or where they were refused before.
    pub(super) fn authenticate(
        &mut self,
        slot: usize,
        index: usize,
        header: &str,
        challenge: &Challenge<'_>,
        now: Nanos,
    ) -> bool {
        let program = self.program;
        let (setup, Some(transaction)) = (self.setup, program.transactions.get(index)) else {
            return false;
        };
        let Some(password) = &setup.password else {
            return false;
        };
        let call = self.call(slot);
        let (id, phone) = (call.id, call.phone);
        let Some(leg) = call.legs.get_mut(index).filter(|leg| leg.attempt == 0) else {
            return false;
        };
        leg.attempt += 1;
        leg.provisional = false;
        let mut user = Vec::new();
        let role = program
            .roles
            .get(transaction.from)
            .map_or("", String::as_str);
        template::user(
            role.as_bytes(),
            (setup.users > 1).then_some(phone),
            &mut user,
        );
        let password = password.replace("{user}", &String::from_utf8_lossy(&user));
        leg.credentials.clear();
        let claim = Claim {
            user: &user,
            password: password.as_bytes(),
            method: transaction.method.as_bytes(),
            uri: leg.spans.of(Part::Uri, &leg.request),
            cnonce: id.as_bytes(),
        };
        challenge.answer(header, &claim, &mut leg.credentials);
        self.send_request(slot, index, now);
        true
    }

    fn ask(&mut self, slot: usize, role: usize, message: &[u8]) {
        let (target, phone) = {
            let call = self.call(slot);
            (call.target, call.phone)
        };
        if let Some((server, _)) = self.setup.targets.get(target) {
            self.send(role, phone, *server, message);
        }
    }

    fn send(&mut self, role: usize, phone: usize, to: SocketAddr, message: &[u8]) {
        self.stats.sent();
        if let Some(line) = self.line(role, phone) {
            line.send(to, message);
        }
    }
}
