//! What a guest's store holds: the event it works on, what it may still use, and the way to the world.
//!
//! Every host function begins with [`Context::enter`]: it counts the call and the bytes that came with it.

use std::sync::Arc;

use wasmtime::{Error, ResourceLimiter, Result};

use crate::command::Command;
use crate::effects::{Effects, Scope};
use crate::event::{Event, Route};
use crate::generation::Generation;
use crate::limits::{Limit, Limits};
use crate::refusal::{Refusal, not_here};

/// The data of one instance's store.
pub(crate) struct Context {
    /// None outside of events: in `init` and the state functions.
    event: Option<Box<Event>>,
    /// What `rr.loose-route` took off: the parameters of our own Route.
    pub(crate) own_route: Option<Box<[u8]>>,
    /// What `auth.check` accepted.
    pub(crate) credentials: Option<switchhook_sip::message::Position>,
    /// What `auth.check` found last was right but stale.
    pub(crate) stale: bool,
    /// What `auth.check` accepted is a copy of a REGISTER that it accepted before.
    pub(crate) again: bool,
    /// What `rpc.register` was told; none outside of `init`.
    pub(crate) commands: Option<Vec<Command>>,
    pub(crate) memory: Memory,
    generation: Arc<Generation>,
    calls: u32,
    bytes: usize,
}

impl Context {
    pub(crate) fn new(generation: Arc<Generation>) -> Self {
        let limits = generation.limits();
        Self {
            event: None,
            own_route: None,
            credentials: None,
            stale: false,
            again: false,
            commands: None,
            memory: Memory {
                used: 0,
                limit: limits.memory,
            },
            calls: limits.host_calls,
            bytes: limits.bytes,
            generation,
        }
    }

    /// Puts an event in, or begins a call of lifecycle, with all that a call may use.
    pub(crate) fn begin(&mut self, event: Option<Box<Event>>) {
        let limits = self.generation.limits();
        self.calls = limits.host_calls;
        self.bytes = limits.bytes;
        self.event = event;
        self.own_route = None;
        self.credentials = None;
        self.stale = false;
        self.again = false;
    }

    /// Takes the event out again.
    pub(crate) fn end(&mut self) -> Option<Box<Event>> {
        self.event.take()
    }

    pub(crate) fn limits(&self) -> &Limits {
        self.generation.limits()
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    pub(crate) fn effects(&self) -> &dyn Effects {
        self.generation.effects()
    }

    /// Counts a host call and the bytes of its arguments.
    #[inline]
    pub(crate) fn enter(&mut self, bytes: usize) -> Result<()> {
        match self.calls.checked_sub(1) {
            Some(left) => self.calls = left,
            None => return Err(Error::new(Limit::HostCalls(self.limits().host_calls))),
        }
        self.copy(bytes)
    }

    /// Counts bytes that go to the guest, before they are copied.
    #[inline]
    pub(crate) fn copy(&mut self, bytes: usize) -> Result<()> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => self.bytes = left,
            None => return Err(Error::new(Limit::Bytes(self.limits().bytes))),
        }
        Ok(())
    }

    /// The event, for a function that can refuse.
    #[inline]
    pub(crate) fn event(&mut self, function: &'static str) -> Result<&mut Event, Refusal> {
        self.event
            .as_deref_mut()
            .ok_or_else(|| not_here(function, "lifecycle", "any route"))
    }

    /// The event, for a function that changes it by what the world says.
    pub(crate) fn event_and_effects(
        &mut self,
        function: &'static str,
    ) -> Result<(&mut Event, &dyn Effects), Refusal> {
        let event = self.event.as_deref_mut();
        let event = event.ok_or_else(|| not_here(function, "lifecycle", "any route"))?;
        Ok((event, self.generation.effects()))
    }

    /// The event, where there is one.
    #[inline]
    pub(crate) fn try_event(&self) -> Option<&Event> {
        self.event.as_deref()
    }

    #[inline]
    pub(crate) fn try_event_mut(&mut self) -> Option<&mut Event> {
        self.event.as_deref_mut()
    }

    /// Who speaks, for the log.
    pub(crate) fn scope(&self) -> Scope<'_> {
        let event = self.event.as_deref();
        Scope {
            script: self.generation.script(),
            generation: self.generation.id(),
            route: event.map_or("lifecycle", |event| event.route.interface()),
            name: event.map_or("", |event| event.route.name()),
            call_id: event
                .and_then(Event::current)
                .and_then(|current| current.message.call_id().ok())
                .unwrap_or_default(),
        }
    }
}

impl Event {
    /// The route it is in, as a refusal names it.
    pub(crate) fn here(&self) -> &'static str {
        self.route.interface()
    }

    /// True in the routes that answer, relay and arm: request and failure routes.
    pub(crate) fn decides(&self) -> bool {
        matches!(self.route, Route::Request | Route::Failure { .. })
    }
}

/// Holds a guest's memories to its limit, all of them together. A growth beyond it traps: an allocator would only turn
/// a refusal into a trap without a name.
pub(crate) struct Memory {
    used: usize,
    limit: usize,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(Error::new(Limit::Memory(self.limit)));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        // The pool's slots bound tables.
        Ok(true)
    }

    fn instances(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }
}
