//! SIP without I/O: messages, transactions, proxy core, registrar and digest logic.
//!
//! Bytes, events and `now` go in; bytes, events and the next deadline come out. No socket, no clock, no randomness of its
//! own, no runtime. RFC 3261 and those that amend it; each module names its sections.

pub mod address;
pub mod answer;
pub mod dialog;
pub mod digest;
pub mod flow;
pub mod framing;
pub mod message;
pub mod proxy;
pub mod registrar;
pub mod resolve;
pub mod transaction;
