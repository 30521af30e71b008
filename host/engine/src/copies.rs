//! Copies of requests that were sent to other servers (`tm.replicate`): nobody waits for them.
//!
//! A copy has the request's Call-ID, so its answer comes to the same lane; there it is counted and goes no further. At most [`MAX`] are
//! under way on a lane; a further one is sent once and never again.

use std::time::Instant;

use bytes::Bytes;
use switchhook_sip::flow::Destination;
use switchhook_sip::message::Message;

use crate::clients::{Answered, Clients};
use crate::forward::Problem;
use crate::lane::Lane;

/// The most copies under way.
const MAX: usize = 65_536;
/// What their branches begin with.
pub(crate) const BRANCH: &str = "z9hG4bKcopy.";

/// See the module's header.
pub(crate) type Copies = Clients<()>;

impl Lane {
    /// A copy is written, or could not be.
    pub(crate) fn send_copy(
        &mut self,
        now: Instant,
        number: u64,
        written: Option<(Destination, Bytes)>,
        problem: Option<Problem>,
    ) {
        match (written, problem) {
            (Some((destination, bytes)), _) => {
                self.counters.copies.count();
                if self.copies.len() < MAX {
                    let copy = (destination, bytes.clone());
                    self.copies.sent(now, number, copy, None, ());
                }
                self.send(destination, bytes);
            }
            (None, Some(problem)) => {
                tracing::warn!(%problem, "a copy of a request can't be sent");
            }
            // An onsend route dropped it.
            (None, None) => {}
        }
    }

    /// Sends again what is due.
    pub(crate) fn repeat_copies(&mut self, now: Instant) {
        let (again, lost) = self.copies.repeat(now);
        for (destination, bytes) in again {
            self.counters.copies_again.count();
            self.send(destination, bytes);
        }
        for () in lost {
            self.counters.copies_lost.count();
            tracing::warn!("a copy of a request was not answered");
        }
    }

    /// Takes a reply to a copy.
    pub(crate) fn is_of_copy(&mut self, reply: &Message) -> bool {
        match self.copies.answered(reply) {
            Answered::Other => return false,
            Answered::Taken => {}
            Answered::Final(()) if reply.status() < 300 => {}
            Answered::Final(()) => {
                self.counters.copies_refused.count();
                tracing::warn!(status = reply.status(), "a copy of a request was refused");
            }
        }
        true
    }
}
