//! Functions as values. They are carried and compared, never called here.

use crate::{Atom, Pid, Term};

/// A fun of a process, as a peer sent it. It goes back to where it came from as the same fun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fun {
    /// How many arguments it takes.
    pub arity: u8,
    /// Digest of its module's code.
    pub uniq: [u8; 16],
    /// Its place in its module's table.
    pub index: u32,
    /// Its module.
    pub module: Atom,
    /// Its place, as older releases count.
    pub old_index: i64,
    /// Hash of its parse tree.
    pub old_uniq: i64,
    /// The process that made it.
    pub creator: Pid,
    /// The variables that it took from where it was made.
    pub free: Vec<Term>,
}

/// `fun Module:Function/Arity`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Export {
    /// The module.
    pub module: Atom,
    /// The function.
    pub function: Atom,
    /// How many arguments it takes.
    pub arity: u8,
}
