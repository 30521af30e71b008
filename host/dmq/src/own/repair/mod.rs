//! What our own nodes say to each other about their tables, on the channel `switchhook`.
//!
//! Records go out in batches as they are written. What a message did not bring, because a queue was full, a peer was gone or a
//! network was split, is found by digests: both sides' sums of a set and of its 64 groups are compared, then those of the
//! 64 buckets of groups that differ, then the places and prints of the records in buckets that differ; and each side is sent what
//! it lacks. A node that has nothing of a set asks for all of it. So the work goes with what differs, not with what there is.
//!
//! [`Mesh`] is the machine, [`Replica`] what it needs of the tables. Nothing here knows SIP: bodies go in and out.

mod answer;
mod body;
mod compare;
mod digest;
mod log;
mod mesh;
mod peer;
mod replica;
mod window;

pub use body::BodyError;
pub use digest::{BUCKETS, Digest, GROUPS, Place};
pub use mesh::{Answer, Config, Counters, Mesh, PeerId, Send};
pub use peer::MAX_WANTED;
pub use replica::{Merged, Replica, SetId};
pub use window::{GIVE_UP, MAX_BYTES, MAX_FLIGHTS};
