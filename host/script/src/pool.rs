//! The instances of a script that one lane holds.
//!
//! Owned by its lane: taking an instance and giving it back is no lock and no system call. The one used last waits in a
//! seat that a swap can reach by an atomic exchange. Only instances of the current generation are kept; a transaction
//! that is pinned to an older one gets a fresh instance of that for its event.

use std::sync::Arc;

use crate::error::{GuestError, Trace};
use crate::event::{Event, Outcome};
use crate::generation::Share;
use crate::instance::Instance;
use crate::limits::Limit;
use crate::running::{Finished, Running};
use crate::script::Script;

/// See the module's header.
pub struct Pool {
    script: Arc<Script>,
    /// The script's count of exchanges when `current` was read.
    version: u64,
    current: Arc<Share>,
    #[expect(
        clippy::vec_box,
        reason = "instances move between here, seat and events as pointers"
    )]
    idle: Vec<Box<Instance>>,
}

impl Pool {
    /// A lane's pool; empty at first.
    pub fn new(script: Arc<Script>) -> Self {
        let (version, current) = script.read();
        Self {
            script,
            version,
            current: current.share(),
            idle: Vec::new(),
        }
    }

    /// The script.
    pub fn script(&self) -> &Arc<Script> {
        &self.script
    }

    /// The generation for new transactions. One atomic load where there was no swap.
    pub fn current(&mut self) -> &Arc<Share> {
        if self.version != self.script.version() {
            self.exchange();
        }
        &self.current
    }

    /// Runs an event in a generation: the current one, or the one that a transaction pinned. Where that was retired,
    /// the current one takes its place.
    pub fn start(&mut self, generation: &Arc<Share>, event: Box<Event>) -> Running {
        let depth = self.script.limits().depth;
        if event.depth > depth {
            let trace = Trace::default();
            return Running::refused(
                event,
                GuestError::Limit {
                    limit: Limit::Depth(depth),
                    trace,
                },
            );
        }
        if generation.is_retired() {
            self.current();
        }
        if !Arc::ptr_eq(generation, &self.current) && !generation.is_retired() {
            return Running::begin(Arc::clone(generation.whole()), event);
        }
        let idle = self.current.seat.take().or_else(|| self.idle.pop());
        match idle.or_else(|| self.current.warm()) {
            Some(instance) => Running::reuse(instance, event),
            None => Running::begin(Arc::clone(self.current.whole()), event),
        }
    }

    /// Takes the instance of a finished event back, if it is still of use.
    pub fn finish(&mut self, finished: Finished) -> (Box<Event>, Result<Outcome, GuestError>) {
        let Finished {
            event,
            outcome,
            instance,
        } = finished;
        if let Some(instance) = instance
            && Arc::ptr_eq(instance.generation(), self.current.whole())
            && !self.current.is_retired()
            && let Some(before) = self.current.seat.swap(Some(instance))
        {
            self.idle.push(before);
        }
        (event, outcome)
    }

    /// How many instances wait for events.
    pub fn idle(&mut self) -> usize {
        let seated = self.current.seat.take();
        let count = self.idle.len() + usize::from(seated.is_some());
        if let Some(instance) = seated {
            self.current.seat.store(Some(instance));
        }
        count
    }

    /// Lets the instances of the generation before go.
    fn exchange(&mut self) {
        let (version, current) = self.script.read();
        self.version = version;
        let before = std::mem::replace(&mut self.current, current.share());
        // Its transactions keep it, but not its instance.
        drop(before.seat.take());
        self.idle.clear();
    }
}
