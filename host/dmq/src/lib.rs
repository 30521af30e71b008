//! A member of Kamailio's DMQ bus, without I/O.
//!
//! Messages, changes of our tables and `now` go in; messages to send, changes of tables to make, events and the next deadline come
//! out. No socket, no clock, no runtime, no randomness of its own, no table: the tables are the caller's ([`Stores`]).
//!
//! The drive loop: call [`Bus::receive`], [`Bus::change`] or [`Bus::on_timer`]; then take everything from [`Bus::poll`]; sleep until
//! [`Bus::deadline`].
//!
//! Towards Kamailio the bus is what Kamailio knows: the [`envelope`] KDMQ, [`list`]s of nodes, and the channels [`htable`], [`usrloc`] and
//! [`dialog`]. Nothing is sent that any of its versions fails on: those modules can write nothing else. What it lacks is made up for
//! on our side: a message is carried out once, the writes of a key keep their order, removals are remembered, members are
//! known by their address.
//!
//! Between our own nodes the bus is more than that: see [`own`].

pub mod config;
pub mod dialog;
pub mod envelope;
pub mod htable;
pub mod list;
pub mod members;
pub mod outbox;
pub mod own;
pub mod seen;
pub mod tombs;
pub mod usrloc;

mod body;
mod bus;
mod node;
mod stores;

pub use bus::{Bus, Counters, Event, Output, is_channel};
pub use config::Config;
pub use node::{Node, Now};
pub use stores::{Change, Refused, Stores};
