//! The phones at work: calls go through the steps of a scenario, messages find their call and are checked, what is lost is sent
//! again.
//!
//! Both ends of every call are here, so what was sent is known exactly and what arrives is compared with it. A call is at one
//! step at a time; a message that comes early is marked and found when its step comes, one that comes again is answered as a phone would
//! (RFC 3261 17.1, 17.2, 13.2.2.4, 13.3.1.4). Knows no clock and waits for nothing: [`crate::drive`] brings datagrams and the time.
//!
//! Limits: [`crate::options::Options::most`] calls at once; a call that finds no room fails. A message costs no allocation.

mod call;
mod check;
mod hear;
mod requests;
mod responses;
mod speak;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use call::Call;
pub(crate) use call::Nanos;

use crate::ids::Id;
use crate::line::Line;
use crate::scenario::program::{Act, Program};
use crate::stats::Stats;
use crate::verdict::{Fault, Reason};

/// T1: how long a message and its answer take at most, as a guess (RFC 3261 17.1.1.1).
const T1: Nanos = 500_000_000;
/// T2: the longest time between two retransmissions.
const T2: Nanos = 4_000_000_000;

/// What does not change while the phones work.
pub(crate) struct Setup {
    pub(crate) targets: Vec<(SocketAddr, Vec<u8>)>,
    /// Phones of each role.
    pub(crate) users: usize,
    /// Sockets of each role; they stand beside each other in the list of lines.
    pub(crate) sockets: usize,
    /// Where the sockets of each role begin.
    pub(crate) first_line: Vec<usize>,
    /// The password, with `{user}` where the name goes.
    pub(crate) password: Option<String>,
    pub(crate) timeout: Duration,
    /// Calls at once.
    pub(crate) most: usize,
    /// This run, in ids.
    pub(crate) run: u32,
}

/// All calls of one scenario.
pub(crate) struct Engine<'p> {
    program: &'p Program,
    setup: &'p Setup,
    pub(crate) lines: &'p mut [Line],
    calls: Vec<Call>,
    free: Vec<usize>,
    alarms: BinaryHeap<Reverse<(Nanos, usize)>>,
    begun: u32,
    pub(crate) stats: Stats,
    scratch: Vec<u8>,
}

impl<'p> Engine<'p> {
    pub(crate) fn new(program: &'p Program, setup: &'p Setup, lines: &'p mut [Line]) -> Engine<'p> {
        Engine {
            program,
            setup,
            lines,
            calls: Vec::new(),
            free: Vec::new(),
            alarms: BinaryHeap::new(),
            begun: 0,
            stats: Stats::new(program),
            scratch: Vec::new(),
        }
    }

    /// Calls under way.
    pub(crate) fn live(&self) -> usize {
        self.calls.len() - self.free.len()
    }

    /// Begins a call, which should have begun at `due`.
    pub(crate) fn begin(&mut self, due: Nanos, now: Nanos) {
        let number = self.begun;
        self.begun = self.begun.wrapping_add(1);
        self.stats.offered();
        let Some(slot) = self.room() else {
            let detail = format!("{} calls are under way, expected fewer", self.setup.most);
            let fault = Fault::new(Reason::NoRoom, detail);
            self.stats.failed(0, "", fault);
            return;
        };
        let id = Id::new(self.setup.run, slot, number);
        let (transactions, dialogs) = (self.program.transactions.len(), self.program.dialogs);
        let setup = self.setup;
        let call = self.call(slot);
        call.begin(id, number, transactions, dialogs);
        call.due = due;
        call.phone = number as usize % setup.users;
        call.target = number as usize % setup.targets.len();
        self.go_on(slot, now);
    }

    fn room(&mut self) -> Option<usize> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        if self.calls.len() >= self.setup.most {
            return None;
        }
        self.calls.push(Call::default());
        Some(self.calls.len() - 1)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "slots are never taken away; those read from messages are checked by `find`"
    )]
    fn call(&mut self, slot: usize) -> &mut Call {
        &mut self.calls[slot]
    }

    /// Does the steps whose time has come.
    fn go_on(&mut self, slot: usize, now: Nanos) {
        let program = self.program;
        loop {
            let call = self.call(slot);
            let Some(step) = program.steps.get(call.step) else {
                return self.good(slot, now);
            };
            let bit = 1 << call.step;
            if call.sent & bit == 0 {
                call.sent |= bit;
                self.act(slot, &step.act, now);
            }
            let call = self.call(slot);
            let over = match &step.act {
                Act::Request { transaction } => {
                    let relayed = program
                        .transactions
                        .get(*transaction)
                        .is_some_and(|t| t.relayed);
                    !relayed || call.arrived & bit != 0
                }
                // a 100 goes no further than to the server
                Act::Reply(reply) => reply.status == 100 || call.arrived & bit != 0,
                Act::Acked { .. } => call.arrived & bit != 0,
                Act::Pause(_) => now >= call.alarm.at,
            };
            if !over {
                return self.watch(slot);
            }
            if let Act::Pause(time) = &step.act {
                call.paused += nanos(*time);
            }
            call.step += 1;
        }
    }

    fn act(&mut self, slot: usize, act: &Act, now: Nanos) {
        let deadline = now.saturating_add(nanos(self.setup.timeout));
        let alarm = &mut self.call(slot).alarm;
        (alarm.at, alarm.interval, alarm.deadline) = (now + T1, T1, deadline);
        match act {
            Act::Request { transaction } => self.send_request(slot, *transaction, now),
            Act::Reply(reply) => {
                if let Some(template) = &reply.template {
                    self.send_reply(slot, reply.transaction, reply.status, template);
                }
            }
            Act::Acked { .. } => {}
            Act::Pause(time) => {
                let alarm = &mut self.call(slot).alarm;
                alarm.at = now.saturating_add(nanos(*time));
                alarm.deadline = Nanos::MAX;
            }
        }
    }

    /// Makes sure that an alarm stands in the queue for this call, not later than it must.
    fn watch(&mut self, slot: usize) {
        let alarm = &mut self.call(slot).alarm;
        let at = alarm.at.min(alarm.deadline);
        if alarm.queued == 0 || alarm.queued > at {
            alarm.queued = at;
            self.alarms.push(Reverse((at, slot)));
        }
    }

    /// When the next alarm is.
    pub(crate) fn next_alarm(&self) -> Option<Nanos> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// Sees to the calls whose alarm has come.
    pub(crate) fn alarms(&mut self, now: Nanos) {
        while let Some(Reverse((at, slot))) = self.alarms.peek().copied() {
            if at > now {
                return;
            }
            self.alarms.pop();
            let call = self.call(slot);
            // an entry that an earlier one took the place of
            if call.alarm.queued != at {
                continue;
            }
            call.alarm.queued = 0;
            if !call.live {
                continue;
            }
            if now >= call.alarm.deadline {
                self.late(slot);
            } else if now >= call.alarm.at {
                self.alarm(slot, now);
            } else {
                self.watch(slot);
            }
        }
    }

    fn alarm(&mut self, slot: usize, now: Nanos) {
        let program = self.program;
        let step = self.call(slot).step;
        let Some(act) = program.steps.get(step).map(|step| &step.act) else {
            return;
        };
        if let Act::Pause(_) = act {
            return self.go_on(slot, now);
        }
        self.send_again(slot, act);
        let alarm = &mut self.call(slot).alarm;
        alarm.interval = (alarm.interval * 2).min(T2);
        alarm.at = now + alarm.interval;
        self.watch(slot);
    }

    fn late(&mut self, slot: usize) {
        let seconds = self.setup.timeout.as_secs_f64();
        let fault = Fault::new(
            Reason::Timeout,
            format!("got nothing, expected it within {seconds} s"),
        );
        let step = self.call(slot).step;
        self.bad(slot, step, fault);
    }

    fn good(&mut self, slot: usize, now: Nanos) {
        let call = self.call(slot);
        let time = now.saturating_sub(call.due).saturating_sub(call.paused);
        self.stats.completed(time);
        self.end(slot);
    }

    /// The call failed at this step.
    fn bad(&mut self, slot: usize, step: usize, fault: Fault) {
        let id = self.call(slot).id;
        let id = String::from_utf8_lossy(id.as_bytes());
        self.stats.failed(step, &id, fault);
        self.end(slot);
    }

    fn end(&mut self, slot: usize) {
        self.call(slot).live = false;
        self.free.push(slot);
    }
}

/// A length of time as the engine counts.
pub(crate) fn nanos(time: Duration) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX / 4)
}
