//! What goes upstream by a transaction: answers of the caller's and of our own. RFC 3261 s.8.2.6, s.13.3.1.4, s.17.2.

use std::time::Instant;

use bytes::Bytes;

use super::Manager;
use crate::transaction::cell::{Cell, Context};
use crate::transaction::io::{Key, Origin, Output, Refusal};
use crate::transaction::names::Tag;
use crate::transaction::server::Act;
use crate::transaction::slots::SlotId;
use crate::transaction::timers::{Backoff, Time};

impl<X> Manager<X> {
    /// Sends the answers to the port that the request came from, even where its Via does not ask for that (RFC 3581 s.4 for peers that
    /// do not know of it).
    pub fn answer_to_source(&mut self, key: Key) {
        if let Some(cell) = self.cells.get_mut(key.0)
            && let Some((_, source)) = &cell.request
        {
            cell.way.remote = source.remote;
        }
    }

    /// The tag for an answer made here to this transaction's request; the same as [`to_tag`](Manager::to_tag) gives.
    pub fn tag(&self, key: Key) -> Option<Tag> {
        let cell = self.cells.get(key.0)?;
        Some(Tag::new(cell.hash, &self.keys))
    }

    /// Gives an answer of the caller's own, provisional or final, rendered. A final one cancels branches that are still out.
    pub fn respond(
        &mut self,
        now: Instant,
        key: Key,
        status: u16,
        bytes: Bytes,
    ) -> Result<(), Refusal> {
        let now = self.time(now);
        let cell = self.cells.get(key.0).ok_or(Refusal::Gone)?;
        if !(100..700).contains(&status) {
            return Err(Refusal::Status(status));
        }
        let pending = cell.server.is_pending();
        let sent = self.give(now, key.0, status, bytes.clone());
        if sent && (200..300).contains(&status) {
            self.repeat_success(now, key.0, bytes);
        }
        // A 408 to a non-INVITE ends the transaction unsent (RFC 4320 s.4.2), which is what was asked for.
        let silent = pending && status == 408;
        match (sent || silent, pending) {
            (true, _) => Ok(()),
            (false, true) => Err(Refusal::Status(status)),
            (false, false) => Err(Refusal::Answered),
        }
    }

    /// As [`respond`](Manager::respond), with the answer made here from the request: Vias with `received` and `rport`, To tag,
    /// and these header fields. An empty `reason` means the usual one.
    pub fn answer(
        &mut self,
        now: Instant,
        key: Key,
        status: u16,
        reason: &str,
        extra: &[(&[u8], &[u8])],
    ) -> Result<(), Refusal> {
        let cell = self.cells.get(key.0).ok_or(Refusal::Gone)?;
        let (request, source) = cell.request.clone().ok_or(Refusal::Answered)?;
        let tag = Tag::new(cell.hash, &self.keys);
        let bytes = self
            .scratch
            .answer(&request, &source, status, reason, tag.as_str(), extra)
            .map_err(|_| Refusal::Edit)?;
        self.respond(now, key, status, bytes)
    }

    /// Hands a response to the server transaction. Says whether it was sent.
    pub(super) fn give(&mut self, now: Time, id: SlotId, status: u16, bytes: Bytes) -> bool {
        let Some(cell) = self.cells.get_mut(id) else {
            return false;
        };
        let reliable = cell.way.transport.is_reliable();
        let act = cell
            .server
            .respond(status, now, reliable, &self.config.timers);
        let sent = act == Act::Send;
        if sent {
            let needed = !cell.server.is_terminated() && !is_success_of_invite(cell, status);
            if needed {
                cell.last = bytes.clone();
            } else if cell.own_success.is_none() {
                cell.last = Bytes::new();
            }
            self.outputs.push_back(Output::Send {
                bytes,
                destination: cell.way,
                origin: Origin::Server(Key(id)),
            });
        }
        if status >= 200 && cell.context != Context::Done && !cell.server.is_pending() {
            cell.done();
            self.void_questions(id);
            self.cancel_legs(now, id);
        }
        self.touch(id);
        sent
    }

    /// Sees to it that the caller's own 2xx to an INVITE is repeated until its ACK comes, over any transport (s.13.3.1.4). Not within
    /// a dialog, where its ACK could not be told from others.
    fn repeat_success(&mut self, now: Time, id: SlotId, bytes: Bytes) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        if cell.server.is_invite() && cell.merge.is_some() {
            cell.own_success = Some(Backoff::new(now, self.config.timers.t1));
            cell.last = bytes;
            self.touch(id);
        }
    }

    /// Makes an answer and hands it to the server transaction.
    pub(super) fn give_made(&mut self, now: Time, id: SlotId, status: u16) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        let Some((request, source)) = cell.request.clone() else {
            return;
        };
        let tag = Tag::new(cell.hash, &self.keys);
        match self
            .scratch
            .answer(&request, &source, status, "", tag.as_str(), &[])
        {
            Ok(bytes) => {
                self.give(now, id, status, bytes);
            }
            // The Via could be read when the transaction was made, so this does not happen; if it did, there is no way back.
            Err(_) => self.lose_server(now, id),
        }
    }
}

/// Copies of the 2xx to an INVITE come from the UAS, not from here (RFC 6026 s.7.1).
fn is_success_of_invite<X>(cell: &Cell<X>, status: u16) -> bool {
    cell.server.is_invite() && (200..300).contains(&status)
}
