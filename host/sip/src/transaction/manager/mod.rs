//! The manager of one lane: owns transactions, branches, timers and their tables, and does what the state machines decide.
//!
//! `mod.rs` has the life of a transaction; `requests` what comes from upstream, `branches` what goes downstream, `responses` what comes
//! back, `timing` time and transport errors.

mod branches;
mod requests;
mod responses;
mod timing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use bytes::Bytes;
use smallvec::SmallVec;

use super::answer::{Scratch, reply_to};
use super::cell::{Cell, Context};
use super::identity::{Identity, merge_hash};
use super::io::{Arms, Config, Key, NotCreated, Origin, Output, Refusal};
use super::leg::Leg;
use super::names::{BranchId, Tag};
use super::server::{Act, Server};
use super::slots::{SlotId, Slots};
use super::table::{self, Table};
use super::timers::{Backoff, Clock, Time};
use super::wheel::{TimerId, Wheel};
use crate::flow::Source;
use crate::message::{Malformed, Message, Method};

/// Every transaction of one lane. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Manager<X> {
    clock: Clock,
    /// The reading at the last input.
    present: Time,
    config: Config,
    keys: RandomState,
    cells: Slots<Cell<X>>,
    legs: Slots<Leg>,
    held: Slots<Held>,
    table: Table,
    wheel: Wheel<Due>,
    outputs: VecDeque<Output<X>>,
    serial: u64,
    /// What the last new request is known by, kept for the `create` that mostly follows.
    fresh: Fresh,
    scratch: Scratch,
}

/// What a request is known by. It holds the request's bytes, so that no other request can be taken for it.
#[derive(Debug, Default)]
struct Fresh {
    bytes: Bytes,
    identity: Identity,
    hash: u64,
    merge: Option<u64>,
}

impl Fresh {
    /// Reads a request, unless it is the one read last.
    fn read(&mut self, request: &Message, keys: &RandomState) -> Result<(), Malformed> {
        let bytes = request.bytes();
        let same = self.bytes.as_ptr() == bytes.as_ptr() && self.bytes.len() == bytes.len();
        if same && !bytes.is_empty() {
            return Ok(());
        }
        self.bytes = Bytes::new();
        self.identity.read(request)?;
        self.hash = self.identity.hash(keys);
        self.merge = match request.method() {
            Method::Ack | Method::Cancel => None,
            _ => merge_hash(request, keys),
        };
        self.bytes = bytes.clone();
        Ok(())
    }
}

/// How much a manager holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Server transactions.
    pub transactions: usize,
    /// Branches whose client transaction, or its CANCEL's, is not over.
    pub branches: usize,
    /// Responses that wait for a verdict.
    pub held: usize,
    /// Timers that are set.
    pub timers: usize,
}

/// A response that waits for its verdict.
#[derive(Debug)]
struct Held {
    cell: SlotId,
    leg: SlotId,
    number: usize,
    message: Arc<Message>,
    again: bool,
}

/// Whose timer it is.
#[derive(Clone, Copy, Debug)]
enum Due {
    Cell(SlotId),
    Leg(SlotId),
}

impl<X> Manager<X> {
    /// A manager without transactions. `seed` keys its hashes and the names it gives: random, another for each lane and start.
    pub fn new(now: Instant, seed: [u64; 4], config: Config) -> Manager<X> {
        Manager {
            clock: Clock::new(now),
            present: Time(0),
            config,
            keys: table::keys(seed),
            cells: Slots::new(),
            legs: Slots::new(),
            held: Slots::new(),
            table: Table::default(),
            wheel: Wheel::new(),
            outputs: VecDeque::new(),
            serial: 0,
            fresh: Fresh::default(),
            scratch: Scratch::default(),
        }
    }

    /// What to do next, in order. Call until it gives `None`, after every input.
    pub fn poll(&mut self) -> Option<Output<X>> {
        self.outputs.pop_front()
    }

    /// When to call [`on_timer`](Manager::on_timer) next; `None` while nothing is to be waited for.
    pub fn deadline(&self) -> Option<Instant> {
        self.wheel.deadline().map(|time| self.clock.instant(time))
    }

    /// How much it holds.
    pub fn usage(&self) -> Usage {
        Usage {
            transactions: self.cells.len(),
            branches: self.legs.len(),
            held: self.held.len(),
            timers: self.wheel.len(),
        }
    }

    /// How many transactions somebody waits for: without a final response, or with one to an INVITE that is not yet acknowledged. Those that
    /// only absorb copies are not counted. Looks at all of them: for a shutdown, not for every message.
    pub fn unfinished(&self) -> usize {
        let waited_for = |cell: &&Cell<X>| cell.server.is_pending() || cell.server.awaits_ack();
        self.cells.iter().filter(waited_for).count()
    }

    /// Whether nothing at all is left, in no table.
    pub fn is_idle(&self) -> bool {
        self.usage() == Usage::default() && self.table.is_empty() && self.outputs.is_empty()
    }

    /// Makes the server transaction of a new request, which [`on_request`](Manager::on_request) called
    /// [`New`](super::Arrival::New). From now on copies are absorbed and a CANCEL is matched; so make it before anything that
    /// takes time.
    pub fn create(
        &mut self,
        now: Instant,
        request: Arc<Message>,
        source: &Source,
        data: X,
    ) -> Result<Key, NotCreated<X>> {
        let now = self.time(now);
        if self.cells.len() >= self.config.max_transactions {
            return Err(NotCreated::Full(data));
        }
        let method = request.method();
        if !request.is_request()
            || method == Method::Ack
            || self.fresh.read(&request, &self.keys).is_err()
        {
            return Err(NotCreated::Unfit(data));
        }
        let Fresh {
            identity,
            hash,
            merge,
            ..
        } = &self.fresh;
        let (hash, merge) = (*hash, *merge);
        if let Some(id) = self.find(hash, identity, |found| found == method) {
            return Err(NotCreated::Exists(Key(id), data));
        }
        if !self.table.has_room(hash) {
            return Err(NotCreated::Full(data));
        }
        let merge = merge.filter(|merge| self.table.merged(*merge).is_none());
        let identity = identity.clone();
        self.fresh.bytes = Bytes::new();
        let way = reply_to(&request, source);
        let invite = method == Method::Invite;
        let id = self.cells.insert(Cell {
            data,
            server: Server::new(invite, now, &self.config.timers),
            identity,
            hash,
            merge,
            way,
            request: Some((request, *source)),
            last: Bytes::new(),
            timer: None,
            patience: None,
            own_success: None,
            branches: SmallVec::new(),
            live: 0,
            open: 0,
            held: SmallVec::new(),
            context: Context::Deciding,
            cancelled: false,
            arms: Arms::default(),
            finals: Vec::new(),
            queue: VecDeque::new(),
        });
        self.table.add_server(hash, merge, id);
        self.touch(id);
        Ok(Key(id))
    }

    /// What the caller keeps with a transaction.
    pub fn data(&self, key: Key) -> Option<&X> {
        self.cells.get(key.0).map(|cell| &cell.data)
    }

    /// What the caller keeps with a transaction, to change it.
    pub fn data_mut(&mut self, key: Key) -> Option<&mut X> {
        self.cells.get_mut(key.0).map(|cell| &mut cell.data)
    }

    /// The request, until the final response is out.
    pub fn request(&self, key: Key) -> Option<&Arc<Message>> {
        let (request, _) = self.cells.get(key.0)?.request.as_ref()?;
        Some(request)
    }

    /// Whether the final response is still to come.
    pub fn is_pending(&self, key: Key) -> bool {
        self.cells
            .get(key.0)
            .is_some_and(|cell| cell.server.is_pending())
    }

    /// Whether the caller has cancelled.
    pub fn is_cancelled(&self, key: Key) -> bool {
        self.cells.get(key.0).is_some_and(|cell| cell.cancelled)
    }

    /// Sends the answers to the port that the request came from, even where its Via does not ask for that (RFC 3581 s.4 for peers that
    /// do not know of it).
    pub fn answer_to_source(&mut self, key: Key) {
        if let Some(cell) = self.cells.get_mut(key.0)
            && let Some((_, source)) = &cell.request
        {
            cell.way.remote = source.remote;
        }
    }

    /// Says what the caller wants to see before it goes upstream. Holds for what comes from now on.
    pub fn arm(&mut self, key: Key, arms: Arms) {
        if let Some(cell) = self.cells.get_mut(key.0) {
            cell.arms = arms;
        }
    }

    /// The tag for an answer to this request that is made here, with a transaction or without.
    pub fn to_tag(&self, request: &Message) -> Result<Tag, Malformed> {
        let mut identity = Identity::default();
        identity.read(request)?;
        Ok(Tag::new(identity.hash(&self.keys), &self.keys))
    }

    /// A branch that was never given before, for one request to be forwarded.
    pub fn next_branch(&mut self) -> BranchId {
        self.serial = self.serial.wrapping_add(1);
        BranchId::new(self.serial, &self.keys)
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
            .answer(&request, &source, status, reason, tag, extra)
            .map_err(|_| Refusal::Edit)?;
        self.respond(now, key, status, bytes)
    }

    /// Answers a request without a transaction (s.8.2.7): a copy is a new request to us. The ACK to a failure answered so is absorbed.
    pub fn answer_without_state(
        &mut self,
        request: &Message,
        source: &Source,
        status: u16,
        reason: &str,
        extra: &[(&[u8], &[u8])],
    ) -> Result<(), Refusal> {
        let tag = self.to_tag(request).map_err(|_| Refusal::Edit)?;
        let bytes = self
            .scratch
            .answer(request, source, status, reason, tag, extra)
            .map_err(|_| Refusal::Edit)?;
        self.outputs.push_back(Output::Send {
            bytes,
            destination: reply_to(request, source),
            origin: Origin::Nobody,
        });
        Ok(())
    }

    /// Drops a transaction and its branches where they stand, without another message.
    pub fn terminate(&mut self, key: Key) {
        let Some(cell) = self.cells.get(key.0) else {
            return;
        };
        for leg in cell.branches.clone() {
            self.remove_leg(leg);
        }
        self.remove_cell(key.0);
    }

    /// Hands a response to the server transaction. Says whether it was sent.
    fn give(&mut self, now: Time, id: SlotId, status: u16, bytes: Bytes) -> bool {
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

    /// Reads the clock.
    fn time(&mut self, now: Instant) -> Time {
        self.present = self.clock.time(now).max(self.present);
        self.present
    }

    /// Makes an answer and hands it to the server transaction.
    fn give_made(&mut self, now: Time, id: SlotId, status: u16) {
        let Some(cell) = self.cells.get(id) else {
            return;
        };
        let Some((request, source)) = cell.request.clone() else {
            return;
        };
        let tag = Tag::new(cell.hash, &self.keys);
        match self.scratch.answer(&request, &source, status, "", tag, &[]) {
            Ok(bytes) => {
                self.give(now, id, status, bytes);
            }
            // The Via could be read when the transaction was made, so this does not happen; if it did, there is no way back.
            Err(_) => self.lose_server(now, id),
        }
    }

    /// The server transaction of that hash and identity, and of a method that `fits`.
    fn find(
        &self,
        hash: u64,
        identity: &Identity,
        fits: impl Fn(Method<'_>) -> bool,
    ) -> Option<SlotId> {
        self.table.server(hash, |id| {
            self.cells
                .get(id)
                .is_some_and(|cell| cell.identity.is_kin(identity) && fits(cell.identity.method()))
        })
    }

    /// Sets a transaction's timer anew after a change, or removes what is over.
    fn touch(&mut self, id: SlotId) {
        let Some(cell) = self.cells.get_mut(id) else {
            return;
        };
        if cell.is_over() {
            self.remove_cell(id);
        } else {
            let until = self.present + self.config.timers.patience;
            cell.patience = cell
                .waits_for_caller()
                .then(|| cell.patience.unwrap_or(until));
            let at = cell.deadline();
            schedule(&mut self.wheel, &mut cell.timer, at, Due::Cell(id));
        }
    }

    /// Sets a branch's timer anew after a change, or removes what is over.
    fn touch_leg(&mut self, id: SlotId) {
        let Some(leg) = self.legs.get_mut(id) else {
            return;
        };
        if leg.is_over() {
            self.remove_leg(id);
        } else {
            let at = leg.deadline();
            schedule(&mut self.wheel, &mut leg.timer, at, Due::Leg(id));
        }
    }

    fn remove_cell(&mut self, id: SlotId) {
        let Some(mut cell) = self.cells.remove(id) else {
            return;
        };
        self.table.remove_server(cell.hash, cell.merge, id);
        schedule(&mut self.wheel, &mut cell.timer, None, Due::Cell(id));
        for held in cell.held {
            self.held.remove(held);
        }
        self.outputs.push_back(Output::Terminated {
            key: Key(id),
            data: cell.data,
        });
    }

    fn remove_leg(&mut self, id: SlotId) {
        let Some(mut leg) = self.legs.remove(id) else {
            return;
        };
        self.table.remove_branch(leg.serial, id);
        schedule(&mut self.wheel, &mut leg.timer, None, Due::Leg(id));
        if let Some(cell) = self.cells.get_mut(leg.cell) {
            cell.live -= 1;
        }
        self.touch(leg.cell);
    }
}

/// Copies of the 2xx to an INVITE come from the UAS, not from here (RFC 6026 s.7.1).
fn is_success_of_invite<X>(cell: &Cell<X>, status: u16) -> bool {
    cell.server.is_invite() && (200..300).contains(&status)
}

/// Moves a timer, if it has to move.
fn schedule(
    wheel: &mut Wheel<Due>,
    timer: &mut Option<(Time, TimerId)>,
    at: Option<Time>,
    due: Due,
) {
    if timer.map(|(set, _)| set) == at {
        return;
    }
    if let Some((_, id)) = timer.take() {
        wheel.cancel(id);
    }
    *timer = at.map(|at| (at, wheel.insert(at, due)));
}
