//! What a call comes to: good, or not, and why.

use std::borrow::Cow;

/// Why a call failed. Each has a name that reports and scripts can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// What was waited for did not come.
    Timeout,
    /// A final answer with a status that the scenario does not have there.
    Status(u16),
    /// A 401 or 407 that can't be answered: no password, an algorithm that is not ours, or refused again.
    Credentials,
    /// The server took a request without asking for credentials.
    NotChallenged,
    /// An answer that the scenario leaves to a phone, and that the phone did not give.
    NotFromThePhone,
    /// A request came to a phone that the server should have answered.
    Unexpected,
    /// The Via fields are not those that must be there.
    Via,
    /// The answer's Via lacks the port that `rport` asked for (RFC 3581 4).
    Rport,
    /// The request URI that arrived is not the phone's.
    RequestUri,
    /// Max-Forwards was not counted down.
    MaxForwards,
    /// From changed on the way.
    From,
    /// To changed on the way.
    To,
    /// The answer's To has not the tag of who answered.
    ToTag,
    /// CSeq changed on the way.
    CSeq,
    /// Call-ID changed on the way.
    CallId,
    /// Contact changed on the way.
    Contact,
    /// The registrar's answer does not list the contact that was registered.
    Bindings,
    /// Record-Route is not there, or not the same in request and answer.
    RecordRoute,
    /// A Route that the server should have taken off.
    Route,
    /// The body, its length or its type changed on the way.
    Body,
    /// So many calls were under way that this one could not begin.
    NoRoom,
}

impl Reason {
    /// Its name.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Reason::Status(status) => return Cow::Owned(format!("status-{status}")),
            Reason::Timeout => "timeout",
            Reason::Credentials => "credentials",
            Reason::NotChallenged => "not-challenged",
            Reason::NotFromThePhone => "not-from-the-phone",
            Reason::Unexpected => "unexpected",
            Reason::Via => "via",
            Reason::Rport => "rport",
            Reason::RequestUri => "request-uri",
            Reason::MaxForwards => "max-forwards",
            Reason::From => "from",
            Reason::To => "to",
            Reason::ToTag => "to-tag",
            Reason::CSeq => "cseq",
            Reason::CallId => "call-id",
            Reason::Contact => "contact",
            Reason::Bindings => "bindings",
            Reason::RecordRoute => "record-route",
            Reason::Route => "route",
            Reason::Body => "body",
            Reason::NoRoom => "no-room",
        })
    }
}

/// A reason, and what came in place of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Fault {
        Fault {
            reason,
            detail: detail.into(),
        }
    }

    /// `got` where `expected` should be.
    pub(crate) fn differs(reason: Reason, got: Option<&[u8]>, expected: &[u8]) -> Fault {
        let expected = expected.escape_ascii();
        Fault::new(
            reason,
            match got {
                Some(got) => format!("got `{}`, expected `{expected}`", got.escape_ascii()),
                None => format!("got none, expected `{expected}`"),
            },
        )
    }
}
