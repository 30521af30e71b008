//! Other nodes: which are dialled and when, who is let in, which one is active.
//!
//! A configured node is dialled until it is there, with pauses that double from the first to the longest. Of two connections
//! opened at once between two nodes one survives, by their names, as the protocol has it. The active node is the preferred one of
//! those that are there: losing it makes the next one active at once; whether one that comes back takes over is configured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Closed, Connection, ConnectionId, Entry, Event, Node, NodeConfig, Output};
use crate::cookie::Cookie;
use crate::flags::Flags;
use crate::handshake::{Asked, Peer, Verdict};
use crate::name::NodeName;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Peers {
    dials: BTreeMap<NodeName, Dial>,
    /// Connections that are up.
    up: BTreeMap<NodeName, ConnectionId>,
    /// The same in the order in which they came up.
    order: Vec<NodeName>,
    active: Option<NodeName>,
    retry: (Duration, Duration),
}

/// A node that we dial.
#[derive(Debug)]
struct Dial {
    state: DialState,
    pause: Duration,
    /// Again and again, because it is configured.
    keep: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum DialState {
    /// Until then.
    Waiting(Instant),
    /// A socket is being opened.
    Opening,
    /// A handshake goes on.
    Shaking(ConnectionId),
    /// It is there, or is not wanted.
    Idle,
}

impl Peers {
    pub(super) fn new(config: &NodeConfig, now: Instant) -> Self {
        let dials = config.nodes.iter().map(|name| {
            let dial = Dial {
                state: DialState::Waiting(now),
                pause: config.retry.0,
                keep: true,
            };
            (name.clone(), dial)
        });
        Self {
            dials: dials.collect(),
            up: BTreeMap::new(),
            order: Vec::new(),
            active: None,
            retry: config.retry,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.dials.values().filter_map(|dial| match dial.state {
            DialState::Waiting(until) => Some(until),
            _ => None,
        });
        waiting.min()
    }

    /// The nodes to dial now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<NodeName> {
        let mut due = Vec::new();
        for (name, dial) in &mut self.dials {
            if matches!(dial.state, DialState::Waiting(until) if until <= now) {
                dial.state = DialState::Opening;
                due.push(name.clone());
            }
        }
        due
    }

    /// A connection to that node ended, or never came to be.
    pub(super) fn lost(&mut self, now: Instant, name: &NodeName, id: ConnectionId) {
        if self.up.get(name) == Some(&id) {
            self.up.remove(name);
            self.order.retain(|other| other != name);
        } else if !self.is_shaking(name, id) {
            return;
        }
        self.again(now, name);
    }

    fn is_shaking(&self, name: &NodeName, id: ConnectionId) -> bool {
        self.dials
            .get(name)
            .is_some_and(|dial| dial.state == DialState::Shaking(id))
    }

    /// Dials again after a pause, or no more.
    fn again(&mut self, now: Instant, name: &NodeName) {
        let longest = self.retry.1;
        let Some(dial) = self.dials.get_mut(name) else {
            return;
        };
        if dial.keep {
            dial.state = DialState::Waiting(now + dial.pause);
            dial.pause = (dial.pause * 2).min(longest);
        } else {
            self.dials.remove(name);
        }
    }
}

impl Node {
    /// A socket to a node that was to be dialled is open.
    pub fn dialled(&mut self, now: Instant, name: &NodeName, tls: bool) -> Option<ConnectionId> {
        let dial = self.peers.dials.get_mut(name)?;
        if dial.state != DialState::Opening
            || self.connections.len() >= self.config.limits.connections
        {
            return None;
        }
        let id = ConnectionId(self.next_connection);
        dial.state = DialState::Shaking(id);
        let cookie = self.cookie(name);
        let connection = Connection::dial(
            now,
            tls,
            self.config.limits.connection(),
            self.ours.clone(),
            name.clone(),
            cookie,
            self.processes.challenge(),
        );
        Some(self.add(connection, Some(name.clone())))
    }

    /// A node that was to be dialled can't be reached. True the first time in a row, so that it is not told again and again.
    pub fn not_dialled(&mut self, now: Instant, name: &NodeName) -> bool {
        let first = self
            .peers
            .dials
            .get(name)
            .is_some_and(|dial| dial.pause == self.peers.retry.0);
        if self
            .peers
            .dials
            .get(name)
            .is_some_and(|dial| dial.state == DialState::Opening)
        {
            self.peers.again(now, name);
        }
        first
    }

    /// A peer opened a socket to us. None where there are too many connections: close it.
    pub fn accepted(&mut self, now: Instant, tls: bool) -> Option<ConnectionId> {
        if self.connections.len() >= self.config.limits.connections {
            return None;
        }
        let limits = self.config.limits.connection();
        Some(self.add(
            Connection::accept(now, tls, limits, self.ours.clone()),
            None,
        ))
    }

    fn add(&mut self, connection: Connection, name: Option<NodeName>) -> ConnectionId {
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        if !connection.outbox.is_empty() {
            self.written.insert(id);
        }
        self.connections.insert(
            id,
            Entry {
                connection,
                name,
                up: false,
                busy: false,
            },
        );
        id
    }

    /// Connects to a node that need not be configured.
    pub fn connect(&mut self, now: Instant, name: &NodeName) {
        let pause = self.config.retry.0;
        if self.peers.up.contains_key(name) || *name == self.ours.name {
            return;
        }
        let keep = self.config.nodes.contains(name);
        let dial = self.peers.dials.entry(name.clone()).or_insert(Dial {
            state: DialState::Idle,
            pause,
            keep,
        });
        if matches!(dial.state, DialState::Idle | DialState::Waiting(_)) {
            dial.state = DialState::Waiting(now);
            dial.pause = pause;
        }
    }

    /// Ends the connection to a node; a configured one is not dialled again until [`Node::connect`]. False where there is none.
    pub fn disconnect(&mut self, now: Instant, name: &NodeName) -> bool {
        let id = self.peers.up.get(name).copied();
        if let Some(id) = id {
            self.close(now, id, Closed::Ours);
        }
        if let Some(dial) = self.peers.dials.get_mut(name) {
            dial.state = DialState::Idle;
        }
        id.is_some()
    }

    /// The nodes that are there, in the order in which they came.
    pub fn nodes(&self) -> &[NodeName] {
        &self.peers.order
    }

    /// The node that messages without a named one go to.
    pub fn active(&self) -> Option<&NodeName> {
        self.peers.active.as_ref()
    }

    /// The connection to a node that is there.
    pub(super) fn connection_to(&self, name: &NodeName) -> Option<ConnectionId> {
        self.peers.up.get(name).copied()
    }

    fn cookie(&self, name: &NodeName) -> Cookie {
        let own = self.config.cookies.iter().find(|(node, _)| node == name);
        own.map_or_else(|| self.config.cookie.clone(), |(_, cookie)| cookie.clone())
    }

    /// A peer wants in.
    pub(super) fn asked(&mut self, id: ConnectionId, asked: Asked) {
        let name = asked.name.clone();
        let ours = self.peers.dials.get(&name).map(|dial| &dial.state);
        let ours = match ours {
            Some(DialState::Shaking(ours)) => Some(*ours),
            _ => None,
        };
        let verdict = if name == self.ours.name {
            Verdict::No
        } else if self.peers.up.contains_key(&name) {
            Verdict::IfDead
        } else if ours.is_some() && name > self.ours.name {
            Verdict::YesInsteadOfOurs
        } else if ours.is_some() {
            Verdict::OursGoesFirst
        } else {
            Verdict::Yes
        };
        let cookie = self.cookie(&name);
        let challenge = self.processes.challenge();
        let Some(entry) = self.connections.get_mut(&id) else {
            return;
        };
        entry.name = Some(name.clone());
        let answered = entry.connection.answer(asked, verdict, cookie, challenge);
        self.written.insert(id);
        match (answered, ours, verdict) {
            (Err(failure), ..) => {
                // It must not be taken for the end of a connection that we have or open.
                if let Some(entry) = self.connections.remove(&id) {
                    self.outputs
                        .push_back(Output::Farewell(id, entry.connection.outbox));
                }
                self.written.remove(&id);
                // Where ours goes first nothing failed: it goes on.
                if !matches!(verdict, Verdict::OursGoesFirst) {
                    self.outputs.push_back(Output::Event(Event::Failed {
                        node: Some(name),
                        reason: failure.into(),
                    }));
                }
            }
            (Ok(()), Some(ours), Verdict::YesInsteadOfOurs) => {
                self.connections.remove(&ours);
                self.written.remove(&ours);
                self.outputs.push_back(Output::Close(ours));
                if let Some(dial) = self.peers.dials.get_mut(&name) {
                    dial.state = DialState::Shaking(id);
                }
            }
            (Ok(()), ..) => {}
        }
    }

    /// A handshake is done.
    pub(super) fn up(&mut self, now: Instant, id: ConnectionId, peer: Peer) {
        if let Some(old) = self.peers.up.get(&peer.name).copied() {
            self.close(now, old, Closed::Replaced);
        }
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.name = Some(peer.name.clone());
            entry.up = true;
        }
        if let Some(dial) = self.peers.dials.get_mut(&peer.name) {
            dial.state = DialState::Idle;
            dial.pause = self.peers.retry.0;
        }
        self.peers.up.insert(peer.name.clone(), id);
        self.peers.order.push(peer.name.clone());
        self.outputs.push_back(Output::Event(Event::Up {
            node: peer.name,
            hidden: !peer.flags.has(Flags::PUBLISHED),
        }));
        self.choose();
    }

    /// Makes the right node active.
    pub(super) fn choose(&mut self) {
        let configured = &self.config.nodes;
        let rank = |name: &NodeName| {
            let place = configured.iter().position(|other| other == name);
            place.unwrap_or(configured.len())
        };
        // Of equals the first, which is the one that was there first.
        let best = self.peers.order.iter().min_by_key(|name| rank(name));
        let stays = self
            .peers
            .active
            .as_ref()
            .is_some_and(|active| self.peers.up.contains_key(active) && !self.config.takeover);
        let beaten = || match (&self.peers.active, best) {
            (Some(active), Some(best)) => {
                !self.peers.up.contains_key(active) || rank(best) < rank(active)
            }
            (active, best) => active.is_some() != best.is_some(),
        };
        if !stays && beaten() {
            self.peers.active = best.cloned();
            let node = self.peers.active.clone();
            self.outputs
                .push_back(Output::Event(Event::Active { node }));
        }
    }
}
