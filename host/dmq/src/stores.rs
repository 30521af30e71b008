//! The tables as this crate sees them: changes go in and out, parts of them are read for members that join.

use std::sync::Arc;

use crate::dialog;
use crate::htable;
use crate::node::Now;
use crate::own::Item;
use crate::usrloc;

/// A change of a table: made here and to be told, or told and to be made here.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Of a hash table.
    Htable {
        /// The table.
        table: Arc<str>,
        /// What is done.
        action: htable::Action,
    },
    /// Of a contact.
    Contact(usrloc::Change),
    /// Of a dialog.
    Dialog(dialog::Change),
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such table, or no such dialog.
    #[error("expected a table or dialog that is there")]
    Unknown,
    /// A limit is reached.
    #[error("expected room")]
    Full,
    /// It cannot be done: a pattern that is none, an address that is none.
    #[error("expected something that can be done")]
    Bad,
}

/// The tables. Given in by the caller; applying a change never comes back as a change made here.
pub trait Stores {
    /// Makes a change that came from a member. What is older than what is there is not made, and that is no error.
    fn apply(&mut self, now: Now, change: &Change) -> Result<(), Refused>;

    /// Makes an item what another of our nodes has, whatever is there.
    fn put(&mut self, now: Now, item: &Item) -> Result<(), Refused>;

    /// The items of one part of a hash table that are alive; `None` behind the last part. A part bounds what is in memory twice.
    fn htable_part(&self, now: Now, table: &str, part: usize) -> Option<Vec<htable::Item>>;

    /// Names the items of a hash table that are alive, in any order.
    fn htable_names(&self, now: Now, table: &str, each: &mut dyn FnMut(&str));

    /// The item of a key of a hash table, if it is there and alive.
    fn htable_item(&self, now: Now, table: &str, key: &str) -> Option<htable::Item>;

    /// The contacts of one part that are alive; `None` behind the last part.
    fn contacts_part(&self, now: Now, part: usize) -> Option<Vec<usrloc::Contact>>;

    /// Names the addresses of record that have contacts, in any order: each as it is written on the bus, and as the table calls it.
    fn aors(&self, now: Now, each: &mut dyn FnMut(&str, &str));

    /// The contacts of an address of record, as the table calls it, that are alive.
    fn contacts_of(&self, now: Now, aor: &str) -> Vec<usrloc::Contact>;

    /// The dialogs of one part; `None` behind the last part.
    fn dialogs_part(&self, now: Now, part: usize) -> Option<Vec<dialog::Dialog>>;
}
