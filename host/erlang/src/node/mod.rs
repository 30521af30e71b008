//! A node: its connections, its processes, and what binds them to those of other nodes.
//!
//! Owns every connection's state, from the handshake on; the sockets are its owner's. Bytes go in through [`Node::buffer`] and
//! [`Node::received`], commands through the other functions, time through [`Node::on_timer`]; what follows comes out of
//! [`Node::poll`] and of each connection's [`Node::outbox`]. Whatever a peer sends ends its own connection at most. Everything
//! that a peer can make grow has a bound in [`Limits`].
//!
//! One file each: `peers` (dialling, letting in, which node is the active one), `processes`, `signals` (what peers send),
//! `bonds` (links and monitors), `request` (our rpc), `serve` (theirs), `gen_call` (calls of `gen_server`).

mod bonds;
mod event;
mod gen_call;
mod peers;
mod processes;
mod request;
mod serve;
mod signals;

pub use event::{
    Answer, CallId, ConnectionId, Event, Gen, Limits, NodeConfig, Output, Process, RequestFault,
    RequestId, SendFault,
};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::BytesMut;

use crate::connection::{Closed, Connection, Input};
use crate::control::Control;
use crate::handshake::Ours;
use crate::name::NodeName;
use crate::outbox::Outbox;
use bonds::Bonds;
use peers::Peers;
use processes::Processes;
use request::Requests;
use serve::Serving;

/// See the module's header.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    ours: Ours,
    connections: BTreeMap<ConnectionId, Entry>,
    next_connection: u64,
    peers: Peers,
    processes: Processes,
    bonds: Bonds,
    requests: Requests,
    serving: Serving,
    outputs: VecDeque<Output>,
    /// Connections whose outbox was empty and is no more.
    written: BTreeSet<ConnectionId>,
}

#[derive(Debug)]
struct Entry {
    connection: Connection,
    /// Whom we dialled; the peer once it is up.
    name: Option<NodeName>,
    up: bool,
    /// A busy event is out.
    busy: bool,
}

impl Node {
    /// A node without connections. `creation` tells its pids from those of earlier nodes of its name; `seed` makes its
    /// references and challenges its own and must not be guessed.
    pub fn new(config: NodeConfig, creation: u32, seed: [u64; 2], now: Instant) -> Self {
        let ours = Ours {
            name: config.name.clone(),
            creation,
            flags: config.flags,
        };
        let mut node = Self {
            peers: Peers::new(&config, now),
            processes: Processes::new(ours.name.clone(), creation, seed),
            ours,
            config,
            connections: BTreeMap::new(),
            next_connection: 0,
            bonds: Bonds::default(),
            requests: Requests::default(),
            serving: Serving::default(),
            outputs: VecDeque::new(),
            written: BTreeSet::new(),
        };
        node.on_timer(now);
        node
    }

    /// Our name.
    pub fn name(&self) -> &NodeName {
        &self.ours.name
    }

    /// What tells our pids from those of earlier nodes of our name.
    pub fn creation(&self) -> u32 {
        self.ours.creation
    }

    /// The next thing that happened or is to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A connection that has bytes to send since it was last asked for, if any.
    pub fn to_write(&mut self) -> Option<ConnectionId> {
        self.written.pop_first()
    }

    /// A connection's outgoing bytes. None where it is over.
    pub fn outbox(&mut self, id: ConnectionId) -> Option<&mut Outbox> {
        self.connections
            .get_mut(&id)
            .map(|entry| &mut entry.connection.outbox)
    }

    /// Where to read a connection's bytes to; then tell [`Node::received`]. None where it is over.
    pub fn buffer(&mut self, id: ConnectionId) -> Option<&mut BytesMut> {
        self.connections
            .get_mut(&id)
            .map(|entry| entry.connection.buffer())
    }

    /// Bytes came in over a connection. Works off what is whole.
    pub fn received(&mut self, now: Instant, id: ConnectionId) {
        if let Some(entry) = self.connections.get_mut(&id) {
            entry.connection.received(now);
        }
        // Each step looks the connection up anew: what came may have ended it.
        while let Some(entry) = self.connections.get_mut(&id) {
            match entry.connection.next(now) {
                Ok(None) => break,
                Ok(Some(Input::Asked(asked))) => self.asked(id, asked),
                Ok(Some(Input::Up(peer))) => self.up(now, id, peer),
                Ok(Some(Input::Control(control))) => self.signal(now, id, control),
                Err(closed) => self.close(now, id, closed),
            }
        }
        // A handshake's steps leave bytes without anything else having happened.
        if let Some(entry) = self.connections.get(&id)
            && !entry.connection.outbox.is_empty()
        {
            self.written.insert(id);
        }
    }

    /// Bytes of a connection were written: a peer that was busy may be so no more. True where it is so: [`Node::poll`] has the
    /// event.
    #[must_use]
    pub fn sent(&mut self, id: ConnectionId) -> bool {
        if let Some(entry) = self.connections.get_mut(&id)
            && entry.busy
            && entry.connection.outbox.len() <= self.config.limits.queue / 2
            && let Some(node) = entry.name.clone()
        {
            entry.busy = false;
            self.outputs.push_back(Output::Event(Event::Ready { node }));
            return true;
        }
        false
    }

    /// The network ended a connection.
    pub fn closed(&mut self, now: Instant, id: ConnectionId, why: &str) {
        self.close(now, id, Closed::Network(why.to_owned()));
    }

    /// When [`Node::on_timer`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let connections = self.connections.values().map(|e| e.connection.deadline());
        connections
            .chain(self.peers.deadline())
            .chain(self.requests.deadline())
            .min()
    }

    /// Does what is due: ticks, silent peers, dials, rpcs that took too long.
    pub fn on_timer(&mut self, now: Instant) {
        let due: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, entry)| entry.connection.deadline() <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(entry) = self.connections.get_mut(&id) else {
                continue;
            };
            match entry.connection.on_timer(now) {
                Ok(()) if !entry.connection.outbox.is_empty() => {
                    self.written.insert(id);
                }
                Ok(()) => {}
                Err(closed) => self.close(now, id, closed),
            }
        }
        for node in self.peers.due(now) {
            self.outputs.push_back(Output::Dial(node));
        }
        self.expire_requests(now);
    }

    /// Ends a connection and all that hung on it.
    fn close(&mut self, now: Instant, id: ConnectionId, why: Closed) {
        let Some(entry) = self.connections.remove(&id) else {
            return;
        };
        self.written.remove(&id);
        self.outputs.push_back(Output::Close(id));
        let up = entry.up;
        if let Some(name) = entry.name {
            self.peers.lost(now, &name, id);
            if up {
                self.node_down(id, &name, why);
                return;
            }
            self.outputs.push_back(Output::Event(Event::Failed {
                node: Some(name),
                reason: why,
            }));
        } else {
            self.outputs.push_back(Output::Event(Event::Failed {
                node: None,
                reason: why,
            }));
        }
    }

    fn node_down(&mut self, id: ConnectionId, name: &NodeName, reason: Closed) {
        self.outputs.push_back(Output::Event(Event::Down {
            node: name.clone(),
            reason,
        }));
        self.bonds_lost(id, name);
        self.requests_lost(id);
        self.serving.lost(id);
        self.choose();
    }

    /// Sends to a node that is up. What scripts send is refused when too much waits already; what the protocol owes is not,
    /// but a peer that takes none of it is closed.
    fn put(&mut self, now: Instant, id: ConnectionId, control: &Control) -> Result<(), SendFault> {
        let queue = self.config.limits.queue;
        let entry = match self.connections.get_mut(&id) {
            Some(entry) if entry.up => entry,
            _ => return Err(SendFault::NotConnected),
        };
        let sent = entry.connection.send(now, control);
        self.written.insert(id);
        let waits = entry.connection.outbox.len();
        if waits > queue.saturating_mul(2) + self.config.limits.message {
            self.close(now, id, Closed::Full(waits));
            return Err(SendFault::NotConnected);
        }
        sent.then_some(()).ok_or(SendFault::TooLong)
    }

    /// The same, for what a script sends.
    fn offer(
        &mut self,
        now: Instant,
        id: ConnectionId,
        control: &Control,
    ) -> Result<(), SendFault> {
        let Some(entry) = self.connections.get_mut(&id) else {
            return Err(SendFault::NotConnected);
        };
        if entry.connection.outbox.len() >= self.config.limits.queue {
            if !entry.busy
                && let Some(node) = entry.name.clone()
            {
                entry.busy = true;
                self.outputs.push_back(Output::Event(Event::Busy { node }));
            }
            return Err(SendFault::Busy);
        }
        self.put(now, id, control)
    }
}
