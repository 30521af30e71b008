//! Stories of the transaction layer, told in virtual time: what one lane does when alice calls bob and his friends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail as its tests do"
)]

mod cancel;
mod chaos;
mod failover;
mod forking;
mod lane;
mod limits;
mod matching;
mod relay;
mod timer_c;
mod verdicts;
