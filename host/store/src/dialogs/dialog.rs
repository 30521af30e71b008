//! One dialog, and what the messages of a call do to it. Knows no table: what follows from a step is its result.

use std::time::{Duration, Instant};

use switchhook_sip::dialog::{Id, State};

/// The most bytes of a dialog's texts that come from messages: names, URIs, route sets.
pub const MAX_TEXT: usize = 8192;
/// The most variables of a dialog.
pub const MAX_VARS: usize = 64;
/// The most bytes of a variable's name and value.
pub const MAX_VAR: usize = 2048;
/// The most profiles that a dialog is in.
pub const MAX_PROFILES: usize = 16;
/// The most bytes of a profile's name and value.
pub const MAX_PROFILE: usize = 256;

/// One side of a call. Texts are empty where not known yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leg {
    /// Its tag.
    pub tag: Box<str>,
    /// The last CSeq number of its requests.
    pub cseq: u32,
    /// The way to it, a list of Route values.
    pub route_set: Box<str>,
    /// The URI of its Contact.
    pub contact: Box<str>,
}

/// Which side sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who sent the INVITE.
    Caller,
    /// Who took it.
    Callee,
}

/// A dialog's place in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The profile.
    pub profile: Box<str>,
    /// The value, where it has one.
    pub value: Option<Box<str>>,
}

/// A dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// Its name.
    pub id: Id,
    /// How far it is.
    pub state: State,
    /// Whether its INVITE came to this node. Another node's ends here without an event.
    pub here: bool,
    /// When its INVITE came.
    pub begun: Instant,
    /// When it was answered.
    pub answered: Option<Instant>,
    /// How long it may last once it is answered.
    pub lifetime: Duration,
    /// Its Call-ID.
    pub call_id: Box<str>,
    /// The URI of From.
    pub from_uri: Box<str>,
    /// The URI of To.
    pub to_uri: Box<str>,
    /// The request URI of its INVITE.
    pub req_uri: Box<str>,
    /// Who called.
    pub caller: Leg,
    /// Who was called.
    pub callee: Leg,
    /// Variables, each name once.
    pub vars: Vec<(Box<str>, Box<str>)>,
    /// The profiles that it is in, each once.
    pub profiles: Vec<Membership>,
}

/// What befell a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// It was answered.
    Start,
    /// A BYE ended it, of a phone or from here.
    End,
    /// It was never answered, or refused.
    Failed,
    /// Its time was over.
    Timeout,
}

impl Event {
    /// As routes name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

/// A response to the INVITE as the caller gets it.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// Its status.
    pub status: u16,
    /// The To tag; empty where it has none.
    pub tag: &'a str,
    /// The URI of its Contact.
    pub contact: &'a str,
    /// The way from us to who answered.
    pub route_set: &'a str,
}

/// A request within the dialog.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What it asks.
    pub kind: Kind,
    /// Its CSeq number.
    pub cseq: u32,
    /// The URI of its Contact; empty where it has none.
    pub contact: &'a str,
}

/// What a request within a dialog asks, as far as that matters to the dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ACK of the 2xx.
    Ack,
    /// BYE.
    Bye,
    /// INVITE or UPDATE: the Contact is the sender's new one (RFC 3261 12.2).
    Refresh,
    /// Any other.
    Other,
}

impl Dialog {
    /// Which side sent a request of that Call-ID and these tags; `None` where it is not of this dialog. Before it is answered the
    /// other side's tag may be any: there may be several who ring.
    pub fn side(&self, call_id: &str, from_tag: &str, to_tag: &str) -> Option<Side> {
        if *self.call_id != *call_id {
            return None;
        }
        let open = !self.state.is_confirmed() && self.state != State::Deleted;
        let is = |leg: &Leg, tag: &str| *leg.tag == *tag;
        let callee = |tag| is(&self.callee, tag) || open || self.callee.tag.is_empty();
        if is(&self.caller, from_tag) && callee(to_tag) {
            Some(Side::Caller)
        } else if is(&self.caller, to_tag) && callee(from_tag) {
            Some(Side::Callee)
        } else {
            None
        }
    }

    /// A response went to the caller.
    pub(super) fn answer(&mut self, now: Instant, response: &Response<'_>) -> Option<Event> {
        if self.state >= State::ConfirmedUnacked {
            return None;
        }
        match response.status {
            0..=100 => None,
            101..200 => {
                self.state = State::Early;
                self.learn_callee(response);
                None
            }
            200..300 => {
                self.state = State::ConfirmedUnacked;
                self.answered = Some(now);
                self.learn_callee(response);
                Some(Event::Start)
            }
            _ => self.fail(),
        }
    }

    fn learn_callee(&mut self, response: &Response<'_>) {
        let callee = &mut self.callee;
        for (known, new) in [
            (&mut callee.tag, response.tag),
            (&mut callee.contact, response.contact),
            (&mut callee.route_set, response.route_set),
        ] {
            // What is too long to be kept is left as it was.
            if !new.is_empty() && new.len() <= MAX_TEXT / 4 && **known != *new {
                *known = new.into();
            }
        }
    }

    /// A request within the dialog was sent on. Says whether its sender has another Contact, too.
    pub(super) fn request(
        &mut self,
        now: Instant,
        side: Side,
        request: &Request<'_>,
    ) -> (Option<Event>, bool) {
        if self.state == State::Deleted {
            return (None, false);
        }
        let leg = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        leg.cseq = leg.cseq.max(request.cseq);
        match request.kind {
            // Also of an answer that went through another node: only a 2xx has an ACK within the dialog.
            Kind::Ack if self.state < State::Confirmed => {
                self.state = State::Confirmed;
                self.answered.get_or_insert(now);
                (None, false)
            }
            Kind::Refresh => (None, self.refresh(side, request.contact)),
            Kind::Bye => {
                self.state = State::Deleted;
                (Some(Event::End), false)
            }
            Kind::Ack | Kind::Other => (None, false),
        }
    }

    /// A side has named a Contact; tells whether it is another one.
    pub(super) fn refresh(&mut self, side: Side, contact: &str) -> bool {
        let leg = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        let other = self.state != State::Deleted
            && !contact.is_empty()
            && contact.len() <= MAX_TEXT / 4
            && *leg.contact != *contact;
        if other {
            leg.contact = contact.into();
        }
        other
    }

    /// Whether it was answered and is not over.
    pub fn goes_on(&self) -> bool {
        (State::ConfirmedUnacked..State::Deleted).contains(&self.state)
    }

    /// It is ended from here.
    pub(super) fn end(&mut self) -> Option<Event> {
        if !self.goes_on() {
            return None;
        }
        self.state = State::Deleted;
        Some(Event::End)
    }

    /// It will not be answered.
    pub(super) fn fail(&mut self) -> Option<Event> {
        if self.state > State::Early {
            return None;
        }
        self.state = State::Deleted;
        Some(Event::Failed)
    }

    /// Its timer has fired in a state that goes on.
    pub(super) fn time_out(&mut self) -> Option<Event> {
        let event = match self.state {
            State::Deleted => return None,
            State::Unconfirmed | State::Early => Event::Failed,
            State::ConfirmedUnacked | State::Confirmed => Event::Timeout,
        };
        self.state = State::Deleted;
        Some(event)
    }

    /// The value of a variable.
    pub fn var(&self, name: &str) -> Option<&str> {
        let found = self.vars.iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| &**value)
    }
}
