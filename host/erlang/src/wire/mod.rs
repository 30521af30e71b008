//! Bytes on the wire: a cursor over them, terms as far as the protocol itself needs them, frames, the distribution header.
//!
//! Nothing here panics, recurses or sets memory aside by what a peer claims: a count is believed only as far as bytes follow.

pub(crate) mod cursor;
pub(crate) mod fragments;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod read;
pub(crate) mod scan;
pub(crate) mod write;
