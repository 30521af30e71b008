//! The Erlang node's sockets: listening, dialling, EPMD, TLS. What is said over them is `switchhook-erlang`'s.
//!
//! [`start`] gives a node its own thread, so that nothing that a peer does costs a lane anything. Lanes hold a [`Handle`]: commands
//! go in through it and are refused, not waited for, when too many wait; what happened comes out of a bounded channel. While that
//! is full the node reads no socket (its peers feel it), but goes on to speak, so that no peer takes it for dead.

mod dial;
mod epmd;
mod handle;
mod service;
mod settings;
mod socket;
mod tls;

pub use handle::{Handle, Snapshot};
pub use service::{StartError, Started, start};
pub use settings::{Epmd, Settings};
pub use tls::{BadTls, Tls, TlsFiles};
