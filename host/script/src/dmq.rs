//! The DMQ bus as scripts have it: what it must do for them, and what it brings to them.
//!
//! Owns the shapes on both sides of that boundary, no member and no message under way. [`DmqNode`] is implemented over the bus's thread
//! and reached through [`crate::Effects`]; its functions are called on lanes and none of them blocks.

use switchhook_bindings::exports::switchhook::script::dmq_route as exports;
use switchhook_bindings::switchhook::script::types::Body as WitBody;
use switchhook_sip::flow::Source;

use crate::event::Body;
use crate::refusal::Refusal;
pub use crate::wit::{DmqAnswered, DmqEvent};
pub use switchhook_bindings::switchhook::script::dmq::{Node as Member, State};

/// A place on a DMQ bus, for scripts.
pub trait DmqNode: Send + Sync + 'static {
    /// Our own address as members know it.
    fn own(&self) -> Result<String, Refusal>;
    /// All members but ourselves.
    fn members(&self) -> Result<Vec<Member>, Refusal>;
    /// Whether a message came from a member that was heard of.
    fn is_from_node(&self, source: &Source) -> Result<bool, Refusal>;
    /// Queues a message to a member, or with `None` to all that answer; gives the number that answers come with.
    fn send(&self, to: Option<&str>, channel: &str, message: Body) -> Result<u64, Refusal>;
}

/// A message of a member, and its answer.
#[derive(Debug, Clone)]
pub struct Message {
    /// The channel.
    pub channel: String,
    /// The member.
    pub sender: String,
    /// What it said.
    pub content: Body,
    /// What the route gave. The engine takes it out; none where the route failed.
    pub answer: Option<Answer>,
}

/// The answer to a message, as the script gave it: not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Empty: the standard phrase.
    pub reason: String,
    /// A body where one was given.
    pub body: Option<Body>,
}

/// A message as the guest gets it.
pub(crate) fn lowered(message: &Message) -> exports::Message {
    exports::Message {
        channel: message.channel.clone(),
        sender: message.sender.clone(),
        content: WitBody {
            content_type: message.content.content_type.clone(),
            content: message.content.content.clone(),
        },
    }
}

/// An answer as the guest gave it.
pub(crate) fn lifted(answer: exports::Answer) -> Answer {
    Answer {
        status: answer.status,
        reason: answer.reason,
        body: answer.body.map(|body| Body {
            content_type: body.content_type,
            content: body.content,
        }),
    }
}
