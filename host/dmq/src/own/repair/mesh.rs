//! The machine between our own nodes: what was written goes to every peer, what differs is found and mended.
//!
//! Each node sends its own writes to each peer, as whole records, in batches. Nothing is passed on: where a message is lost for
//! good, or two nodes do not see each other, digests find the difference (see [`super`]). Everything a peer sends is a record that
//! is merged, or a question that is answered from the tables; so each message may come twice or late.
//!
//! Inputs: `peer_up`, `peer_down`, `changed`, `request`, `answered`; then [`Mesh::poll`] until it gives nothing, and again at
//! [`Mesh::deadline`]. Owns no table, no socket and no clock.
//!
//! Limits: [`Config`], [`super::MAX_FLIGHTS`] and [`super::MAX_BYTES`] for each peer. What does not fit is left to the digests.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::body::{Put, Room};
use super::log::Log;
use super::peer::{Ask, Peer};
use super::replica::{Replica, SetId};
use crate::Now;
use crate::own::version::{Clock, NodeId};

/// Who a peer is: a number that the caller gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// How the machine works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The most bytes of a body.
    pub max_body: usize,
    /// Writes that are kept for peers that are slower than the writing.
    pub log: usize,
    /// How often each peer is asked for its digests.
    pub every: Duration,
    /// How long writes are collected when the last ones have just been sent.
    pub pace: Duration,
}

impl Default for Config {
    /// 28 000 bytes, 65 536 writes, 1 s, 2 ms.
    fn default() -> Self {
        Self {
            max_body: 28_000,
            log: 65_536,
            every: Duration::from_secs(1),
            pace: Duration::from_millis(2),
        }
    }
}

/// What was done, and what was refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent for the first time.
    pub sent: u64,
    /// Copies of them.
    pub copies: u64,
    /// Requests that came.
    pub received: u64,
    /// Records sent.
    pub records_out: u64,
    /// Records that came and were new.
    pub records_in: u64,
    /// Records that came and were not.
    pub records_known: u64,
    /// Records that the tables had no room for, or that were nothing for them.
    pub records_refused: u64,
    /// Records of sets that this node does not have.
    pub unknown_set: u64,
    /// Records too large for any message.
    pub too_large: u64,
    /// Messages and records with a stamp too far ahead of our clock: somebody's clock is wrong.
    pub clock_ahead: u64,
    /// Bodies that could not be read.
    pub malformed: u64,
    /// Requests of nobody that is a peer.
    pub strangers: u64,
    /// Repairs that found a difference.
    pub repairs: u64,
    /// Times that a peer fell behind the log.
    pub behind: u64,
    /// Times that a peer was given up.
    pub silent: u64,
}

/// A request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// To whom.
    pub peer: PeerId,
    /// Names the request; a copy has the same.
    pub id: u64,
    /// Its body.
    pub body: Bytes,
    /// Whether it is a copy.
    pub again: bool,
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200, 400 for a body that can't be read, 403 for a stranger and for a clock that is ahead.
    pub status: u16,
    /// Its body; of a refusal, none.
    pub body: Bytes,
}

impl Answer {
    pub(super) fn refuse(status: u16) -> Self {
        let body = Bytes::new();
        Self { status, body }
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct Mesh {
    pub(super) clock: Arc<Clock>,
    pub(super) config: Config,
    pub(super) counters: Counters,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    /// A set that a peer is sending us as a whole, or that is being compared, and when it last got on.
    pub(super) syncing: BTreeMap<SetId, (PeerId, Instant)>,
    log: Log,
    next_id: u64,
    turn: u32,
}

impl Mesh {
    /// Without peers. The clock is the one that the tables' writes get their versions of.
    pub fn new(clock: Arc<Clock>, config: Config) -> Self {
        Self {
            clock,
            log: Log::new(config.log),
            config,
            counters: Counters::default(),
            peers: BTreeMap::new(),
            syncing: BTreeMap::new(),
            next_id: 0,
            turn: 0,
        }
    }

    /// A peer is there, in this life of it. It is compared with us at once.
    pub fn peer_up(&mut self, now: Now, peer: PeerId, node: NodeId) {
        let known = self.peers.get(&peer).is_some_and(|is| is.node == node);
        if known {
            return;
        }
        let cursor = self.log.end();
        let new = Peer::new(node, now.at, cursor, self.config.max_body);
        self.peers.insert(peer, new);
        self.syncing.retain(|_, (from, _)| *from != peer);
    }

    /// A peer is gone.
    pub fn peer_down(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
        self.syncing.retain(|_, (from, _)| *from != peer);
    }

    /// The life of a peer.
    pub fn node(&self, peer: PeerId) -> Option<NodeId> {
        self.peers.get(&peer).map(|peer| peer.node)
    }

    /// A key was written here; the tables have it already.
    pub fn changed(&mut self, set: SetId, key: &str) {
        if !self.peers.is_empty() {
            self.log.push(set, key);
        }
    }

    /// Writes were made that nobody named: all peers are behind.
    pub fn lost_track(&mut self, now: Now) {
        self.counters.behind += 1;
        for peer in self.peers.values_mut() {
            peer.compare_at = now.at;
        }
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Writes that a peer was not sent yet.
    pub fn lag(&self, peer: PeerId) -> Option<u64> {
        let peer = self.peers.get(&peer)?;
        Some(self.log.end().saturating_sub(peer.cursor))
    }

    /// Whether something is on its way to a peer, or waits for it.
    pub fn is_busy(&self, peer: PeerId) -> bool {
        let busy = |peer: &Peer| peer.is_busy() || peer.cursor < self.log.end();
        self.peers.get(&peer).is_some_and(busy)
    }

    /// The next request to be sent now.
    pub fn poll(&mut self, now: Now, replica: &mut dyn Replica) -> Option<Send> {
        self.fall_behind();
        // Each call begins with another peer, so that none is starved.
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        let count = ids.len();
        self.turn = self.turn.wrapping_add(1);
        let first = usize::try_from(self.turn).unwrap_or(0) % count.max(1);
        let turns = ids.iter().cycle().skip(first).take(count);
        let send = turns
            .copied()
            .find_map(|id| self.poll_peer(now, id, replica));
        if send.is_none() {
            let sent = self.peers.values().map(|peer| peer.cursor).min();
            self.log.trim(sent.unwrap_or(self.log.end()));
        }
        send
    }

    /// When to poll again, if nothing comes before.
    pub fn deadline(&self) -> Option<Instant> {
        let end = self.log.end();
        let peers = self.peers.values();
        peers.filter_map(|peer| peer.deadline(end)).min()
    }

    fn fall_behind(&mut self) {
        let first = self.log.first();
        for peer in self.peers.values_mut().filter(|peer| peer.cursor < first) {
            peer.cursor = first;
            if !std::mem::replace(&mut peer.behind, true) {
                self.counters.behind += 1;
            }
        }
    }

    fn poll_peer(&mut self, now: Now, id: PeerId, replica: &mut dyn Replica) -> Option<Send> {
        let (counters, end) = (&mut self.counters, self.log.end());
        let peer = self.peers.get_mut(&id)?;
        if peer.window.is_silent(now.at) {
            peer.give_up(now.at, end);
            counters.silent += 1;
            self.syncing.retain(|_, (from, _)| *from != id);
        }
        if let Some((request, body)) = peer.window.again(now.at) {
            counters.copies += 1;
            return Some(Send {
                peer: id,
                id: request,
                body,
                again: true,
            });
        }
        peer.compare_when_due(now.at, self.config.every);
        if !peer.window.has_room() {
            return None;
        }
        let (ask, body) = self.question(now, id, replica)?;
        self.next_id += 1;
        self.counters.sent += 1;
        let peer = self.peers.get_mut(&id)?;
        peer.window.send(now.at, self.next_id, ask, body.clone());
        Some(Send {
            peer: id,
            id: self.next_id,
            body,
            again: false,
        })
    }

    /// What to send to a peer next: questions first, they are few; then writes and what it lacks, in turn.
    fn question(
        &mut self,
        now: Now,
        id: PeerId,
        replica: &mut dyn Replica,
    ) -> Option<(Ask, Bytes)> {
        let peer = self.peers.get_mut(&id)?;
        if let Some(mut ask) = peer.asks.pop_front() {
            let body = self.ask(now, id, &mut ask, replica);
            return Some((ask, body));
        }
        peer.bulk_next = !peer.bulk_next;
        let body = if peer.bulk_next {
            let lacks = self.lacks(now, id, replica);
            lacks.or_else(|| self.writes(now, id, replica))
        } else {
            let writes = self.writes(now, id, replica);
            writes.or_else(|| self.lacks(now, id, replica))
        };
        body.map(|body| (Ask::Put, body))
    }

    /// A batch of what was written here.
    fn writes(&mut self, now: Now, id: PeerId, replica: &mut dyn Replica) -> Option<Bytes> {
        let peer = self.peers.get_mut(&id)?;
        if peer.silent || peer.cursor >= self.log.end() || now.at < peer.paced {
            return None;
        }
        let mut put = Put::new(peer.window.size(), self.config.max_body);
        let mut seen: HashSet<(SetId, &str)> = HashSet::new();
        while let Some((set, key)) = self.log.get(peer.cursor) {
            if seen.insert((set, key))
                && add(&mut put, now.at, set, key, replica, &mut self.counters) == Room::Full
            {
                break;
            }
            peer.cursor += 1;
        }
        peer.paced = now.at + self.config.pace;
        let at = self.clock.now(now.unix_ms);
        (!put.is_empty()).then(|| put.finish(at, None))
    }

    /// A batch of what a peer lacks.
    fn lacks(&mut self, now: Now, id: PeerId, replica: &mut dyn Replica) -> Option<Bytes> {
        let peer = self.peers.get_mut(&id)?;
        let mut put = Put::new(peer.window.size(), self.config.max_body);
        let mut done = None;
        while let Some(push) = peer.pushes.front_mut() {
            let Some(key) = push.next(now.at, replica) else {
                done = push.whole().then_some(push.set);
                peer.pushes.pop_front();
                if done.is_some() {
                    break;
                }
                continue;
            };
            match add(
                &mut put,
                now.at,
                push.set,
                &key,
                replica,
                &mut self.counters,
            ) {
                Room::Full => {
                    push.put_back(key);
                    break;
                }
                Room::Taken | Room::TooLarge => {}
            }
        }
        let at = self.clock.now(now.unix_ms);
        let name = done.map(|set| replica.name(set));
        (!put.is_empty() || name.is_some()).then(|| put.finish(at, name))
    }
}

fn add(
    put: &mut Put,
    now: Instant,
    set: SetId,
    key: &str,
    replica: &mut dyn Replica,
    counters: &mut Counters,
) -> Room {
    let name: Box<str> = replica.name(set).into();
    let mut room = Room::Taken;
    replica.read(now, set, key, &mut |record| {
        room = put.add(now, set, &name, key, record);
        match room {
            Room::Taken => counters.records_out += 1,
            Room::TooLarge => counters.too_large += 1,
            Room::Full => {}
        }
    });
    room
}
