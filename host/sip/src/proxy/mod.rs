//! What a proxy does to a request between its arrival and its sending: RFC 3261 section 16 without the transactions, with
//! RFC 3581 (rport), RFC 5393 (loops, Max-Breadth) and RFC 5658 (double Record-Route).
//!
//! Pure functions on a message and its edits, in this order:
//!
//! 1. [`check`] is 16.3: whether the request may be routed at all, and the answer where it may not.
//! 2. [`preprocess`] is 16.4: our own Route values go, what strict routers did is repaired.
//! 3. [`mark_source`] notes in the top Via where the request came from (18.2.1). Every reply copies that Via.
//! 4. For each target [`aim`], 16.6 steps 2, 3, 6 and 7: request URI, Max-Forwards, Max-Breadth, Route. It says which URI to
//!    resolve ([`crate::resolve`]).
//! 5. For each destination [`stamp`], 16.6 steps 4 and 8: Record-Route and Via.
//!
//! Replies go by [`reply_target`] (18.2.2) where no transaction knows the way. Nothing here sends, resolves or waits.

mod breadth;
mod check;
mod forward;
mod loops;
mod own;
mod reply;
mod route;
mod source;
mod stamp;

#[cfg(test)]
mod tests;

pub use breadth::{Breadth, DEFAULT_BREADTH, Shares};
pub use check::{check, check_read};
pub use forward::{Aim, DEFAULT_HOPS, Next, aim};
pub use loops::{LoopKey, LoopMark};
pub use own::Own;
pub use reply::{ReplyTarget, reply_target};
pub use route::{Found, Routed, preprocess};
pub use source::{mark_source, marks};
pub use stamp::{Interface, RecordRoute, Stamp, stamp};
