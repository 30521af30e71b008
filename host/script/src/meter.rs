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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use wasmtime::{Caller, Config, Engine, Linker, Module};

    use super::*;

    /// A guest whose every turn lasts a tick and ends with it: the clock goes by the guest, so that no machine is too busy.
    #[test]
    fn a_guest_that_computes_is_aside_after_two_polls_of_a_tick_each() {
        let engine = Engine::new(Config::new().epoch_interruption(true)).unwrap();
        let module = wat::parse_str(
            r#"(module (import "" "turn" (func $turn))
                (func (export "run") (loop $again (call $turn) (br $again))))"#,
        );
        let module = Module::new(&engine, module.unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        let turn = |mut caller: Caller<'_, Arc<AtomicU64>>| {
            std::thread::sleep(TICK);
            caller.data_mut().fetch_add(1, Relaxed);
            caller.engine().increment_epoch();
        };
        linker.func_wrap("", "turn", turn).unwrap();
        let ticks = Arc::new(AtomicU64::new(0));
        let meter = Arc::new(Meter::default());
        meter.reset(Duration::from_secs(1));
        let mut store = Store::new(&engine, Arc::clone(&ticks));
        attach(&mut store, Arc::clone(&meter));
        let call = async move {
            let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
            let run = instance
                .get_typed_func::<(), ()>(&mut store, "run")
                .unwrap();
            run.call_async(&mut store, ()).await
        };
        let mut running = Metered::new(Box::pin(call), Arc::clone(&meter));
        for used in [1, 2] {
            let polled = Pin::new(&mut running).poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending() && meter.is_busy());
            assert_eq!(ticks.load(Relaxed), used);
        }
    }
}
