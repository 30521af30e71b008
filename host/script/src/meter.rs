//! Counts the processor time of a guest, so that waiting in a host call is free and looping is not.
//!
//! Reading the clock twice an event would cost a fifth of a small event, so the first poll, in which nearly every event
//! ends, is not timed: the epoch bounds it to a tick, and it is charged one where it was stopped by it. Every later poll is
//! timed. The store's epoch callback and the polling side share one [`Meter`]; both run on the same thread at any time.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::{Store, UpdateDeadline};

use crate::limits::Overdue;
use crate::ticker::TICK;

/// Ticks until a guest that just runs is looked at. An event that begins right before a tick is stopped for nothing, which costs it
/// little: whoever polls it does so once more at once, for a whole tick.
pub(crate) const TICKS: u64 = 1;

/// The processor time of one guest instance in its current call.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// What it may use, in nanoseconds.
    deadline: AtomicU64,
    /// What the polls before the current one used.
    used: AtomicU64,
    /// When the current poll began, in nanoseconds of [`now`]; 0 where it is not timed.
    began: AtomicU64,
    /// The current poll was ended by the epoch.
    busy: AtomicBool,
}

impl Meter {
    /// Begins a call that may use so much.
    pub(crate) fn reset(&self, deadline: Duration) {
        self.deadline.store(nanos(deadline), Relaxed);
        self.used.store(0, Relaxed);
        if self.began.load(Relaxed) != 0 {
            self.began.store(now(), Relaxed);
        }
    }

    /// True if the guest did not wait but was stopped in the middle of its work.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// At each look: on, aside, or over.
    fn look(&self) -> Result<UpdateDeadline, Overdue> {
        let current = match self.began.load(Relaxed) {
            0 => {
                // A part of a tick, nobody knows how much: aside, and not over yet.
                self.busy.store(true, Relaxed);
                return Ok(UpdateDeadline::Yield(1));
            }
            began => now().saturating_sub(began),
        };
        let deadline = self.deadline.load(Relaxed);
        if self.used.load(Relaxed) + current >= deadline {
            return Err(Overdue(Duration::from_nanos(deadline)));
        }
        if current < nanos(TICK) / 2 {
            // The epoch moved while the guest waited in a host call, or right after it went on.
            return Ok(UpdateDeadline::Continue(1));
        }
        self.busy.store(true, Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }
}

/// Makes a store's guest yield at each look and trap when its time is over.
pub(crate) fn attach<T: 'static>(store: &mut Store<T>, meter: Arc<Meter>) {
    store.set_epoch_deadline(TICKS);
    store.epoch_deadline_callback(move |_| Ok(meter.look()?));
}

/// Polls a guest's call with its time counted.
pub(crate) struct Metered<F> {
    call: F,
    meter: Arc<Meter>,
    timed: bool,
}

impl<F> Metered<F> {
    pub(crate) fn new(call: F, meter: Arc<Meter>) -> Self {
        Self {
            call,
            meter,
            timed: false,
        }
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.meter.busy.store(false, Relaxed);
        if !this.timed {
            let result = Pin::new(&mut this.call).poll(cx);
            if result.is_pending() {
                this.timed = true;
                if this.meter.is_busy() {
                    this.meter.used.fetch_add(nanos(TICK) * TICKS, Relaxed);
                }
            }
            return result;
        }
        this.meter.began.store(now(), Relaxed);
        let result = Pin::new(&mut this.call).poll(cx);
        let began = this.meter.began.swap(0, Relaxed);
        this.meter
            .used
            .fetch_add(now().saturating_sub(began), Relaxed);
        result
    }
}

/// Nanoseconds since some moment of this process, never 0.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    nanos(START.get_or_init(Instant::now).elapsed()) + 1
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
