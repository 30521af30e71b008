//! The answering side: records are merged, questions are answered from the tables.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::body::{self, Body, BodyError, Buckets, Entry, Leaf, SUMS};
use super::compare::{content, roots};
use super::digest::{BUCKETS, Place};
use super::mesh::{Answer, Mesh, PeerId};
use super::replica::{Merged, Replica, SetId};
use crate::Now;
use crate::own::version::{NodeId, Record, Stamp};

impl Mesh {
    /// A request of a peer.
    pub fn request(
        &mut self,
        now: Now,
        from: PeerId,
        body: &[u8],
        replica: &mut dyn Replica,
    ) -> Answer {
        let Some(peer) = self.peers.get_mut(&from) else {
            self.counters.strangers += 1;
            return Answer::refuse(403);
        };
        self.counters.received += 1;
        let parsed = Body::parse(body).and_then(|body| Ok((body.at()?, body.nodes()?, body)));
        let Ok((at, nodes, body)) = parsed else {
            self.counters.malformed += 1;
            return Answer::refuse(400);
        };
        if self.clock.observe(now.unix_ms, at).is_err() {
            self.counters.clock_ahead += 1;
            return Answer::refuse(403);
        }
        peer.heard(now.at);
        if self.put(now, from, &nodes, &body, replica).is_err() {
            self.counters.malformed += 1;
            return Answer::refuse(400);
        }
        let body = self.reply(now, from, &body, replica);
        Answer { status: 200, body }
    }

    /// Merges what came. A body with a record that can't be read changes nothing.
    fn put(
        &mut self,
        now: Now,
        from: PeerId,
        nodes: &[NodeId],
        body: &Body<'_>,
        replica: &mut dyn Replica,
    ) -> Result<(), BodyError> {
        let read = |entry: &Entry<'_>| entry.record(now.at, nodes);
        for (_, entries) in &body.put {
            entries.iter().try_for_each(|entry| read(entry).map(drop))?;
        }
        for (name, entries) in &body.put {
            let Some(set) = replica.find(name) else {
                self.counters.unknown_set += u64::try_from(entries.len()).unwrap_or(0);
                continue;
            };
            for entry in entries {
                self.merge(now, set, &entry.0, &read(entry)?, replica);
            }
            if let Some((_, at)) = self.syncing.get_mut(&set).filter(|(peer, _)| *peer == from) {
                *at = now.at;
            }
        }
        for set in body.done.iter().filter_map(|name| replica.find(name)) {
            self.syncing.remove(&set);
            if let Some(peer) = self.peers.get_mut(&from) {
                // What was written meanwhile.
                peer.compare_at = now.at;
            }
        }
        Ok(())
    }

    fn merge(
        &mut self,
        now: Now,
        set: SetId,
        key: &str,
        record: &Record,
        replica: &mut dyn Replica,
    ) {
        if self.clock.observe(now.unix_ms, latest(record)).is_err() {
            self.counters.clock_ahead += 1;
            return;
        }
        let counted = match replica.merge(now.at, set, key, record) {
            Merged::Changed => &mut self.counters.records_in,
            Merged::Known => &mut self.counters.records_known,
            Merged::Full | Merged::Unfit => &mut self.counters.records_refused,
        };
        *counted += 1;
    }

    fn reply(
        &mut self,
        now: Now,
        from: PeerId,
        body: &Body<'_>,
        replica: &mut dyn Replica,
    ) -> Bytes {
        let at = self.clock.now(now.unix_ms);
        if let Some(theirs) = &body.roots {
            return self.roots(now, theirs, replica);
        }
        if let Some(Buckets(name, groups)) = &body.buckets {
            let differ = replica.find(name).map(|set| {
                let own = replica.digest(now.at, set);
                let groups = groups.iter().map(|(group, sums)| (*group, &**sums));
                groups
                    .flat_map(|(group, sums)| differ(group, own.buckets(group), sums))
                    .collect()
            });
            return body::body(at, "differ", &differ.unwrap_or_else(Vec::new));
        }
        if let Some(leaf) = &body.leaf {
            let set = replica.find(&leaf.0);
            return set.map_or_else(
                || body::bare(at),
                |set| self.leaf(now, from, set, leaf, replica),
            );
        }
        if let Some(set) = body.pull.as_ref().and_then(|name| replica.find(name))
            && let Some(peer) = self.peers.get_mut(&from)
        {
            peer.pulls(set);
        }
        body::bare(at)
    }

    /// Our roots, and the groups of sets that differ, as many as there is room for.
    fn roots(
        &self,
        now: Now,
        theirs: &[(Cow<'_, str>, u64, u64)],
        replica: &mut dyn Replica,
    ) -> Bytes {
        let own = roots(now, replica);
        let differ = own.iter().filter(|own| {
            let mut theirs = theirs.iter();
            theirs.any(|theirs| theirs.0 == own.0 && theirs.1 != own.1)
        });
        // Another one first each time, so that each set gets its turn.
        let differ: Vec<&String> = differ.map(|(name, ..)| name).collect();
        let turn = usize::try_from(now.unix_ms / 1000).unwrap_or(0) % differ.len().max(1);
        let room = (self.config.max_body / SUMS).saturating_sub(1).max(1);
        let told = differ
            .iter()
            .cycle()
            .skip(turn)
            .take(differ.len().min(room));
        let groups = told.filter_map(|name| {
            let set = replica.find(name)?;
            Some((name.to_string(), replica.digest(now.at, set).groups()))
        });
        let groups: Vec<_> = groups.collect();
        body::roots(self.clock.now(now.unix_ms), &own, &groups)
    }

    /// What they lack is queued for them, what we lack is asked for.
    fn leaf(
        &mut self,
        now: Now,
        from: PeerId,
        set: SetId,
        leaf: &Leaf<'_>,
        replica: &mut dyn Replica,
    ) -> Bytes {
        let at = self.clock.now(now.unix_ms);
        let Leaf(_, ranges, theirs) = leaf;
        let sorted = ranges
            .windows(2)
            .all(|two| matches!(two, [a, b] if a.1 < b.0));
        if !sorted || ranges.iter().any(|(first, last)| first > last) {
            return body::bare(at);
        }
        let theirs: BTreeMap<u64, u64> = theirs.iter().copied().collect();
        let own: BTreeMap<u64, u64> = content(now, set, ranges, replica).into_iter().collect();
        let lacking = |a: &BTreeMap<u64, u64>, b: &BTreeMap<u64, u64>| -> Vec<u64> {
            let places = a
                .iter()
                .filter(|(place, print)| b.get(place) != Some(print));
            places.map(|(place, _)| *place).collect()
        };
        let lacks: BTreeSet<Place> = lacking(&own, &theirs).into_iter().map(Place::new).collect();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.lacks(set, lacks);
        }
        body::body(at, "want", &lacking(&theirs, &own))
    }
}

/// Numbers of a group's buckets whose sums differ.
fn differ(group: usize, own: &[u64], theirs: &[u64]) -> Vec<usize> {
    let differ = own
        .iter()
        .zip(theirs)
        .enumerate()
        .filter(|(_, (own, theirs))| own != theirs);
    differ.map(|(at, _)| group * BUCKETS + at).collect()
}

fn latest(record: &Record) -> Stamp {
    let parts = record.parts().iter().map(|part| part.start.stamp);
    let versions = [record.base().stamp, record.touch().stamp];
    parts.chain(versions).max().unwrap_or_default()
}
