//! Erlang: terms, messages, and functions of other nodes. The host is a hidden node of the cluster.
//!
//! ```
//! use switchhook_sdk::prelude::*;
//! use switchhook_sdk::erlang::{atom, tuple};
//!
//! #[switchhook_sdk::script]
//! mod routes {
//!     /// `{greetings, 'proxy@host'} ! {hello, "Kamailio"}` in an Erlang shell gets `{hello,"Erlang"}`.
//!     #[event_route("erlang:greetings")]
//!     fn greetings(msg: &mut erlang::Message) -> Outcome {
//!         log::info!("Received message: {}", msg.content());
//!         msg.reply(tuple![atom("hello"), "Erlang"])
//!     }
//! }
//!
//! # fn main() {
//! use switchhook_sdk::testkit::Site;
//!
//! let site = Site::new(routes::Script, "{}");
//! let told = site.message("greetings", tuple![atom("hello"), "Kamailio"]);
//! assert_eq!(told.replies(), [tuple![atom("hello"), "Erlang"]]);
//! # }
//! ```
//!
//! # Terms
//!
//! [`tuple!`], [`list!`] and [`map!`] build terms, [`atom`] makes an atom of a text in the script and [`Atom::new`] one of any text;
//! `"text"` becomes Erlang's string and [`Term::binary`] makes a binary. [`to_term`] and [`from_term`] turn Rust's types into terms and back:
//! structs are records, maps or proplists, enums are atoms and tagged tuples (see [`codec`]). A term prints as in the Erlang shell, and
//! [`parse`] reads that again.
//!
//! # In whose name
//!
//! Each event runs as a process: that of its `erlang:NAME` route, any other as `self`. Links and monitors belong to it, and what
//! becomes of them comes to `#[event_route("erlang-event:exit")]` and `#[event_route("erlang-event:down")]`.

mod message;
mod node;
mod process;
pub mod variables;

pub use switchhook_term::serde as codec;
pub use switchhook_term::serde::{as_atom, binary, from_term, to_map, to_proplist, to_term};
pub use switchhook_term::{
    Atom, AtomTooLong, BadText, Big, Bits, Export, Fun, Improper, Limits, Malformed, Map, Pid,
    Port, Reference, Term, atom, decode, list, map, parse, to_bytes, tuple,
};

pub use message::{Event, Kind, Message};
pub use node::{
    RpcError, connect, disconnect, make_ref, node_of, nodes, rpc, rpc_for, self_node, self_pid,
    whereis,
};
pub use process::{Process, demonitor, exit, link, monitor, reg_send, send, unlink};

use crate::error::{Error, Result};

/// The term that the host gave.
fn given(bytes: &[u8]) -> Result<Term> {
    decode(bytes).map_err(|error| Error::new(format!("the host gave no term: {error}")))
}

/// The pid or reference that the host gave.
fn identity<T>(bytes: &[u8], get: impl FnOnce(Term) -> Option<T>) -> Result<T> {
    get(given(bytes)?).ok_or_else(|| Error::new("the host gave another kind of term"))
}

fn pid(term: Term) -> Option<Pid> {
    match term {
        Term::Pid(pid) => Some(*pid),
        _ => None,
    }
}

fn reference(term: Term) -> Option<Reference> {
    match term {
        Term::Reference(reference) => Some(*reference),
        _ => None,
    }
}
