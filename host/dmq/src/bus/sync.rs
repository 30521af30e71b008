//! Everything, for those that join: whole tables in messages of up to 30 kB.
//!
//! Some entries of a table are read when there is room for them in the member's queue, so memory is bounded however large the
//! table is. They are read and queued in one step: a change made later goes out later. They come in the order that is
//! least work for the receiver (`order`). One synchronisation of a channel at a time goes to a member, and the next not within a second: a
//! question that is repeated is served once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;
use std::collections::HashMap;

use super::Bus;
use super::order::Order;
use crate::members::State;
use crate::node::{Node, Now};
use crate::outbox::{Keys, Parcel, Tag};
use crate::stores::Stores;
use crate::{dialog, htable, usrloc};

/// The least time between two synchronisations of a channel with one member.
const PAUSE: Duration = Duration::from_secs(1);
/// Parcels that may wait for a member while the next part is read.
const ROOM: usize = 64;
/// Entries of a table that are read at a time.
const STEP: usize = 1000;
/// The most synchronisations that are under way or wait.
const MAX_JOBS: usize = 1024;
/// The most that are under way; the others wait until one of these is over.
const AT_ONCE: usize = 8;

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Tables(Vec<Arc<str>>),
    Contacts,
    Dialogs,
}

impl What {
    fn channel(&self) -> &'static str {
        match self {
            Self::Tables(_) => htable::CHANNEL,
            Self::Contacts => usrloc::CHANNEL,
            Self::Dialogs => dialog::CHANNEL,
        }
    }
}

#[derive(Debug)]
struct Job {
    node: Node,
    what: What,
    /// How far it is, for tables and contacts.
    order: Order,
    /// How far it is, for dialogs.
    part: usize,
}

/// Who is being told.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    jobs: VecDeque<Job>,
    /// When the last one of a channel began.
    began: HashMap<(Node, &'static str), (Instant, What)>,
}

impl Syncs {
    /// Begins, unless the same is under way or just was.
    pub(super) fn start(&mut self, now: Instant, node: Node, what: What) {
        let key = (node, what.channel());
        let same = |job: &Job| job.node == node && job.what == what;
        let just = self.began.get(&key);
        let just = just
            .is_some_and(|(at, last)| *last == what && now.saturating_duration_since(*at) < PAUSE);
        if just || self.jobs.iter().any(same) || self.jobs.len() >= MAX_JOBS {
            return;
        }
        self.began.insert(key, (now, what.clone()));
        self.jobs.push_back(Job {
            node,
            what,
            order: Order::default(),
            part: 0,
        });
    }

    pub(super) fn forget(&mut self, node: Node) {
        self.jobs.retain(|job| job.node != node);
        self.began.retain(|(other, _), _| *other != node);
    }
}

impl Bus {
    /// Begins to tell a member everything, where changes were lost on their way to it.
    pub(super) fn tell_everything_missed(&mut self, now: Now, node: Node) {
        let Some(member) = self.members.find_mut(node) else {
            return;
        };
        if !std::mem::take(&mut member.behind_us) {
            return;
        }
        self.counters.repairs += 1;
        let tables: Vec<_> = self.config.tables.iter().cloned().collect();
        let mut whats = Vec::new();
        if !tables.is_empty() {
            whats.push(What::Tables(tables));
        }
        if self.config.contacts {
            whats.push(What::Contacts);
        }
        if self.config.dialogs {
            whats.push(What::Dialogs);
        }
        for what in whats {
            self.syncs.start(now.at, node, what);
        }
    }

    /// Goes on with what is being told, as far as there is room.
    pub(super) fn pump(&mut self, now: Now, stores: &mut dyn Stores) {
        self.pump_own(now, stores);
        let lost = self.members.iter().filter(|member| {
            member.behind_us
                && member.state == State::Active
                && self.outbox.waiting(member.node) < ROOM
        });
        for node in lost.map(|member| member.node).collect::<Vec<_>>() {
            self.tell_everything_missed(now, node);
        }
        let mut at = 0;
        while at < AT_ONCE
            && let Some(mut job) = self.syncs.jobs.remove(at)
        {
            let mut over = false;
            while !over && self.outbox.waiting(job.node) < ROOM {
                over = !self.step(now, &mut job, stores);
            }
            if !over {
                self.syncs.jobs.insert(at, job);
                at += 1;
            }
        }
    }

    /// Queues some more; tells whether there may be others.
    fn step(&mut self, now: Now, job: &mut Job, stores: &mut dyn Stores) -> bool {
        let (node, order) = (job.node, &mut job.order);
        match &mut job.what {
            What::Tables(tables) => {
                let Some(table) = tables.last().cloned() else {
                    return false;
                };
                let names = order.take(STEP, |each| {
                    // Kamailio's hash of a key knows no capitals; that of an address of record does.
                    stores.htable_names(now, &table, &mut |key| match key
                        .bytes()
                        .any(|b| b.is_ascii_uppercase())
                    {
                        true => each(&key.to_ascii_lowercase(), key),
                        false => each(key, key),
                    });
                });
                let mut over = true;
                let items = names.filter_map(|key| {
                    over = false;
                    stores.htable_item(now, &table, &key)
                });
                let items: Vec<_> = items.collect();
                self.cells(now, node, &table, &items);
                if over {
                    tables.pop();
                    *order = Order::default();
                }
                true
            }
            What::Contacts => {
                let names = order.take(STEP, |each| stores.aors(now, each));
                let mut over = true;
                let contacts = names.flat_map(|aor| {
                    over = false;
                    stores.contacts_of(now, &aor)
                });
                let contacts: Vec<_> = contacts.collect();
                self.batches(now, node, &contacts);
                !over
            }
            What::Dialogs => {
                let dialogs = stores.dialogs_part(now, job.part);
                job.part += 1;
                dialogs
                    .map(|dialogs| self.calls(now, node, dialogs))
                    .is_some()
            }
        }
    }

    fn cells(&mut self, now: Now, node: Node, table: &str, items: &[htable::Item]) {
        let mut cells = htable::Cells::default();
        let mut keys = SmallVec::new();
        for item in items {
            let key = self.outbox.key(htable::CHANNEL, table, &item.key);
            match cells.add(now, table, item) {
                Ok(None) => keys.push(key),
                Ok(Some(full)) => {
                    let before = std::mem::replace(&mut keys, SmallVec::from_slice(&[key]));
                    self.batch(now, node, htable::CHANNEL, full, before);
                }
                Err(()) => self.counters.untold += 1,
            }
        }
        if let Some(last) = cells.finish() {
            self.batch(now, node, htable::CHANNEL, last, keys);
        }
    }

    fn batches(&mut self, now: Now, node: Node, contacts: &[usrloc::Contact]) {
        let mut batch = usrloc::Batch::default();
        let mut keys = SmallVec::new();
        for contact in contacts {
            let key = self.contact_name(contact);
            match batch.add(contact) {
                Ok(None) => keys.push(key),
                Ok(Some(full)) => {
                    let before = std::mem::replace(&mut keys, SmallVec::from_slice(&[key]));
                    self.batch(now, node, usrloc::CHANNEL, full, before);
                }
                Err(()) => self.counters.untold += 1,
            }
        }
        if let Some(last) = batch.finish() {
            self.batch(now, node, usrloc::CHANNEL, last, keys);
        }
    }

    fn calls(&mut self, now: Now, node: Node, dialogs: Vec<dialog::Dialog>) {
        for dialog in dialogs {
            let key = self.dialog_name(dialog.id);
            match dialog::write(&dialog::Change::Save(Box::new(dialog))) {
                Some(body) => {
                    self.batch(
                        now,
                        node,
                        dialog::CHANNEL,
                        body,
                        SmallVec::from_slice(&[key]),
                    );
                }
                None => self.counters.untold += 1,
            }
        }
    }

    fn batch(
        &mut self,
        now: Now,
        node: Node,
        channel: &str,
        body: String,
        keys: SmallVec<[u64; 1]>,
    ) {
        let parcel = Parcel {
            tag: Tag::Sync,
            ..self.parcel(channel, body, Keys::Some(keys), false)
        };
        if self.outbox.push(now.at, node, parcel).is_err()
            && let Some(member) = self.members.find_mut(node)
        {
            member.behind_us = true;
        }
    }
}
