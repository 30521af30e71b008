//! Requests of scripts' own: what the host must do with them, and what comes back.
//!
//! Owns the shapes on both sides of that boundary, no transaction. [`Uac`] is implemented over the engine's lanes and reached through
//! [`crate::Effects`]; its functions are called on lanes and none of them blocks. What a [`Request`] holds was checked: each part can
//! stand in a message.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Body, HeaderField};
use crate::refusal::Refusal;
pub use switchhook_bindings::exports::switchhook::script::uac_route::Answered;
pub use switchhook_bindings::switchhook::script::types::{Body as ReplyBody, Header};
pub use switchhook_bindings::switchhook::script::uac::Reply;
use switchhook_sip::dialog::Id;

/// A request to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// A token; neither INVITE nor ACK nor CANCEL.
    pub method: String,
    /// The request URI.
    pub uri: String,
    /// The value of From, with a tag or without; none means our own address.
    pub from: Option<String>,
    /// The value of To; none means the request URI.
    pub to: Option<String>,
    /// Further header fields.
    pub headers: Vec<HeaderField>,
    /// A body where there is one.
    pub body: Option<Body>,
    /// Where to send it, as a URI; none means the first Route, else the request URI.
    pub next_hop: Option<String>,
    /// The listener to send from.
    pub local: Option<SocketAddr>,
    /// How long to wait for a final reply; none means Timer F.
    pub timeout: Option<Duration>,
    /// For a challenge.
    pub credentials: Option<Credentials>,
}

/// For a digest challenge.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Where a reply goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// The script that asked.
    pub script: String,
    /// Its route.
    pub route: Arc<str>,
    /// What the script gave along.
    pub context: String,
    /// How many events led to the one that asked.
    pub depth: u32,
}

/// What asking comes to; none where the host ends before.
pub type Asked = Pin<Box<dyn Future<Output = Option<Reply>> + Send>>;

/// Why a call is ended from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A script or an operator said so.
    Ordered,
    /// Its time is over: it has ended already.
    TimedOut,
}

/// A sender of requests, for scripts. Refusals are `limit` where too many are under way, `invalid` for a listener that is none.
pub trait Uac: Send + Sync + 'static {
    /// Sends a request and gives its number. Without `to` nobody is told what it comes to.
    fn send(&self, request: Request, to: Option<ReplyTo>) -> Result<u64, Refusal>;
    /// Sends a request. A future that is dropped gives up waiting, not the request.
    fn ask(&self, request: Request) -> Result<Asked, Refusal>;
    /// Ends a tracked call: a BYE to each side, and the event of its end where that was ordered. Nothing where it is over meanwhile.
    fn end_dialog(&self, call_id: &str, id: Id, why: Ending) -> Result<(), Refusal>;
}
