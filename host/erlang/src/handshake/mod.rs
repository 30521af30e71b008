//! The handshake of two nodes, both roles, as OTP 23 to 28 do it (erl_dist_protocol, "Distribution Handshake").
//!
//! [`Initiator`] and [`Acceptor`] take one message after the other and say what to send. They choose nothing: challenges are passed
//! in, and whether a peer is let in ([`Verdict`]) is its owner's to say, who knows the other connections. A step out of order, a
//! peer without a flag that we need, a name other than the one dialled and a digest that does not prove the cookie end it. The
//! owner ends it after [`PATIENCE`]; OTP does so too.

mod accept;
mod dial;
mod message;

pub use accept::{Acceptor, Asked, Verdict};
pub use dial::Initiator;
pub use message::{BadMessage, MAX_MESSAGE, Status};

use std::time::Duration;

use bytes::Bytes;

use crate::flags::Flags;
use crate::name::NodeName;

/// How long a handshake may take.
pub const PATIENCE: Duration = Duration::from_secs(7);

/// How we show ourselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Our name.
    pub name: NodeName,
    /// What tells our pids from those of an earlier node of this name.
    pub creation: u32,
    /// What we can do.
    pub flags: Flags,
}

/// The peer of a handshake that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: NodeName,
    /// What tells its pids from those of an earlier node of its name.
    pub creation: u32,
    /// What both sides can do, and [`Flags::PUBLISHED`] as the peer has it.
    pub flags: Flags,
}

/// What a message led to.
#[derive(Debug)]
pub enum Step<H> {
    /// It goes on.
    On {
        /// The handshake in its next state.
        handshake: H,
        /// What to send, if anything.
        send: Option<Bytes>,
    },
    /// It is done; what follows are frames.
    Done {
        /// The other node.
        peer: Peer,
        /// What to send first, if anything.
        send: Option<Bytes>,
    },
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The peer sent what is no message.
    #[error(transparent)]
    Message(#[from] BadMessage),
    /// The peer sent another message than the one that was due.
    #[error("handshake: expected {expected}, got {got}")]
    Order {
        /// What was due.
        expected: &'static str,
        /// What came.
        got: &'static str,
    },
    /// The peer would not have us.
    #[error("handshake: the peer answered {0}")]
    Refused(Status),
    /// We would not have the peer.
    #[error("handshake: {name} was answered {status}")]
    Refusing {
        /// Who asked.
        name: NodeName,
        /// What we said.
        status: Status,
    },
    /// Another node answered than the one dialled.
    #[error("handshake: dialled {dialled}, {answered} answered")]
    Name {
        /// Whom we wanted.
        dialled: NodeName,
        /// Who is there.
        answered: NodeName,
    },
    /// The peer can't do what we need.
    #[error("handshake: {name} lacks {missing}")]
    Flags {
        /// The peer.
        name: NodeName,
        /// What it lacks.
        missing: Flags,
    },
    /// The peer does not know the cookie.
    #[error("handshake: {0} has another cookie")]
    Cookie(NodeName),
}

fn agree(name: &NodeName, ours: Flags, theirs: Flags) -> Result<Flags, Failure> {
    let agreed = ours.agree(theirs).map_err(|missing| Failure::Flags {
        name: name.clone(),
        missing,
    })?;
    Ok(agreed | (theirs & Flags::PUBLISHED))
}

#[cfg(test)]
mod tests;
