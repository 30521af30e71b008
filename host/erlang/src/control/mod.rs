//! What two nodes tell each other: control messages, each with or without a payload (erl_dist_protocol, "Protocol between
//! Connected Nodes").
//!
//! The forms with a trace token are read and the token is left out; the forms that older and newer nodes have for one thing are one
//! variant. Payloads and reasons stay bytes: whole terms with their version byte.

mod decode;
mod encode;

pub use decode::BadFrame;
pub(crate) use decode::Decoder;
pub(crate) use encode::encode;

use bytes::Bytes;

use crate::ids::{Pid, Reference};

/// A term with its version byte, as it goes to and comes from scripts.
pub type TermBytes = Bytes;

/// A process by pid or by registered name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// By pid.
    Pid(Pid),
    /// By the name it is registered with.
    Name(String),
}

/// What `{37, Flags, From, To}` is: a message to a pid, unless these say otherwise. Others ask for priority and tell of a trace
/// token.
pub(crate) mod alternate {
    /// To an alias.
    pub(crate) const ALIAS: u64 = 1 << 2;
    /// To a registered name.
    pub(crate) const NAME: u64 = 1 << 3;
    /// An exit signal.
    pub(crate) const EXIT: u64 = 1 << 4;
}

/// How a started process is bound to the one that asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Bonds {
    /// By a link.
    pub link: bool,
    /// By a monitor.
    pub monitor: bool,
}

/// One control message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// A message to a pid; newer nodes say who sends it.
    Send {
        /// Who sends it.
        from: Option<Pid>,
        /// To whom.
        to: Pid,
        /// The message.
        message: TermBytes,
    },
    /// A message to a registered name.
    RegSend {
        /// Who sends it.
        from: Pid,
        /// To whom.
        to: String,
        /// The message.
        message: TermBytes,
    },
    /// A message to an alias of a process.
    AliasSend {
        /// Who sends it.
        from: Pid,
        /// To whom.
        to: Reference,
        /// The message.
        message: TermBytes,
    },
    /// Link two processes.
    Link {
        /// Whose link.
        from: Pid,
        /// To whom.
        to: Pid,
    },
    /// Undo a link. With an id it is to be acknowledged.
    Unlink {
        /// For the acknowledgement; none from nodes before OTP 24.
        id: Option<u64>,
        /// Whose link.
        from: Pid,
        /// To whom.
        to: Pid,
    },
    /// A link is undone.
    UnlinkAck {
        /// As it was asked.
        id: u64,
        /// Who undid it.
        from: Pid,
        /// Who asked.
        to: Pid,
    },
    /// A linked process ended.
    Exit {
        /// The one that ended.
        from: Pid,
        /// The other one.
        to: Pid,
        /// Why.
        reason: TermBytes,
    },
    /// Somebody ends a process: `exit(Pid, Reason)`.
    Exit2 {
        /// Who.
        from: Pid,
        /// Whom.
        to: Pid,
        /// Why.
        reason: TermBytes,
    },
    /// Somebody ends whoever made an alias (OTP 28).
    AliasExit {
        /// Who.
        from: Pid,
        /// Whom.
        to: Reference,
        /// Why.
        reason: TermBytes,
    },
    /// Watch a process.
    Monitor {
        /// Who watches.
        from: Pid,
        /// Whom.
        to: Who,
        /// The monitor.
        reference: Reference,
    },
    /// Watch no longer.
    Demonitor {
        /// Who watched.
        from: Pid,
        /// Whom.
        to: Who,
        /// The monitor.
        reference: Reference,
    },
    /// A watched process ended.
    Down {
        /// The one that ended.
        from: Who,
        /// Who watched.
        to: Pid,
        /// The monitor.
        reference: Reference,
        /// Why.
        reason: TermBytes,
    },
    /// Set a process's group leader.
    GroupLeader {
        /// The new leader.
        from: Pid,
        /// Of whom.
        to: Pid,
    },
    /// Start a process.
    Spawn {
        /// The request; where it asks for a monitor, that one's reference too.
        request: Reference,
        /// Who asks.
        from: Pid,
        /// Where its output goes.
        group_leader: Pid,
        /// The function to run.
        module: String,
        /// The function to run.
        function: String,
        /// The number of its arguments.
        arity: u64,
        /// How it is bound to who asks.
        bonds: Bonds,
        /// The list of its arguments.
        arguments: TermBytes,
    },
    /// What became of [`Control::Spawn`].
    Spawned {
        /// The request.
        request: Reference,
        /// Who asked.
        to: Pid,
        /// How it is bound.
        bonds: Bonds,
        /// The process, or why there is none.
        result: Result<Pid, String>,
    },
}

#[cfg(test)]
mod tests;
