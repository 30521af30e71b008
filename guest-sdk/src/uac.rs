//! Requests of the script's own, as Kamailio's `uac` sends them: to a central server, a billing gateway, a phone.
//!
//! [`Request::ask`] sends one and waits for its final reply; only this event waits. [`Request::send`] sends one and goes on; where
//! [`Request::on_reply`] named a route, the reply is an event of it.
//!
//! ```
//! use switchhook_sdk::prelude::*;
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     #[request_route]
//!     fn main(req: &mut Request) -> Outcome {
//!         match req.method() {
//!             // uac_req_send(), and its reply at once
//!             Method::Options => {
//!                 let reply = uac::Request::new("OPTIONS", "sip:central.example.test").timeout_ms(2000).ask()?;
//!                 req.reply(reply.status(), reply.reason())
//!             }
//!             _ => {
//!                 uac::Request::new("KUSRLOC", "sip:store@central.example.test")
//!                     .from("sip:server@example.test")
//!                     .body("text/kusrloc", "alice@example.test")
//!                     .credentials("server1", "secret")
//!                     .on_reply("stored", "alice@example.test")
//!                     .send()?;
//!                 req.reply(200, "OK")
//!             }
//!         }
//!     }
//!
//!     /// event_route[uac:reply]
//!     #[event_route("uac:stored")]
//!     fn stored(reply: &uac::Reply) -> Outcome {
//!         if !reply.is_success() {
//!             log::warn!("{} is not known centrally: {} {}", reply.context(), reply.status(), reply.reason());
//!         }
//!         Ok(Done)
//!     }
//! }
//!
//! # fn main() {
//! use switchhook_sdk::testkit::{Site, request};
//!
//! let site = Site::new(routes::Script, "{}").answering("OPTIONS", 200);
//! assert_eq!(site.receive(request("OPTIONS", "sip:example.test")).status(), Some(200));
//!
//! site.receive(request("REGISTER", "sip:example.test"));
//! let sent = &site.own_requests()[1];
//! assert_eq!((sent.method.as_str(), sent.content.as_slice()), ("KUSRLOC", &b"alice@example.test"[..]));
//! site.own_reply(sent.number, 408).unwrap();
//! assert_eq!(site.log(), ["warn: alice@example.test is not known centrally: 408 Request Timeout"]);
//! # }
//! ```
//!
//! The host makes Via, Call-ID, CSeq and the From tag, repeats the request, and goes on to the next address where one fails. There is
//! always one final reply: 408 where none came in time, 503 where nobody could be reached ([`Reply::is_made_here`]). INVITE is refused:
//! nobody here would hold the call.

use crate::bindings::exports::switchhook::script::uac_route::Answered;
use crate::error::{Error, Result};
use crate::host::types::{Body, Header};
use crate::host::uac;

/// A request of the script's own, being written; `$uac_req(...)`.
#[derive(Debug, Clone)]
#[must_use = "it is sent by `send` or `ask`"]
pub struct Request {
    request: uac::Request,
    to: Option<uac::ReplyTo>,
}

impl Request {
    /// A request of that method to that URI; `$uac_req(method)`, `$uac_req(ruri)`.
    pub fn new(method: impl AsRef<str>, uri: impl AsRef<str>) -> Request {
        Request {
            request: uac::Request {
                method: method.as_ref().to_owned(),
                uri: uri.as_ref().to_owned(),
                from: None,
                to: None,
                headers: Vec::new(),
                body: None,
                next_hop: None,
                local: None,
                timeout: 0,
                credentials: None,
            },
            to: None,
        }
    }

    /// From, a URI or `"Name" <URI>`; this host's own address without it; `$uac_req(furi)`.
    pub fn from(mut self, address: impl AsRef<str>) -> Request {
        self.request.from = Some(address.as_ref().to_owned());
        self
    }

    /// To; the request URI without it; `$uac_req(turi)`.
    pub fn to(mut self, address: impl AsRef<str>) -> Request {
        self.request.to = Some(address.as_ref().to_owned());
        self
    }

    /// A further header field; `$uac_req(hdrs)`.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Request {
        self.request.headers.push(Header {
            name: name.as_ref().to_owned(),
            value: value.as_ref().to_owned(),
        });
        self
    }

    /// The body and its type; `$uac_req(body)`.
    pub fn body(mut self, content_type: impl AsRef<str>, content: impl AsRef<[u8]>) -> Request {
        self.request.body = Some(Body {
            content_type: content_type.as_ref().to_owned(),
            content: content.as_ref().to_vec(),
        });
        self
    }

    /// Where to send it, such as `sip:192.0.2.1;transport=tcp`; the first Route or the request URI without it; `$uac_req(ouri)`.
    pub fn next_hop(mut self, uri: impl AsRef<str>) -> Request {
        self.request.next_hop = Some(uri.as_ref().to_owned());
        self
    }

    /// The listener to send from, such as `192.0.2.9:5060`; `$uac_req(sock)`.
    pub fn local(mut self, listener: impl AsRef<str>) -> Request {
        self.request.local = Some(listener.as_ref().to_owned());
        self
    }

    /// How long to wait for a final reply, in milliseconds; Timer F of the config without it.
    pub fn timeout_ms(mut self, milliseconds: u32) -> Request {
        self.request.timeout = milliseconds;
        self
    }

    /// Answers a challenge of whoever asks; `$uac_req(auser)`, `$uac_req(apasswd)`.
    pub fn credentials(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Request {
        self.request.credentials = Some(uac::Credentials {
            user: user.as_ref().to_owned(),
            password: password.as_ref().to_owned(),
        });
        self
    }

    /// The route that [`Request::send`] has the reply brought to, `stored` for `#[event_route("uac:stored")]`, and what it is to know
    /// of the request.
    pub fn on_reply(mut self, route: impl AsRef<str>, context: impl AsRef<str>) -> Request {
        self.to = Some(uac::ReplyTo {
            route: route.as_ref().to_owned(),
            context: context.as_ref().to_owned(),
        });
        self
    }

    /// Sends it and goes on; gives its number. Without [`Request::on_reply`] nobody is told what it came to.
    pub fn send(self) -> Result<u64> {
        uac::send(&self.request, self.to.as_ref()).map_err(Error::host)
    }

    /// Sends it and waits for its final reply. The route of [`Request::on_reply`] hears nothing of it.
    pub fn ask(self) -> Result<Reply> {
        let reply = uac::ask(&self.request).map_err(Error::host)?;
        Ok(Reply {
            number: 0,
            context: String::new(),
            reply,
        })
    }
}

/// A final reply.
#[derive(Debug, Clone)]
pub struct Reply {
    number: u64,
    context: String,
    reply: uac::Reply,
}

impl Reply {
    pub(crate) fn of(answered: Answered) -> Reply {
        let Answered {
            number,
            context,
            reply,
        } = answered;
        Reply {
            number,
            context,
            reply,
        }
    }

    /// What [`Request::send`] gave; 0 after [`Request::ask`].
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What [`Request::on_reply`] was given.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// 200 to 699; `$uac_req(evcode)`.
    pub fn status(&self) -> u16 {
        self.reply.status
    }

    /// Whether it is a 2xx.
    pub fn is_success(&self) -> bool {
        self.reply.status < 300
    }

    /// The reason phrase.
    pub fn reason(&self) -> &str {
        &self.reply.reason
    }

    /// Whether the host made it, because none came.
    pub fn is_made_here(&self) -> bool {
        self.reply.made_here
    }

    /// The first header field of that name. Compact names are told as their long ones.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All header fields of that name, in order.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let headers = self.reply.headers.iter();
        let named = headers.filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value.as_str()).collect()
    }

    /// The type of its body; empty where there is none.
    pub fn content_type(&self) -> &str {
        let body = self.reply.body.as_ref();
        body.map_or("", |body| &body.content_type)
    }

    /// Its body.
    pub fn content(&self) -> &[u8] {
        self.reply.body.as_ref().map_or(&[], |body| &body.content)
    }

    /// Its body, where it is text.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.content()).ok()
    }
}
