//! What comes to a script from other nodes.

use serde::de::DeserializeOwned;

use super::{Pid, Reference, Term, from_term, given, identity, pid, reference, to_bytes};
use crate::bindings::exports::switchhook::script::erlang_route as exports;
use crate::error::{End, Error, Outcome, Result};
use crate::host::erlang;

pub use exports::Kind;

/// A message to one of the script's processes.
#[derive(Debug, Clone)]
pub struct Message {
    kind: Kind,
    sender: Option<Pid>,
    node: String,
    content: Term,
}

impl Message {
    pub(crate) fn of(message: &exports::Message) -> Result<Message> {
        let sender = message.sender.as_ref();
        Ok(Message {
            kind: message.kind,
            sender: sender.map(|term| identity(term, pid)).transpose()?,
            node: message.node.clone(),
            content: given(&message.content)?,
        })
    }

    /// Whether it is a `gen_server:call`, a cast, or a plain message.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Who sent it, where that is told.
    pub fn sender(&self) -> Option<&Pid> {
        self.sender.as_ref()
    }

    /// The node that it came from.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The message; of a call or cast what is inside. `$erl_xbuff(msg)`.
    pub fn content(&self) -> &Term {
        &self.content
    }

    /// The message as a Rust type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(from_term(&self.content)?)
    }

    /// Answers: a call with its tag, else to the sender's pid. `erl_reply`. A call is answered once.
    pub fn reply(&self, answer: impl Into<Term>) -> Outcome {
        erlang::reply(&to_bytes(&answer.into())).map_err(Error::host)?;
        Ok(End::Done)
    }
}

/// What befell a node, a link or a monitor.
#[derive(Debug, Clone)]
pub enum Event {
    /// A node is connected. `#[event_route("erlang-event:node-up")]`
    NodeUp {
        /// Its name.
        node: String,
    },
    /// A node is gone. `#[event_route("erlang-event:node-down")]`
    NodeDown {
        /// Its name.
        node: String,
        /// For a person.
        reason: String,
    },
    /// A node reads less than it is sent: what is sent to it, and calls, fail at once until it is ready again.
    /// `#[event_route("erlang-event:node-busy")]`
    NodeBusy {
        /// Its name.
        node: String,
    },
    /// A node that was busy has caught up. `#[event_route("erlang-event:node-ready")]`
    NodeReady {
        /// Its name.
        node: String,
    },
    /// A linked process ended, or an exit signal came. `#[event_route("erlang-event:exit")]`
    Exit {
        /// Our process that was linked.
        process: String,
        /// The one that ended.
        sender: Pid,
        /// Why.
        reason: Term,
    },
    /// A watched process ended. `#[event_route("erlang-event:down")]`
    Down {
        /// Our process that watched it.
        process: String,
        /// What [`monitor`](super::monitor) gave.
        reference: Reference,
        /// Its pid, or `{Name, Node}` where it was watched by name.
        subject: Term,
        /// Why: `noproc` where there was none, `noconnection` where its node is gone.
        reason: Term,
    },
}

impl Event {
    pub(crate) fn of(event: exports::Event) -> Result<Event> {
        Ok(match event {
            exports::Event::NodeUp(node) => Event::NodeUp { node },
            exports::Event::NodeDown(lost) => Event::NodeDown {
                node: lost.node,
                reason: lost.reason,
            },
            exports::Event::NodeBusy(node) => Event::NodeBusy { node },
            exports::Event::NodeReady(node) => Event::NodeReady { node },
            exports::Event::Exit(exited) => Event::Exit {
                process: exited.process,
                sender: identity(&exited.sender, pid)?,
                reason: given(&exited.reason)?,
            },
            exports::Event::Down(down) => Event::Down {
                process: down.process,
                reference: identity(&down.reference, reference)?,
                subject: given(&down.subject)?,
                reason: given(&down.reason)?,
            },
        })
    }

    /// The name of its route: `node-up`, `node-down`, `node-busy`, `node-ready`, `exit` or `down`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::NodeUp { .. } => "node-up",
            Event::NodeDown { .. } => "node-down",
            Event::NodeBusy { .. } => "node-busy",
            Event::NodeReady { .. } => "node-ready",
            Event::Exit { .. } => "exit",
            Event::Down { .. } => "down",
        }
    }
}
