//! From the lines of a scenario to a [`Program`]: who answers what, which dialog a request belongs to, templates.
//!
//! Follows the steps once, as a phone book of the conversation: open requests, dialogs and CSeq numbers are those that the phones
//! will have at that step.

use std::ops::Range;

use toml::Spanned;

use super::file::{Dial, File, Line};
use super::problem::Problem;
use super::program::{Act, MAX_STEPS, Party, Program, Reply, Step, Transaction};
use super::text::{self, Names, Writer};
use super::units;
use crate::template::Template;

/// CSeq numbers between two requests of a phone: room for attempts with other credentials.
const ATTEMPTS: u32 = 10;

/// What the scenario's templates are made for.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The host of addresses of record.
    pub(crate) domain: String,
    /// In place of what the scenario says.
    pub(crate) dial: Option<Dial>,
}

/// Compiles a file.
pub(super) fn compile(name: &str, file: &File, place: &Place) -> Result<Program, Problem> {
    let mut roles: Vec<String> = Vec::new();
    for phone in &file.phones {
        let known = phone.get_ref();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if known == "server" || known.is_empty() || !known.bytes().all(fits) {
            let label = "expected lower-case letters and digits, and not `server`";
            return Err(Problem::at(
                phone.span(),
                "this is no name for a phone",
                label,
            ));
        }
        if roles.contains(known) {
            return Err(Problem::at(
                phone.span(),
                "two phones have one name",
                "named before",
            ));
        }
        roles.push(known.clone());
    }
    let mut build = Build {
        names: Names {
            roles,
            domain: place.domain.clone(),
            aor: place.dial.unwrap_or(file.dial) == Dial::Aor,
        },
        dialogs: Vec::new(),
        opened: 0,
        open: Vec::new(),
        program: Program {
            name: name.to_owned(),
            roles: Vec::new(),
            registered: Vec::new(),
            steps: Vec::new(),
            transactions: Vec::new(),
            dialogs: 0,
        },
    };
    for line in &file.steps {
        build.line(line)?;
        if build.program.steps.len() > MAX_STEPS {
            let label =
                format!("expected at most {MAX_STEPS} steps, those for CANCEL and ACK included");
            return Err(Problem::at(line.span(), "the scenario is too long", label));
        }
    }
    if let Some((span, transaction)) = build.open.first() {
        let method = &build.transaction(*transaction).method;
        let title = format!("nobody answers this {method}");
        let label = "expected a step with a `reply` of 200 or more after it";
        return Err(Problem::at(span.clone(), title, label));
    }
    let mut program = build.program;
    if program.transactions.is_empty() {
        let span = file.phones.first().map_or(0..0, Spanned::span);
        return Err(Problem::at(
            span,
            "the scenario has no request",
            "nobody does anything",
        ));
    }
    program.roles = build.names.roles;
    program.dialogs = build.opened;
    Ok(program)
}

/// `Expires: 0` takes a binding away (RFC 3261 10.2.2).
fn unregisters(line: &Line) -> bool {
    let expires = |(name, value): (&String, &Spanned<String>)| {
        name.eq_ignore_ascii_case("Expires") && value.get_ref() == "0"
    };
    line.headers.iter().any(expires)
}

/// A conversation of two parties: one Call-ID.
struct Dialog {
    index: usize,
    parties: [Party; 2],
    /// An INVITE was sent in it; the first of the parties sent it.
    begun: bool,
    /// The last CSeq number of each party.
    cseq: [u32; 2],
    /// The INVITE that was answered last, for the ACK.
    invite: Option<usize>,
}

struct Build {
    names: Names,
    /// Those that go on; a BYE or a refused INVITE ends one.
    dialogs: Vec<Dialog>,
    opened: usize,
    /// Requests without a final answer and where they stand.
    open: Vec<(Range<usize>, usize)>,
    program: Program,
}

impl Build {
    fn line(&mut self, line: &Spanned<Line>) -> Result<(), Problem> {
        let span = line.span();
        let line = line.get_ref();
        let wrong = |label: &str| Err(Problem::at(span.clone(), "this step is not clear", label));
        match (&line.request, &line.reply, &line.pause) {
            (Some(method), None, None) => self.request(&span, line, method),
            (None, Some(status), None) => self.reply(&span, line, status),
            (None, None, Some(pause)) => {
                let time = units::duration(pause.get_ref()).map_err(|label| {
                    Problem::at(pause.span(), "this is no length of time", label)
                })?;
                self.push(format!("pause {}", pause.get_ref()), Act::Pause(time));
                Ok(())
            }
            (None, None, None) => wrong("expected `request`, `reply` or `pause` in it"),
            _ => wrong("expected only one of `request`, `reply` and `pause`"),
        }
    }

    fn push(&mut self, label: String, act: Act) {
        self.program.steps.push(Step { label, act });
    }

    fn request(
        &mut self,
        span: &Range<usize>,
        line: &Line,
        method: &Spanned<String>,
    ) -> Result<(), Problem> {
        let name = method.get_ref().as_str();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase()) {
            let label = "expected a method in capitals, such as `INVITE`";
            return Err(Problem::at(method.span(), "this is no method", label));
        }
        let from = self.sender(span, line)?;
        let Party::Phone(from) = from else {
            let place = line.from.as_ref().map_or(span.clone(), Spanned::span);
            let label = "expected one of `phones`";
            return Err(Problem::at(
                place,
                "the server sends no requests of its own",
                label,
            ));
        };
        let to = match &line.to {
            Some(to) => self.party(to)?,
            None if name == "REGISTER" => Party::Server,
            None => self.peer(from).ok_or_else(|| {
                let label = "expected `to`: a phone, or `server`";
                Problem::at(span.clone(), "who is this request for?", label)
            })?,
        };
        let dialog = self.dialog(Party::Phone(from), to);
        let index = self.program.transactions.len();
        let (invite, cseq) = match name {
            "ACK" | "CANCEL" => self.of_invite(name, &method.span(), dialog, from)?,
            _ => (None, self.next_cseq(dialog, from)),
        };
        let state = self.conversation(dialog);
        let (number, initiator) = (
            state.index,
            state.parties.first() == Some(&Party::Phone(from)),
        );
        let in_dialog = state.begun && name != "CANCEL";
        let mut writer = Writer::new(&self.names);
        let branch = if name == "CANCEL" {
            invite.unwrap_or(index)
        } else {
            index
        };
        writer.request(&text::Request {
            method: name,
            from,
            to,
            branch,
            dialog: number,
            cseq,
            in_dialog: in_dialog.then_some(initiator),
        });
        self.finish(writer, span, line, name == "REGISTER")
            .map(|template| {
                let step = self.program.steps.len();
                let label = format!(
                    "{name} {} -> {}",
                    self.name(Party::Phone(from)),
                    self.name(to)
                );
                self.push(label, Act::Request { transaction: index });
                if let Party::Phone(to) = to
                    && self.names.aor
                    && !self.program.registered.contains(&to)
                {
                    self.program.registered.push(to);
                }
                self.program.transactions.push(Transaction {
                    method: name.to_owned(),
                    from,
                    to,
                    dialog: number,
                    cseq,
                    template,
                    automatic: None,
                    step,
                    invite,
                    ack: None,
                    cancel: None,
                    relayed: to != Party::Server,
                    binds: name == "REGISTER" && !unregisters(line),
                    challenged: line.challenged,
                    record_routed: line.record_routed,
                    in_dialog,
                });
            })?;
        self.after_request(span, name, dialog, index, invite);
        Ok(())
    }

    /// What a request changes in the conversation.
    fn after_request(
        &mut self,
        span: &Range<usize>,
        name: &str,
        dialog: usize,
        index: usize,
        invite: Option<usize>,
    ) {
        match (name, invite) {
            ("ACK", Some(invite)) => {
                if let Some(of) = self.program.transactions.get_mut(invite) {
                    of.ack = Some(index);
                }
                self.conversation_mut(dialog).invite = None;
            }
            ("CANCEL", Some(invite)) => {
                if let Some(of) = self.program.transactions.get_mut(invite) {
                    of.cancel = Some(index);
                }
                // the phone answers the server's CANCEL, the server the phone's
                let to = self.transaction(index).to;
                let template = match to {
                    Party::Phone(to) => Some(self.plain_reply(to, false)),
                    Party::Server => None,
                };
                if let Some(cancel) = self.program.transactions.get_mut(index) {
                    cancel.automatic = template;
                }
                let reply = Reply {
                    transaction: index,
                    status: 200,
                    template: None,
                };
                self.push("200 to CANCEL from server".into(), Act::Reply(reply));
            }
            _ => {
                self.open.push((span.clone(), index));
                match name {
                    "INVITE" => self.conversation_mut(dialog).begun = true,
                    "BYE" => drop(self.dialogs.remove(dialog)),
                    _ => {}
                }
            }
        }
    }

    fn reply(
        &mut self,
        span: &Range<usize>,
        line: &Line,
        status: &Spanned<u16>,
    ) -> Result<(), Problem> {
        let code = *status.get_ref();
        if !(100..700).contains(&code) {
            let label = "expected 100 to 699";
            return Err(Problem::at(status.span(), "this is no status", label));
        }
        let from = self.sender(span, line)?;
        let asked = |build: &Build, transaction: usize| match from {
            Party::Server => true,
            phone => build.transaction(transaction).to == phone,
        };
        let Some(open) = self.open.iter().rposition(|(_, t)| asked(self, *t)) else {
            let title = format!("{} has nothing to answer", self.name(from));
            let label = "expected a request to it before that has no final answer yet";
            return Err(Problem::at(span.clone(), title, label));
        };
        let index = self
            .open
            .get(open)
            .map_or(0, |(_, transaction)| *transaction);
        let (method, in_dialog) = {
            let asked = self.transaction(index);
            (asked.method.clone(), asked.in_dialog)
        };
        let first = !self
            .program
            .steps
            .iter()
            .any(|step| matches!(&step.act, Act::Reply(reply) if reply.transaction == index));
        let template = match from {
            Party::Phone(from) => {
                let mut writer = Writer::new(&self.names);
                let forms = method == "INVITE" && (101..300).contains(&code);
                writer.reply(code, from, in_dialog, forms);
                Some(self.finish(writer, span, line, false)?)
            }
            Party::Server => {
                if let Some(asked) = self.program.transactions.get_mut(index).filter(|_| first) {
                    asked.relayed = false;
                }
                None
            }
        };
        let by_phone = template.is_some();
        let label = format!("{code} to {method} from {}", self.name(from));
        let reply = Reply {
            transaction: index,
            status: code,
            template,
        };
        self.push(label, Act::Reply(reply));
        if code >= 200 {
            self.open.remove(open);
            self.after_final(&method, index, code, by_phone);
        }
        Ok(())
    }

    /// What a final answer changes in the conversation.
    fn after_final(&mut self, method: &str, index: usize, code: u16, by_phone: bool) {
        if method != "INVITE" {
            return;
        }
        let number = self.transaction(index).dialog;
        let dialog = self
            .dialogs
            .iter()
            .position(|dialog| dialog.index == number);
        if code < 300 {
            if let Some(dialog) = dialog {
                self.conversation_mut(dialog).invite = Some(index);
            }
            return;
        }
        if by_phone {
            let label = format!("ACK of the {code}");
            self.push(label, Act::Acked { transaction: index });
        }
        // a refused re-INVITE leaves the dialog as it was
        if let Some(dialog) = dialog.filter(|_| !self.transaction(index).in_dialog) {
            self.dialogs.remove(dialog);
        }
    }

    fn plain_reply(&self, from: usize, in_dialog: bool) -> Template {
        let mut writer = Writer::new(&self.names);
        writer.reply(200, from, in_dialog, false);
        writer.no_body();
        Template::new(writer.pieces)
    }

    /// Adds header fields and body.
    fn finish(
        &self,
        mut writer: Writer<'_>,
        span: &Range<usize>,
        line: &Line,
        registers: bool,
    ) -> Result<Template, Problem> {
        let mut given = false;
        for (name, value) in &line.headers {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) || value.get_ref().contains(['\r', '\n'])
            {
                let label = "expected a header name and a value on one line";
                return Err(Problem::at(value.span(), "this is no header field", label));
            }
            given |= name.eq_ignore_ascii_case("Expires");
            writer.text(&format!("{name}: "));
            writer.with_holes(value)?;
            writer.text("\r\n");
        }
        if registers && !given {
            writer.text("Expires: 3600\r\n");
        }
        match (&line.sdp, &line.text) {
            (Some(_), Some(text)) => {
                let label = "expected `sdp` or `text`, not both";
                return Err(Problem::at(text.span(), "a message has one body", label));
            }
            (Some(direction), None) => {
                let role = match self.sender(span, line)? {
                    Party::Phone(role) => role,
                    Party::Server => 0,
                };
                writer.content(line.kind.as_deref().unwrap_or("application/sdp"));
                writer.sdp(role, *direction);
            }
            (None, Some(text)) => {
                writer.content(line.kind.as_deref().unwrap_or("text/plain"));
                writer.with_holes(text)?;
            }
            (None, None) => writer.no_body(),
        }
        Ok(Template::new(writer.pieces))
    }

    /// Number of the INVITE that an ACK or a CANCEL belongs to, and its CSeq.
    fn of_invite(
        &self,
        name: &str,
        span: &Range<usize>,
        dialog: usize,
        from: usize,
    ) -> Result<(Option<usize>, u32), Problem> {
        let number = self.conversation(dialog).index;
        let ours = |index: &usize| {
            let invite = self.transaction(*index);
            invite.is_invite() && invite.dialog == number && invite.from == from
        };
        let (found, expected) = if name == "ACK" {
            let found = self.conversation(dialog).invite.filter(ours);
            (
                found,
                "expected an INVITE of this phone's before that was answered with 2xx",
            )
        } else {
            let found = self.open.iter().map(|(_, index)| *index).rfind(ours);
            (
                found,
                "expected an INVITE of this phone's before that has no final answer yet",
            )
        };
        let Some(found) = found else {
            return Err(Problem::at(
                span.clone(),
                format!("there is nothing to {name}"),
                expected,
            ));
        };
        Ok((Some(found), self.transaction(found).cseq))
    }

    fn sender(&self, span: &Range<usize>, line: &Line) -> Result<Party, Problem> {
        match &line.from {
            Some(from) => self.party(from),
            None => {
                let label = "expected `from`: a phone, or `server` for a reply";
                Err(Problem::at(span.clone(), "who sends this?", label))
            }
        }
    }

    fn party(&self, name: &Spanned<String>) -> Result<Party, Problem> {
        if name.get_ref() == "server" {
            return Ok(Party::Server);
        }
        self.phone(name).map(Party::Phone)
    }

    fn phone(&self, name: &Spanned<String>) -> Result<usize, Problem> {
        let known = self
            .names
            .roles
            .iter()
            .position(|role| role == name.get_ref());
        known.ok_or_else(|| {
            let label = "expected one of `phones`, or `server`";
            Problem::at(
                name.span(),
                format!("there is no phone `{}`", name.get_ref()),
                label,
            )
            .help(self.names.nearest(name.get_ref()))
        })
    }

    fn name(&self, party: Party) -> &str {
        match party {
            Party::Phone(role) => self.names.roles.get(role).map_or("", String::as_str),
            Party::Server => "server",
        }
    }

    fn transaction(&self, index: usize) -> &Transaction {
        #[expect(
            clippy::indexing_slicing,
            reason = "indexes are handed out when transactions are pushed"
        )]
        &self.program.transactions[index]
    }

    /// With whom this phone talked last.
    fn peer(&self, from: usize) -> Option<Party> {
        let mine = Party::Phone(from);
        let dialog = self
            .dialogs
            .iter()
            .rfind(|dialog| dialog.parties.contains(&mine))?;
        dialog.parties.into_iter().find(|party| *party != mine)
    }

    /// The position of the conversation between two, opened where there is none.
    fn dialog(&mut self, from: Party, to: Party) -> usize {
        let of = |dialog: &Dialog| dialog.parties.contains(&from) && dialog.parties.contains(&to);
        if let Some(position) = self.dialogs.iter().position(of) {
            return position;
        }
        self.dialogs.push(Dialog {
            index: self.opened,
            parties: [from, to],
            begun: false,
            cseq: [0; 2],
            invite: None,
        });
        self.opened += 1;
        self.dialogs.len() - 1
    }

    fn conversation(&self, position: usize) -> &Dialog {
        #[expect(
            clippy::indexing_slicing,
            reason = "a position is used before dialogs are removed"
        )]
        &self.dialogs[position]
    }

    fn conversation_mut(&mut self, position: usize) -> &mut Dialog {
        #[expect(
            clippy::indexing_slicing,
            reason = "a position is used before dialogs are removed"
        )]
        &mut self.dialogs[position]
    }

    fn next_cseq(&mut self, position: usize, from: usize) -> u32 {
        let dialog = self.conversation_mut(position);
        let [first, second] = &mut dialog.cseq;
        let last = if dialog.parties.first() == Some(&Party::Phone(from)) {
            first
        } else {
            second
        };
        *last += if *last == 0 { 1 } else { ATTEMPTS };
        *last
    }
}
