//! The bus as one node sees it: what comes in, what goes out, what is due.
//!
//! Owns members, requests under way, answers given and removals remembered; the parts: `life` (who is a member), `receive` (requests
//! and who may make them), `channels` (what they mean), `tell` (changes made here), `sync` (everything, for those that join),
//! `order` (what of it comes first).

mod channels;
mod life;
mod order;
mod receive;
mod sync;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use std::collections::HashMap;
use switchhook_sip::flow::{Destination, Source};
use switchhook_sip::message::Message;

use crate::config::Config;
use crate::dialog;
use crate::envelope::{self, Reply};
use crate::members::Members;
use crate::node::{Node, Now};
use crate::outbox::{self, Manner, Outbox};
use crate::own::auth::Signed;
use crate::own::{self, Own};
use crate::seen::Seen;
use crate::stores::Stores;
use crate::tombs::Tombs;
use sync::Syncs;

pub use tell::is_channel;

/// The most requests that wait for a script's answer.
pub(crate) const MAX_ASKED: usize = 4096;
/// How long a script may take over one; then it is answered 500.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The most states that wait for their dialog, and how long.
const MAX_EARLY: usize = 4096;
const EARLY: Duration = Duration::from_secs(10);

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send {
        /// Where to.
        destination: Destination,
        /// What.
        bytes: Bytes,
    },
    /// Take note of this.
    Event(Event),
}

/// What happened on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A member answers.
    Up(Node),
    /// A member does not answer any more, or has said goodbye.
    Disabled(Node),
    /// A member was removed.
    Down(Node),
    /// A member spreads the names of dialogs over another number of entries: its dialogs are refused. Told once for each member.
    OtherEntries(Node),
    /// A message on a channel of a script's: to be answered with [`Bus::answer`].
    Message {
        /// What to answer it by.
        ticket: u64,
        /// Who sent it.
        from: Node,
        /// The channel.
        channel: Arc<str>,
        /// The type of its body; may be empty.
        content_type: Box<str>,
        /// Its body.
        body: Bytes,
    },
    /// What was sent with [`Bus::send`] has been answered by a member.
    Answered {
        /// The number that sending gave.
        number: u64,
        /// The member.
        node: Node,
        /// Its answer; 408 where none came.
        status: u16,
    },
}

/// Numbers since the start, and as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Requests taken.
    pub received: u64,
    /// Copies of requests that had been answered.
    pub repeated: u64,
    /// Requests refused because of who sent them.
    pub refused: u64,
    /// Requests refused because of what they said.
    pub malformed: u64,
    /// Changes of members made here.
    pub applied: u64,
    /// Changes of members that were older than what is here.
    pub outdated: u64,
    /// Changes of members that the tables refused.
    pub failed: u64,
    /// Changes made here that were told, counted once for each member.
    pub told: u64,
    /// Changes that could not be told: too long for a message, or no text.
    pub untold: u64,
    /// Members that had to be told everything again.
    pub repairs: u64,
    /// Requests of ours that were sent again.
    pub resent: u64,
    /// Parcels that wait for members or are under way.
    pub queued: u64,
}

/// See the module's header.
#[derive(Debug)]
pub struct Bus {
    config: Config,
    members: Members,
    outbox: Outbox,
    seen: Seen,
    contacts_gone: Tombs<channels::Gone>,
    dialogs_gone: Tombs<()>,
    /// Members whose dialogs have names of another number of entries; as many as there are members.
    other_entries: BTreeSet<Node>,
    /// States that came before their dialogs.
    early: BTreeMap<dialog::Id, (Instant, Vec<dialog::Update>)>,
    syncs: Syncs,
    own: Option<Own>,
    asked: BTreeMap<u64, Asked>,
    /// The next number for a ticket or a message of a script's.
    serial: u64,
    /// Which active member the next list begins with.
    turn: usize,
    join_at: Instant,
    leaving: bool,
    /// When something last came or was due.
    now: Now,
    out: VecDeque<Output>,
    names: HashMap<Box<str>, Arc<str>>,
    counters: Counters,
}

/// A request that a script is asked about.
#[derive(Debug)]
struct Asked {
    until: Instant,
    seen: u64,
    message: Message,
    source: Source,
    signed: Option<Signed>,
}

impl Bus {
    /// A node without members; it says hello to its peers as soon as [`Bus::on_timer`] is called.
    pub fn new(now: Now, config: Config) -> Self {
        let manner = Manner {
            own: config.own,
            user_agent: Arc::clone(&config.server),
            timeout: config.timeout,
            seed: config.seed,
        };
        let own_nodes = config.own_nodes.clone();
        let own = own_nodes.map(|own| Own::new(now, own, &config));
        Self {
            outbox: Outbox::new(manner),
            seen: Seen::new(config.seed),
            own,
            config,
            members: Members::default(),
            contacts_gone: Tombs::default(),
            dialogs_gone: Tombs::default(),
            other_entries: BTreeSet::new(),
            early: BTreeMap::new(),
            syncs: Syncs::default(),
            asked: BTreeMap::new(),
            serial: 0,
            turn: 0,
            join_at: now.at,
            leaving: false,
            now,
            out: VecDeque::new(),
            names: HashMap::new(),
            counters: Counters::default(),
        }
    }

    /// Takes a message of the bus, as [`envelope::is_bus`] tells it.
    pub fn receive(
        &mut self,
        now: Now,
        source: &Source,
        message: &Message,
        stores: &mut dyn Stores,
    ) {
        self.now = now;
        if message.is_request() {
            self.request(now, source, message, stores);
        } else if let Some(branch) = envelope::answered(message) {
            self.answered(now, branch, message, stores);
        }
        self.pump(now, stores);
    }

    fn answered(&mut self, now: Now, branch: u128, message: &Message, stores: &mut dyn Stores) {
        if let Some(own) = &mut self.own
            && own.answered(now, branch, message, stores)
        {
            return;
        }
        if let Some(done) = self.outbox.answered(now.at, branch, message.status()) {
            self.is_ours(now, done.node, message);
            let body = (message.status() == 200).then(|| message.body());
            self.done(now, done, body);
        }
    }

    /// Does what is due.
    pub fn on_timer(&mut self, now: Now, stores: &mut dyn Stores) {
        self.now = now;
        let mut given_up = Vec::new();
        self.outbox.on_timer(now.at, &mut given_up);
        for done in given_up {
            self.done(now, done, None);
        }
        self.early.retain(|_, (until, _)| *until > now.at);
        while let Some(entry) = self.asked.first_entry()
            && entry.get().until <= now.at
        {
            let ticket = *entry.key();
            self.answer(ticket, &Reply::FAILED);
        }
        self.live(now);
        self.pump(now, stores);
    }

    /// When [`Bus::on_timer`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let asked = self.asked.values().next().map(|asked| asked.until);
        let life = self.life_deadline();
        let own = self.own.as_ref().and_then(Own::deadline);
        [self.outbox.deadline(), asked, life, own]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the caller is to do next.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(output) = self.out.pop_front() {
            return Some(output);
        }
        let (destination, bytes) = self.outbox.poll()?;
        Some(Output::Send { destination, bytes })
    }

    /// The members.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// How this node takes part.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The numbers.
    pub fn counters(&self) -> Counters {
        let waiting = |member: &crate::members::Member| self.outbox.waiting(member.node) as u64;
        Counters {
            resent: self.outbox.resent(),
            queued: self.members.iter().map(waiting).sum(),
            ..self.counters
        }
    }

    /// How many parcels and writes wait for a member or are under way to it: how far it is behind.
    pub fn lag(&self, node: Node) -> usize {
        let own = self.own.as_ref().map_or(0, |own| own.lag(node));
        self.outbox.waiting(node) + usize::try_from(own).unwrap_or(usize::MAX)
    }

    /// What was counted of all that only our own nodes speak.
    pub fn own_counters(&self) -> Option<own::Counters> {
        self.own.as_ref().map(Own::counters)
    }

    /// Sends what our own nodes are to be sent.
    fn pump_own(&mut self, now: Now, stores: &mut dyn Stores) {
        let Some(own) = self.own.as_mut().filter(|_| !self.leaving) else {
            return;
        };
        while let Some((to, bytes)) = own.pump(now, stores) {
            let destination = outbox::destination(self.config.own, to);
            self.out.push_back(Output::Send { destination, bytes });
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// The one text for a name that is used again and again.
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(name) = self.names.get(name) {
            return Arc::clone(name);
        }
        let shared: Arc<str> = name.into();
        if self.names.len() < MAX_ASKED {
            self.names.insert(name.into(), Arc::clone(&shared));
        }
        shared
    }
}
