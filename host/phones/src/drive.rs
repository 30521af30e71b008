//! The loop: waits for datagrams and for the next thing to do, and lets the phones do it.
//!
//! One thread, no runtime: `ppoll` over a handful of sockets, `recvmmsg` and `sendmmsg` in batches of 32.

use std::time::{Duration, Instant};

use switchhook_net::mmsg::{BATCH, Receiver, Waiter, cpu_time};

use crate::engine::{Engine, Nanos, nanos};
use crate::line::Line;
use crate::pace::Pace;
use crate::stats::{Counts, Stats};

/// Batches read from one socket before another has its turn.
const TURN: usize = 8;
/// Calls begun between two looks at the sockets.
const STARTS: usize = 64;
/// How often somebody who watches is told.
const GLANCE: Nanos = 100_000_000;
const SECOND: Nanos = 1_000_000_000;

/// What somebody who watches the run is told.
pub(crate) trait Watch {
    /// The measured window begins.
    fn begin(&mut self) {}
    /// The window is over, calls under way end.
    fn end(&mut self) {}
    /// No more calls are to begin.
    fn stops(&self) -> bool {
        false
    }
    /// Ten times a second: how many calls are under way, and the time since the beginning.
    fn glance(&mut self, _live: usize, _stats: &Stats, _now: Duration) {}
}

/// What a stretch of time came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stretch {
    pub(crate) counts: Counts,
    pub(crate) time: Duration,
    /// Processor time of this process.
    pub(crate) cpu: Duration,
}

/// The window, and the whole run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Course {
    pub(crate) window: Stretch,
    /// From the beginning of the window to the end of its last call.
    pub(crate) calls: Counts,
    pub(crate) all: Stretch,
}

/// Runs until the pace is over and every call has ended.
pub(crate) fn drive(
    engine: &mut Engine<'_>,
    mut pace: Pace,
    warmup: Duration,
    watch: &mut dyn Watch,
) -> std::io::Result<Course> {
    let origin = Instant::now();
    let cpu = cpu_time();
    let now = || nanos(origin.elapsed());
    let mut receiver = Receiver::new();
    let mut waiter = Waiter::default();
    let mut clock = Clock {
        warm: nanos(warmup),
        window: None,
        course: None,
        glance: 0,
        cpu,
    };
    loop {
        let time = now();
        if watch.stops() {
            pace.stop(time);
        }
        clock.tick(engine, &pace, time, watch);
        engine.alarms(time);
        for _ in 0..STARTS {
            let Some(due) = pace.next(time, engine.live()) else {
                break;
            };
            engine.begin(due, time);
        }
        engine.lines.iter_mut().for_each(Line::flush);
        let time = now();
        if pace.is_over(time) && engine.live() == 0 {
            break;
        }
        let wake = [engine.next_alarm(), pace.wake(time), Some(clock.wake())];
        let wake = wake.into_iter().flatten().min().unwrap_or(time);
        let sockets = engine
            .lines
            .iter()
            .map(|line| (line.fd(), line.is_blocked()));
        waiter.wait(sockets, Duration::from_nanos(wake.saturating_sub(time)))?;
        hear(engine, &waiter, &mut receiver, &now);
    }
    let window = clock.close(engine, now(), watch);
    let calls = engine.stats.all.since(&clock.before());
    let all = Stretch {
        counts: engine.stats.all,
        time: origin.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
    };
    Ok(Course { window, calls, all })
}

/// Lets the phones hear what came.
fn hear(
    engine: &mut Engine<'_>,
    waiter: &Waiter,
    receiver: &mut Receiver,
    now: &dyn Fn() -> Nanos,
) {
    for index in waiter.ready() {
        for _ in 0..TURN {
            let Some(line) = engine.lines.get(index) else {
                break;
            };
            // an error is a report of an earlier datagram that did not arrive
            let Ok(count) = receiver.receive(line.fd()) else {
                break;
            };
            let time = now();
            for datagram in 0..count {
                let datagram = receiver.datagram(datagram);
                if let Some(from) = datagram.from {
                    engine.hear(index, datagram.bytes, from, time);
                }
            }
            engine.lines.iter_mut().for_each(Line::flush);
            if count < BATCH {
                break;
            }
        }
    }
}

/// The edges of the window, and of the seconds in it.
struct Clock {
    warm: Nanos,
    /// When the window began, and the accounts at that time.
    window: Option<(Nanos, Counts, Duration)>,
    /// The window, once it is over.
    course: Option<Stretch>,
    glance: Nanos,
    cpu: Duration,
}

impl Clock {
    fn tick(&mut self, engine: &mut Engine<'_>, pace: &Pace, now: Nanos, watch: &mut dyn Watch) {
        if self.window.is_none() && now >= self.warm {
            let (counts, cpu) = if self.warm == 0 {
                (Counts::default(), self.cpu)
            } else {
                (engine.stats.all, cpu_time())
            };
            engine.stats.begin_window();
            self.window = Some((now, counts, cpu));
            watch.begin();
        }
        if let Some((begun, ..)) = self.window
            && self.course.is_none()
        {
            let second = engine.stats.seconds.len() as u64 + 1;
            if now >= begun + second * SECOND {
                engine.stats.end_second();
            }
            if pace.is_over(now) && pace.is_timed() {
                end_last_second(engine, begun, now);
                self.course = Some(self.measure(engine, now));
                watch.end();
            }
        }
        if now >= self.glance {
            self.glance = now + GLANCE;
            watch.glance(engine.live(), &engine.stats, Duration::from_nanos(now));
        }
    }

    /// The latest time of the next tick.
    fn wake(&self) -> Nanos {
        if self.window.is_none() {
            self.glance.min(self.warm)
        } else {
            self.glance
        }
    }

    /// The accounts when the window began.
    fn before(&self) -> Counts {
        self.window.map(|(_, counts, _)| counts).unwrap_or_default()
    }

    fn measure(&self, engine: &Engine<'_>, now: Nanos) -> Stretch {
        let (begun, counts, cpu) = self.window.unwrap_or_default();
        Stretch {
            counts: engine.stats.all.since(&counts),
            time: Duration::from_nanos(now.saturating_sub(begun)),
            cpu: cpu_time().saturating_sub(cpu),
        }
    }

    /// The window; a run of so many calls ends with its last call.
    fn close(&mut self, engine: &mut Engine<'_>, now: Nanos, watch: &mut dyn Watch) -> Stretch {
        if let Some(window) = self.course {
            return window;
        }
        if let Some((begun, ..)) = self.window {
            end_last_second(engine, begun, now);
        }
        watch.end();
        self.measure(engine, now)
    }
}

/// The window's end: half a second and more counts as one, and so does the only one.
fn end_last_second(engine: &mut Engine<'_>, begun: Nanos, now: Nanos) {
    let ended = engine.stats.seconds.len() as u64;
    if ended == 0 || now >= begun + ended * SECOND + SECOND / 2 {
        engine.stats.end_second();
    }
}
