//! A line that tells how the run goes, on a terminal; and two words for who measures beside us.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::drive::Watch;
use crate::options::Options;
use crate::stats::Stats;

/// Watches a run for a person.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// By calls, or else by milliseconds.
    by_count: bool,
    announce: bool,
    /// Set by the first signal.
    stop: Arc<AtomicBool>,
    /// Completed calls and time, a second or so ago.
    before: (u64, Duration),
    rate: f64,
}

impl Progress {
    /// From now on the first Ctrl-C (or SIGTERM) ends the run with its report, the second one at once.
    pub(crate) fn new(options: &Options, announce: bool, show: bool) -> io::Result<Progress> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        let by_count = options.end.count.is_some();
        let length = match (options.end.count, options.end.duration) {
            (Some(count), _) => Some(count),
            (None, Some(time)) => u64::try_from((time + options.warmup).as_millis()).ok(),
            (None, None) => None,
        };
        let bar = (show && io::stderr().is_terminal()).then(|| {
            let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            bar.with_style(style())
        });
        Ok(Progress {
            bar,
            by_count,
            announce,
            stop,
            before: (0, Duration::ZERO),
            rate: 0.0,
        })
    }

    /// The run is over: the line goes away.
    pub(crate) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, word: &str) {
        if self.announce {
            let mut out = io::stdout().lock();
            // whoever asked for it may be gone
            let _ = writeln!(out, "{word}").and_then(|()| out.flush());
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {elapsed} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Watch for Progress {
    fn begin(&mut self) {
        self.say("begin");
    }

    fn end(&mut self) {
        self.say("end");
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn glance(&mut self, live: usize, stats: &Stats, now: Duration) {
        let Some(bar) = &self.bar else {
            return;
        };
        let all = stats.all;
        let since = now.saturating_sub(self.before.1).as_secs_f64();
        if since >= 0.5 {
            self.rate = all.completed.saturating_sub(self.before.0) as f64 / since;
            self.before = (all.completed, now);
        }
        bar.set_position(if self.by_count {
            all.completed + all.failed
        } else {
            u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
        });
        bar.set_message(format!(
            "{} good, {} failed, {live} under way, {:.0}/s, p99 {} us, sent again {}",
            all.completed,
            all.failed,
            self.rate,
            stats.calls.value_at_quantile(0.99),
            all.retransmissions
        ));
    }
}
