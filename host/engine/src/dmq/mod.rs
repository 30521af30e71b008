//! The DMQ bus at work: one thread for all lanes, with the pure [`switchhook_dmq::Bus`] on it.
//!
//! Lanes hand every message of the bus over (`Mailbox::take`) before it would make a transaction: the bus knows copies by itself.
//! The tables tell what was written here ([`Mailbox::watch_htable`], [`Mailbox::watch_contacts`], [`Mailbox::watch_dialogs`]); what members write goes into
//! the tables as another node's (`tables`). Datagrams leave by the listeners' own sockets, so that members see the address they know;
//! what goes by TCP leaves through a lane.
//!
//! Bounds: [`QUEUE`] inputs wait for the thread. A message beyond is dropped, as by a full socket: its sender repeats it. A change
//! beyond is not told alone: all members are told everything instead.

mod dialogs;
mod face;
mod mailbox;
mod post;
mod tables;
pub(crate) mod teller;
mod thread;
mod wire;

use std::sync::Arc;

use switchhook_dmq::Config;

pub use face::Face;
pub use mailbox::{Gone, Mailbox, Seat};
pub use tables::Tables;
pub(crate) use thread::{Parts, start};
pub use wire::Aors;

/// Inputs that wait for the bus.
pub const QUEUE: usize = 65_536;

/// What the bus is started with.
pub struct DmqConfig {
    /// How this node takes part.
    pub bus: Config,
    /// The tables it replicates.
    pub tables: Arc<Tables>,
    /// The way to it.
    pub mailbox: Mailbox,
    /// Where it takes its inputs from, made together with the mailbox.
    pub seat: Seat,
}
