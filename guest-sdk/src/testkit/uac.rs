//! The site's fake network for requests of the script's own: who answers what, and what was sent.

use switchhook_sip::message::reason_phrase;

use super::site::Site;
use crate::bindings::exports::switchhook::script::uac_route::Answered;
use crate::host::types::Body;
use crate::host::uac::Reply;
use crate::routes::Family;

/// What the fake network knows.
#[derive(Default)]
pub(crate) struct FakeUac {
    /// Replies to requests that are waited for, by method.
    pub(super) answers: Vec<(String, Reply)>,
    pub(super) sent: Vec<OwnRequest>,
}

/// A request that a script sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRequest {
    /// Its number.
    pub number: u64,
    /// The method.
    pub method: String,
    /// The request URI.
    pub uri: String,
    /// From, where the script gave one.
    pub from: Option<String>,
    /// To, where the script gave one.
    pub to: Option<String>,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// The type of its body; empty without one.
    pub content_type: String,
    /// Its body.
    pub content: Vec<u8>,
    /// The next hop, where the script gave one.
    pub next_hop: Option<String>,
    /// The route that its reply goes to, and what that is told.
    pub on_reply: Option<(String, String)>,
}

/// A reply of that status, made by a peer or by the host.
pub(super) fn reply(status: u16, made_here: bool) -> Reply {
    Reply {
        status,
        reason: reason_phrase(status).to_owned(),
        headers: Vec::new(),
        body: None,
        made_here,
    }
}

/// Requests of the script's own.
impl Site {
    /// With somebody who answers a script's requests of that method, where it waits for the reply. Without, it gets the 408 of silence.
    #[must_use]
    pub fn answering(self, method: &str, status: u16) -> Site {
        self.answering_with(method, status, "", b"")
    }

    /// The same with a body.
    #[must_use]
    pub fn answering_with(
        self,
        method: &str,
        status: u16,
        content_type: &str,
        content: &[u8],
    ) -> Site {
        let mut reply = reply(status, false);
        reply.body = (!content.is_empty()).then(|| Body {
            content_type: content_type.to_owned(),
            content: content.to_vec(),
        });
        let mut world = self.world.borrow_mut();
        world.uac.answers.retain(|(known, _)| known != method);
        world.uac.answers.push((method.to_owned(), reply));
        drop(world);
        self
    }

    /// Everything that the script has sent by itself so far, in order.
    pub fn own_requests(&self) -> Vec<OwnRequest> {
        self.world.borrow().uac.sent.clone()
    }

    /// A request of that number is answered: runs the route that is to have the reply; nothing where the script named none. 408 and 503 are
    /// those that the host makes. An error text where the route fails.
    pub fn own_reply(&self, number: u64, status: u16) -> Result<(), String> {
        let sent = self.own_requests();
        let request = sent.into_iter().find(|request| request.number == number);
        let Some((route, context)) = request.and_then(|request| request.on_reply) else {
            return Ok(());
        };
        let answered = Answered {
            number,
            context,
            reply: reply(status, matches!(status, 408 | 503)),
        };
        self.run_outside_of_calls(Family::UacRoute, "self", |site| {
            site.run(|script| (script.on_own_reply)(route, answered))
        })
    }
}
