//! What outlives an event: variables of a transaction, locations and hash tables, in memory.

pub mod vars;

pub use vars::Vars;
