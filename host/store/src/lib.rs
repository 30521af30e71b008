//! What outlives an event: variables of a transaction, locations, hash tables and dialogs, in memory.
//!
//! Bounded and safe from every lane (variables belong to one transaction and need not be). Time is passed in.

pub mod dialogs;
pub mod htable;
pub mod locations;
pub mod vars;

pub use dialogs::{DialogError, DialogLimits, Dialogs, WatchDialogs};
pub use htable::{Htable, HtableError, Htables, TableConfig, Value, Watch, Written};
pub use locations::{Expired, Full, LocationLimits, Locations, Moved, WatchContacts};
pub use vars::Vars;
