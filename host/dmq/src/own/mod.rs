//! What only our own nodes speak; Kamailio members see none of it.
//!
//! [`version`] says which of two states of a key is the later one, [`records`] are those states, [`repair`] brings all nodes to the
//! same ones, [`auth`] keeps everybody else out; `link` puts that on the bus.

pub mod auth;
mod config;
mod convert;
mod link;
pub mod records;
pub mod repair;
pub mod version;

pub use config::Config;
pub use convert::Item;
pub use link::{CHANNEL, Counters, MAX_FLIGHTS, NODE_HEADER};
pub(crate) use link::{Heard, Own};
