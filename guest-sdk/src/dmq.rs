//! The DMQ bus: its members, messages to them and from them, copies of requests. Tables and contacts replicate by themselves, as
//! `[dmq]` in switchhook.toml says.
//!
//! ```
//! use switchhook_sdk::prelude::*;
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     /// `dmq_bcast_message("bans", "192.0.2.66", "text/plain")` at any other member.
//!     #[event_route("dmq:bans")]
//!     fn ban(msg: &mut dmq::Message) -> Outcome {
//!         let Some(address) = msg.text() else {
//!             return msg.reply(415, "Text Wanted");
//!         };
//!         htable::table("bans").set(address, 1)?;
//!         msg.reply(202, "Banned")
//!     }
//!
//!     #[event_route("dmq-event:peer-down")]
//!     fn lost(event: &dmq::Event) -> Outcome {
//!         log::warn!("{} is gone", event.node());
//!         Ok(Done)
//!     }
//! }
//!
//! # fn main() {
//! use switchhook_sdk::testkit::Site;
//!
//! let site = Site::new(routes::Script, "{}").table("bans").member("sip:192.0.2.9:5060");
//! let answer = site.bus_message("bans", "sip:192.0.2.9:5060", "text/plain", b"192.0.2.66").unwrap();
//! assert_eq!((answer.status, answer.reason.as_str()), (202, "Banned"));
//! assert!(site.item("bans", "192.0.2.66").is_some());
//!
//! site.bus_befalls(&dmq::Event::PeerDown { node: "sip:192.0.2.9:5060".to_owned() }).unwrap();
//! assert_eq!(site.log(), ["warn: sip:192.0.2.9:5060 is gone"]);
//! # }
//! ```
//!
//! # Sending
//!
//! [`send`] and [`broadcast`] queue a message and give its number; each member's answer comes as [`Event::Answered`] with that number.
//! Kamailio members take messages on channels of their `request_route` (`$rU` of a KDMQ request).
//!
//! # Copies of requests
//!
//! [`replicate`] sends the current request to every member; one that came from a member goes no further:
//!
//! ```
//! use switchhook_sdk::prelude::*;
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     #[request_route]
//!     fn main(req: &mut Request) -> Outcome {
//!         let text = String::from_utf8_lossy(req.body()).into_owned();
//!         htable::table("bulletins").set(req.call_id(), text)?;
//!         dmq::replicate(req)?;
//!         req.reply(200, "Kept")
//!     }
//! }
//!
//! # fn main() {
//! use switchhook_sdk::testkit::{Site, request};
//! use switchhook_sdk::transport::Transport;
//!
//! let site = Site::new(routes::Script, "{}").table("bulletins").member("sip:192.0.2.9:5060");
//! let message = request("MESSAGE", "sip:all@example.test").body("text/plain", "hello");
//! let call = site.receive(message.clone());
//! assert_eq!((call.status(), call.copies().len()), (Some(200), 1));
//! let call = site.receive(message.source(Transport::Udp, ([192, 0, 2, 9], 5060).into()));
//! assert_eq!((call.status(), call.copies().len()), (Some(200), 0));
//! # }
//! ```
//!
//! A REGISTER that comes from a member is saved with [`Request::save_received`]: the phone is not where its copy came from. Contacts that
//! replicate on the bus need no copies.

use crate::bindings::exports::switchhook::script::dmq_route as exports;
use crate::error::{End, Error, Outcome, Result};
use crate::host::dmq;
use crate::host::types::Body;
use crate::request::Request;

pub use dmq::{Node, State};

/// All members of the bus but this one; `dmq.list_nodes`.
pub fn nodes() -> Result<Vec<Node>> {
    dmq::nodes().map_err(Error::host)
}

/// This node's own address as members know it.
pub fn own_node() -> Result<String> {
    dmq::self_().map_err(Error::host)
}

/// Whether the current message came from a member; `dmq_is_from_node`.
pub fn is_from_node() -> Result<bool> {
    dmq::is_from_node().map_err(Error::host)
}

/// Sends a message to one member, such as `sip:192.0.2.9:5060`; `dmq_send_message`. Gives the number that its answer comes with.
pub fn send(
    node: &str,
    channel: &str,
    content_type: &str,
    content: impl AsRef<[u8]>,
) -> Result<u64> {
    dmq::send(node, channel, &body(content_type, content)).map_err(Error::host)
}

/// Sends a message to every member that answers; `dmq_bcast_message`. Gives the number that the answers come with.
pub fn broadcast(channel: &str, content_type: &str, content: impl AsRef<[u8]>) -> Result<u64> {
    dmq::broadcast(channel, &body(content_type, content)).map_err(Error::host)
}

/// Sends the request, as the route leaves it, to every member that answers; tells to how many. `dmq_t_replicate`. To none where it came
/// from a member.
pub fn replicate(req: &mut Request) -> Result<u32> {
    req.message.flush()?;
    dmq::replicate(false).map_err(Error::host)
}

/// The same wherever it came from: whoever uses it sees to it that nothing goes in circles. `dmq_t_replicate("1")`.
pub fn replicate_whatever_its_source(req: &mut Request) -> Result<u32> {
    req.message.flush()?;
    dmq::replicate(true).map_err(Error::host)
}

fn body(content_type: &str, content: impl AsRef<[u8]>) -> Body {
    Body {
        content_type: content_type.to_owned(),
        content: content.as_ref().to_vec(),
    }
}

/// A message of a member, to be answered: 200 where the route says nothing.
#[derive(Debug)]
pub struct Message {
    message: exports::Message,
    answer: exports::Answer,
}

impl Message {
    pub(crate) fn of(message: exports::Message) -> Message {
        Message {
            message,
            answer: exports::Answer {
                status: 200,
                reason: String::new(),
                body: None,
            },
        }
    }

    pub(crate) fn into_answer(self) -> exports::Answer {
        self.answer
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        &self.message.channel
    }

    /// The member, as [`nodes`] names it.
    pub fn sender(&self) -> &str {
        &self.message.sender
    }

    /// The type of its body; may be empty.
    pub fn content_type(&self) -> &str {
        &self.message.content.content_type
    }

    /// Its body; `$rb`.
    pub fn content(&self) -> &[u8] {
        &self.message.content.content
    }

    /// Its body, where it is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.content()).ok()
    }

    /// Answers, 200 to 699. The last answer of a route counts. 408 is no answer: to a Kamailio it would mean that this node is gone.
    pub fn reply(&mut self, status: u16, reason: &str) -> Outcome {
        self.answer = exports::Answer {
            status,
            reason: reason.to_owned(),
            body: None,
        };
        Ok(End::Done)
    }

    /// The same with a body.
    pub fn reply_with(
        &mut self,
        status: u16,
        reason: &str,
        content_type: &str,
        content: impl AsRef<[u8]>,
    ) -> Outcome {
        self.reply(status, reason)?;
        self.answer.body = Some(body(content_type, content));
        Ok(End::Done)
    }
}

/// What became of a member, or of a message to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member answers: it is new, or back. `#[event_route("dmq-event:peer-up")]`
    PeerUp {
        /// The member.
        node: String,
    },
    /// A member does not answer any more, or said goodbye. `#[event_route("dmq-event:peer-disabled")]`
    PeerDisabled {
        /// The member.
        node: String,
    },
    /// A member was removed. `#[event_route("dmq-event:peer-down")]`
    PeerDown {
        /// The member.
        node: String,
    },
    /// A member answered a message, or left it unanswered. `#[event_route("dmq-event:answered")]`
    Answered {
        /// What [`send`] or [`broadcast`] gave.
        number: u64,
        /// The member.
        node: String,
        /// Its status; 408 where it gave none in time.
        status: u16,
    },
}

impl Event {
    pub(crate) fn of(event: exports::Event) -> Event {
        match event {
            exports::Event::PeerUp(node) => Event::PeerUp { node },
            exports::Event::PeerDisabled(node) => Event::PeerDisabled { node },
            exports::Event::PeerDown(node) => Event::PeerDown { node },
            exports::Event::Answered(exports::Answered {
                number,
                node,
                status,
            }) => Event::Answered {
                number,
                node,
                status,
            },
        }
    }

    /// The name of its route: `peer-up`, `peer-disabled`, `peer-down` or `answered`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::PeerUp { .. } => "peer-up",
            Event::PeerDisabled { .. } => "peer-disabled",
            Event::PeerDown { .. } => "peer-down",
            Event::Answered { .. } => "answered",
        }
    }

    /// The member that it is about.
    pub fn node(&self) -> &str {
        match self {
            Event::PeerUp { node }
            | Event::PeerDisabled { node }
            | Event::PeerDown { node }
            | Event::Answered { node, .. } => node,
        }
    }
}
