//! Commands for a running daemon: JSON-RPC 2.0 over a Unix socket.
//!
//! [`registry`] is the one place where methods hang; [`methods`] are those there are. [`socket`] brings calls in, [`client`] is
//! the command line's other end. A new method is one entry in a file of [`methods`]; `core.methods` lists it by itself.

pub(crate) mod client;
mod jsonrpc;
mod methods;
mod page;
mod registry;
mod socket;

pub(crate) use socket::Socket;

use crate::daemon::Daemon;
use std::sync::Arc;

/// What answers each request at the socket.
pub(crate) fn answer(daemon: Arc<Daemon>) -> socket::Answer {
    let registry = methods::registry();
    Arc::new(move |request| registry.call(&daemon, &request.method, request.params.clone()))
}
