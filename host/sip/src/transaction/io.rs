//! What goes into a [`Manager`](super::Manager) and what comes out: plain data.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::names::BranchId;
use super::slots::SlotId;
use super::timers::Timers;
use crate::flow::Destination;
use crate::message::Message;

/// Names a server transaction with its branches. Stale once [`Output::Terminated`] has been given out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(super) SlotId);

/// Names a response that waits for the caller's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplyId(pub(super) SlotId);

/// What a manager may use and how long it waits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Timer values.
    pub timers: Timers,
    /// Server transactions at a time; above that [`create`](super::Manager::create) refuses.
    pub max_transactions: usize,
    /// Branches of one transaction, all groups together.
    pub max_branches: usize,
    /// Provisional responses of one transaction that wait for a verdict; more are dropped.
    pub max_held: usize,
    /// The Server field of answers made here, without line breaks; empty for none.
    pub server: Box<str>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            timers: Timers::default(),
            max_transactions: 1 << 20,
            max_branches: 32,
            max_held: 16,
            server: "".into(),
        }
    }
}

/// What a request turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// No transaction knows it: it is the caller's to decide.
    New {
        /// A transaction that is going on for the same From tag, Call-ID and CSeq: a UAS answers 482 (s.8.2.2.2). A proxy need
        /// not: a spiral looks the same.
        merged: Option<Key>,
    },
    /// A copy of a request, or the ACK of a failure response: everything is done.
    Absorbed,
    /// An ACK that no transaction takes: it goes end to end, forwarded without state.
    Ack {
        /// The INVITE it matches, from peers that use the INVITE's own branch.
        of: Option<Key>,
    },
    /// A CANCEL of that INVITE. 200 is out, and 487 too when no branch was there to be cancelled.
    Cancelled(Key),
    /// A CANCEL of what nobody here knows: answer 481 or forward it without state (s.16.10).
    CancelUnmatched,
}

/// What a response turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It belongs to a branch and was dealt with.
    Taken,
    /// It belongs to a branch of ours that is over: drop it (RFC 6026 s.8, RFC 4320 s.4.2).
    Late,
    /// It answers nothing sent from here: forward it by its next Via if the request went without state, else drop it.
    Unknown,
}

/// One target of a forwarded request.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The branch that stands in the top Via of `bytes`.
    pub id: BranchId,
    /// The request as it goes out.
    pub bytes: Bytes,
    /// Where to.
    pub destination: Destination,
    /// How long to wait for it.
    pub wait: Wait,
    /// How many further addresses the caller has for this target (RFC 3263 s.4.3). While there are any, an address that fails is not the
    /// end of the branch: [`Output::NextAddress`] asks for the next one.
    pub spare: usize,
}

/// How long to wait for one branch; where nothing is said the RFC's timers hold. When time is up the branch counts as 408 at once,
/// an INVITE is cancelled, and a 2xx that crosses is still forwarded. A branch with several addresses waits for `first` at each of
/// them and for `answer` at all of them together; one that is no INVITE shares its Timer F among them, as its sender waits no longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// For any response. Timers B and F end it in any case.
    pub first: Option<Duration>,
    /// For the final response, whatever rings. Timer C ends it in any case.
    pub answer: Option<Duration>,
}

/// Who wants to see what before it goes upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arms {
    /// The best failure response, once every branch has failed: [`Output::Failure`]. Disarmed when that is given out.
    pub failure: bool,
    /// Every response that would be relayed: [`Output::Reply`].
    pub replies: bool,
}

/// Whose bytes were sent; comes back with [`on_transport_error`](super::Manager::on_transport_error).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A response of that transaction.
    Server(Key),
    /// The request, or the ACK, of that branch.
    Branch(Key, usize),
    /// The CANCEL of that branch.
    Cancel(Key, usize),
    /// Nobody's: a failure to send it changes nothing.
    Nobody,
}

/// The best failure of a transaction whose branches have all ended.
#[derive(Clone, Debug)]
pub struct Best {
    /// The branch it came from; `None` when no branch has said anything.
    pub branch: Option<usize>,
    /// Its status: 408 also stands for silence, 503 also for a request that could not be sent.
    pub status: u16,
    /// The response, its top Via removed; `None` for one that was made here.
    pub message: Option<Arc<Message>>,
}

/// What a manager asks its caller to do, in order.
#[derive(Debug)]
pub enum Output<X> {
    /// Send these bytes.
    Send {
        /// A whole message.
        bytes: Bytes,
        /// Where to.
        destination: Destination,
        /// What to name when it cannot be sent.
        origin: Origin,
    },
    /// Decide on a response, now or later, with [`pass`](super::Manager::pass) or [`withhold`](super::Manager::withhold). Once a final response is
    /// out the question is void, except about a 2xx to INVITE. Copies of a 2xx that was let go follow it, as it went.
    Reply {
        /// The transaction.
        key: Key,
        /// The branch, counted from 0 in the order they were given.
        branch: usize,
        /// What to name in the verdict.
        id: ReplyId,
        /// The response as it came, its top Via (ours) still there.
        message: Arc<Message>,
    },
    /// An address of a branch failed before it answered, or with 503, and there are others (RFC 3263 s.4.3). Send the request to the
    /// next one with [`retry`](super::Manager::retry), now or later, or end the branch with [`give_up`](super::Manager::give_up).
    NextAddress {
        /// The transaction.
        key: Key,
        /// The branch that failed.
        failed: BranchId,
    },
    /// Decide what follows a failure, now or later: [`relay`](super::Manager::relay) to other targets, an answer of
    /// your own, or [`forward_best`](super::Manager::forward_best).
    Failure {
        /// The transaction.
        key: Key,
        /// What would go upstream.
        best: Best,
    },
    /// The transaction and its branches are over; the key is stale.
    Terminated {
        /// The transaction.
        key: Key,
        /// What the caller kept with it and has not taken back.
        data: Option<X>,
    },
}

/// Why something asked of a transaction was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The transaction, branch or response is over.
    #[error("expected a transaction, branch or response that is there, got one that is over")]
    Gone,
    /// The final response went upstream before, perhaps because of a CANCEL.
    #[error("expected a transaction without a final response, got one that has it")]
    Answered,
    /// The caller cancelled; no further branch may start (RFC 3261 s.9.2, s.16.10).
    #[error("expected a transaction that goes on, got one that was cancelled")]
    Cancelled,
    /// More branches than one transaction may have.
    #[error("expected 1 to {max} branches in all, got {got}")]
    Branches {
        /// How many there would be.
        got: usize,
        /// How many there may be.
        max: usize,
    },
    /// A status that does not fit here.
    #[error("expected a status that fits this request and its state, got {0}")]
    Status(u16),
    /// No failure waits for a verdict.
    #[error("expected a transaction whose failure waits for a verdict, got another")]
    NotFailing,
    /// The answer or the response cannot be written that way.
    #[error("expected what can be written as a header, got what cannot")]
    Edit,
}

/// Why a transaction was not made; gives the caller's data back.
#[derive(Debug, thiserror::Error)]
pub enum NotCreated<X> {
    /// There are as many as there may be, on this lane or of this branch: answer 503.
    #[error("expected room for one more transaction, got none")]
    Full(X),
    /// There is one for this request.
    #[error("expected a request without a transaction, got one that has it")]
    Exists(Key, X),
    /// An ACK, a response, or a request whose identity cannot be read.
    #[error("expected a request other than ACK that can be read, got another message")]
    Unfit(X),
}
