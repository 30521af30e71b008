//! The site's fake bus: members, messages that come to a script, and what it sent.

use super::site::Site;
use crate::bindings::exports::switchhook::script::dmq_route as exports;
use crate::dmq::{Event, Node, State};
use crate::host::types::Body;
use crate::routes::Family;

pub use exports::Answer as BusAnswer;

/// What the fake bus knows.
#[derive(Default)]
pub(crate) struct FakeBus {
    pub(super) members: Vec<Node>,
    pub(super) sent: Vec<BusSent>,
}

/// A message that a script sent on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusSent {
    /// Its number.
    pub number: u64,
    /// The member; none where it went to all.
    pub to: Option<String>,
    /// The channel.
    pub channel: String,
    /// The type of its body.
    pub content_type: String,
    /// Its body.
    pub content: Vec<u8>,
}

/// The bus.
impl Site {
    /// With an active member of the bus, such as `sip:192.0.2.9:5060`.
    #[must_use]
    pub fn member(self, uri: &str) -> Site {
        let mut world = self.world.borrow_mut();
        world.bus.members.push(Node {
            uri: uri.to_owned(),
            state: State::Active,
            switchhook: false,
        });
        drop(world);
        self
    }

    /// A member sends a message: runs `event_route[dmq:CHANNEL]` and gives the answer, 404 where the script has no such route. An error
    /// text where the route fails; the member would be answered 500.
    pub fn bus_message(
        &self,
        channel: &str,
        sender: &str,
        content_type: &str,
        content: &[u8],
    ) -> Result<BusAnswer, String> {
        if !self.handles(Family::DmqRoute, channel) {
            return Ok(BusAnswer {
                status: 404,
                reason: "User Not Found".to_owned(),
                body: None,
            });
        }
        let message = exports::Message {
            channel: channel.to_owned(),
            sender: sender.to_owned(),
            content: Body {
                content_type: content_type.to_owned(),
                content: content.to_vec(),
            },
        };
        self.run_outside_of_calls(Family::DmqRoute, "self", |site| {
            site.run(|script| (script.on_bus_message)(message))
        })
    }

    /// Something becomes of a member or a message. An error text where the route fails.
    pub fn bus_befalls(&self, event: &Event) -> Result<(), String> {
        if !self.handles(Family::DmqEvent, event.name()) {
            return Ok(());
        }
        let event = match event.clone() {
            Event::PeerUp { node } => exports::Event::PeerUp(node),
            Event::PeerDisabled { node } => exports::Event::PeerDisabled(node),
            Event::PeerDown { node } => exports::Event::PeerDown(node),
            Event::Answered {
                number,
                node,
                status,
            } => exports::Event::Answered(exports::Answered {
                number,
                node,
                status,
            }),
        };
        self.run_outside_of_calls(Family::DmqEvent, "self", |site| {
            site.run(|script| (script.on_bus_event)(event))
        })
    }

    /// Everything that the script has sent on the bus so far, in order.
    pub fn bus_sent(&self) -> Vec<BusSent> {
        self.world.borrow().bus.sent.clone()
    }
}
