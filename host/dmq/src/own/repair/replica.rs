//! What the machine needs of the tables.

use std::time::Instant;

use super::digest::{Digest, Place};
use crate::own::version::Record;

/// A replicated set (a hash table, the contacts, the dialogs): its place in the list that both [`Replica::name`] and
/// [`Replica::find`] go by, the same for the life of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub u16);

/// What became of a record that came from another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It is in.
    Changed,
    /// Nothing was new.
    Known,
    /// A limit of the set is reached; nothing changed, and the next repair tries again.
    Full,
    /// It is nothing that this set can hold; nothing changed.
    Unfit,
}

/// The replicated tables. One key changes in one step, whoever else uses them meanwhile.
pub trait Replica {
    /// How many sets there are.
    fn sets(&self) -> u16;

    /// A set's name.
    fn name(&self, set: SetId) -> &str;

    /// The set of that name, if this node has it too.
    fn find(&self, name: &str) -> Option<SetId>;

    /// Sums of all live records; nothing where there is no such set.
    fn digest(&mut self, now: Instant, set: SetId) -> &Digest;

    /// Every record of one group that is not over, removals and those in their grace too; in any order.
    fn each(
        &mut self,
        now: Instant,
        set: SetId,
        group: usize,
        visit: &mut dyn FnMut(Place, &str, &Record),
    );

    /// Shows one record, if it is not over.
    fn read(&mut self, now: Instant, set: SetId, key: &str, visit: &mut dyn FnMut(&Record));

    /// Takes in a record of another node.
    fn merge(&mut self, now: Instant, set: SetId, key: &str, record: &Record) -> Merged;
}
