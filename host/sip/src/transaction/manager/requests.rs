//! What comes from upstream: requests and their copies, ACK, CANCEL. RFC 3261 s.9.2, s.16.10, s.17.2.3.

use std::time::Instant;

use bytes::Bytes;

use super::{Fresh, Manager};
use crate::flow::Source;
use crate::message::{Malformed, Message, Method};
use crate::transaction::answer::reply_to;
use crate::transaction::cell::Context;
use crate::transaction::identity::{Identity, exchange_hash};
use crate::transaction::io::{Arrival, Key, Origin, Output, Refusal};
use crate::transaction::names::{StatelessTag, Tag};
use crate::transaction::server::Act;
use crate::transaction::slots::SlotId;
use crate::transaction::timers::Time;

impl<X> Manager<X> {
    /// Takes a request, before anything else is done with it. Fails when it cannot be told what it belongs to: answer 400.
    pub fn on_request(
        &mut self,
        now: Instant,
        request: &Message,
        source: &Source,
    ) -> Result<Arrival, Malformed> {
        let now = self.time(now);
        let mut fresh = std::mem::take(&mut self.fresh);
        let read = fresh.read(request, &self.keys);
        let arrival = read.map(|()| self.arrival(now, request, source, &fresh));
        if !matches!(arrival, Ok(Arrival::New { .. })) {
            fresh.bytes = Bytes::new();
        }
        self.fresh = fresh;
        arrival
    }

    /// Cancels a transaction as a CANCEL from upstream does: branches are cancelled, further groups dropped, and where no branch is
    /// out the answer is 487.
    pub fn cancel(&mut self, now: Instant, key: Key) -> Result<(), Refusal> {
        let now = self.time(now);
        self.cells.get(key.0).ok_or(Refusal::Gone)?;
        if self.cancel_cell(now, key.0) {
            Ok(())
        } else {
            Err(Refusal::Answered)
        }
    }

    fn arrival(&mut self, now: Time, request: &Message, source: &Source, fresh: &Fresh) -> Arrival {
        let Fresh {
            identity,
            hash,
            merge,
            ..
        } = fresh;
        let (hash, merge) = (*hash, *merge);
        let method = request.method();
        if method == Method::Ack {
            return self.on_ack(now, request, hash, identity);
        }
        if let Some(id) = self.find(hash, identity, |found| found == method) {
            self.on_copy(id);
            return Arrival::Absorbed;
        }
        if method == Method::Cancel {
            return self.on_cancel(now, request, source, hash, identity);
        }
        let merged = merge.and_then(|merge| self.table.merged(merge));
        Arrival::New {
            merged: merged.map(Key),
        }
    }

    fn on_copy(&mut self, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        if cell.server.request() == Act::Resend && !cell.last.is_empty() {
            self.outputs.push_back(Output::Send {
                bytes: cell.last.clone(),
                destination: cell.way,
                origin: Origin::Server(Key(id)),
            });
        }
    }

    fn on_ack(&mut self, now: Time, request: &Message, hash: u64, identity: &Identity) -> Arrival {
        let Some(id) = self.find(hash, identity, |found| found == Method::Invite) else {
            // An answer given without state leaves its mark in the To tag.
            let to = request.to_tag();
            let stateless = to.is_some_and(|to| StatelessTag::is_ours(to, &self.keys));
            return if stateless || self.ends_success(request, to) {
                Arrival::Absorbed
            } else {
                Arrival::Ack { of: None }
            };
        };
        let Some(cell) = self.cells.get_mut(id) else {
            return Arrival::Absorbed;
        };
        let reliable = cell.way.transport.is_reliable();
        let act = cell.server.ack(now, reliable, &self.config.timers);
        if act == Act::PassAck {
            return Arrival::Ack { of: Some(Key(id)) };
        }
        if !cell.server.is_pending() {
            cell.last = Bytes::new();
        }
        self.touch(id);
        Arrival::Absorbed
    }

    /// Whether this ACK is of a 2xx that the caller gave itself, which need not be repeated any more.
    fn ends_success(&mut self, ack: &Message, to: Option<&[u8]>) -> bool {
        let exchange = exchange_hash(ack, Method::Invite, &self.keys);
        let Some(id) = exchange.and_then(|exchange| self.table.merged(exchange)) else {
            return false;
        };
        let Some(cell) = self.cells.get_mut(id) else {
            return false;
        };
        let own = Tag::new(cell.hash, &self.keys);
        let is = cell.server.is_accepted() && to == Some(own.as_str().as_bytes());
        if is && cell.own_success.take().is_some() {
            cell.last = Bytes::new();
            self.touch(id);
        }
        is
    }

    /// A CANCEL gets no transaction of its own: each copy is answered anew, and to cancel twice is to cancel once.
    fn on_cancel(
        &mut self,
        now: Time,
        request: &Message,
        source: &Source,
        hash: u64,
        identity: &Identity,
    ) -> Arrival {
        let Some(id) = self.find(hash, identity, |found| found != Method::Cancel) else {
            return Arrival::CancelUnmatched;
        };
        let tag = Tag::new(hash, &self.keys);
        if let Ok(bytes) = self
            .scratch
            .answer(request, source, 200, "", tag.as_str(), &[])
        {
            self.outputs.push_back(Output::Send {
                bytes,
                destination: reply_to(request, source),
                origin: Origin::Nobody,
            });
        }
        if self.cancel_cell(now, id) {
            Arrival::Cancelled(Key(id))
        } else {
            Arrival::Absorbed
        }
    }

    /// Says whether there was anything to cancel. Only an INVITE without final response can be (s.9.1, s.9.2).
    fn cancel_cell(&mut self, now: Time, id: SlotId) -> bool {
        let Some(cell) = self.cells.get_mut(id) else {
            return false;
        };
        if !cell.server.is_invite() || !cell.server.is_pending() || cell.cancelled {
            return false;
        }
        cell.cancelled = true;
        cell.queue.clear();
        match cell.context {
            Context::Deciding | Context::Failing => self.give_made(now, id, 487),
            Context::Waiting => {
                self.cancel_legs(now, id);
                self.stop_moving(id, Some(487));
                self.advance(now, id);
            }
            Context::Done => {}
        }
        true
    }
}
