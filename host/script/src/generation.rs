//! One version of a script: its compiled code and what it handles.
//!
//! A transaction pins the generation that it began with, so that its later routes meet the same code. A generation that was
//! exchanged drains: it goes when nothing pins it, or at its deadline, after which its transactions go on with the
//! current one. Each lane has a [`Share`] of it, so that what a message changes there is written by one lane alone.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;

use crate::command::Command;
use crate::contract::{Exports, Family};
use crate::effects::Effects;
use crate::event::Route;
use crate::instance::Instance;
use crate::limits::{Limit, Limits};

/// The number of a generation, unique in the process and growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(u64);

impl GenerationId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The plain number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The SHA-256 of a script's module, as the file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub(crate) [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What all generations of a script share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) effects: Arc<dyn Effects>,
}

/// One version of a script.
pub struct Generation {
    id: GenerationId,
    hash: Hash,
    shared: Arc<Shared>,
    pub(crate) exports: Exports,
    /// The script's config as JSON, as `init` gets it.
    pub(crate) config: String,
    handlers: OnceLock<Handlers>,
    /// What it registered in `init`.
    commands: OnceLock<Vec<Command>>,
    /// What the generation before handed over.
    pub(crate) state: OnceLock<Vec<u8>>,
    /// Instances made ahead, for lanes that have none yet.
    #[expect(
        clippy::vec_box,
        reason = "instances move between here, seats and events as pointers"
    )]
    warm: Mutex<Vec<Box<Instance>>>,
    /// Weak: the lane's pool and its transactions own a share, and it keeps this generation.
    shares: Mutex<Vec<Weak<Share>>>,
    instances: AtomicUsize,
    retired: AtomicBool,
    draining: OnceLock<Instant>,
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("script", &self.shared.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Generation {
    pub(crate) fn new(shared: Arc<Shared>, hash: Hash, exports: Exports, config: String) -> Self {
        Self {
            id: GenerationId::next(),
            hash,
            shared,
            exports,
            config,
            handlers: OnceLock::new(),
            commands: OnceLock::new(),
            state: OnceLock::new(),
            warm: Mutex::new(Vec::new()),
            shares: Mutex::new(Vec::new()),
            instances: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            draining: OnceLock::new(),
        }
    }

    /// Its number.
    pub fn id(&self) -> GenerationId {
        self.id
    }

    /// The hash of its module.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The script's name.
    pub fn script(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(crate) fn effects(&self) -> &dyn Effects {
        &*self.shared.effects
    }

    /// Whether the script handles that event: ask before making one.
    pub fn handles(&self, route: &Route) -> bool {
        self.handles_named(Family::of(route), route.name())
    }

    /// Whether it handles requests.
    pub fn handles_requests(&self) -> bool {
        self.handles_named(Family::Request, "")
    }

    /// Whether it looks at each reply before its transaction does.
    pub fn handles_replies(&self) -> bool {
        self.handles_named(Family::Reply, "")
    }

    /// Whether it looks at each request that is sent.
    pub fn handles_onsend(&self) -> bool {
        self.handles_named(Family::Onsend, "")
    }

    /// Whether it wants to know of contacts that expired.
    pub fn handles_expired(&self) -> bool {
        self.handles_named(Family::Registrar, "")
    }

    /// Whether it wants to know of that event of calls that are tracked.
    pub fn handles_dialog(&self, event: &str) -> bool {
        self.handles_named(Family::Dialog, event)
    }

    pub(crate) fn handles_named(&self, family: Family, name: &str) -> bool {
        self.exports.has(family)
            && self
                .handlers
                .get()
                .is_none_or(|handlers| handlers.has(family, name))
    }

    /// The processes of its `erlang-route`s. None where it did not say which: then it takes messages to any name.
    pub fn processes(&self) -> Option<Vec<&str>> {
        self.handlers
            .get()
            .map(|handlers| handlers.named(Family::Erlang))
    }

    /// Whether it takes messages to the process of that name.
    pub fn handles_process(&self, name: &str) -> bool {
        self.handles_named(Family::Erlang, name)
    }

    /// Its commands that can be called, in the order it registered them.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        let commands = self.commands.get().into_iter().flatten();
        commands.filter(|command| self.handles_named(Family::Rpc, &command.name))
    }

    pub(crate) fn set_commands(&self, commands: Vec<Command>) {
        // as with the handlers
        let _ = self.commands.set(commands);
    }

    pub(crate) fn handlers(&self) -> Option<&Handlers> {
        self.handlers.get()
    }

    pub(crate) fn set_handlers(&self, handlers: Handlers) {
        // Only the first instance's answer counts: the others run the same code.
        let _ = self.handlers.set(handlers);
    }

    /// How many transactions keep it.
    pub fn pins(&self) -> usize {
        let pins = |share: &Arc<Share>| share.pins.load(Ordering::Relaxed);
        self.shares().iter().map(pins).sum()
    }

    /// How many of its instances live.
    pub fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }

    /// Since when it drains; none for the current one.
    pub fn draining_since(&self) -> Option<Instant> {
        self.draining.get().copied()
    }

    /// True when it is no longer to be used, even for transactions that keep it.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    pub(crate) fn drain(&self, now: Instant) {
        let _ = self.draining.set(now);
        self.take_warm();
    }

    /// No instance is kept from here on; those at work end their event.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
        self.take_warm();
        for share in self.shares() {
            drop(share.seat.take());
        }
    }

    /// The share of one more lane.
    pub(crate) fn share(self: &Arc<Self>) -> Arc<Share> {
        let share = Arc::new(Share {
            generation: Arc::clone(self),
            seat: AtomicCell::new(None),
            pins: AtomicUsize::new(0),
        });
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|share| share.strong_count() > 0);
        shares.push(Arc::downgrade(&share));
        share
    }

    /// Those of all lanes.
    pub(crate) fn shares(&self) -> Vec<Arc<Share>> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn put_warm(&self, instance: Box<Instance>) {
        self.warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(instance);
    }

    pub(crate) fn warm(&self) -> Option<Box<Instance>> {
        self.warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    /// True while no instance but those made ahead was ever needed.
    pub(crate) fn is_fresh(&self) -> bool {
        let warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        warm.len() == self.instances()
    }

    fn take_warm(&self) {
        let warm = std::mem::take(&mut *self.warm.lock().unwrap_or_else(PoisonError::into_inner));
        drop(warm);
    }

    /// Counts a live instance, if there may be one more.
    pub(crate) fn slot(self: &Arc<Self>) -> Result<Slot, Limit> {
        let limit = self.limits().instances;
        let more = |live: usize| (live < limit as usize).then_some(live + 1);
        match self
            .instances
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        {
            Ok(_) => Ok(Slot(Arc::clone(self))),
            Err(_) => Err(Limit::Instances(limit)),
        }
    }
}

/// A live instance's place in the count.
pub(crate) struct Slot(Arc<Generation>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A lane's share of a generation: the counts that go up and down with every message. On cache lines of its own, because lanes that
/// write to one line wait for each other.
#[repr(align(128))]
pub struct Share {
    generation: Arc<Generation>,
    /// The instance that the lane used last, where a swap can ask it for its state.
    pub(crate) seat: AtomicCell<Option<Box<Instance>>>,
    pins: AtomicUsize,
}

impl Share {
    /// Keeps the generation for a transaction.
    pub fn pin(self: &Arc<Self>) -> Pinned {
        self.pins.fetch_add(1, Ordering::Relaxed);
        Pinned(Arc::clone(self))
    }

    /// The generation.
    pub(crate) fn whole(&self) -> &Arc<Generation> {
        &self.generation
    }
}

impl Deref for Share {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.generation
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.generation.fmt(f)
    }
}

/// A generation kept for a transaction.
#[derive(Debug)]
pub struct Pinned(Arc<Share>);

impl Pinned {
    /// The lane's share of the generation.
    pub fn generation(&self) -> &Arc<Share> {
        &self.0
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The routes that a script's `init` named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handlers(BTreeSet<(Family, Box<str>)>);

impl Handlers {
    pub(crate) fn has(&self, family: Family, name: &str) -> bool {
        // Few entries: a walk is as fast as a search that must own its key.
        self.0
            .iter()
            .any(|(handled, named)| *handled == family && **named == *name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Family, &str)> {
        self.0.iter().map(|(family, name)| (*family, &**name))
    }

    /// Those of a family.
    pub(crate) fn named(&self, family: Family) -> Vec<&str> {
        self.iter()
            .filter(|(of, _)| *of == family)
            .map(|(_, name)| name)
            .collect()
    }

    /// Those of a family, for a message.
    pub(crate) fn names(&self, family: Family) -> String {
        self.named(family).join(", ")
    }
}

impl FromIterator<(Family, Box<str>)> for Handlers {
    fn from_iter<I: IntoIterator<Item = (Family, Box<str>)>>(handlers: I) -> Self {
        Self(handlers.into_iter().collect())
    }
}
