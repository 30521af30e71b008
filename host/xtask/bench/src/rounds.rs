//! The comparison: every side in turn, several rounds, the order turned around each time.
//!
//! All servers of a work live through all of its rounds, so that memory is warm; those whose turn it is not stand still, because what one
//! cleans up would be in the way of another on the same processor. A server cleans up after its last turn before the next one begins, and after the last
//! round; it is on the bill too, as what it used while nobody asked it for anything, less what it uses when it has nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::load::{Caller, Measured, Pace};
use crate::servers::{Server, Setup, Side, Stable};
use crate::works::Work;

/// Timer J of RFC 3261 and a little: after that nothing is left of a transaction.
pub(crate) const CLEANED_UP: Duration = Duration::from_secs(36);

/// How long an idle server is looked at.
const IDLE: Duration = Duration::from_secs(5);

/// How long Kamailio keeps a transaction that has ended, and a little. Its clock stands still while it is stopped.
const KAMAILIO_KEEPS: Duration = Duration::from_secs(6);

/// A server whose turn has come is looked at so long at a time, until it has nothing left to clean up: when it uses less than
/// [`AT_REST`] of a processor. Longer than [`RESTLESS`] nobody waits.
const GLANCE: Duration = Duration::from_secs(1);
const AT_REST: f64 = 0.03;
const RESTLESS: Duration = Duration::from_secs(20);

/// Calls at once where as much as possible is asked.
pub(crate) const AT_ONCE: u32 = 64;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Seconds of each measurement.
    pub(crate) seconds: f64,
    /// Seconds of load before it.
    pub(crate) warmup: f64,
    /// Measurements of each side.
    pub(crate) rounds: usize,
    /// Whether to wait for the end of all transactions and put it on the bill.
    pub(crate) clean_up: bool,
}

/// What was measured of one side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Course {
    /// Whose it is.
    pub(crate) side: Side,
    /// Round by round, as fast as it goes.
    pub(crate) full: Vec<Measured>,
    /// Round by round, half of what Kamailio's native script can.
    pub(crate) half: Vec<Measured>,
    /// Processor microseconds a call, spent on cleaning up after it while nothing was asked.
    pub(crate) clean_up_us: Option<f64>,
    /// Bytes of memory before the first round.
    pub(crate) memory_before: u64,
    /// Bytes of memory after the last round.
    pub(crate) memory_after: u64,
}

struct Entry {
    server: Server,
    course: Course,
    /// When there was no load: processor time, and how long that was.
    unasked: Duration,
    quiet: Duration,
    /// The end of the last load.
    last: (Duration, Instant),
    calls: u64,
}

/// Measure one work on these sides.
pub(crate) fn compare(
    stable: &Stable,
    caller: &Caller,
    work: Work,
    sides: &[Side],
    plan: Plan,
) -> Result<Vec<Course>> {
    let mut entries = Vec::new();
    for side in sides {
        let setup = Setup {
            side: *side,
            script: work.script(),
            users: work.users(),
            sets: Vec::new(),
            nice: 0,
        };
        entries.push(Entry::new(stable.start(&setup)?)?);
    }
    let mut half = None;
    for round in 0..plan.rounds {
        for entry in in_turn(&mut entries, round) {
            entry.full(caller, work, plan)?;
        }
        // the same rate for everyone, from the first round on
        let rate = *half.get_or_insert(half_of_native(&entries));
        for entry in in_turn(&mut entries, round) {
            entry.half(caller, work, plan, rate)?;
        }
    }
    for entry in &mut entries {
        entry.course.memory_after = entry.server.memory();
        entry.resume();
    }
    if plan.clean_up {
        if work.leaves_transactions() {
            thread::sleep(CLEANED_UP);
        }
        for entry in &mut entries {
            entry.rest()?;
        }
        thread::sleep(IDLE);
        for entry in &mut entries {
            entry.close()?;
        }
    }
    Ok(entries.into_iter().map(|entry| entry.course).collect())
}

/// In order, or turned around in every second round.
fn in_turn(entries: &mut [Entry], round: usize) -> Vec<&mut Entry> {
    let mut turn: Vec<&mut Entry> = entries.iter_mut().collect();
    if round % 2 == 1 {
        turn.reverse();
    }
    turn
}

/// Half the rate of Kamailio's native script; of the slowest, where that one is not measured.
fn half_of_native(entries: &[Entry]) -> f64 {
    let rate = |entry: &Entry| entry.course.full.first().map(|first| first.figures.rate);
    let native = entries
        .iter()
        .find(|entry| entry.course.side == Side::Native)
        .and_then(rate);
    let slowest = || {
        entries
            .iter()
            .filter_map(rate)
            .fold(f64::INFINITY, f64::min)
    };
    native.unwrap_or_else(slowest) / 2.0
}

impl Entry {
    fn new(server: Server) -> Result<Entry> {
        server.pause();
        Ok(Entry {
            course: Course {
                side: server.side,
                full: Vec::new(),
                half: Vec::new(),
                clean_up_us: None,
                memory_before: server.memory(),
                memory_after: 0,
            },
            unasked: Duration::ZERO,
            quiet: Duration::ZERO,
            last: (server.cpu()?, Instant::now()),
            calls: 0,
            server,
        })
    }

    fn full(&mut self, caller: &Caller, work: Work, plan: Plan) -> Result<()> {
        let measured = self.load(caller, work, Pace::Closed(AT_ONCE), plan)?;
        self.tell(work, "full", &measured);
        let (failed, done) = (measured.figures.failed, measured.figures.completed);
        // a comparison of servers of which one does not do the work is none
        ensure!(
            failed < done / 100,
            "{failed} calls failed beside {done} that did not: {:?}",
            measured.figures.reasons
        );
        self.course.full.push(measured);
        Ok(())
    }

    fn half(&mut self, caller: &Caller, work: Work, plan: Plan, rate: f64) -> Result<()> {
        if self.course.side == Side::Echo {
            return Ok(());
        }
        let measured = self.load(caller, work, Pace::Rate(rate), plan)?;
        self.tell(work, "half", &measured);
        self.course.half.push(measured);
        Ok(())
    }

    fn load(&mut self, caller: &Caller, work: Work, pace: Pace, plan: Plan) -> Result<Measured> {
        self.resume();
        self.settle(work)?;
        let measured = caller.load(&self.server, work, pace, plan.seconds, plan.warmup)?;
        self.server.pause();
        self.calls += measured.figures.all.completed;
        self.last = (self.server.cpu()?, Instant::now());
        Ok(measured)
    }

    /// Lets it go on. While it stood still it was not quiet: it could do nothing.
    fn resume(&mut self) {
        self.last.1 = Instant::now();
        self.server.resume();
    }

    /// Waits until it has cleaned up after its last turn.
    fn settle(&mut self, work: Work) -> Result<()> {
        let begun = Instant::now();
        let kamailio = matches!(self.course.side, Side::Native | Side::Lua);
        if kamailio && work.leaves_transactions() && self.calls > 0 {
            thread::sleep(KAMAILIO_KEEPS);
        }
        let mut busy = true;
        while busy && begun.elapsed() < RESTLESS {
            let before = self.unasked;
            thread::sleep(GLANCE);
            self.rest()?;
            busy = (self.unasked - before).div_duration_f64(GLANCE) > AT_REST;
        }
        Ok(())
    }

    /// Notes what it used since the last load.
    fn rest(&mut self) -> Result<()> {
        let (used, then) = self.last;
        self.last = (self.server.cpu()?, Instant::now());
        self.unasked += self.last.0 - used;
        self.quiet += self.last.1 - then;
        Ok(())
    }

    /// The bill for what it did when nothing was asked, less what it uses now that nothing is left to do.
    fn close(&mut self) -> Result<()> {
        let (unasked, quiet) = (self.unasked, self.quiet);
        self.rest()?;
        let idle = (self.unasked - unasked).div_duration_f64(self.quiet - quiet);
        let spent = (unasked.as_secs_f64() - idle * quiet.as_secs_f64()).max(0.0);
        if self.course.side != Side::Echo {
            self.course.clean_up_us = Some(spent * 1e6 / self.calls as f64);
        }
        Ok(())
    }

    fn tell(&self, work: Work, load: &str, measured: &Measured) {
        let figures = &measured.figures;
        let failed = match figures.failed {
            0 => String::new(),
            some => format!("  {some} FAILED: {:?}", figures.reasons),
        };
        eprintln!(
            "{:14} {load} {:24} {:7.2} us  {:8.0}/s  p99 {:6.0} us  busy {:3.0} %{failed}",
            work.name(),
            self.course.side.title(),
            measured.cpu_us(),
            figures.rate,
            figures.latency_us.p99,
            measured.busy() * 100.0
        );
    }
}
