//! What a node hands out and another can only send back: pids, ports and references.

use smallvec::SmallVec;

use crate::Atom;

/// A process, on whatever node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pid {
    /// Its node.
    pub node: Atom,
    /// Its number there.
    pub id: u32,
    /// Counts on when numbers run out.
    pub serial: u32,
    /// Which life of the node.
    pub creation: u32,
}

/// A port: a driver or an open file of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its node.
    pub node: Atom,
    /// Its number there.
    pub id: u64,
    /// Which life of the node.
    pub creation: u32,
}

/// A reference, unique in its node's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The node that made it.
    pub node: Atom,
    /// Which life of the node.
    pub creation: u32,
    /// Its number: one to five words, the lowest first.
    pub ids: SmallVec<[u32; 5]>,
}

impl Reference {
    /// The most words that a reference has (with V4_NC; three before).
    pub const MAX_IDS: usize = 5;
}
