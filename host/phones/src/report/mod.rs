//! What came of a run: for people a table, for programs JSON, for documents a picture.

mod json;
mod svg;
mod table;

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::drive::{Course, Stretch};
use crate::options::Options;
use crate::pace::Load;
use crate::scenario::program::Program;
use crate::stats::{Second, Stats};

/// Figures of a run. Latencies are in microseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// The servers.
    pub targets: Vec<String>,
    /// `closed` or `open`.
    pub mode: &'static str,
    /// Calls at once, in closed loop.
    pub concurrency: Option<usize>,
    /// Calls a second that were asked for, in open loop.
    pub rate_asked: Option<f64>,
    /// Phones of each role.
    pub users: usize,
    /// The length of the measured window.
    pub seconds: f64,
    /// Calls that began in the window.
    pub offered: u64,
    /// Calls that ended well in the window.
    pub completed: u64,
    /// Calls that failed in the window or after it.
    pub failed: u64,
    /// The failed ones by reason.
    pub reasons: BTreeMap<String, u64>,
    /// `completed` a second.
    pub rate: f64,
    /// Requests that had their final answer in the window.
    pub transactions: u64,
    /// A whole call, without its pauses; in open loop from the time at which it should have begun.
    pub latency_us: Latency,
    /// Each request to its final answer.
    pub requests: Vec<RequestFigures>,
    /// How the latencies of whole calls are spread: quantiles from 0 to the last that so many calls tell.
    pub spread: Vec<Point>,
    /// Messages that phones sent again, in the window or after it.
    pub retransmissions: u64,
    /// Messages that came to phones again, in the window or after it.
    pub retransmissions_received: u64,
    /// Messages that belong to no call under way, in the window or after it.
    pub strays: u64,
    /// Messages sent in the window.
    pub messages_sent: u64,
    /// Messages received in the window.
    pub messages_received: u64,
    /// Datagrams that the system did not take.
    pub refused: u64,
    /// Processor time of this tool in the window.
    pub cpu_seconds: f64,
    /// The whole run, from the first call to the last, warm-up and all.
    pub all: Whole,
    /// Each way in which calls failed, at each step.
    pub failures: Vec<FailureFigures>,
    /// Second by second.
    pub series: Vec<SecondFigures>,
}

/// A distribution.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub min: u64,
    pub mean: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

/// A quantile of a distribution.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Point {
    /// From 0 to less than 1.
    pub quantile: f64,
    /// Latency in microseconds.
    pub us: u64,
}

/// A request of the scenario.
#[derive(Debug, Clone, Serialize)]
pub struct RequestFigures {
    /// Its method, and who sends it to whom.
    pub name: String,
    /// How many had their final answer.
    pub count: u64,
    /// Until then.
    pub latency_us: Latency,
}

/// Figures of the whole run.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "as in the report")]
pub struct Whole {
    pub seconds: f64,
    pub offered: u64,
    pub completed: u64,
    pub failed: u64,
    pub transactions: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
    pub cpu_seconds: f64,
}

/// One way in which calls failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailureFigures {
    /// Its name.
    pub reason: String,
    /// At which step: number (from 1) and text.
    pub step: String,
    /// How many calls.
    pub count: u64,
    /// The first of them.
    pub example: Example,
}

/// A call that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// What its Call-IDs begin with; empty for a call that did not begin.
    pub call_id: String,
    /// What was wrong.
    pub detail: String,
}

/// One second of the window.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "as in the report")]
pub struct SecondFigures {
    pub second: usize,
    pub offered: u64,
    pub completed: u64,
    pub failed: u64,
    pub retransmissions: u64,
    pub p50: u64,
    pub p99: u64,
    pub max: u64,
}

impl Report {
    pub(crate) fn new(
        program: &Program,
        options: &Options,
        course: Course,
        stats: &Stats,
        refused: u64,
    ) -> Report {
        let Course { window, calls, all } = course;
        let mut reasons = BTreeMap::new();
        for ((_, reason), failure) in &stats.failures {
            *reasons.entry(reason.name().into_owned()).or_default() += failure.count;
        }
        let counts = window.counts;
        Report {
            scenario: program.name.clone(),
            targets: options.targets.iter().map(ToString::to_string).collect(),
            mode: match options.load {
                Load::Closed(_) => "closed",
                Load::Open(_) => "open",
            },
            concurrency: match options.load {
                Load::Closed(most) => Some(most),
                Load::Open(_) => None,
            },
            rate_asked: match options.load {
                Load::Closed(_) => None,
                Load::Open(rate) => Some(rate),
            },
            users: options.users,
            seconds: window.time.as_secs_f64(),
            offered: counts.offered,
            completed: counts.completed,
            failed: stats.failures.values().map(|failure| failure.count).sum(),
            reasons,
            rate: rate(&window),
            transactions: counts.transactions,
            latency_us: latency(&stats.calls),
            requests: requests(program, stats),
            spread: spread(&stats.calls),
            retransmissions: calls.retransmissions,
            retransmissions_received: calls.received_again,
            strays: calls.strays,
            messages_sent: counts.sent,
            messages_received: counts.received,
            refused,
            cpu_seconds: window.cpu.as_secs_f64(),
            all: Whole {
                seconds: all.time.as_secs_f64(),
                offered: all.counts.offered,
                completed: all.counts.completed,
                failed: all.counts.failed,
                transactions: all.counts.transactions,
                messages_sent: all.counts.sent,
                messages_received: all.counts.received,
                cpu_seconds: all.cpu.as_secs_f64(),
            },
            failures: failures(program, stats),
            series: stats.seconds.iter().enumerate().map(second).collect(),
        }
    }

    /// Every call was good, and there was one.
    pub fn is_good(&self) -> bool {
        self.all.failed == 0 && self.all.completed > 0
    }
}

fn rate(stretch: &Stretch) -> f64 {
    let seconds = stretch.time.as_secs_f64();
    if seconds > 0.0 {
        stretch.counts.completed as f64 / seconds
    } else {
        0.0
    }
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    if histogram.is_empty() {
        return Latency::default();
    }
    Latency {
        min: histogram.min(),
        mean: histogram.mean() as u64,
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p999: histogram.value_at_quantile(0.999),
        max: histogram.max(),
    }
}

/// Ten points a nine, as far as there are calls that tell them apart.
fn spread(histogram: &Histogram<u64>) -> Vec<Point> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let last = (histogram.len() as f64).log10();
    (0..60)
        .map(|tenth| f64::from(tenth) / 10.0)
        .take_while(|nines| *nines <= last)
        .map(|nines| 1.0 - 10f64.powf(-nines))
        .map(|quantile| Point {
            quantile,
            us: histogram.value_at_quantile(quantile),
        })
        .collect()
}

fn requests(program: &Program, stats: &Stats) -> Vec<RequestFigures> {
    let figures =
        |(transaction, histogram): (&crate::scenario::program::Transaction, &Histogram<u64>)| {
            let label = program
                .steps
                .get(transaction.step)
                .map(|step| step.label.clone());
            RequestFigures {
                name: label.unwrap_or_default(),
                count: histogram.len(),
                latency_us: latency(histogram),
            }
        };
    // an ACK has no answer
    let answered = |(transaction, _): &(&crate::scenario::program::Transaction, _)| {
        transaction.method != "ACK"
    };
    program
        .transactions
        .iter()
        .zip(&stats.answers)
        .filter(answered)
        .map(figures)
        .collect()
}

fn failures(program: &Program, stats: &Stats) -> Vec<FailureFigures> {
    let mut list: Vec<_> = stats
        .failures
        .iter()
        .map(|((step, reason), failure)| FailureFigures {
            reason: reason.name().into_owned(),
            step: match program.steps.get(*step) {
                Some(line) => format!("{}: {}", step + 1, line.label),
                None => String::new(),
            },
            count: failure.count,
            example: Example {
                call_id: failure.call.clone(),
                detail: failure.detail.clone(),
            },
        })
        .collect();
    list.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    list
}

fn second((number, second): (usize, &Second)) -> SecondFigures {
    SecondFigures {
        second: number,
        offered: second.offered,
        completed: second.completed,
        failed: second.failed,
        retransmissions: second.retransmissions,
        p50: second.p50,
        p99: second.p99,
        max: second.max,
    }
}
