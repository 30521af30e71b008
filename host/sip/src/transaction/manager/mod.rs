//! The manager of one lane: owns transactions, branches, timers and their tables, and does what the state machines decide.
//!
//! `mod.rs` has the life of a transaction; `requests` what comes from upstream, `answers` what goes back there, `stateless` what goes back without a transaction,
//! `branches` what goes downstream,
//! `responses` what comes back, `failover` further addresses of a target, `verdicts` what the caller is asked, `timing` time and transport errors.

mod answers;
mod branches;
mod failover;
mod requests;
mod responses;
mod stateless;
mod timing;
mod verdicts;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ahash::RandomState;
use bytes::Bytes;
use smallvec::SmallVec;

use super::answer::{Scratch, reply_to};
use super::cell::{Cell, Context};
use super::identity::{Identity, merge_hash};
use super::io::{Arms, Config, Key, NotCreated, Output};
use super::leg::Leg;
use super::names::BranchId;
use super::server::Server;
use super::slots::{SlotId, Slots};
use super::table::{self, Table};
use super::timers::{Clock, Time};
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
        let scratch = Scratch {
            server: config.server.clone(),
            ..Scratch::default()
        };
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
            scratch,
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
            data: Some(data),
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
            targets: 0,
            moving: Vec::new(),
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
        self.cells.get(key.0)?.data.as_ref()
    }

    /// What the caller keeps with a transaction, to change it.
    pub fn data_mut(&mut self, key: Key) -> Option<&mut X> {
        self.cells.get_mut(key.0)?.data.as_mut()
    }

    /// Takes back what the caller keeps with a transaction of which it wants to know no more.
    pub fn take_data(&mut self, key: Key) -> Option<X> {
        self.cells.get_mut(key.0)?.data.take()
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

    /// Says what the caller wants to see before it goes upstream. Holds for what comes from now on.
    pub fn arm(&mut self, key: Key, arms: Arms) {
        if let Some(cell) = self.cells.get_mut(key.0) {
            cell.arms = arms;
        }
    }

    /// A branch that was never given before, for one request to be forwarded.
    pub fn next_branch(&mut self) -> BranchId {
        self.serial = self.serial.wrapping_add(1);
        BranchId::new(self.serial, &self.keys)
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

    /// Reads the clock.
    fn time(&mut self, now: Instant) -> Time {
        self.present = self.clock.time(now).max(self.present);
        self.present
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
