//! What goes to members: client transactions, in order for each key, within a window.
//!
//! Owns the requests that wait and those that are under way. A [`Parcel`] names the keys it writes; it goes out when it is the first in
//! line for each of them, so that two writes of one key never overtake each other, neither here nor at a receiver with several
//! workers. A parcel that writes all keys ([`Keys::All`]) waits for everything before it and holds everything behind it.
//! A newer whole value takes the place of an older one that has not gone out yet.
//!
//! A request is sent again after 0.5 s, 1.5 s, 3.5 s and so on (RFC 3261 17.1.2, over UDP) until it is answered or its time is
//! over. To a member that does not answer nothing more is sent but what is urgent (pings); its parcels wait until it
//! answers again or is forgotten.
//!
//! Limits, for each member: [`MAX_PARCELS`], [`MAX_BYTES`]; beyond, [`Outbox::push`] refuses, and the caller sends all afresh later.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;
use switchhook_sip::flow::Destination;

use crate::envelope::Draft;
use crate::node::Node;

/// The most parcels that wait for one member.
pub const MAX_PARCELS: usize = 65_536;
/// The most bytes of bodies that wait for one member.
pub const MAX_BYTES: usize = 64 << 20;
/// The most requests under way to one member.
pub const WINDOW: usize = 32;
/// The most bytes of bodies under way to one member: what fits into a socket's buffer as it comes.
pub const WINDOW_BYTES: usize = 64 << 10;
/// The first retransmission, and the longest time between two (RFC 3261 T1, T2).
const T1: Duration = Duration::from_millis(500);
/// The first one of a question for all data: Kamailio begins to send before it answers, and all over again for each copy.
const T1_ASK: Duration = Duration::from_secs(2);
const T2: Duration = Duration::from_secs(4);

/// Which keys a parcel writes, as hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// None: it may go at any time.
    None,
    /// These.
    Some(SmallVec<[u64; 1]>),
    /// Any.
    All,
}

/// What the caller wants to know again when a parcel has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// A notification: a ping, a hello, a goodbye.
    Notify,
    /// A question for all data of a channel.
    Ask,
    /// A change of a table.
    Change,
    /// A part of the answer to a question for all data.
    Sync,
    /// A script's message, by its number.
    Message(u64),
    /// What only our own nodes speak.
    Own(u64),
}

/// One message for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// The channel.
    pub channel: Arc<str>,
    /// The type of the body.
    pub content_type: Cow<'static, str>,
    /// Further header fields, each with its line end.
    pub extra: Arc<str>,
    /// The body, at most [`crate::envelope::MAX_BODY`] bytes.
    pub body: Bytes,
    /// What it writes.
    pub keys: Keys,
    /// True for a whole value: a newer one of the same key may take its place.
    pub whole: bool,
    /// Not held by window or pause.
    pub urgent: bool,
    /// Max-Forwards.
    pub hops: u8,
    /// For the caller.
    pub tag: Tag,
}

/// A parcel that has been answered, or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// The member.
    pub node: Node,
    /// The parcel's.
    pub tag: Tag,
    /// The final status; 408 where none came.
    pub status: u16,
    /// When it was sent first.
    pub sent: Instant,
}

/// A member's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// How this node writes its requests.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub(crate) own: Node,
    pub(crate) user_agent: Arc<str>,
    /// How long a request may stay unanswered.
    pub(crate) timeout: Duration,
    pub(crate) seed: [u64; 4],
}

/// See the module's header.
#[derive(Debug)]
pub struct Outbox {
    manner: Manner,
    hasher: ahash::RandomState,
    lines: HashMap<Node, Line>,
    /// Requests under way, by the number in their branch.
    flights: HashMap<u128, Flight>,
    due: BTreeSet<(Instant, u128)>,
    serial: u64,
    out: VecDeque<(Destination, Bytes)>,
    resent: u64,
}

#[derive(Debug)]
struct Flight {
    node: Node,
    parcel: u64,
    bytes: Bytes,
    sent: Instant,
    again: Instant,
    wait: Duration,
}

/// What waits for one member.
#[derive(Debug, Default)]
struct Line {
    parcels: HashMap<u64, Waiting>,
    /// Who waits for a key.
    keys: HashMap<u64, Queue, BuildHasherDefault<ahash::AHasher>>,
    ready: VecDeque<u64>,
    urgent: VecDeque<u64>,
    /// A parcel that writes all keys, and what came behind it.
    barrier: Option<u64>,
    behind: VecDeque<Parcel>,
    next: u64,
    bytes: usize,
    flying: usize,
    flying_bytes: usize,
    paused: bool,
}

/// Parcels that write one key: the first may be under way. Nearly always it is alone, which takes no memory of its own.
#[derive(Debug)]
struct Queue {
    first: u64,
    behind: VecDeque<u64>,
}

impl Queue {
    fn last(&self) -> u64 {
        self.behind.back().copied().unwrap_or(self.first)
    }
}

#[derive(Debug)]
struct Waiting {
    parcel: Parcel,
    /// For how many of its keys another one is first.
    blocked: usize,
    flying: bool,
}

impl Outbox {
    pub(crate) fn new(manner: Manner) -> Self {
        let [a, b, c, d] = manner.seed;
        Self {
            hasher: ahash::RandomState::with_seeds(b, c, d, a),
            manner,
            lines: HashMap::new(),
            flights: HashMap::new(),
            due: BTreeSet::new(),
            serial: 0,
            out: VecDeque::new(),
            resent: 0,
        }
    }

    /// The number of a key.
    pub fn key(&self, channel: &str, name: &str, key: &str) -> u64 {
        self.hasher.hash_one((channel, name, key))
    }

    /// Takes a parcel for a member; it goes out as soon as order and window allow.
    pub fn push(&mut self, now: Instant, node: Node, parcel: Parcel) -> Result<(), Full> {
        let line = self.lines.entry(node).or_default();
        line.push(parcel)?;
        self.fill(now, node);
        Ok(())
    }

    /// Holds all that is not urgent for a member, or lets it go on.
    pub fn pause(&mut self, now: Instant, node: Node, paused: bool) {
        if let Some(line) = self.lines.get_mut(&node) {
            line.paused = paused;
            self.fill(now, node);
        }
    }

    /// Nothing more is sent to a member; what waits for it is kept, and pings are not.
    pub fn retire(&mut self, node: Node) {
        self.land(node);
        if let Some(line) = self.lines.get_mut(&node) {
            line.ground();
        }
    }

    /// Forgets a member and all that waits for it.
    pub fn forget(&mut self, node: Node) {
        self.lines.remove(&node);
        self.land(node);
    }

    /// Forgets what is under way to a member.
    fn land(&mut self, node: Node) {
        let due = &mut self.due;
        self.flights.retain(|id, flight| {
            let keep = flight.node != node;
            if !keep {
                due.remove(&(flight.again, *id));
            }
            keep
        });
    }

    /// Takes the answer to a request. `None` for one that is not known any more, for a provisional one, or from somebody else.
    pub fn answered(&mut self, now: Instant, id: u128, status: u16) -> Option<Done> {
        if status < 200 {
            return None;
        }
        let flight = self.flights.remove(&id)?;
        self.due.remove(&(flight.again, id));
        let line = self.lines.get_mut(&flight.node)?;
        let tag = line.finish(flight.parcel)?;
        self.fill(now, flight.node);
        Some(Done {
            node: flight.node,
            tag,
            status,
            sent: flight.sent,
        })
    }

    /// Sends again what is due; gives what was given up. A member's parcels that are not urgent are kept: they go again when
    /// it is no longer paused.
    pub fn on_timer(&mut self, now: Instant, given_up: &mut Vec<Done>) {
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            let Some(flight) = self.flights.get_mut(&id) else {
                continue;
            };
            if now.saturating_duration_since(flight.sent) < self.manner.timeout {
                flight.wait = (flight.wait * 2).min(T2);
                let end = flight.sent + self.manner.timeout;
                flight.again = (at + flight.wait).min(end).max(now);
                self.due.insert((flight.again, id));
                if !flight.node.transport.is_reliable() {
                    self.resent += 1;
                    let again = (
                        destination(self.manner.own, flight.node),
                        flight.bytes.clone(),
                    );
                    self.out.push_back(again);
                }
                continue;
            }
            let Some(flight) = self.flights.remove(&id) else {
                continue;
            };
            if let Some(line) = self.lines.get_mut(&flight.node)
                && let Some(tag) = line.give_up(flight.parcel)
            {
                given_up.push(Done {
                    node: flight.node,
                    tag,
                    status: 408,
                    sent: flight.sent,
                });
            }
        }
    }

    /// When [`Outbox::on_timer`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next datagram to send.
    pub fn poll(&mut self) -> Option<(Destination, Bytes)> {
        self.out.pop_front()
    }

    /// The keys that parcels for a member write.
    pub fn keys(&self, node: Node) -> HashSet<u64> {
        let line = self.lines.get(&node);
        line.map(|line| line.keys.keys().copied().collect())
            .unwrap_or_default()
    }

    /// How many parcels wait for a member or are under way to it.
    pub fn waiting(&self, node: Node) -> usize {
        self.lines.get(&node).map_or(0, Line::len)
    }

    /// How many requests were sent again.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Sends what may go.
    fn fill(&mut self, now: Instant, node: Node) {
        let Some(line) = self.lines.get_mut(&node) else {
            return;
        };
        while let Some(number) = line.next()
            && let Some(Waiting { parcel, .. }) = line.parcels.get(&number)
        {
            self.serial += 1;
            let id = u128::from(self.hasher.hash_one((self.serial, "branch"))) << 64
                | u128::from(self.serial);
            let bytes = Draft {
                own: self.manner.own,
                to: node,
                channel: &parcel.channel,
                id,
                hops: parcel.hops,
                user_agent: &self.manner.user_agent,
                content_type: &parcel.content_type,
                extra: &parcel.extra,
                body: &parcel.body,
            }
            .write();
            let wait = match parcel.tag {
                Tag::Ask => T1_ASK,
                _ => T1,
            };
            let again = now + wait.min(self.manner.timeout);
            self.due.insert((again, id));
            self.out
                .push_back((destination(self.manner.own, node), bytes.clone()));
            let flight = Flight {
                node,
                parcel: number,
                bytes,
                sent: now,
                again,
                wait,
            };
            self.flights.insert(id, flight);
        }
    }
}

pub(crate) fn destination(own: Node, to: Node) -> Destination {
    Destination {
        transport: to.transport,
        remote: to.address,
        local: Some(own.address),
        flow: None,
    }
}

impl Line {
    fn len(&self) -> usize {
        self.parcels.len() + self.behind.len()
    }

    fn push(&mut self, parcel: Parcel) -> Result<(), Full> {
        if !parcel.urgent {
            if self.take_place(&parcel) {
                return Ok(());
            }
            if self.len() >= MAX_PARCELS || self.bytes + parcel.body.len() > MAX_BYTES {
                return Err(Full);
            }
        }
        self.bytes += parcel.body.len();
        self.place(parcel);
        Ok(())
    }

    /// Puts a whole value into the place of an older one of the same key that has not gone out.
    fn take_place(&mut self, parcel: &Parcel) -> bool {
        let Keys::Some(keys) = &parcel.keys else {
            return false;
        };
        let [key] = keys.as_slice() else {
            return false;
        };
        if !parcel.whole || self.barrier.is_some() {
            return false;
        }
        let last = self.keys.get(key).map(Queue::last);
        let Some(old) = last.and_then(|last| self.parcels.get_mut(&last)) else {
            return false;
        };
        if old.flying || !old.parcel.whole || old.parcel.keys != parcel.keys {
            return false;
        }
        self.bytes = self.bytes - old.parcel.body.len() + parcel.body.len();
        old.parcel = parcel.clone();
        true
    }

    fn place(&mut self, parcel: Parcel) {
        if self.barrier.is_some() && parcel.keys != Keys::None {
            self.behind.push_back(parcel);
            return;
        }
        let number = self.next;
        self.next += 1;
        let mut blocked = 0;
        match &parcel.keys {
            Keys::None => {}
            Keys::Some(keys) => {
                for key in keys {
                    let queue = self.keys.entry(*key).or_insert_with(|| Queue {
                        first: number,
                        behind: VecDeque::new(),
                    });
                    // The same key twice in one parcel counts once.
                    if queue.last() != number {
                        blocked += 1;
                        queue.behind.push_back(number);
                    }
                }
            }
            Keys::All => {
                self.barrier = Some(number);
                blocked = usize::from(!self.keys.is_empty());
            }
        }
        if blocked == 0 {
            match parcel.urgent {
                true => self.urgent.push_back(number),
                false => self.ready.push_back(number),
            }
        }
        let waiting = Waiting {
            parcel,
            blocked,
            flying: false,
        };
        self.parcels.insert(number, waiting);
    }

    /// The next parcel that may go out.
    fn next(&mut self) -> Option<u64> {
        let number = match self.urgent.pop_front() {
            Some(number) => number,
            None => {
                let number = *self.ready.front()?;
                let size = self.parcels.get(&number).map_or(0, |w| w.parcel.body.len());
                let fits = self.flying == 0 || self.flying_bytes + size <= WINDOW_BYTES;
                if self.paused || self.flying >= WINDOW || !fits {
                    return None;
                }
                self.ready.pop_front();
                self.flying += 1;
                self.flying_bytes += size;
                number
            }
        };
        self.parcels.get_mut(&number)?.flying = true;
        Some(number)
    }

    fn landed(&mut self, parcel: &Parcel) {
        if !parcel.urgent {
            self.flying = self.flying.saturating_sub(1);
            self.flying_bytes = self.flying_bytes.saturating_sub(parcel.body.len());
        }
    }

    /// A parcel was answered: its keys are free for the next ones.
    fn finish(&mut self, number: u64) -> Option<Tag> {
        let Waiting { parcel, .. } = self.parcels.remove(&number)?;
        self.landed(&parcel);
        self.bytes = self.bytes.saturating_sub(parcel.body.len());
        match &parcel.keys {
            Keys::None => {}
            Keys::Some(keys) => {
                for key in keys {
                    self.release(*key, number);
                }
                self.lift();
            }
            Keys::All => {
                self.barrier = None;
                let behind = std::mem::take(&mut self.behind);
                behind.into_iter().for_each(|parcel| self.place(parcel));
            }
        }
        Some(parcel.tag)
    }

    /// The first in line for a key steps out.
    fn release(&mut self, key: u64, number: u64) {
        let Entry::Occupied(mut queue) = self.keys.entry(key) else {
            return;
        };
        if queue.get().first != number {
            return;
        }
        let Some(next) = queue.get_mut().behind.pop_front() else {
            queue.remove();
            return;
        };
        queue.get_mut().first = next;
        if let Some(waiting) = self.parcels.get_mut(&next) {
            waiting.blocked = waiting.blocked.saturating_sub(1);
            if waiting.blocked == 0 {
                self.ready.push_back(next);
            }
        }
    }

    /// Lets the parcel go that writes all keys, when nothing else is before it.
    fn lift(&mut self) {
        if let Some(number) = self.barrier
            && self.keys.is_empty()
            && let Some(waiting) = self.parcels.get_mut(&number)
            && waiting.blocked > 0
        {
            waiting.blocked = 0;
            self.ready.push_back(number);
        }
    }

    /// Nothing is under way any more: all that was, waits again.
    fn ground(&mut self) {
        self.paused = true;
        let mut flying: Vec<_> = self
            .parcels
            .iter()
            .filter(|(_, waiting)| waiting.flying)
            .map(|(number, _)| *number)
            .collect();
        flying.sort_unstable_by(|a, b| b.cmp(a));
        for number in flying {
            self.give_up(number);
        }
    }

    /// A parcel was not answered. One that is urgent is dropped, any other goes first when the line goes on.
    fn give_up(&mut self, number: u64) -> Option<Tag> {
        let waiting = self.parcels.get_mut(&number)?;
        let tag = waiting.parcel.tag;
        if waiting.parcel.urgent {
            return self.finish(number);
        }
        waiting.flying = false;
        let parcel = waiting.parcel.clone();
        self.landed(&parcel);
        self.paused = true;
        self.ready.push_front(number);
        Some(tag)
    }
}

#[cfg(test)]
mod tests;
