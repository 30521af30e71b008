//! The bus as scripts act through it: looks at who is on it, and posts what is to be sent to its thread. Never blocks a lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use switchhook_dmq::envelope::MAX_BODY;
use switchhook_dmq::members::{Kind, State};
use switchhook_dmq::{Node, is_channel};
use switchhook_script::dmq::{DmqNode, Member, State as WitState};
use switchhook_script::{Body, ErrorCode, Refusal};
use switchhook_sip::flow::{Source, Transport};

use super::Mailbox;

/// See the module's header.
pub struct Face {
    mailbox: Mailbox,
    /// The number of the next message.
    next: AtomicU64,
}

impl Face {
    /// What scripts see of the bus behind that mailbox.
    pub fn new(mailbox: Mailbox) -> Arc<Self> {
        Arc::new(Self {
            mailbox,
            next: AtomicU64::new(1),
        })
    }
}

fn refusal(code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

impl DmqNode for Face {
    fn own(&self) -> Result<String, Refusal> {
        let own = self.mailbox.view().own;
        let not_yet = || refusal(ErrorCode::Unavailable, "dmq: the bus has not begun");
        own.map(|own| own.to_string()).ok_or_else(not_yet)
    }

    fn members(&self) -> Result<Vec<Member>, Refusal> {
        let view = self.mailbox.view();
        let members = view.members.iter().map(|(node, state, kind)| Member {
            uri: node.to_string(),
            state: match state {
                State::Pending => WitState::Pending,
                State::Active => WitState::Active,
                State::Disabled => WitState::Disabled,
            },
            switchhook: *kind == Kind::Own,
        });
        Ok(members.collect())
    }

    fn is_from_node(&self, source: &Source) -> Result<bool, Refusal> {
        let is = |(node, state, _): &(Node, State, Kind)| {
            let same = match source.transport {
                Transport::Udp => node.address == source.remote,
                _ => node.address.ip() == source.remote.ip(),
            };
            same && *state != State::Pending
        };
        Ok(self.mailbox.view().members.iter().any(is))
    }

    fn send(&self, to: Option<&str>, channel: &str, message: Body) -> Result<u64, Refusal> {
        if !is_channel(channel) {
            return Err(refusal(
                ErrorCode::Invalid,
                format!(
                    "dmq.send: expected a channel of the script's own, letters, digits and `-_.`, got `{channel}`"
                ),
            ));
        }
        if message.content.len() > MAX_BODY {
            return Err(refusal(
                ErrorCode::Limit,
                format!(
                    "dmq.send: expected at most {MAX_BODY} bytes, got {}",
                    message.content.len()
                ),
            ));
        }
        let to = to.map(|uri| self.member(uri)).transpose()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let channel: Box<str> = channel.into();
        let posted = self.mailbox.post(move |bus, now| {
            let Body {
                content_type,
                content,
            } = message;
            let queued = bus.send(now, number, to, &channel, &content_type, content.into());
            tracing::debug!(number, queued, "message to the bus");
        });
        let full = || refusal(ErrorCode::Limit, "dmq.send: too much waits for the bus");
        posted.then_some(number).ok_or_else(full)
    }
}

impl Face {
    /// The active member of that URI.
    fn member(&self, uri: &str) -> Result<Node, Refusal> {
        let view = self.mailbox.view();
        let node = Node::read(uri.as_bytes());
        let found = node.and_then(|node| view.members.iter().find(|(known, ..)| *known == node));
        match found {
            Some((node, State::Active, _)) => Ok(*node),
            Some((node, ..)) => Err(refusal(
                ErrorCode::Unavailable,
                format!("dmq.send: {node} does not answer at present"),
            )),
            None => Err(refusal(
                ErrorCode::NotFound,
                format!(
                    "dmq.send: expected a member of the bus as dmq.nodes names it, got `{uri}`"
                ),
            )),
        }
    }
}
