//! Commands for a running daemon.
pub(crate) mod client;
pub(crate) mod jsonrpc;
pub(crate) mod registry;
pub(crate) mod socket;
