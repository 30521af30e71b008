//! When calls begin: open loop, at a rate whatever becomes of them, or closed loop, one as soon as another has ended.

use std::time::Duration;

use crate::engine::{Nanos, nanos};

/// How calls are offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// So many at once.
    Closed(usize),
    /// So many a second.
    Open(f64),
}

/// When no more calls begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    /// After this time, the warm-up not counted.
    pub duration: Option<Duration>,
    /// After so many calls.
    pub count: Option<u64>,
}

/// Decides which calls begin now.
#[derive(Debug)]
pub(crate) struct Pace {
    load: Load,
    count: u64,
    /// When no more begin.
    until: Nanos,
    begun: u64,
}

impl Pace {
    pub(crate) fn new(load: Load, end: End, warmup: Duration) -> Pace {
        Pace {
            load,
            count: end.count.unwrap_or(u64::MAX),
            until: end
                .duration
                .map_or(Nanos::MAX, |time| nanos(time.saturating_add(warmup))),
            begun: 0,
        }
    }

    /// The time at which the next call should have begun, if that is now or was before.
    pub(crate) fn next(&mut self, now: Nanos, live: usize) -> Option<Nanos> {
        if self.begun >= self.count {
            return None;
        }
        let due = match self.load {
            Load::Closed(most) => (live < most && now < self.until).then_some(now)?,
            // one that was due before the end begins, however late we are
            Load::Open(_) => Some(self.due()).filter(|due| *due <= now && *due < self.until)?,
        };
        self.begun += 1;
        Some(due)
    }

    /// When something happens by itself: the next call, or the end.
    pub(crate) fn wake(&self, now: Nanos) -> Option<Nanos> {
        if self.is_over(now) {
            return None;
        }
        match self.load {
            Load::Open(_) => Some(self.due().min(self.until)),
            Load::Closed(_) => Some(self.until),
        }
    }

    /// No more calls begin.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        let late = match self.load {
            Load::Open(_) => self.due() < self.until,
            Load::Closed(_) => false,
        };
        self.begun >= self.count || now >= self.until && !late
    }

    /// No more begin from now on.
    pub(crate) fn stop(&mut self, now: Nanos) {
        self.until = self.until.min(now);
    }

    /// It is over at a time, with calls under way that do not count.
    pub(crate) fn is_timed(&self) -> bool {
        self.until < Nanos::MAX && self.begun < self.count
    }

    fn due(&self) -> Nanos {
        match self.load {
            Load::Open(rate) => (self.begun as f64 * 1e9 / rate) as Nanos,
            Load::Closed(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: End = End {
        duration: None,
        count: None,
    };

    #[test]
    fn a_rate_is_kept_whatever_becomes_of_the_calls() {
        let mut pace = Pace::new(Load::Open(100.0), FOREVER, Duration::ZERO);
        assert_eq!(pace.next(0, 0), Some(0));
        assert_eq!(pace.next(9_999_999, 1), None);
        assert_eq!(pace.wake(0), Some(10_000_000));
        // late by three: each has the time at which it should have begun
        let due: Vec<_> = std::iter::from_fn(|| pace.next(35_000_000, 1000)).collect();
        assert_eq!(due, [10_000_000, 20_000_000, 30_000_000]);
    }

    #[test]
    fn so_many_are_under_way_and_no_more() {
        let mut pace = Pace::new(Load::Closed(2), FOREVER, Duration::ZERO);
        assert_eq!(pace.next(5, 0), Some(5));
        assert_eq!(pace.next(5, 1), Some(5));
        assert_eq!(pace.next(5, 2), None);
        assert_eq!(pace.wake(5), Some(Nanos::MAX));
    }

    #[test]
    fn who_is_late_at_the_end_begins_what_was_due_before() {
        let end = End {
            duration: Some(Duration::from_secs(1)),
            count: None,
        };
        let mut pace = Pace::new(Load::Open(10.0), end, Duration::ZERO);
        assert!(!pace.is_over(5_000_000_000));
        let due = std::iter::from_fn(|| pace.next(5_000_000_000, 0));
        assert_eq!(due.count(), 10);
        assert!(pace.is_over(5_000_000_000) && !pace.is_over(999_999_999));
        assert_eq!(pace.wake(999_999_999), Some(1_000_000_000));
    }

    #[test]
    fn it_ends_after_the_count_or_the_time() {
        let end = End {
            duration: Some(Duration::from_secs(1)),
            count: Some(1),
        };
        let mut pace = Pace::new(Load::Closed(2), end, Duration::from_secs(1));
        assert!(!pace.is_over(1_999_999_999) && pace.is_over(2_000_000_000));
        assert!(pace.next(0, 0).is_some() && pace.next(0, 0).is_none());
        assert!(pace.is_over(0));

        let mut pace = Pace::new(Load::Closed(1), FOREVER, Duration::ZERO);
        assert!(pace.next(0, 0).is_some());
        pace.stop(5);
        pace.stop(9);
        assert!(pace.next(5, 0).is_none() && pace.is_over(5) && !pace.is_over(4));
    }
}
