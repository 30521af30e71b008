//! A network in virtual time, nodes on it, and tables in memory.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_dmq::dialog::{self, Dialog};
use switchhook_dmq::envelope::Reply;
use switchhook_dmq::htable::{self, Action, Item, Of, Value};
use switchhook_dmq::own;
use switchhook_dmq::own::auth::{Key, Keyring};
use switchhook_dmq::own::version::NodeId;
use switchhook_dmq::usrloc::{self, Contact};
use switchhook_dmq::{Bus, Change, Config, Event, Node, Now, Output, Refused, Stores};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;

/// Tables as simple as can be.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Memory {
    pub tables: BTreeMap<String, BTreeMap<Arc<str>, (Value, Option<Instant>)>>,
    pub contacts: BTreeMap<(String, String), (Contact, Instant)>,
    pub dialogs: BTreeMap<dialog::Id, Dialog>,
    pub applied: usize,
}

impl Memory {
    pub fn values(&self, now: Instant, table: &str) -> BTreeMap<String, Value> {
        let live = self.tables[table].iter();
        let live = live.filter(|(_, (_, end))| end.is_none_or(|end| end > now));
        live.map(|(key, (value, _))| (key.to_string(), value.clone()))
            .collect()
    }
}

impl Stores for Memory {
    fn apply(&mut self, now: Now, change: &Change) -> Result<(), Refused> {
        self.applied += 1;
        match change {
            Change::Htable { table, action } => {
                let table = self.tables.get_mut(&**table).ok_or(Refused::Unknown)?;
                let end = |ttl: &Duration| (!ttl.is_zero()).then(|| now.at + *ttl);
                let of = |of: &Of, key: &str, value: &Value| match (of, value) {
                    (Of::Name, _) => key.to_owned(),
                    (Of::Value, Value::Text(text)) => text.to_string(),
                    (Of::Value, Value::Integer(number)) => number.to_string(),
                };
                match action {
                    Action::Set { key, value, ttl } => {
                        table.insert(key.clone(), (value.clone(), ttl.as_ref().and_then(end)));
                    }
                    Action::Add { key, sum, ttl, .. } => {
                        let end = ttl.as_ref().and_then(end);
                        table.insert(key.clone(), (Value::Integer(*sum), end));
                    }
                    Action::Expire { key, ttl } => {
                        if let Some(item) = table.get_mut(key) {
                            item.1 = end(ttl);
                        }
                    }
                    Action::Delete { key } => drop(table.remove(key)),
                    Action::DeletePattern { of: what, pattern } => {
                        let pattern = htable::compile(pattern).map_err(|_| Refused::Bad)?;
                        table.retain(|key, (value, _)| !pattern.is_match(&of(what, key, value)));
                    }
                    Action::DeletePrefix { of: what, prefix } => {
                        table
                            .retain(|key, (value, _)| !of(what, key, value).starts_with(&**prefix));
                    }
                }
            }
            Change::Contact(usrloc::Change {
                action,
                contact,
                behind,
            }) => {
                let name = (contact.aor.clone(), contact.ruid.clone());
                match action {
                    usrloc::Action::Remove => drop(self.contacts.remove(&name)),
                    usrloc::Action::Save => {
                        let newer = |(old, _): &(Contact, Instant)| {
                            contact.is_newer(&old.call_id, old.cseq, old.last_modified)
                        };
                        if self.contacts.get(&name).is_none_or(newer) {
                            let end = now.at + contact.left(now, *behind);
                            self.contacts.insert(name, ((**contact).clone(), end));
                        }
                    }
                }
            }
            Change::Dialog(change) => match change {
                dialog::Change::Save(dialog) => {
                    let old = self.dialogs.get(&dialog.id).map(|old| old.state);
                    if old.is_none_or(|old| old <= dialog.state) {
                        self.dialogs.insert(dialog.id, (**dialog).clone());
                    }
                }
                dialog::Change::State(update) => {
                    let dialog = self.dialogs.get_mut(&update.id).ok_or(Refused::Unknown)?;
                    update.apply(dialog);
                }
                dialog::Change::Remove(id) => {
                    self.dialogs.remove(id).ok_or(Refused::Unknown)?;
                }
            },
        }
        Ok(())
    }

    fn put(&mut self, now: Now, item: &own::Item) -> Result<(), Refused> {
        let table = self.tables.get_mut(&*item.table).ok_or(Refused::Unknown)?;
        let end = item.left.map(|left| now.at + left);
        match &item.value {
            Some(value) => drop(table.insert(item.key.clone(), (value.clone(), end))),
            None => drop(table.remove(&item.key)),
        }
        Ok(())
    }

    fn htable_part(&self, now: Now, table: &str, part: usize) -> Option<Vec<Item>> {
        let table = self.tables.get(table).filter(|_| part == 0)?;
        let items = table.iter().map(|(key, (value, end))| Item {
            key: key.clone(),
            value: value.clone(),
            ttl: end.map(|end| end.saturating_duration_since(now.at)),
        });
        Some(items.collect())
    }

    fn htable_names(&self, _: Now, table: &str, each: &mut dyn FnMut(&str)) {
        if let Some(table) = self.tables.get(table) {
            table.keys().for_each(|key| each(key));
        }
    }

    fn htable_item(&self, now: Now, table: &str, key: &str) -> Option<Item> {
        let (value, end) = self.tables.get(table)?.get(key)?;
        Some(Item {
            key: key.into(),
            value: value.clone(),
            ttl: end.map(|end| end.saturating_duration_since(now.at)),
        })
    }

    fn contacts_part(&self, _: Now, part: usize) -> Option<Vec<Contact>> {
        let all = self.contacts.values().map(|(contact, _)| contact.clone());
        (part == 0).then(|| all.collect())
    }

    fn aors(&self, _: Now, each: &mut dyn FnMut(&str, &str)) {
        let mut aors: Vec<_> = self.contacts.keys().map(|(aor, _)| aor).collect();
        aors.dedup();
        let ours = |aor: &String| format!("sip:{aor}@ours.test");
        aors.into_iter().for_each(|aor| each(aor, &ours(aor)));
    }

    fn contacts_of(&self, _: Now, aor: &str) -> Vec<Contact> {
        let all = self.contacts.values().map(|(contact, _)| contact);
        let ours = |contact: &&Contact| format!("sip:{}@ours.test", contact.aor) == aor;
        all.filter(ours).cloned().collect()
    }

    fn dialogs_part(&self, _: Now, part: usize) -> Option<Vec<Dialog>> {
        (part == 0).then(|| self.dialogs.values().cloned().collect())
    }
}

pub fn node(n: u8) -> Node {
    Node::udp(([127, 0, 0, n], 5060).into())
}

/// A node of ours.
pub struct Own {
    pub bus: Bus,
    pub memory: Memory,
    pub events: Vec<Event>,
    /// Seconds that its wall clock is ahead of the world's.
    pub skew: i64,
    pub up: bool,
}

/// Datagrams under way, in the order in which they arrive.
type Flight = Reverse<(Instant, u64, Node, Node, Bytes)>;

/// All nodes, and what is between them.
pub struct World {
    pub now: Instant,
    start: Instant,
    pub nodes: BTreeMap<Node, Own>,
    air: BinaryHeap<Flight>,
    serial: u64,
    random: u64,
    /// Of a hundred datagrams so many are lost, doubled.
    pub lost: u64,
    pub doubled: u64,
    /// Datagrams may take up to so long.
    pub jitter: Duration,
    pub split: Box<dyn Fn(Node, Node) -> bool>,
    /// Of the nodes that are started from now on.
    pub skew: i64,
    /// Every datagram that arrived at somebody who is no node of ours: from, to, text.
    pub strangers: Vec<(Node, Node, String)>,
    pub delivered: usize,
}

pub const UNIX: u64 = 1_795_252_740;

impl World {
    pub fn new(seed: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            start: now,
            nodes: BTreeMap::new(),
            air: BinaryHeap::new(),
            serial: 0,
            random: seed.wrapping_mul(2).wrapping_add(1),
            lost: 0,
            doubled: 0,
            jitter: Duration::from_millis(1),
            split: Box::new(|_, _| false),
            skew: 0,
            strangers: Vec::new(),
            delivered: 0,
        }
    }

    pub fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }

    /// Starts a node that knows those peers; all of 127.0.0.0/24 may be members.
    pub fn start(&mut self, n: u8, peers: &[u8]) -> &mut Own {
        let mut config = Config::new(node(n), [u64::from(n), 2, 3, self.serial]);
        config.peers = peers.iter().copied().map(node).collect();
        config.allow = vec!["127.0.0.0/24".parse().unwrap()];
        config.tables = ["ht".into()].into();
        config.contacts = true;
        config.dialogs = true;
        config.scripts = true;
        self.start_with(config)
    }

    /// Starts a node that works with others of ours by their own channel, signed with keys of those names.
    pub fn start_ours(&mut self, n: u8, peers: &[u8], keys: &[&str]) -> &mut Own {
        self.serial += 1;
        let life = NodeId::new(u64::from(n) << 32 | self.serial);
        let key =
            |name: &&str| Key::new(name, format!("{name}: a secret of ours").as_bytes()).unwrap();
        let keys: Vec<_> = keys.iter().map(key).collect();
        let mut config = Config::new(node(n), [u64::from(n), 2, 3, self.serial]);
        config.peers = peers.iter().copied().map(node).collect();
        config.allow = vec!["127.0.0.0/24".parse().unwrap()];
        config.tables = ["ht".into()].into();
        config.contacts = true;
        config.dialogs = true;
        config.scripts = true;
        config.own_nodes = Some(own::Config {
            keys: (!keys.is_empty()).then(|| Keyring::new(keys).unwrap()),
            ..own::Config::new(life)
        });
        self.start_with(config)
    }

    pub fn start_with(&mut self, config: Config) -> &mut Own {
        let node = config.own;
        let mut memory = Memory::default();
        memory.tables.insert("ht".into(), BTreeMap::new());
        let own = Own {
            bus: Bus::new(self.time(self.skew), config),
            memory,
            events: Vec::new(),
            skew: self.skew,
            up: true,
        };
        self.nodes.insert(node, own);
        self.nodes.get_mut(&node).unwrap()
    }

    fn time(&self, skew: i64) -> Now {
        let millis = (self.now - self.start).as_millis() as u64;
        Now {
            at: self.now,
            unix_ms: (UNIX * 1000 + millis).saturating_add_signed(skew * 1000),
        }
    }

    pub fn now_at(&self, n: u8) -> Now {
        self.time(self.nodes[&node(n)].skew)
    }

    pub fn at(&mut self, n: u8) -> &mut Own {
        self.nodes.get_mut(&node(n)).unwrap()
    }

    /// A change is made at a node: in its store, then told.
    pub fn change(&mut self, n: u8, change: Change) {
        let now = self.now_at(n);
        let own = self.at(n);
        own.memory.apply(now, &change).unwrap();
        own.bus.change(now, &change);
        self.collect(node(n));
    }

    pub fn set(&mut self, n: u8, key: &str, value: i64) {
        let action = Action::Set {
            key: key.into(),
            value: Value::Integer(value),
            ttl: None,
        };
        self.change(
            n,
            Change::Htable {
                table: "ht".into(),
                action,
            },
        );
    }

    pub fn add(&mut self, n: u8, key: &str, delta: i64) {
        let table = &self.at(n).memory.tables["ht"];
        let before = match table.get(key) {
            Some((Value::Integer(number), _)) => *number,
            _ => 0,
        };
        let action = Action::Add {
            key: key.into(),
            delta,
            sum: before + delta,
            ttl: None,
        };
        self.change(
            n,
            Change::Htable {
                table: "ht".into(),
                action,
            },
        );
    }

    /// A datagram from somebody, ours or not.
    pub fn send(&mut self, from: Node, to: Node, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if (self.split)(from, to) {
            return;
        }
        let copies = match self.random() % 100 {
            roll if roll < self.lost => 0,
            roll if roll < self.lost + self.doubled => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let jitter = self.jitter.as_micros().max(1) as u64;
            let late = Duration::from_micros(100 + self.random() % jitter);
            self.serial += 1;
            let flight = (self.now + late, self.serial, from, to, bytes.clone());
            self.air.push(Reverse(flight));
        }
    }

    fn at_node(&mut self, node: Node) -> &mut Own {
        self.nodes.get_mut(&node).unwrap()
    }

    fn collect(&mut self, node: Node) {
        while let Some(output) = self.at_node(node).bus.poll() {
            match output {
                Output::Send { destination, bytes } => {
                    assert!(bytes.len() < 32_767, "a message that Kamailio drops");
                    self.send(node, Node::udp(destination.remote), bytes);
                }
                Output::Event(Event::Message {
                    ticket, channel, ..
                }) if &*channel != "talk" => {
                    self.at_node(node).bus.answer(ticket, &Reply::UNKNOWN);
                }
                Output::Event(event) => self.at_node(node).events.push(event),
            }
        }
    }

    /// Lets that much time go by.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let air = self.air.peek().map(|Reverse(flight)| flight.0);
            let up = self.nodes.values().filter(|own| own.up);
            let due = up.filter_map(|own| own.bus.deadline()).min();
            let next = air.into_iter().chain(due).min().filter(|next| *next <= end);
            let Some(next) = next else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if air == Some(next) {
                let Reverse((_, _, from, to, bytes)) = self.air.pop().unwrap();
                self.deliver(from, to, bytes);
                continue;
            }
            let all: Vec<_> = self.nodes.keys().copied().collect();
            for node in all {
                let now = self.time(self.nodes[&node].skew);
                let own = self.nodes.get_mut(&node).unwrap();
                if own.up && own.bus.deadline().is_some_and(|due| due <= self.now) {
                    own.bus.on_timer(now, &mut own.memory);
                    self.collect(node);
                }
            }
        }
    }

    fn deliver(&mut self, from: Node, to: Node, bytes: Bytes) {
        self.delivered += 1;
        let skew = match self.nodes.get(&to) {
            None => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return self.strangers.push((from, to, text));
            }
            Some(own) if !own.up => return,
            Some(own) => own.skew,
        };
        let source = Source {
            transport: Transport::Udp,
            remote: from.address,
            local: to.address,
            flow: FlowId::new(0),
        };
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let now = self.time(skew);
        let own = self.nodes.get_mut(&to).unwrap();
        own.bus.receive(now, &source, &message, &mut own.memory);
        self.collect(to);
    }

    pub fn run_secs(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }
}

/// A KDMQ request as Kamailio writes it.
pub fn kdmq(from: Node, to: Node, channel: &str, branch: &str, hops: u8, body: &str) -> String {
    let kind = if channel == "notification_peer" {
        "text/plain"
    } else {
        "application/json"
    };
    format!(
        "KDMQ sip:{channel}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK{branch}\r\n\
         To: <sip:{channel}@{to}>\r\nFrom: <sip:{channel}@{from}>;tag=ac55-e2b54f7c\r\nCSeq: 10 KDMQ\r\n\
         Call-ID: 6b3907e2022993fd-16704@{host}\r\nContent-Length: {length}\r\nUser-Agent: kamailio (5.6.3 (x86_64/linux))\r\n\
         Max-Forwards: {hops}\r\nContent-Type: {kind}\r\n\r\n{body}",
        from = from.address,
        to = to.address,
        host = from.address.ip(),
        length = body.len(),
    )
}
