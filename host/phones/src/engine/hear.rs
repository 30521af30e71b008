//! What phones hear: each message finds its call by the integers in it; `requests` and `responses` check it and move the call on.
//!
//! A message of no call under way (of one that ended, or of somebody else's) is a stray: counted, and otherwise ignored.

use std::net::SocketAddr;

use super::call::Call;
use super::{Engine, Nanos};
use crate::ids::Found;
use crate::scenario::program::Transaction;
use crate::wire::{Message, Start};

/// A message that was found to belong to a call.
pub(super) struct Heard<'p> {
    pub(super) slot: usize,
    pub(super) index: usize,
    pub(super) transaction: &'p Transaction,
    pub(super) attempt: u8,
}

impl<'p> Engine<'p> {
    /// A datagram came to a line.
    pub(crate) fn hear(&mut self, line: usize, bytes: &[u8], from: SocketAddr, now: Nanos) {
        // keep-alives (RFC 5626 3.5.1)
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return;
        }
        self.stats.received();
        let Some(message) = Message::read(bytes) else {
            return self.stats.stray();
        };
        match message.start {
            Start::Request { method, .. } => self.request(line, &message, method, from, now),
            Start::Response { status } => self.response(line, &message, status, now),
        }
    }

    /// The role whose phones listen on a line.
    pub(super) fn role_of(&self, line: usize) -> Option<usize> {
        let of = |first: &usize| (*first..*first + self.setup.sockets).contains(&line);
        self.setup.first_line.iter().position(of)
    }

    /// The call under way that an id names.
    pub(super) fn find(&self, found: &Found) -> Option<&Call> {
        let call = self.calls.get(found.slot)?;
        (call.live && call.serial == found.serial && self.setup.run == found.run).then_some(call)
    }
}
