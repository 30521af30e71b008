//! What is counted while the phones work.
//!
//! Two accounts at once: the measured window, which the warm-up is not in, and everything. Latencies stand in histograms of a
//! thousandth's precision (microseconds, up to ten minutes).

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::engine::Nanos;
use crate::scenario::program::Program;
use crate::verdict::{Fault, Reason};

/// The longest latency told apart, in microseconds.
const LONGEST: u64 = 600_000_000;
/// Kinds of failures of which an example is kept.
const EXAMPLES: usize = 1000;
/// Seconds of which the course is kept: a day.
const SECONDS: usize = 86_400;

/// One account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) offered: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) transactions: u64,
    pub(crate) retransmissions: u64,
    pub(crate) received_again: u64,
    pub(crate) strays: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Counts {
    /// What came on top of an earlier account.
    pub(crate) fn since(&self, before: &Counts) -> Counts {
        Counts {
            offered: self.offered - before.offered,
            completed: self.completed - before.completed,
            failed: self.failed - before.failed,
            transactions: self.transactions - before.transactions,
            retransmissions: self.retransmissions - before.retransmissions,
            received_again: self.received_again - before.received_again,
            strays: self.strays - before.strays,
            sent: self.sent - before.sent,
            received: self.received - before.received,
        }
    }
}

/// Calls that failed in one way.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) count: u64,
    /// The first such call's id, which its Call-IDs begin with.
    pub(crate) call: String,
    /// What was wrong with it.
    pub(crate) detail: String,
}

/// One second's course.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Second {
    pub(crate) offered: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) retransmissions: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// All accounts.
pub(crate) struct Stats {
    pub(crate) all: Counts,
    /// Whole calls, and each transaction, in the window.
    pub(crate) calls: Histogram<u64>,
    pub(crate) answers: Vec<Histogram<u64>>,
    pub(crate) failures: BTreeMap<(usize, Reason), Failure>,
    pub(crate) seconds: Vec<Second>,
    /// The second under way.
    current: Histogram<u64>,
    current_from: Counts,
}

impl Stats {
    pub(crate) fn new(program: &Program) -> Stats {
        Stats {
            all: Counts::default(),
            calls: histogram(),
            answers: program.transactions.iter().map(|_| histogram()).collect(),
            failures: BTreeMap::new(),
            seconds: Vec::new(),
            current: histogram(),
            current_from: Counts::default(),
        }
    }

    /// The window begins: what was before is in `all` only.
    pub(crate) fn begin_window(&mut self) {
        self.calls.reset();
        self.answers.iter_mut().for_each(Histogram::reset);
        self.failures.clear();
        self.seconds.clear();
        self.current.reset();
        self.current_from = self.all;
    }

    /// A second of the window is over.
    pub(crate) fn end_second(&mut self) {
        let counts = self.all.since(&self.current_from);
        if self.seconds.len() < SECONDS {
            self.seconds.push(Second {
                offered: counts.offered,
                completed: counts.completed,
                failed: counts.failed,
                retransmissions: counts.retransmissions,
                p50: self.current.value_at_quantile(0.5),
                p99: self.current.value_at_quantile(0.99),
                max: self.current.max(),
            });
        }
        self.current.reset();
        self.current_from = self.all;
    }

    pub(crate) fn offered(&mut self) {
        self.all.offered += 1;
    }

    pub(crate) fn completed(&mut self, time: Nanos) {
        self.all.completed += 1;
        record(&mut self.calls, time);
        record(&mut self.current, time);
    }

    /// A call failed at a step; `call` is its id.
    pub(crate) fn failed(&mut self, step: usize, call: &str, fault: Fault) {
        self.all.failed += 1;
        let key = (step, fault.reason);
        if let Some(failure) = self.failures.get_mut(&key) {
            failure.count += 1;
        } else if self.failures.len() < EXAMPLES {
            let failure = Failure {
                count: 1,
                call: call.to_owned(),
                detail: fault.detail,
            };
            self.failures.insert(key, failure);
        }
    }

    /// A request had its final answer.
    pub(crate) fn answered(&mut self, transaction: usize, time: Nanos) {
        self.all.transactions += 1;
        if let Some(histogram) = self.answers.get_mut(transaction) {
            record(histogram, time);
        }
    }

    pub(crate) fn sent(&mut self) {
        self.all.sent += 1;
    }

    pub(crate) fn received(&mut self) {
        self.all.received += 1;
    }

    pub(crate) fn retransmission(&mut self) {
        self.all.retransmissions += 1;
    }

    /// A message that came a second time.
    pub(crate) fn received_again(&mut self) {
        self.all.received_again += 1;
    }

    pub(crate) fn stray(&mut self) {
        self.all.strays += 1;
    }
}

fn record(histogram: &mut Histogram<u64>, time: Nanos) {
    histogram.saturating_record((time / 1000).max(1));
}

#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the histogram takes"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3)
        .expect("1, at least twice as much, and up to 5 digits")
}
