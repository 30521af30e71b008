//! Write SIP routing scripts for Switchhook in Rust.
//!
//! A script is a library crate (`crate-type = ["cdylib", "rlib"]`) with one module of routes. The [`script`] macro makes the module a
//! guest of the host; natively the same code runs in the [`testkit`].
//!
//! ```
//! use switchhook_sdk::prelude::*;
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     /// The `config` table of this script in switchhook.toml.
//!     #[config]
//!     struct Config {
//!         realm: String,
//!     }
//!
//!     #[request_route]
//!     fn main(req: &mut Request, config: &Config) -> Outcome {
//!         if let Some(problem) = req.check() {
//!             return req.refuse(&problem);
//!         }
//!         if req.in_dialog() {
//!             req.loose_route()?;
//!             return req.relay();
//!         }
//!         let Access::Granted(user) = auth::proxy_authenticate(req, &config.realm)? else {
//!             return Ok(Done); // it has been challenged
//!         };
//!         log::info!("{user} calls {}", req.uri());
//!         req.record_route()?;
//!         req.on_failure(BUSY)?;
//!         match req.lookup("location")? {
//!             0 => req.reply(404, "Not Found"),
//!             _ => req.relay(),
//!         }
//!     }
//!
//!     #[failure_route]
//!     fn busy(req: &mut Request, reply: &Reply) -> Outcome {
//!         if reply.status() == 486 {
//!             return req.reply(480, "Try Later");
//!         }
//!         Ok(Done)
//!     }
//! }
//!
//! use switchhook_sdk::testkit::{Site, request};
//!
//! # fn main() {
//! let site = Site::new(routes::Script, r#"{"realm": "example.test"}"#).contact("sip:bob@example.test", "sip:bob@192.0.2.7");
//! let invite = request("INVITE", "sip:bob@example.test");
//! assert_eq!(site.receive(invite.clone()).status(), Some(407));
//! let mut call = site.receive(invite.authenticated("alice"));
//! assert_eq!(call.log(), ["info: alice calls sip:bob@example.test"]);
//! assert_eq!(call.replies(486).status(), Some(480));
//! # }
//! ```
//!
//! # Routes
//!
//! | Attribute | When | Takes |
//! |---|---|---|
//! | `#[request_route]` | each request but retransmissions, the ACK of a non-2xx answer, the CANCEL of a known INVITE | `&mut Request` |
//! | `#[reply_route]` | each reply, before its transaction sees it | `&mut Reply` |
//! | `#[onsend_route]` | each request that is about to be sent | `&mut Request` |
//! | `#[branch_route("NAME")]` | each branch, where armed by [`Request::on_branch`] | `&mut Request` |
//! | `#[onreply_route("NAME")]` | each reply of a branch, where armed by [`Request::on_reply`] | `&mut Reply`, `&mut Request` |
//! | `#[failure_route("NAME")]` | no branch succeeded, where armed by [`Request::on_failure`] | `&mut Request`, `&mut Reply` |
//! | `#[event_route("usrloc:contact-expired")]` | a contact's time is over | `&Binding` |
//! | `#[event_route("erlang:NAME")]` | a message to the Erlang process of that name ([`erlang`]) | `&erlang::Message` |
//! | `#[event_route("erlang-event:EVENT")]` | `node-up`, `node-down`, `node-busy`, `node-ready`, `exit`, `down` | `&erlang::Event` |
//! | `#[event_route("dmq:CHANNEL")]` | a message of a member of the DMQ bus on that channel ([`dmq`]) | `&mut dmq::Message` |
//! | `#[event_route("dmq-event:EVENT")]` | `peer-up`, `peer-disabled`, `peer-down`, `answered` | `&dmq::Event` |
//! | `#[event_route("dialog:EVENT")]` | `start`, `end`, `failed`, `timeout` of a call that is tracked ([`dialog`]) | `&dialog::Info` |
//! | `#[event_route("uac:NAME")]` | the reply to a request of the script's own ([`uac`]) | `&uac::Reply` |
//! | `#[rpc("group.command")]` | a command on the admin socket or from Erlang ([`rpc`]) | `&rpc::Params` |
//!
//! Each may also take the script's state: what `#[init]` returns, or else the `#[config]` struct, by `&` or `&mut`. State is one
//! instance's: the host runs several and throws one away after a trap, so what must last or be shared belongs into an
//! [`htable`]. A named route is armed by a constant of the function's name in capitals: `fn manage_failure` is
//! `MANAGE_FAILURE`.
//!
//! # What a route comes to
//!
//! [`Outcome`] is `Ok(Done)`, `Ok(Drop)`, `Ok(Next)` or an error. `relay`, `reply` and their kin return `Ok(Done)`, so they end a route as
//! its last expression, or go on with `?`. Nothing is carried out before the route has returned; a route that fails or traps has
//! decided nothing, and the caller gets the script's error reply.
//!
//! # What it costs
//!
//! A host call takes about 0.3 microseconds. The first getter brings the whole message over in one; all others read that copy. Edits are
//! collected and go back in one call before the next decision, and only a getter that asks for what they touched reads again.

pub mod auth;
#[doc(hidden)]
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)]
pub mod bindings;
mod config;
pub mod dialog;
pub mod dmq;
pub mod erlang;
mod error;
mod header;
mod host;
pub mod htable;
pub mod log;
mod message;
mod method;
mod nameaddr;
pub mod registrar;
mod reply;
mod request;
mod routes;
pub mod rpc;
#[cfg(not(target_arch = "wasm32"))]
#[allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value
)] // a test's mistakes end the test
pub mod testkit;
pub mod transport;
pub mod uac;
mod uri;
mod value;
pub mod vars;

pub use error::{End, Error, ErrorCode, Outcome, Result};
pub use method::Method;
pub use nameaddr::NameAddr;
pub use reply::{Answer, Reply};
pub use request::{Order, Problem, Request, Routed, Target};
pub use routes::{BranchRoute, Exports, FailureRoute, Family, OnReplyRoute, Script, private};
pub use switchhook_sdk_macros::script;
pub use uri::{NoUri, Uri, UriBuf};

#[doc(hidden)]
pub use bindings::export as __export;

/// What a script needs: `use switchhook_sdk::prelude::*;`
pub mod prelude {
    pub use crate::End::{Done, Drop, Next};
    pub use crate::auth::{self, Access};
    pub use crate::registrar::{self, Binding, Saved};
    pub use crate::{
        Error, Method, NameAddr, Order, Outcome, Reply, Request, Result, Routed, Target, Uri,
        UriBuf, dialog, dmq, erlang, htable, log, route, rpc, transport, uac, vars,
    };
    pub use switchhook_sdk_macros::{
        branch_route, config, event_route, export_state, failure_route, import_state, init,
        onreply_route, onsend_route, reply_route, request_route, rpc,
    };
}
