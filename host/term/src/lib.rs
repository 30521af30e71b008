//! Erlang terms without I/O: the external term format and the text form of `~p`, both ways.
//!
//! [`Term`] is an owned tree. [`Tape`] reads a term where it lies: a flat list of nodes over the received bytes, no allocation per
//! node, kept from one message to the next. Both decode iteratively and within [`Limits`], so that a peer's bytes never
//! panic, never exhaust the stack and never take more memory than the limits say.
//!
//! No socket, no clock. The format is that of OTP's "External Term Format" (erts, `erl_ext_dist`), as OTP 23 and later speak it:
//! written are only the forms that those have in common (UTF-8 atoms, NEW_PID, NEWER_REFERENCE), read are the older ones too.

mod atom;
mod big;
mod bits;
mod build;
mod construct;
mod decode;
mod encode;
mod error;
mod fun;
mod identity;
mod improper;
mod inflate;
mod limits;
mod map;
mod order;
mod read;
#[cfg(feature = "serde")]
pub mod serde;
mod tag;
mod tape;
mod term;
mod text;
mod view;
pub mod write;

pub use atom::{Atom, AtomTooLong, atom};
pub use big::Big;
pub use bits::Bits;
pub use decode::{decode, decode_prefix, decode_with};
pub use encode::{encode, encode_bare, to_bytes};
pub use error::Malformed;
pub use fun::{Export, Fun};
pub use identity::{Pid, Port, Reference};
pub use improper::Improper;
pub use limits::Limits;
pub use map::Map;
pub use tape::Tape;
pub use term::{Elements, Term};
pub use text::{BadText, parse, parse_with};
pub use view::{Kind, View, Views};

#[doc(hidden)]
pub use tag::VERSION;
