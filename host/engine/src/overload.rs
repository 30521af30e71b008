//! When a lane refuses what is new, so that what has begun can end.
//!
//! A lane that is asked for more than it can do falls behind. Left alone, its socket would fill up and the kernel drop datagrams as they
//! come, ACKs, BYEs and answers too; nearly every call would lose one of its messages, be sent again and end by a timer, and the lane would
//! work for nothing. So a lane whose socket stays a quarter full, or is half full, answers new requests with 503 and Retry-After,
//! without state and without the script, until it has nearly caught up. Requests within dialogs, ACK, CANCEL and replies are worked off as
//! ever: they are the rest of what was accepted.
//!
//! Owns: the decision. Never does: the clock (`now` is passed in), the measuring, the answer.

use std::time::{Duration, Instant};

/// So full, in thousandths, a lane is behind: some 1600 messages of 500 bytes in a buffer of 4 MiB.
const BEHIND: u32 = 250;
/// Behind for so long it refuses: longer than the machine's hiccups, shorter than the 500 ms after which senders repeat themselves
/// (RFC 3261 17.1.1.1, T1).
const PATIENCE: Duration = Duration::from_millis(100);
/// So full it refuses at once: what comes next must not be lost.
const FULL: u32 = 500;
/// So empty it accepts again.
const CAUGHT_UP: u32 = 50;

/// Whether a lane is behind.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    behind: Option<Instant>,
    refusing: bool,
}

impl Overload {
    /// So full, in thousandths, is what the lane reads from, after it took a part.
    pub(crate) fn observe(&mut self, now: Instant, fill: u32) {
        if self.refusing {
            self.refusing = fill >= CAUGHT_UP;
            return;
        }
        self.behind = (fill >= BEHIND).then(|| self.behind.unwrap_or(now));
        let long = self
            .behind
            .is_some_and(|since| now.duration_since(since) >= PATIENCE);
        if long || fill >= FULL {
            *self = Self {
                behind: None,
                refusing: true,
            };
        }
    }

    /// Whether new requests are to be refused.
    pub(crate) fn refuses(&self) -> bool {
        self.refusing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_worked_off_and_a_flood_is_refused_until_it_ebbs() {
        let start = Instant::now();
        let mut lane = Overload::default();
        let mut refuses = |millis, fill| {
            lane.observe(start + Duration::from_millis(millis), fill);
            lane.refuses()
        };
        assert!(!refuses(0, 0));
        assert!(!refuses(1, 499));
        assert!(!refuses(100, 250), "a burst");
        assert!(!refuses(101, 249), "it is being worked off");
        assert!(!refuses(102, 250));
        assert!(!refuses(201, 250));
        assert!(refuses(202, 250), "it is no burst");
        assert!(refuses(300, 50), "as long as it is behind");
        assert!(!refuses(301, 49), "it has nearly caught up");
        assert!(!refuses(302, 250), "and begins anew");
        assert!(refuses(303, 500), "what comes next must not be lost");
    }
}
