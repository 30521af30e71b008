//! Our own nodes among themselves, in virtual time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

mod memory;
mod net;
mod schedule;
mod stories;
