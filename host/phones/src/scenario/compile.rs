//! From the lines of a scenario to a [`Program`]: who answers what, which dialog a request belongs to, templates.
//!
//! Follows the steps once, as a phone book of the conversation: open requests, dialogs and CSeq numbers are those that the phones
//! will have at that step.

use std::ops::Range;

use toml::Spanned;

use super::dialogs::Dialogs;
use super::file::{Dial, File, Line};
use super::problem::Problem;
use super::program::{Act, MAX_STEPS, Party, Program, Reply, Step, Transaction};
use super::text::{self, Names, Writer};
use super::units;

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
        dialogs: Dialogs::default(),
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
    program.dialogs = build.dialogs.opened;
    Ok(program)
}

/// `Expires: 0` takes a binding away (RFC 3261 10.2.2).
fn unregisters(line: &Line) -> bool {
    let expires = |(name, value): (&String, &Spanned<String>)| {
        name.eq_ignore_ascii_case("Expires") && value.get_ref() == "0"
    };
    line.headers.iter().any(expires)
}

struct Build {
    names: Names,
    dialogs: Dialogs,
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
            None => self.dialogs.peer(from).ok_or_else(|| {
                let label = "expected `to`: a phone, or `server`";
                Problem::at(span.clone(), "who is this request for?", label)
            })?,
        };
        let index = self.program.transactions.len();
        let dialog = self.dialogs.between(Party::Phone(from), to);
        let (number, begun) = (dialog.index, dialog.begun);
        let (initiator, unanswered) = (dialog.is_begun_by(from), dialog.invite);
        let (invite, cseq) = match name {
            "ACK" | "CANCEL" => {
                let invite = self.invite_of(name, &method.span(), from, number, unanswered)?;
                (Some(invite), self.transaction(invite).cseq)
            }
            _ => {
                let dialog = self.dialogs.between(Party::Phone(from), to);
                (None, dialog.next_cseq(from))
            }
        };
        let in_dialog = begun && name != "CANCEL";
        let mut writer = Writer::new(&self.names);
        writer.request(&text::Request {
            method: name,
            from,
            to,
            // a CANCEL has that of its INVITE
            branch: invite.filter(|_| name == "CANCEL").unwrap_or(index),
            dialog: number,
            cseq,
            in_dialog: in_dialog.then_some(initiator),
        });
        let transaction = Transaction {
            method: name.to_owned(),
            from,
            to,
            dialog: number,
            cseq,
            template: writer.rest(line, from, name == "REGISTER")?,
            automatic: None,
            step: self.program.steps.len(),
            invite,
            ack: None,
            cancel: None,
            relayed: to != Party::Server,
            binds: name == "REGISTER" && !unregisters(line),
            challenged: line.challenged,
            record_routed: line.record_routed,
            in_dialog,
        };
        let label = format!(
            "{name} {} -> {}",
            self.name(Party::Phone(from)),
            self.name(to)
        );
        self.push(label, Act::Request { transaction: index });
        self.program.transactions.push(transaction);
        if let Party::Phone(to) = to
            && self.names.aor
            && !self.program.registered.contains(&to)
        {
            self.program.registered.push(to);
        }
        self.after_request(span, index);
        Ok(())
    }

    /// What a request changes in the conversation.
    fn after_request(&mut self, span: &Range<usize>, index: usize) {
        let Transaction {
            ref method,
            to,
            dialog,
            invite,
            ..
        } = *self.transaction(index);
        match (method.as_str(), invite) {
            ("ACK", Some(invite)) => {
                self.transaction_mut(invite).ack = Some(index);
                if let Some(dialog) = self.dialogs.with_index(dialog) {
                    dialog.invite = None;
                }
            }
            ("CANCEL", Some(invite)) => {
                self.transaction_mut(invite).cancel = Some(index);
                // the phone answers the server's CANCEL, the server the phone's
                if let Party::Phone(to) = to {
                    let mut writer = Writer::new(&self.names);
                    writer.reply(200, to, false, false);
                    self.transaction_mut(index).automatic = Some(writer.no_body());
                }
                let reply = Reply {
                    transaction: index,
                    status: 200,
                    template: None,
                };
                self.push("200 to CANCEL from server".into(), Act::Reply(reply));
            }
            (method, _) => {
                if method == "BYE" {
                    self.dialogs.end(dialog);
                } else if method == "INVITE"
                    && let Some(dialog) = self.dialogs.with_index(dialog)
                {
                    dialog.begun = true;
                }
                self.open.push((span.clone(), index));
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
                Some(writer.rest(line, from, false)?)
            }
            Party::Server => {
                if first {
                    self.transaction_mut(index).relayed = false;
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
        let Transaction {
            dialog, in_dialog, ..
        } = *self.transaction(index);
        if code < 300 {
            if let Some(dialog) = self.dialogs.with_index(dialog) {
                dialog.invite = Some(index);
            }
            return;
        }
        if by_phone {
            let label = format!("ACK of the {code}");
            self.push(label, Act::Acked { transaction: index });
        }
        // a refused re-INVITE leaves the dialog as it was
        if !in_dialog {
            self.dialogs.end(dialog);
        }
    }

    /// The INVITE that an ACK or a CANCEL belongs to; `answered` is the one that waits for an ACK.
    fn invite_of(
        &self,
        name: &str,
        span: &Range<usize>,
        from: usize,
        dialog: usize,
        answered: Option<usize>,
    ) -> Result<usize, Problem> {
        let ours = |index: &usize| {
            let invite = self.transaction(*index);
            invite.is_invite() && invite.dialog == dialog && invite.from == from
        };
        let (found, state) = if name == "ACK" {
            (answered.filter(ours), "that was answered with 2xx")
        } else {
            let open = self.open.iter().map(|(_, index)| *index);
            (open.rev().find(ours), "that has no final answer yet")
        };
        found.ok_or_else(|| {
            let label = format!("expected an INVITE of this phone's before {state}");
            Problem::at(span.clone(), format!("there is nothing to {name}"), label)
        })
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

    #[expect(
        clippy::indexing_slicing,
        reason = "indexes are handed out when transactions are pushed"
    )]
    fn transaction(&self, index: usize) -> &Transaction {
        &self.program.transactions[index]
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "indexes are handed out when transactions are pushed"
    )]
    fn transaction_mut(&mut self, index: usize) -> &mut Transaction {
        &mut self.program.transactions[index]
    }
}
