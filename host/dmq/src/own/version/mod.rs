//! Versions: which of two states of a key is the later one, without asking anybody.
//!
//! [`Clock`] is a hybrid logical clock: it goes with the wall clock, never back, and past every stamp it was shown, so what a
//! node writes after it saw another's write is the later of the two however wrong their clocks are. A peer can pull it ahead of
//! our wall clock by [`MAX_AHEAD`] and no further.
//!
//! [`Record`] is one key's replicated state, and [`Record::merge`] joins two of them: commutative, associative, idempotent. So
//! messages may be lost, repeated and reordered, and nodes that have seen the same writes are equal. Values: the last writer
//! wins. Counters: each node counts in a part of its own, so no increment is lost. Removals are remembered for a bounded time.
//!
//! Lives are sent as what is left of them, never as a time of day: a clock that is an hour off neither shortens nor lengthens one.
//! Reads no clock.

mod clock;
mod record;

pub use clock::{Ahead, Clock, MAX_AHEAD, NodeId, Stamp, Version};
pub(crate) use record::mix;
pub use record::{AddError, GRACE, MAX_PARTS, MAX_REMEMBERED, Part, Record, Value};
