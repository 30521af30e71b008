//! The offline test kit: a script's routes run natively against a fake host. No network, no Wasm, no daemon.
//!
//! A [`Site`] is what the daemon would be: domains, registered contacts, hash tables. It receives a request made by [`request`], runs
//! the script's route, and gives a [`Call`] that tells what the script did; replies to it run the script's other routes.
//!
//! ```
//! use switchhook_sdk::prelude::*;
//! use switchhook_sdk::testkit::{Site, request};
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     #[request_route]
//!     fn main(req: &mut Request) -> Outcome {
//!         if req.lookup("location")? == 0 {
//!             return req.reply(404, "Not Found");
//!         }
//!         req.set_header("X-Site", "home");
//!         req.on_failure(BUSY)?;
//!         req.relay()
//!     }
//!
//!     #[failure_route]
//!     fn busy(req: &mut Request, reply: &mut Reply) -> Outcome {
//!         if reply.status() == 486 {
//!             req.set_uri("sip:voicemail@example.test");
//!             return req.relay();
//!         }
//!         Ok(Done)
//!     }
//! }
//!
//! # fn main() {
//! let site = Site::new(routes::Script, "{}").contact("sip:bob@example.test", "sip:bob@192.0.2.7");
//!
//! let mut call = site.receive(request("INVITE", "sip:bob@example.test").from("sip:alice@example.test"));
//! assert_eq!(call.relayed_to(), ["sip:bob@192.0.2.7"]);
//! assert_eq!(call.sent()[0].header("X-Site"), Some("home"));
//!
//! call.replies(486);
//! assert_eq!(call.relayed_to(), ["sip:voicemail@example.test"]);
//! assert_eq!(call.status(), None); // the caller does not know yet
//!
//! let call = site.receive(request("INVITE", "sip:nobody@example.test"));
//! assert_eq!(call.status(), Some(404));
//! # }
//! ```
//!
//! What is real: messages, edits and variables are the host's own code. What is simpler: registrations keep no order of Call-ID and
//! CSeq, of RFC 3261 section 16.3 only what a script can react to is checked, Record-Route is a single one, and no time passes.

mod call;
pub(crate) mod dialogs;
pub(crate) mod dmq;
pub(crate) mod erlang;
pub(crate) mod imports;
mod message;
mod site;
pub(crate) mod uac;
mod world;

pub use call::{Answer, Branch, Call};
pub use dmq::{BusAnswer, BusSent};
pub use erlang::{Sent, To, Told};
pub use message::{Draft, message, request};
pub use site::Site;
pub use uac::OwnRequest;
