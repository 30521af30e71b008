//! What the black-box tests share: the daemon and real peers as processes on loopback addresses.
//!
//! Owns: starting, watching and ending the processes of one test, each with its log kept under target/test-runs; addresses that no
//! other test uses. Never does: look inside the daemon. Everything is bounded in time, and every process that a test started ends
//! with it.

// a harness fails by panicking: what it expects is what the test says
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod cable;
mod call;
mod daemon;
mod dissect;
pub mod erlang;
mod kamailio;
mod needs;
mod peer;
mod phone;
mod place;
mod program;
mod sipp;
pub mod stories;
mod wire;

pub use cable::Cable;
pub use call::{Call, Phones, line};
pub use daemon::{Daemon, Setup, binary, guest, phones};
pub use dissect::Capture;
pub use kamailio::Kamailio;
pub use needs::{has, shared_data};
pub use peer::{Peer, Stream, answer, status};
pub use phone::Phone;
pub use place::{Place, alone, beside};
pub use program::{Program, patience};
pub use sipp::{Party, Stats};
pub use wire::{Host, Wire};
