//! Nodes and a network that loses, repeats, delays, reorders and splits, all by one seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_dmq::Now;
use switchhook_dmq::own::repair::{Config, Mesh, PeerId};
use switchhook_dmq::own::version::{Clock, NodeId};

use crate::memory::Memory;

pub(crate) const SETS: [&str; 3] = ["ht", "counters", "short"];

/// A small generator: what matters is that a seed gives the same run everywhere.
#[derive(Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) twice: u64,
    /// Milliseconds each way: at least, and up to so much more, so that messages overtake each other.
    pub(crate) delay: (u64, u64),
}

pub(crate) const CALM: Weather = Weather {
    loss: 0,
    twice: 0,
    delay: (1, 0),
};

pub(crate) struct SimNode {
    pub(crate) memory: Memory,
    pub(crate) mesh: Mesh,
    /// Its wall clock, milliseconds off.
    pub(crate) skew: i64,
    pub(crate) lives: u64,
}

#[derive(Clone)]
enum Cargo {
    Request { id: u64, body: Bytes },
    Reply { id: u64, status: u16, body: Bytes },
}

struct Datagram {
    from: usize,
    to: usize,
    /// Of both: what was for a life that ended is lost with it.
    lives: (u64, u64),
    cargo: Cargo,
}

pub(crate) struct Net {
    pub(crate) start: Instant,
    /// Virtual milliseconds since the start.
    pub(crate) ms: u64,
    pub(crate) nodes: Vec<SimNode>,
    pub(crate) weather: Weather,
    pub(crate) dice: Dice,
    /// Which side of a split a node is on.
    pub(crate) side: Vec<u8>,
    pub(crate) datagrams: u64,
    pub(crate) bytes: u64,
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    air: Vec<Option<Datagram>>,
    free: Vec<usize>,
    order: u64,
    seed: u64,
    config: Config,
}

impl Net {
    pub(crate) fn new(seed: u64, skews: &[i64], weather: Weather, config: Config) -> Self {
        let mut net = Self {
            start: Instant::now(),
            ms: 0,
            nodes: Vec::new(),
            weather,
            dice: Dice::new(seed),
            side: vec![0; skews.len()],
            datagrams: 0,
            bytes: 0,
            queue: BinaryHeap::new(),
            air: Vec::new(),
            free: Vec::new(),
            order: 0,
            seed,
            config,
        };
        for (at, skew) in skews.iter().enumerate() {
            let node = net.node(at, *skew, 1);
            net.nodes.push(node);
        }
        for at in 0..net.nodes.len() {
            net.introduce(at);
        }
        net
    }

    fn node(&self, at: usize, skew: i64, lives: u64) -> SimNode {
        let random = Dice::new(self.seed ^ (at as u64) << 32 ^ lives << 48).roll();
        let clock = Arc::new(Clock::new(NodeId::new(random)));
        SimNode {
            memory: Memory::new(clock.clone(), &SETS),
            mesh: Mesh::new(clock, self.config),
            skew,
            lives,
        }
    }

    /// All others learn of a node's life, and it of theirs: what the member list does.
    fn introduce(&mut self, at: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != at) {
            for (one, two) in [(at, other), (other, at)] {
                let id = self.nodes[two].memory.clock.node();
                let now = self.now(one);
                let peer = PeerId(u32::try_from(two).unwrap());
                self.nodes[one].mesh.peer_up(now, peer, id);
            }
        }
    }

    /// Killed, and back at once with nothing.
    pub(crate) fn kill(&mut self, at: usize) {
        let (skew, lives) = (self.nodes[at].skew, self.nodes[at].lives);
        self.nodes[at] = self.node(at, skew, lives + 1);
        self.introduce(at);
    }

    pub(crate) fn now(&self, node: usize) -> Now {
        let skew = self.nodes.get(node).map_or(0, |node| node.skew);
        Now {
            at: self.start + Duration::from_millis(self.ms),
            unix_ms: (1_795_262_400_000 + self.ms)
                .checked_add_signed(skew)
                .unwrap(),
        }
    }

    /// Lets the nodes work until a time.
    pub(crate) fn run_until(&mut self, end: u64) {
        while self.ms < end {
            self.step(end);
        }
    }

    /// Sends all that is to be sent, then goes on to what comes next.
    pub(crate) fn step(&mut self, end: u64) {
        for at in 0..self.nodes.len() {
            let now = self.now(at);
            let node = &mut self.nodes[at];
            let mut sent = Vec::new();
            while let Some(send) = node.mesh.poll(now, &mut node.memory.records) {
                sent.push(send);
            }
            for send in sent {
                let cargo = Cargo::Request {
                    id: send.id,
                    body: send.body,
                };
                self.send(at, usize::try_from(send.peer.0).unwrap(), &cargo);
            }
        }
        let deadlines = self.nodes.iter().filter_map(|node| node.mesh.deadline());
        let wake = deadlines.min().map(|at| {
            let after = at.saturating_duration_since(self.start);
            u64::try_from(after.as_micros().div_ceil(1000)).unwrap()
        });
        let next = self.queue.peek().map(|Reverse((at, ..))| *at);
        let next = [wake, next].into_iter().flatten().min().unwrap_or(end);
        self.ms = next.clamp(self.ms + u64::from(Some(self.ms) == wake), end);
        while let Some(Reverse((at, _, index))) = self.queue.peek().copied() {
            if at > self.ms {
                break;
            }
            self.queue.pop();
            self.free.push(index);
            if let Some(datagram) = self.air[index].take() {
                self.deliver(datagram);
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, cargo: &Cargo) {
        let size = match cargo {
            Cargo::Request { body, .. } | Cargo::Reply { body, .. } => body.len(),
        };
        assert!(size <= self.config.max_body.max(30_000), "{size} bytes");
        self.datagrams += 1;
        self.bytes += size as u64;
        let copies = 1 + u64::from(self.dice.percent(self.weather.twice));
        for _ in 0..copies {
            if self.side[from] != self.side[to] || self.dice.percent(self.weather.loss) {
                continue;
            }
            let (least, more) = self.weather.delay;
            let at = self.ms + least + self.dice.below(more + 1);
            let datagram = Datagram {
                from,
                to,
                lives: (self.nodes[from].lives, self.nodes[to].lives),
                cargo: cargo.clone(),
            };
            let index = self.free.pop().unwrap_or_else(|| {
                self.air.push(None);
                self.air.len() - 1
            });
            self.air[index] = Some(datagram);
            self.order += 1;
            self.queue.push(Reverse((at, self.order, index)));
        }
    }

    fn deliver(&mut self, datagram: Datagram) {
        let Datagram {
            from,
            to,
            lives,
            cargo,
        } = datagram;
        if lives.1 != self.nodes[to].lives {
            return;
        }
        let (now, peer) = (self.now(to), PeerId(u32::try_from(from).unwrap()));
        let node = &mut self.nodes[to];
        match cargo {
            Cargo::Request { id, body } => {
                let answer = node
                    .mesh
                    .request(now, peer, &body, &mut node.memory.records);
                let reply = Cargo::Reply {
                    id,
                    status: answer.status,
                    body: answer.body,
                };
                if lives.0 == self.nodes[from].lives {
                    self.send(to, from, &reply);
                }
            }
            Cargo::Reply { id, status, body } => {
                let memory = &mut node.memory.records;
                node.mesh.answered(now, peer, id, status, &body, memory);
            }
        }
    }

    /// Whether all nodes see the same.
    pub(crate) fn agree(&self) -> bool {
        let at = self.now(0).at;
        let first = &self.nodes[0].memory;
        self.nodes[1..]
            .iter()
            .all(|node| first.is_known_to(&node.memory, at) && node.memory.is_known_to(first, at))
    }

    /// What two nodes see differently, for a failure's message.
    pub(crate) fn disagreement(&self) -> String {
        let at = self.now(0).at;
        let views: Vec<_> = self.nodes.iter().map(|node| node.memory.view(at)).collect();
        let mut told = String::new();
        for (n, view) in views.iter().enumerate().skip(1) {
            let differ =
                |(key, value): &(&(u16, String), &(switchhook_dmq::own::version::Value, u64))| {
                    views[0].get(*key) != Some(*value)
                };
            let more: Vec<_> = view.iter().filter(differ).take(3).collect();
            let less = views[0]
                .keys()
                .filter(|key| !view.contains_key(*key))
                .take(3);
            let less: Vec<_> = less.collect();
            told += &format!(
                "node {n}: {} keys (node 0: {}), other: {more:?}, not there: {less:?}; {:?}\n",
                view.len(),
                views[0].len(),
                self.nodes[n].mesh.counters()
            );
        }
        told
    }
}
