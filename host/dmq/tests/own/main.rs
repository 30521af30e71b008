//! Our own nodes among themselves, in virtual time.

mod memory;
mod net;
mod schedule;
mod stories;
