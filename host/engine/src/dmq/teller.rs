//! What happens on the bus, told to scripts: messages on their channels, and what becomes of members.
//!
//! All that one member sends goes to one lane, so that its order is kept. The bus's thread never waits for a lane: where one has too much
//! to do, a message is answered 500 and an event is lost, which the log tells.

use std::sync::Arc;

use ahash::RandomState;
use switchhook_dmq::envelope::{MAX_BODY, Reply};
use switchhook_dmq::{Event as BusEvent, Node};
use switchhook_script::dmq::{Answer, Message};
use switchhook_script::{Body, Event, Route, Script, wit};
use switchhook_sip::message::reason_phrase;
use tokio::sync::mpsc;

use crate::erlang::post::Post;
use crate::guest::{Ended, ROUTER};
use crate::lane::lane_of;

/// See the module's header.
pub(crate) struct Teller {
    pub(crate) script: Arc<Script>,
    /// The lanes' letter boxes.
    pub(crate) lanes: Vec<mpsc::Sender<Post>>,
    /// Chooses lanes.
    pub(crate) keys: RandomState,
}

impl Teller {
    /// Takes an event to a lane. Gives the answer to a message that goes to none.
    pub(super) fn tell(&self, event: BusEvent) -> Option<(u64, Reply)> {
        let (node, route, ticket) = match event {
            // The operator's business.
            BusEvent::OtherEntries(_) => return None,
            BusEvent::Up(node) => (node, befell(wit::DmqEvent::PeerUp(node.to_string())), None),
            BusEvent::Disabled(node) => {
                let event = wit::DmqEvent::PeerDisabled(node.to_string());
                (node, befell(event), None)
            }
            BusEvent::Down(node) => {
                let event = wit::DmqEvent::PeerDown(node.to_string());
                (node, befell(event), None)
            }
            BusEvent::Answered {
                number,
                node,
                status,
            } => {
                let answered = wit::DmqAnswered {
                    number,
                    node: node.to_string(),
                    status,
                };
                (node, befell(wit::DmqEvent::Answered(answered)), None)
            }
            BusEvent::Message {
                ticket,
                from,
                channel,
                content_type,
                body,
            } => {
                let message = Message {
                    channel: (*channel).to_owned(),
                    sender: from.to_string(),
                    content: Body {
                        content_type: content_type.into(),
                        content: body.into(),
                    },
                    answer: None,
                };
                (from, Route::DmqMessage(Box::new(message)), Some(ticket))
            }
        };
        if !self.script.current().handles(&route) {
            return ticket.map(|ticket| (ticket, Reply::UNKNOWN));
        }
        if self.post(node, Event::new(route, None, None), ticket) {
            return None;
        }
        tracing::warn!(%node, "a lane has too much to do: something of the bus does not come to its script");
        ticket.map(|ticket| (ticket, Reply::FAILED))
    }

    fn post(&self, node: Node, event: Box<Event>, ticket: Option<u64>) -> bool {
        let lane = lane_of(&self.keys, node, self.lanes.len());
        let lane = self.lanes.get(lane);
        let post = match ticket {
            Some(ticket) => Post::Bus(event, ticket),
            None => Post::Event(ROUTER, event),
        };
        lane.is_some_and(|lane| lane.try_send(post).is_ok())
    }
}

fn befell(event: wit::DmqEvent) -> Route {
    Route::DmqEvent(Box::new(event))
}

/// The answer that a message's route came to; 500 where it failed, or gave one that cannot be sent.
pub(crate) fn answer(ended: Ended) -> Reply {
    let Route::DmqMessage(message) = ended.event.route else {
        return Reply::FAILED;
    };
    let Some(answer) = message.answer.filter(|_| ended.outcome.is_ok()) else {
        return Reply::FAILED;
    };
    let status = answer.status;
    reply(answer).unwrap_or_else(|| {
        let channel = &*message.channel;
        tracing::warn!(
            channel,
            status,
            "the script's answer to a message of the bus can't be sent: 500 instead"
        );
        Reply::FAILED
    })
}

fn reply(answer: Answer) -> Option<Reply> {
    let is_line = |text: &str| !text.bytes().any(|b| b.is_ascii_control() && b != b'\t');
    let body = answer.body.as_ref();
    let body_fits =
        body.is_none_or(|body| is_line(&body.content_type) && body.content.len() <= MAX_BODY);
    // To a Kamailio 408 means that the member is gone.
    let status = (200..700).contains(&answer.status) && answer.status != 408;
    if !status || !is_line(&answer.reason) || !body_fits {
        return None;
    }
    Some(Reply {
        status: answer.status,
        reason: match answer.reason.is_empty() {
            true => reason_phrase(answer.status).into(),
            false => answer.reason.into(),
        },
        body: answer
            .body
            .map(|body| (body.content_type.into(), body.content.into())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_is_an_answer() {
        let answer = |status, reason: &str| Answer {
            status,
            reason: reason.into(),
            body: None,
        };
        assert_eq!(reply(answer(202, "")).unwrap().reason, "Accepted");
        assert_eq!(reply(answer(488, "No")).unwrap().reason, "No");
        for (status, reason) in [(100, ""), (408, ""), (700, ""), (200, "a\r\nb")] {
            assert_eq!(reply(answer(status, reason)), None, "{status}");
        }
        let long = Body {
            content_type: "text/plain".into(),
            content: vec![0; MAX_BODY + 1],
        };
        let long = Answer {
            body: Some(long),
            ..answer(200, "")
        };
        assert_eq!(reply(long), None);
    }
}
