//! The node's sockets against a real Erlang node (`erl` of Debian's erlang-base, on PATH).
//!
//! Each story has an EPMD and nodes of its own, at ports of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a story that can't go on ends"
)]

mod acceptance;
mod calls;
mod hostile;
mod lifecycle;
mod otp;
mod signals;
mod soak;
mod tls;
