//! What a node is given and what comes out of it.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::{Closed, ConnectionLimits};
use crate::control::{TermBytes, Who};
use crate::cookie::Cookie;
use crate::flags::Flags;
use crate::ids::{Pid, Reference};
use crate::name::NodeName;
use crate::outbox::Outbox;

/// One of a node's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

/// A call that a peer made and that waits for [`super::Node::answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// A call that we made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// What a node is made with.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Its name.
    pub name: NodeName,
    /// What it says that it can do.
    pub flags: Flags,
    /// The cookie of nodes that have none of their own.
    pub cookie: Cookie,
    /// Nodes with a cookie of their own.
    pub cookies: Vec<(NodeName, Cookie)>,
    /// Nodes that it keeps a connection to, the preferred one first.
    pub nodes: Vec<NodeName>,
    /// Whether a preferred node that comes back becomes the active one again.
    pub takeover: bool,
    /// First and longest pause between two tries to connect.
    pub retry: (Duration, Duration),
    /// Bounds.
    pub limits: Limits,
}

/// What a node holds at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections, half open ones too; a further one is refused.
    pub connections: usize,
    /// Longest frame in bytes, and what messages in fragments may hold; beyond it the connection is closed.
    pub message: usize,
    /// Bytes that may wait for a peer before scripts are told that it is busy.
    pub queue: usize,
    /// A peer that is silent for this long is gone; we speak four times as often.
    pub tick_time: Duration,
    /// Links and monitors, ours and the peers'; a further one is answered as if the process were not there.
    pub bonds: usize,
    /// Calls of ours that wait for an answer; a further one fails.
    pub requests: usize,
    /// Calls of peers that wait for our answer; a further one is refused.
    pub calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            message: 64 << 20,
            queue: 16 << 20,
            tick_time: Duration::from_secs(60),
            bonds: 1 << 16,
            requests: 1 << 16,
            calls: 1 << 12,
        }
    }
}

impl Limits {
    pub(crate) fn connection(&self) -> ConnectionLimits {
        ConnectionLimits {
            message: self.message,
            tick_time: self.tick_time,
        }
    }
}

/// A process of ours that scripts act as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// The one without a name, which stands for the node itself.
    Own,
    /// One registered with a name.
    Named(Arc<str>),
}

/// A message of `gen_server` taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gen {
    /// `gen_server:call`: an answer is waited for.
    Call {
        /// Who called.
        from: Pid,
        /// What the answer must carry.
        tag: TermBytes,
        /// What is asked.
        request: TermBytes,
    },
    /// `gen_server:cast`.
    Cast {
        /// What is told.
        request: TermBytes,
    },
}

/// What happens next outside.
#[derive(Debug)]
pub enum Output {
    /// Open a connection to that node, then call [`super::Node::dialled`] or [`super::Node::not_dialled`].
    Dial(NodeName),
    /// Close that connection's socket.
    Close(ConnectionId),
    /// Write this as far as it goes at once, then close that connection's socket.
    Farewell(ConnectionId, Outbox),
    /// Something happened.
    Event(Event),
}

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A node is there.
    Up {
        /// Which.
        node: NodeName,
        /// Whether it is a hidden one.
        hidden: bool,
    },
    /// A node is gone.
    Down {
        /// Which.
        node: NodeName,
        /// Why.
        reason: Closed,
    },
    /// A connection came to nothing.
    Failed {
        /// With whom, as far as it is known.
        node: Option<NodeName>,
        /// Why.
        reason: Closed,
    },
    /// Another node is the active one, or none is.
    Active {
        /// Which.
        node: Option<NodeName>,
    },
    /// A node takes less than it is sent: further messages are refused until [`Event::Ready`].
    Busy {
        /// Which.
        node: NodeName,
    },
    /// A busy node has caught up.
    Ready {
        /// Which.
        node: NodeName,
    },
    /// A message came for a process.
    Message {
        /// To whom.
        to: Process,
        /// Who sent it; unknown from nodes before OTP 21.
        from: Option<Pid>,
        /// All of it.
        message: TermBytes,
        /// Taken apart where it is one of `gen_server`'s.
        gen_server: Option<Gen>,
    },
    /// A linked process ended, or somebody sent an exit signal.
    Exit {
        /// To whom.
        to: Process,
        /// Who ended or sent it.
        from: Pid,
        /// Why.
        reason: TermBytes,
    },
    /// A process that we watched ended.
    ProcessDown {
        /// Who watched.
        to: Process,
        /// The monitor.
        reference: Reference,
        /// Whom, as it was asked.
        who: Who,
        /// On which node.
        node: NodeName,
        /// Why.
        reason: TermBytes,
    },
    /// A peer calls a function: [`super::Node::answer`] is due.
    Call {
        /// For the answer.
        id: CallId,
        /// Who calls.
        node: NodeName,
        /// The function.
        module: String,
        /// The function.
        function: String,
        /// The list of its arguments.
        arguments: TermBytes,
    },
    /// A call of ours ended.
    Answered {
        /// Which.
        id: RequestId,
        /// How.
        result: Result<TermBytes, RequestFault>,
    },
}

/// What a function that a peer called came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It returned this.
    Value(TermBytes),
    /// It failed for this reason.
    Error(TermBytes),
    /// There is no such function.
    Undefined,
}

/// Why something was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendFault {
    /// There is no connection to that node.
    #[error("the node is not connected")]
    NotConnected,
    /// Too much waits for that node already.
    #[error("the node takes less than it is sent")]
    Busy,
    /// It is longer than the protocol can say.
    #[error("the message is too long")]
    TooLong,
    /// So much of that kind is there already.
    #[error("too many links, monitors or calls")]
    Full,
    /// No process of ours has that name or pid.
    #[error("no such process here")]
    NoProcess,
}

/// Why a call of ours came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// The function exited or failed, or the server ended: the reason of `{badrpc, Reason}`, or of the server's end.
    #[error("the called function failed")]
    Failed(TermBytes),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The node is gone, or never was there.
    #[error("the node is not connected")]
    NotConnected,
    /// Too much waits for that node, or too many calls wait.
    #[error("too much waits already")]
    Busy,
}

impl From<SendFault> for RequestFault {
    fn from(fault: SendFault) -> Self {
        match fault {
            SendFault::NotConnected | SendFault::NoProcess => Self::NotConnected,
            SendFault::Busy | SendFault::TooLong | SendFault::Full => Self::Busy,
        }
    }
}
