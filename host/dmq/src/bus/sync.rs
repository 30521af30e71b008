//! Everything, for those that join: whole tables in messages of up to 30 kB.
//!
//! A message's entries are read when there is room for it in the member's queue, so memory is bounded however large the
//! table is. They are read and queued in one step: a change made later goes out later. They come in the order that is
//! least work for the receiver, in strands (`order`): a strand's next message goes when the one before is answered, as if both wrote one key. One synchronisation of a channel at a time goes to a member, and the next not within a second: a
//! question that is repeated is served once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::HashMap;

use super::Bus;
use super::order::{Order, STRANDS};
use crate::body::Added;
use crate::members::State;
use crate::node::{Node, Now};
use crate::outbox::{Keys, Parcel, Tag};
use crate::stores::Stores;
use crate::{dialog, htable, usrloc};

/// The least time between two synchronisations of a channel with one member.
const PAUSE: Duration = Duration::from_secs(1);
/// Parcels that may wait for a member, or be under way to it, while more are made: two of each strand.
const ROOM: usize = 2 * STRANDS;
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

    /// Stops telling a member; tells whether that leaves something out.
    pub(super) fn forget(&mut self, node: Node) -> bool {
        let before = self.jobs.len();
        self.jobs.retain(|job| job.node != node);
        self.began.retain(|(other, _), _| *other != node);
        self.jobs.len() < before
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
                let strand = order.strand(|each| {
                    // Kamailio's hash of a key knows no capitals; that of an address of record does.
                    stores.htable_names(now, &table, &mut |key| match key
                        .bytes()
                        .any(|b| b.is_ascii_uppercase())
                    {
                        true => each(&key.to_ascii_lowercase(), key),
                        false => each(key, key),
                    });
                });
                match strand {
                    Some(strand) => self.cells(now, node, &table, (order, strand), stores),
                    None => {
                        tables.pop();
                        *order = Order::default();
                    }
                }
                true
            }
            What::Contacts => {
                let strand = order.strand(|each| stores.aors(now, each));
                if let Some(strand) = strand {
                    self.contacts(now, node, (order, strand), stores);
                }
                strand.is_some()
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

    /// Queues a message of the next items of a strand.
    fn cells(
        &mut self,
        now: Now,
        node: Node,
        table: &str,
        (order, strand): (&mut Order, usize),
        stores: &dyn Stores,
    ) {
        let mut keys = self.strand_key(htable::CHANNEL, strand);
        let mut cells = htable::cells();
        while let Some(key) = order.peek(strand) {
            if let Some(item) = stores.htable_item(now, table, key) {
                match htable::add_cell(&mut cells, now, table, &item) {
                    Added::Yes => keys.push(self.outbox.key(htable::CHANNEL, table, key)),
                    Added::Full => break,
                    Added::Never => self.counters.untold += 1,
                }
            }
            order.told(strand);
        }
        if let Some(body) = cells.finish() {
            self.batch(now, node, htable::CHANNEL, body, keys);
        }
    }

    /// Queues a message of the contacts of the next addresses of record of a strand.
    fn contacts(
        &mut self,
        now: Now,
        node: Node,
        (order, strand): (&mut Order, usize),
        stores: &dyn Stores,
    ) {
        let mut keys = self.strand_key(usrloc::CHANNEL, strand);
        let mut batch = usrloc::batch();
        'full: while let Some(aor) = order.peek(strand) {
            let (mark, known) = (batch.mark(), keys.len());
            for contact in stores.contacts_of(now, aor) {
                let mut added = usrloc::add(&mut batch, &contact);
                if added == Added::Full {
                    // The contacts of an address go together, in the next message, unless they are more than any holds.
                    if mark.count > 0 {
                        batch.back_to(mark);
                        keys.truncate(known);
                        break 'full;
                    }
                    let next = self.strand_key(usrloc::CHANNEL, strand);
                    let keys = std::mem::replace(&mut keys, next);
                    if let Some(body) = batch.finish() {
                        self.batch(now, node, usrloc::CHANNEL, body, keys);
                    }
                    added = usrloc::add(&mut batch, &contact);
                }
                match added {
                    Added::Yes => keys.push(self.contact_name(&contact)),
                    Added::Full | Added::Never => self.counters.untold += 1,
                }
            }
            order.told(strand);
        }
        if let Some(body) = batch.finish() {
            self.batch(now, node, usrloc::CHANNEL, body, keys);
        }
    }

    /// What holds a strand's next message until the one before is answered.
    fn strand_key(&self, channel: &str, strand: usize) -> SmallVec<[u64; 1]> {
        // No table and no address of record is called so.
        let key = self.outbox.key(channel, "\n", &strand.to_string());
        SmallVec::from_slice(&[key])
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
        body: impl Into<Bytes>,
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
