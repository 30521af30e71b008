//! What only our own nodes speak; Kamailio members see none of it.
//!
//! [`version`] says which of two states of a key is the later one, [`repair`] brings all nodes to the same states, [`auth`]
//! keeps everybody else out.

pub mod auth;
pub mod repair;
pub mod version;
