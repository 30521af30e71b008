//! What one script may use. Every limit has a safe default; going beyond one ends the event, not the daemon.

use std::fmt;
use std::time::Duration;

/// The limits of one script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long the guest of one event may run. Time in which it waits in a host call, or for its turn after it was stopped,
    /// does not count; time in which the system gave its thread's processor to others does. Looked at every
    /// [`crate::TICK`].
    pub deadline: Duration,
    /// Processor time of one instance's `init` or `import-state`, and of `export-state`.
    pub init_deadline: Duration,
    /// Bytes of linear memory of one instance, all its memories together.
    pub memory: usize,
    /// Bytes of stack of one call into the guest.
    pub stack: usize,
    /// Live instances of one generation, over all lanes.
    pub instances: u32,
    /// Host calls of one event.
    pub host_calls: u32,
    /// Bytes copied between guest and host in the host calls of one event.
    pub bytes: usize,
    /// Events that lead to one another: 0 for what the network brought.
    pub depth: u32,
    /// Bytes of a component or core module that is to be loaded.
    pub code: usize,
    /// How long a load waits for the compiler.
    pub compile: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(50),
            init_deadline: Duration::from_secs(2),
            memory: 16 << 20,
            stack: 512 << 10,
            instances: 64,
            host_calls: 10_000,
            bytes: 4 << 20,
            depth: 4,
            code: 32 << 20,
            compile: Duration::from_secs(120),
        }
    }
}

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::memory`], in bytes.
    Memory(usize),
    /// [`Limits::stack`], in bytes.
    Stack(usize),
    /// [`Limits::instances`].
    Instances(u32),
    /// [`Limits::host_calls`].
    HostCalls(u32),
    /// [`Limits::bytes`].
    Bytes(usize),
    /// [`Limits::depth`].
    Depth(u32),
}

impl Limit {
    /// The key in the `limits` table of the script's config; `depth` has none.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Stack(_) => "stack",
            Self::Instances(_) => "instances",
            Self::HostCalls(_) => "host-calls",
            Self::Bytes(_) => "bytes",
            Self::Depth(_) => "depth",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{bytes} bytes of memory"),
            Self::Stack(bytes) => write!(f, "{bytes} bytes of stack"),
            Self::Instances(count) => write!(f, "{count} instances"),
            Self::HostCalls(count) => write!(f, "{count} host calls in one event"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes copied in one event"),
            Self::Depth(depth) => write!(f, "{depth} events that lead to one another"),
        }?;
        write!(f, " (limits.{})", self.key())
    }
}

impl std::error::Error for Limit {}

/// The deadline was reached; how a store that is stopped says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdue(pub(crate) Duration);

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the deadline of {:?} was reached", self.0)
    }
}

impl std::error::Error for Overdue {}
