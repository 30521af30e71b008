//! Erlang distribution without I/O: what a hidden node says to EPMD and to other nodes, and what it must remember.
//!
//! Bytes, events and `now` go in; bytes, events and the next deadline come out. No socket, no clock, no randomness of its own,
//! no runtime. Messages cross as bytes of the external term format, checked but not read. As OTP 23 to 28 speak it: OTP, "Erlang
//! Distribution Protocol" and "External Term Format".

mod connection;
mod control;
mod cookie;
pub mod epmd;
mod flags;
pub mod handshake;
mod ids;
mod name;
pub mod node;
mod outbox;
mod wire;

pub use connection::Closed;
pub use control::{BadFrame, TermBytes, Who};
pub use cookie::{BadCookie, Cookie};
pub use flags::Flags;
pub use ids::{Pid, Reference, Words};
pub use name::{BadName, NodeName};
pub use outbox::Outbox;
pub use wire::fragments::BadFragment;
pub use wire::frame::TooLong;
pub use wire::scan::BadTerm;
