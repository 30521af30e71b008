//! Sockets for lanes: UDP in batches, TCP connections, name resolution.
//!
//! A thin driver (tokio) around pure code in `switchhook-sip`. It knows no script and no transaction: bytes and where they came
//! from go to the lane as [`Event`]s, bytes and where they go come back through [`Net::send`]. Names are chosen among by
//! pure code (RFC 3263); [`resolver`] only asks.
//!
//! One [`Net`] belongs to one lane and lives on its thread; the only things that lanes share are the directory of
//! connections and the bounded channels between them, both for streams alone.
//!
//! Order: [`Listeners::bind`] opens everything, [`Listeners::split`] gives each lane its part, [`Net::new`] starts
//! it inside the lane's runtime, within a `LocalSet`.

mod counters;
pub mod erlang;
mod event;
mod limits;
mod listen;
mod listeners;
pub mod mmsg;
mod net;
pub mod resolver;
mod segments;
mod steer;
mod stream;
mod udp;

pub use counters::{Counter, NetCounters};
pub use event::{Event, Failure};
pub use limits::NetLimits;
pub use listen::{BadListen, Listen, Local, egress};
pub use listeners::{BindError, Listeners};
pub use mmsg::lower_priority;
pub use net::{Net, Part};
pub use resolver::Dns;
pub use steer::Steer;
