//! (being written)
pub mod transaction;
