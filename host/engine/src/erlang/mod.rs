//! Between the Erlang node and scripts: what happens there becomes events of lanes, what scripts do becomes commands of the node.
//!
//! [`node`] is what scripts act through, [`event`] makes their events, [`post`] is a lane's letter box. All events of one sender
//! go to one lane, so that their order is kept. Nothing is lost on the way: a full letter box holds up the task that
//! brings events, and in the end the sockets.

mod event;
mod identity;
mod node;
pub(crate) mod post;

pub use node::Face;
