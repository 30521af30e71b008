//! A scenario made ready to run: numbered phones, transactions, dialogs, and steps in order.

use std::time::Duration;

use crate::template::Template;

/// The most steps, those made for ACK and CANCEL included: a call marks them in one word.
pub(crate) const MAX_STEPS: usize = 64;

/// Everything that a call does.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// Names of the phones; their index is the role.
    pub(crate) roles: Vec<String>,
    /// Roles that must be registered, since they are called at their address of record.
    pub(crate) registered: Vec<usize>,
    pub(crate) steps: Vec<Step>,
    pub(crate) transactions: Vec<Transaction>,
    /// How many dialogs (and registrations) a call has.
    pub(crate) dialogs: usize,
}

/// One side of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Phone(usize),
    Server,
}

/// One thing that has to happen before the next.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// For people: `BYE alice -> bob`.
    pub(crate) label: String,
    pub(crate) act: Act,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A phone sends a request. Over when it arrives, or at once where the server answers it.
    Request {
        transaction: usize,
    },
    /// An answer reaches who asked. A phone's is sent by this step, the server's is waited for.
    Reply(Reply),
    /// The ACK of a refusal reaches who refused.
    Acked {
        transaction: usize,
    },
    Pause(Duration),
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) transaction: usize,
    pub(crate) status: u16,
    /// `None` where the server answers.
    pub(crate) template: Option<Template>,
}

/// A request and its answers.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    pub(crate) method: String,
    pub(crate) from: usize,
    pub(crate) to: Party,
    pub(crate) dialog: usize,
    /// The number of the first attempt.
    pub(crate) cseq: u32,
    pub(crate) template: Template,
    /// The answer that a phone gives by itself: that of a CANCEL.
    pub(crate) automatic: Option<Template>,
    /// The step that sends it.
    pub(crate) step: usize,
    /// The INVITE that an ACK or a CANCEL belongs to.
    pub(crate) invite: Option<usize>,
    /// The ACK of an INVITE that was accepted.
    pub(crate) ack: Option<usize>,
    /// The CANCEL of an INVITE.
    pub(crate) cancel: Option<usize>,
    /// Whether it is passed on to a phone.
    pub(crate) relayed: bool,
    /// The registrar's answer must list the contact.
    pub(crate) binds: bool,
    /// The server must ask for credentials first.
    pub(crate) challenged: bool,
    /// The server must be in the Record-Route.
    pub(crate) record_routed: bool,
    /// Whether the phone that receives it finds its own tag in it.
    pub(crate) in_dialog: bool,
}

impl Transaction {
    pub(crate) fn is_invite(&self) -> bool {
        self.method == "INVITE"
    }
}
