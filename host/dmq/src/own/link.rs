//! Our own nodes on the bus: the machine of [`super::repair`] behind KDMQ requests on a channel of its own, signed.
//!
//! A node of ours says what it is in a header field of everything it sends, `Switchhook-Node: <its life>`, and Kamailio ignores
//! that. Who says so (with a signature, where there are keys) is [`Kind::Own`] from then on: it is sent no Kamailio bodies of
//! tables, contacts and dialogs, but records, and only such members are sent anything on [`CHANNEL`]; Kamailio would answer 404.
//!
//! What is written here is recorded when the bus is told of it; what other nodes wrote is merged, then made in the tables. A lane
//! may write a key while the bus does: the bus sees that write later, gives it the later version, and makes it in the table once
//! more, so table and record end equal.
//!
//! Requests repeat by the window's clock, not by SIP's: each copy has the branch of the first and a signature of its own.
//!
//! Limits: those of the parts; [`MAX_FLIGHTS`] requests whose answers are waited for.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use switchhook_sip::message::Message;

use super::auth::{self, Covered, Guard, Refusal, Signed, Signer};
use super::config::Config;
use super::convert::{self, CONTACTS, DIALOGS};
use super::records::Records;
use super::repair::{Mesh, PeerId, Replica, Send, SetId};
use super::version::{Clock, NodeId, Value, Version};
use crate::config::Config as BusConfig;
use crate::dialog;
use crate::envelope::{Draft, JSON, METHOD, Reply, Request};
use crate::htable::{self, Action};
use crate::node::{Node, Now};
use crate::stores::{Change, Refused, Stores};
use crate::usrloc;

/// The channel.
pub const CHANNEL: &str = "switchhook";
/// The header field that says what life of a node a message is of.
pub const NODE_HEADER: &str = "Switchhook-Node";
/// The most requests whose answers are waited for.
pub const MAX_FLIGHTS: usize = 16_384;
/// How often a part of the records is freed of what is over.
const SWEEP: Duration = Duration::from_millis(250);

/// What was counted of all that only our own nodes speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// The machine's.
    pub mesh: super::repair::Counters,
    /// Messages that were refused for their signature.
    pub refused: u64,
    /// Answers that were not of who was asked.
    pub forged_answers: u64,
    /// Writes that found no room for their record, and are not replicated.
    pub unrecorded: u64,
    /// Records that the tables had no room for.
    pub unmade: u64,
    /// Records that there are.
    pub records: u64,
}

/// Why the tables are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// They may have had content before there was a bus.
    First,
    /// Writes were lost on their way here.
    Lost,
}

/// What an answer says of who gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is one of ours, in that life of it.
    Life(NodeId),
    /// It refused us because our clocks differ. Now we know by how much.
    Clock,
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
struct Flight {
    to: Node,
    peer: PeerId,
    /// Of its copies.
    counts: SmallVec<[u64; 2]>,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Own {
    config: Config,
    bus: (Node, Arc<str>),
    clock: Arc<Clock>,
    mesh: Mesh,
    records: Records,
    names: Vec<Arc<str>>,
    guard: Option<Guard>,
    signer: Option<Signer<Node>>,
    peers: BTreeMap<Node, PeerId>,
    nodes: HashMap<PeerId, Node>,
    next_peer: u32,
    flights: BTreeMap<u64, Flight>,
    branches: ahash::RandomState,
    /// Keys that a lane wrote while the bus did: to be made in the tables again.
    again: VecDeque<(SetId, Box<str>)>,
    /// Why the tables are to be read as a whole, if they are.
    read: Option<Read>,
    sweep_at: Instant,
    counters: Counters,
}

impl Own {
    pub(crate) fn new(now: Now, config: Config, bus: &BusConfig) -> Self {
        let clock = Arc::new(Clock::new(config.node));
        let contacts = bus.contacts.then(|| Arc::from(CONTACTS));
        let dialogs = bus.dialogs.then(|| Arc::from(DIALOGS));
        let tables = bus.tables.iter().cloned();
        let names: Vec<Arc<str>> = tables.chain(contacts).chain(dialogs).collect();
        let [a, b, c, d] = bus.seed;
        let keys = config.keys.as_ref();
        Self {
            mesh: Mesh::new(Arc::clone(&clock), config.mesh),
            records: Records::new(names.iter().cloned(), config.max_records),
            guard: keys.map(|keys| Guard::new(keys.clone(), config.node, now.unix_ms)),
            signer: keys.map(|keys| Signer::new(keys.clone(), config.node)),
            names,
            clock,
            config,
            bus: (bus.own, Arc::clone(&bus.server)),
            peers: BTreeMap::new(),
            nodes: HashMap::new(),
            next_peer: 0,
            flights: BTreeMap::new(),
            branches: ahash::RandomState::with_seeds(c, d, a, b),
            again: VecDeque::new(),
            read: Some(Read::First),
            sweep_at: now.at,
            counters: Counters::default(),
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            mesh: self.mesh.counters(),
            records: u64::try_from(self.records.len()).unwrap_or(u64::MAX),
            ..self.counters
        }
    }

    /// Writes that a node was not sent yet.
    pub(crate) fn lag(&self, node: Node) -> u64 {
        let peer = self.peers.get(&node);
        peer.and_then(|peer| self.mesh.lag(*peer)).unwrap_or(0)
    }

    /// Whether members that do not sign are refused.
    pub(crate) fn only_signed(&self) -> bool {
        self.config.only_signed && self.guard.is_some()
    }

    /// Checks a request's signature. `None`: it has none, or we have no keys.
    pub(crate) fn check(&mut self, now: Now, message: &Message) -> Option<Result<Signed, Refusal>> {
        let guard = self.guard.as_mut()?;
        let field = header(message, auth::HEADER)?;
        let covered = Covered {
            method: std::str::from_utf8(METHOD).unwrap_or_default(),
            uri: message.request_uri(),
            body: message.body(),
        };
        let checked = guard.request(now.unix_ms, Some(field), &covered);
        self.counters.refused += u64::from(checked.is_err());
        Some(checked)
    }

    /// Header fields of an answer.
    pub(crate) fn answer_fields(
        &self,
        now: Now,
        to: Option<Signed>,
        reply: &Reply,
    ) -> Vec<(&'static str, String)> {
        let mut fields = vec![(NODE_HEADER, self.config.node.to_string())];
        if let (Some(guard), Some(to)) = (&self.guard, to) {
            let body = reply.body.as_ref().map_or(&[][..], |(_, body)| body);
            let field = guard.answer(now.unix_ms, to, reply.status, body);
            fields.push((auth::HEADER, field));
        }
        fields
    }

    /// Header fields of a request to a member, each with its line end.
    pub(crate) fn fields(&mut self, now: Now, to: Node, channel: &str, body: &[u8]) -> String {
        self.sign(now, to, channel, body).0
    }

    fn sign(&mut self, now: Now, to: Node, channel: &str, body: &[u8]) -> (String, Option<u64>) {
        let mut fields = format!("{NODE_HEADER}: {}\r\n", self.config.node);
        let Some(signer) = &mut self.signer else {
            return (fields, None);
        };
        let uri = format!("sip:{channel}@{}", to.address);
        let covered = Covered {
            method: std::str::from_utf8(METHOD).unwrap_or_default(),
            uri: uri.as_bytes(),
            body,
        };
        let (field, signed) = signer.sign(now.unix_ms, to, &covered);
        fields += &format!("{}: {field}\r\n", auth::HEADER);
        (fields, Some(signed.count))
    }

    /// What life of a node of ours a request is of; `None`: of none.
    pub(crate) fn is_ours(&self, message: &Message, signed: Option<Signed>) -> Option<NodeId> {
        match (&self.guard, signed) {
            (Some(_), signed) => signed.map(|signed| signed.node),
            (None, _) => header(message, NODE_HEADER)?.parse().ok(),
        }
    }

    /// What an answer says of who gave it. One that is to be signed and is not says nothing.
    pub(crate) fn heard(&mut self, now: Now, from: Node, message: &Message) -> Heard {
        let Some(signer) = &mut self.signer else {
            let life = header(message, NODE_HEADER).and_then(|life| life.parse().ok());
            return life.map_or(Heard::Nothing, Heard::Life);
        };
        let field = header(message, auth::HEADER);
        match signer.answered(message.status(), field, message.body()) {
            None => Heard::Nothing,
            Some(said) if message.status() != 403 => Heard::Life(said.node),
            Some(said) => match signer.learn(now.unix_ms, from, said.time) {
                true => Heard::Clock,
                false => Heard::Nothing,
            },
        }
    }

    /// A member is one of ours, in that life of it.
    pub(crate) fn saw(&mut self, now: Now, member: Node, life: NodeId) {
        if life == self.config.node {
            return;
        }
        let peer = *self.peers.entry(member).or_insert_with(|| {
            self.next_peer = self.next_peer.wrapping_add(1);
            PeerId(self.next_peer)
        });
        self.nodes.insert(peer, member);
        self.mesh.peer_up(now, peer, life);
    }

    /// A member was removed.
    pub(crate) fn gone(&mut self, member: Node) {
        if let Some(peer) = self.peers.remove(&member) {
            self.nodes.remove(&peer);
            self.mesh.peer_down(peer);
        }
        if let Some(signer) = &mut self.signer {
            signer.forget(member);
        }
    }

    /// A request on our channel, of a member that [`Own::saw`] knows.
    pub(crate) fn request(
        &mut self,
        now: Now,
        request: &Request<'_>,
        stores: &mut dyn Stores,
    ) -> Reply {
        let Some(peer) = self.peers.get(&request.from).copied() else {
            return Reply::FORBIDDEN;
        };
        let answer = self
            .mesh
            .request(now, peer, request.body, &mut self.records);
        self.make_merged(now, stores);
        match answer.status {
            200 => Reply {
                body: Some((JSON.into(), answer.body)),
                ..Reply::OK
            },
            400 => Reply::BAD,
            _ => Reply::FORBIDDEN,
        }
    }

    /// An answer. False where it is to no request of ours.
    pub(crate) fn answered(
        &mut self,
        now: Now,
        branch: u128,
        message: &Message,
        stores: &mut dyn Stores,
    ) -> bool {
        let id = u64::try_from(branch & u128::from(u64::MAX)).unwrap_or_default();
        if branch != self.branch(id) {
            return false;
        }
        let Some(flight) = self.flights.get(&id) else {
            return true;
        };
        let (status, body) = (message.status(), message.body());
        if let Some(signer) = &mut self.signer {
            let said = signer.answered(status, header(message, auth::HEADER), body);
            let Some(said) = said.filter(|said| flight.counts.contains(&said.count)) else {
                self.counters.forged_answers += 1;
                return true;
            };
            if status == 403 {
                // Our clock is wrong, or theirs: the next copy is in its time.
                signer.learn(now.unix_ms, flight.to, said.time);
                return true;
            }
        }
        let peer = flight.peer;
        self.flights.remove(&id);
        self.mesh
            .answered(now, peer, id, status, body, &mut self.records);
        self.make_merged(now, stores);
        true
    }

    /// A write of a table here.
    pub(crate) fn change(&mut self, now: Now, change: &Change) {
        match change {
            Change::Htable { table, action } => {
                if let Some(set) = self.records.find(table) {
                    self.wrote(now, set, table, action);
                }
            }
            Change::Contact(change) => {
                if let Some(set) = self.records.find(CONTACTS) {
                    self.moved(now, set, change);
                }
            }
            Change::Dialog(change) => {
                if let Some(set) = self.records.find(DIALOGS) {
                    self.went_on(now, set, change);
                }
            }
        }
    }

    fn wrote(&mut self, now: Now, set: SetId, table: &Arc<str>, action: &Action) {
        let life = |ttl: &Option<Duration>| {
            let own = ttl.or_else(|| self.config.lives.get(table).copied());
            own.unwrap_or_default()
        };
        let at = self.write(now);
        let (key, recorded) = match action {
            Action::Set { key, value, ttl } => {
                let (value, life) = (convert::item_value(value), life(ttl));
                (key, self.records.set(at, set, key, value, life))
            }
            Action::Add {
                key,
                delta,
                sum,
                ttl,
            } => {
                let life = life(ttl);
                let added = self.records.add(at, set, key, *delta, life);
                // What cannot be counted, a text or too many parts, is set.
                let recorded = match added {
                    Some(Ok(_)) => true,
                    Some(Err(_)) => self.records.set(at, set, key, Value::Integer(*sum), life),
                    None => false,
                };
                (key, recorded)
            }
            Action::Expire { key, ttl } => (key, self.records.expire(at, set, key, *ttl)),
            Action::Delete { key } => (key, self.records.remove(at, set, key)),
            Action::DeletePattern { of, pattern } => {
                if let Ok(pattern) = htable::compile(pattern) {
                    self.remove_if(now, set, *of, |text| pattern.is_match(text));
                }
                return;
            }
            Action::DeletePrefix { of, prefix } => {
                return self.remove_if(now, set, *of, |text| text.starts_with(&**prefix));
            }
        };
        self.recorded(now, set, key, recorded);
    }

    fn moved(&mut self, now: Now, set: SetId, change: &usrloc::Change) {
        let key = convert::contact_key(&change.contact);
        let at = self.write(now);
        let recorded = match change.action {
            usrloc::Action::Remove => self.records.remove(at, set, &key),
            usrloc::Action::Save => {
                let life = change.contact.left(now, change.behind);
                let value = convert::contact_value(&change.contact);
                value.is_some_and(|value| self.records.set(at, set, &key, value, life))
            }
        };
        self.recorded(now, set, &key, recorded);
    }

    fn went_on(&mut self, now: Now, set: SetId, change: &dialog::Change) {
        let key = convert::dialog_key(change.id());
        let at = self.write(now);
        let dialog = match change {
            dialog::Change::Remove(_) => {
                let removed = self.records.remove(at, set, &key);
                return self.recorded(now, set, &key, removed);
            }
            dialog::Change::Save(dialog) => dialog.clone(),
            dialog::Change::State(update) => {
                let known = self.records.record(set, &key);
                // What is not known was never told, or is over.
                let known = known.and_then(|record| convert::read_dialog(now, record));
                let Some(mut dialog) = known else {
                    return;
                };
                if !update.apply(&mut dialog) {
                    return;
                }
                dialog
            }
        };
        let life = convert::dialog_life(&dialog);
        let value = convert::dialog_value(now, &dialog);
        let recorded = value.is_some_and(|value| self.records.set(at, set, &key, value, life));
        self.recorded(now, set, &key, recorded);
    }

    /// A change of a Kamailio member was made: all of our nodes that it is told to record it, each for itself.
    pub(crate) fn learned(&mut self, now: Now, change: &Change) {
        self.change(now, change);
    }

    fn recorded(&mut self, now: Now, set: SetId, key: &str, recorded: bool) {
        if !recorded {
            self.counters.unrecorded += 1;
            return;
        }
        if self.records.overlaps(now.at, set, key) {
            self.again.push_back((set, key.into()));
        }
        self.mesh.changed(set, key);
    }

    fn remove_if(&mut self, now: Now, set: SetId, of: htable::Of, gone: impl Fn(&str) -> bool) {
        let live = self.records.live(now.at, set);
        let gone = live.filter(|(key, record)| match (of, record.set_value()) {
            (htable::Of::Name, _) => gone(key),
            (htable::Of::Value, Some(Value::Text(text))) => gone(text),
            (htable::Of::Value, _) => false,
        });
        let keys: Vec<Box<str>> = gone.map(|(key, _)| key.into()).collect();
        for key in keys {
            let at = self.write(now);
            let removed = self.records.remove(at, set, &key);
            self.recorded(now, set, &key, removed);
        }
    }

    fn write(&self, now: Now) -> (Instant, Version) {
        (now.at, self.clock.write(now.unix_ms))
    }

    /// Writes were lost on their way here.
    pub(crate) fn lost_track(&mut self) {
        self.read.get_or_insert(Read::Lost);
    }

    /// Does what is due, and gives what is to be sent.
    pub(crate) fn pump(&mut self, now: Now, stores: &mut dyn Stores) -> Option<(Node, Bytes)> {
        while let Some((set, key)) = self.again.pop_front() {
            self.make(now, set, &key, stores);
        }
        if let Some(why) = self.read.take() {
            self.read_tables(now, why, stores);
        }
        if now.at >= self.sweep_at {
            self.sweep_at = now.at + SWEEP;
            self.records.sweep(now.at);
        }
        let send = self.mesh.poll(now, &mut self.records)?;
        self.envelope(now, &send)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let again = !self.again.is_empty() || self.read.is_some();
        let again = again.then_some(self.sweep_at);
        let sweep = (!self.records.is_empty()).then_some(self.sweep_at);
        [self.mesh.deadline(), again, sweep]
            .into_iter()
            .flatten()
            .min()
    }

    fn envelope(&mut self, now: Now, send: &Send) -> Option<(Node, Bytes)> {
        let to = *self.nodes.get(&send.peer)?;
        let (extra, count) = self.sign(now, to, CHANNEL, &send.body);
        let flight = self.flights.entry(send.id).or_insert_with(|| Flight {
            to,
            peer: send.peer,
            counts: smallvec![],
        });
        flight.counts.extend(count);
        if self.flights.len() > MAX_FLIGHTS {
            // The oldest was given up long ago.
            self.flights.pop_first();
        }
        let draft = Draft {
            own: self.bus.0,
            to,
            channel: CHANNEL,
            id: self.branch(send.id),
            hops: 1,
            user_agent: &self.bus.1,
            content_type: JSON,
            extra: &extra,
            body: &send.body,
        };
        Some((to, draft.write()))
    }

    /// Not to be guessed, and no other request's.
    fn branch(&self, id: u64) -> u128 {
        let hash = self.branches.hash_one((id, CHANNEL));
        u128::from(hash) << 64 | u128::from(id)
    }

    fn make_merged(&mut self, now: Now, stores: &mut dyn Stores) {
        for changed in self.records.merged() {
            self.make(now, changed.set, &changed.key, stores);
        }
    }

    /// Makes a table what the record says.
    fn make(&mut self, now: Now, set: SetId, key: &str, stores: &mut dyn Stores) {
        let Some(name) = self.names.get(usize::from(set.0)) else {
            return;
        };
        let Some(record) = self.records.record(set, key) else {
            return;
        };
        let made = if **name == *CONTACTS {
            let change = convert::contact(now, key, record);
            change.map(|change| stores.apply(now, &change))
        } else if **name == *DIALOGS {
            let change = convert::dialog(now, key, record);
            change.map(|change| match stores.apply(now, &change) {
                // One that is not there is as gone as it should be.
                Err(Refused::Unknown) => Ok(()),
                made => made,
            })
        } else {
            let item = convert::item(now, name, key, record);
            item.map(|item| stores.put(now, &item))
        };
        if made.is_some_and(|made| made.is_err()) {
            self.counters.unmade += 1;
        }
        self.records.wrote(now.at, set, key);
    }

    /// Records what the tables have that the records do not, and the other way round.
    fn read_tables(&mut self, now: Now, why: Read, stores: &mut dyn Stores) {
        for name in self.names.clone() {
            let Some(set) = self.records.find(&name) else {
                continue;
            };
            let mut seen = HashSet::new();
            if *name == *CONTACTS {
                let parts = (0..).map_while(|part| stores.contacts_part(now, part));
                for contact in parts.flatten() {
                    let key = convert::contact_key(&contact);
                    if let Some(value) = convert::contact_value(&contact) {
                        self.found(now, why, set, (&*key, value), contact.left(now, 0));
                    }
                    seen.insert(key);
                }
            } else if *name == *DIALOGS {
                let parts = (0..).map_while(|part| stores.dialogs_part(now, part));
                for dialog in parts.flatten() {
                    let key = convert::dialog_key(dialog.id);
                    if let Some(value) = convert::dialog_value(now, &dialog) {
                        let life = convert::dialog_life(&dialog);
                        self.found(now, why, set, (&*key, value), life);
                    }
                    seen.insert(key);
                }
            } else {
                let parts = (0..).map_while(|part| stores.htable_part(now, &name, part));
                for item in parts.flatten() {
                    let value = convert::item_value(&item.value);
                    let life = item.ttl.unwrap_or_default();
                    self.found(now, why, set, (&*item.key, value), life);
                    seen.insert(item.key.to_string());
                }
            }
            if why == Read::Lost {
                self.remove_unseen(now, set, |key| seen.contains(key));
            }
        }
        if why == Read::Lost {
            self.mesh.lost_track(now);
        }
    }

    /// A table has this.
    fn found(
        &mut self,
        now: Now,
        why: Read,
        set: SetId,
        (key, value): (&str, Value),
        life: Duration,
    ) {
        if self.records.get(now.at, set, key).as_ref() == Some(&value) {
            return;
        }
        let version = match why {
            Read::Lost => self.clock.write(now.unix_ms),
            // It was written here since.
            Read::First if self.records.record(set, key).is_some() => return,
            Read::First => convert::initial(&value),
        };
        if !self.records.set((now.at, version), set, key, value, life) {
            self.counters.unrecorded += 1;
        }
    }

    fn remove_unseen(&mut self, now: Now, set: SetId, seen: impl Fn(&str) -> bool) {
        let live = self.records.live(now.at, set);
        let unseen = live.filter(|(key, _)| !seen(key));
        let unseen: Vec<Box<str>> = unseen.map(|(key, _)| key.into()).collect();
        for key in unseen {
            let at = self.write(now);
            self.records.remove(at, set, &key);
        }
    }
}

fn header<'a>(message: &'a Message, name: &'a str) -> Option<&'a str> {
    let field = message.named(name.as_bytes()).next()?;
    std::str::from_utf8(field.value).ok()
}
