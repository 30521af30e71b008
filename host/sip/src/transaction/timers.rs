//! Timer values (RFC 3261 s.17 table 4, RFC 6026 s.8.11, RFC 4320 s.4) and the layer's own clock reading.
//!
//! Owns the numbers and nothing else: which state uses which timer is said in the state machines. All are settable; the
//! defaults are the RFCs'. A [`Time`] is milliseconds since the manager was made: small to keep, cheap to compare.

use std::ops::Add;
use std::time::{Duration, Instant};

/// A reading of the layer's clock: whole milliseconds since the [`Clock`]'s epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, span: Duration) -> Time {
        Time(
            self.0
                .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// Turns the caller's instants into [`Time`]s and back.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that reads zero at `epoch`.
    pub fn new(epoch: Instant) -> Clock {
        Clock(epoch)
    }

    /// Reads the clock at `now`; an instant before the epoch reads zero.
    pub fn time(&self, now: Instant) -> Time {
        let span = now.saturating_duration_since(self.0);
        Time(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    /// The instant at which the clock reads `time`.
    pub fn instant(&self, time: Time) -> Instant {
        self.0 + Duration::from_millis(time.0)
    }
}

/// Timer values. [`Timers::new`] derives them from T1, T2 and T4 as RFC 3261 s.17 does; change single fields after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// T1: the estimate of a round trip; first interval of timers A, E and G.
    pub t1: Duration,
    /// T2: longest interval between retransmissions of a non-INVITE request or of an INVITE's final response.
    pub t2: Duration,
    /// T4: how long a message stays in the network.
    pub t4: Duration,
    /// B: an INVITE without any response times out (64*T1).
    pub b: Duration,
    /// C: a forwarded INVITE without a final response is given up (more than 3 minutes, s.16.6 step 11).
    pub c: Duration,
    /// D: an INVITE client waits for more copies of a failure response (at least 32 s over UDP).
    pub d: Duration,
    /// F: a non-INVITE request without a final response times out (64*T1).
    pub f: Duration,
    /// H: an INVITE server waits for the ACK (64*T1).
    pub h: Duration,
    /// I: an INVITE server absorbs more copies of the ACK (T4 over UDP).
    pub i: Duration,
    /// J: a non-INVITE server absorbs more copies of the request (64*T1 over UDP).
    pub j: Duration,
    /// L: an INVITE server that sent 2xx absorbs more copies of the request (64*T1, RFC 6026).
    pub l: Duration,
    /// M: an INVITE client that had 2xx takes more copies and other forks' 2xx (64*T1, RFC 6026).
    pub m: Duration,
    /// How long an INVITE may be without any response before 100 is sent (200 ms, s.17.2.1).
    pub trying: Duration,
    /// How long a non-INVITE may be without any response before 100 is sent: when its client's Timer E reaches T2
    /// (RFC 4320 s.4.1: not earlier over an unreliable transport, and then over any).
    pub late_trying: Duration,
    /// How long a transaction waits for its owner's decision or verdict before it ends without it (no RFC's: 3 minutes, as Timer C).
    pub patience: Duration,
    /// A cancelled INVITE that stays without a final response is given up (64*T1, s.9.1).
    pub cancelled: Duration,
}

impl Timers {
    /// The RFC's table for these T1, T2 and T4.
    pub fn new(t1: Duration, t2: Duration, t4: Duration) -> Timers {
        let t64 = t1 * 64;
        Timers {
            t1,
            t2,
            t4,
            b: t64,
            c: Duration::from_secs(181),
            d: t64.max(Duration::from_secs(32)),
            f: t64,
            h: t64,
            i: t4,
            j: t64,
            l: t64,
            m: t64,
            trying: Duration::from_millis(200),
            late_trying: reset_to_t2(t1, t2),
            patience: Duration::from_secs(181),
            cancelled: t64,
        }
    }
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::new(
            Duration::from_millis(500),
            Duration::from_secs(4),
            Duration::from_secs(5),
        )
    }
}

/// A retransmission that doubles its interval: timers A, E and G.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// When to send again.
    pub at: Time,
    every: Duration,
}

impl Backoff {
    /// First repeat after `every`, which is at least a millisecond.
    pub fn new(now: Time, every: Duration) -> Backoff {
        let every = every.max(Duration::from_millis(1));
        Backoff {
            at: now + every,
            every,
        }
    }

    /// The repeat after this one, at twice the interval (timer A).
    #[must_use]
    pub fn doubled(self, now: Time) -> Backoff {
        Backoff::new(now, self.every.saturating_mul(2))
    }

    /// The repeat after this one, at twice the interval but no more than `ceiling` (timers E and G).
    #[must_use]
    pub fn doubled_to(self, now: Time, ceiling: Duration) -> Backoff {
        Backoff::new(now, self.every.saturating_mul(2).min(ceiling))
    }
}

/// How long after the request Timer E is reset to T2: the sum of the intervals T1, 2*T1, ... that are below T2.
fn reset_to_t2(t1: Duration, t2: Duration) -> Duration {
    let mut sum = Duration::ZERO;
    let mut every = t1.max(Duration::from_millis(1));
    while every < t2 {
        sum += every;
        every *= 2;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_table_of_rfc_3261() {
        let t = Timers::default();
        for (what, is, seconds) in [
            ("B", t.b, 32),
            ("D", t.d, 32),
            ("F", t.f, 32),
            ("H", t.h, 32),
            ("I", t.i, 5),
            ("J", t.j, 32),
            ("L", t.l, 32),
            ("M", t.m, 32),
        ] {
            assert_eq!(is, Duration::from_secs(seconds), "timer {what}");
        }
        assert!(t.c > Duration::from_secs(180));
    }

    #[test]
    fn timer_e_is_reset_to_t2_after_three_and_a_half_seconds() {
        assert_eq!(Timers::default().late_trying, Duration::from_millis(3500));
    }

    #[test]
    fn timer_d_never_falls_below_32_seconds() {
        let quick = Timers::new(
            Duration::from_millis(10),
            Duration::from_millis(80),
            Duration::from_millis(100),
        );
        assert_eq!(quick.d, Duration::from_secs(32));
        assert_eq!(quick.b, Duration::from_millis(640));
    }

    #[test]
    fn clock_reads_back_its_own_instants() {
        let epoch = crate::transaction::testing::epoch();
        let clock = Clock::new(epoch);
        let later = epoch + Duration::from_millis(1234);
        assert_eq!(clock.time(later), Time(1234));
        assert_eq!(clock.instant(Time(1234)), later);
    }
}
