//! The asking side of a comparison: roots and groups, then buckets, then what is in the buckets that differ.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::body::{self, Body, PAIR, SUMS};
use super::digest::{BUCKETS, GROUPS, Place};
use super::mesh::{Mesh, PeerId};
use super::peer::Ask;
use super::replica::{Replica, SetId};
use crate::Now;

/// A set that is pulled and does not get on for so long may be pulled from another.
const STUCK: Duration = Duration::from_secs(2);

impl Mesh {
    /// The answer to a request; true where it was one of ours that had none yet.
    pub fn answered(
        &mut self,
        now: Now,
        from: PeerId,
        id: u64,
        status: u16,
        body: &[u8],
        replica: &mut dyn Replica,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&from) else {
            return false;
        };
        let Some(flight) = peer.window.answered(now.at, id) else {
            return false;
        };
        peer.heard(now.at);
        if flight.kind != Ask::Put {
            peer.open = peer.open.saturating_sub(1);
        }
        if status == 200 && !body.is_empty() {
            self.take_answer(now, from, &flight.kind, body, replica);
        }
        true
    }

    fn take_answer(
        &mut self,
        now: Now,
        from: PeerId,
        ask: &Ask,
        body: &[u8],
        replica: &mut dyn Replica,
    ) {
        let parsed = Body::parse(body).and_then(|body| Ok((body.at()?, body)));
        let Ok((at, body)) = parsed else {
            self.counters.malformed += 1;
            return;
        };
        if self.clock.observe(now.unix_ms, at).is_err() {
            self.counters.clock_ahead += 1;
            return;
        }
        match ask {
            Ask::Put | Ask::Pull(_) => {}
            Ask::Roots => self.roots_answered(now, from, &body, replica),
            Ask::Buckets(set, _) => self.buckets_answered(from, *set, &body),
            Ask::Leaf(set, _) => {
                let places = body.want.iter().copied().map(Place::new).collect();
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.lacks(*set, places);
                }
            }
        }
    }

    fn roots_answered(
        &mut self,
        now: Now,
        from: PeerId,
        body: &Body<'_>,
        replica: &mut dyn Replica,
    ) {
        for (name, root, items) in body.roots.iter().flatten() {
            let Some(set) = replica.find(name) else {
                continue;
            };
            let own = replica.digest(now.at, set);
            if own.root() == *root {
                self.syncing.remove(&set);
                continue;
            }
            let pulled = |at: &(PeerId, Instant)| at.1 + STUCK > now.at;
            if self.syncing.get(&set).is_some_and(pulled) {
                continue;
            }
            let Some(peer) = self.peers.get_mut(&from) else {
                return;
            };
            // Who has nothing pulls, and is not asked what it lacks.
            if *items == 0 || peer.is_pulling(set) {
                continue;
            }
            self.counters.repairs += 1;
            if own.items() == 0 {
                self.syncing.insert(set, (from, now.at));
                peer.ask(Ask::Pull(set));
            } else if let Some((_, sums)) = body.groups.iter().find(|(is, _)| is == name) {
                let own = own.groups();
                let groups = (0..GROUPS).filter(|group| own.get(*group) != sums.get(*group));
                peer.ask(Ask::Buckets(set, groups.collect()));
            }
        }
    }

    fn buckets_answered(&mut self, from: PeerId, set: SetId, body: &Body<'_>) {
        let mut buckets = body.differ.clone();
        buckets.retain(|bucket| *bucket < GROUPS * BUCKETS);
        buckets.sort_unstable();
        buckets.dedup();
        let ranges: Vec<_> = buckets.into_iter().map(range).collect();
        if let (Some(peer), false) = (self.peers.get_mut(&from), ranges.is_empty()) {
            peer.ask(Ask::Leaf(set, ranges));
        }
    }

    /// The body of a question. Of one that is too long, the rest becomes a question of its own.
    pub(super) fn ask(
        &mut self,
        now: Now,
        from: PeerId,
        ask: &mut Ask,
        replica: &mut dyn Replica,
    ) -> Bytes {
        let at = self.clock.now(now.unix_ms);
        let mut peer = self.peers.get_mut(&from);
        let size = peer.as_ref().map_or(0, |peer| peer.window.size());
        match ask {
            Ask::Put => body::bare(at),
            Ask::Roots => body::body(at, "roots", &roots(now, replica)),
            Ask::Buckets(set, groups) => {
                let rest = groups.split_off(groups.len().min((size / SUMS).max(1)));
                if let (Some(peer), false) = (&mut peer, rest.is_empty()) {
                    peer.ask(Ask::Buckets(*set, rest));
                }
                let name = replica.name(*set).to_owned();
                let own = replica.digest(now.at, *set);
                let sums = groups.iter().map(|group| (*group, own.buckets(*group)));
                let sums: Vec<_> = sums.collect();
                body::body(at, "buckets", &(name, sums))
            }
            Ask::Pull(set) => body::body(at, "pull", &replica.name(*set)),
            Ask::Leaf(set, ranges) => {
                let (items, rest) = listed(now, *set, ranges, size / PAIR, replica);
                if let (Some(peer), false) = (peer, rest.is_empty()) {
                    peer.ask(Ask::Leaf(*set, rest));
                }
                body::body(at, "leaf", &(replica.name(*set), &*ranges, items))
            }
        }
    }
}

/// Name, sum and number of records of each set.
pub(super) fn roots(now: Now, replica: &mut dyn Replica) -> Vec<(String, u64, u64)> {
    let sets = (0..replica.sets()).map(SetId);
    sets.map(|set| {
        let name = replica.name(set).to_owned();
        let digest = replica.digest(now.at, set);
        (name, digest.root(), digest.items())
    })
    .collect()
}

/// First and last place of a bucket.
fn range(bucket: usize) -> (u64, u64) {
    let first = u64::try_from(bucket).unwrap_or_default() << 52;
    (first, first | ((1 << 52) - 1))
}

/// What is in ranges, in order of place.
pub(super) fn content(
    now: Now,
    set: SetId,
    ranges: &[(u64, u64)],
    replica: &mut dyn Replica,
) -> Pairs {
    let mut items = Vec::new();
    for group in groups(ranges) {
        replica.each(now.at, set, group, &mut |place, _, record| {
            let place = place.number();
            let at = ranges.partition_point(|(_, last)| *last < place);
            if ranges.get(at).is_some_and(|(first, _)| *first <= place) {
                items.push((place, record.print()));
            }
        });
    }
    items.sort_unstable();
    items
}

/// The groups that ranges touch, each once.
fn groups(ranges: &[(u64, u64)]) -> Vec<usize> {
    let group = |place: u64| Place::new(place).group();
    let mut groups: Vec<usize> = ranges
        .iter()
        .flat_map(|(first, last)| group(*first)..=group(*last))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Places with prints, or ranges of places.
type Pairs = Vec<(u64, u64)>;

/// What is in ranges, at most about so many with the ranges themselves. The ranges are cut to what is told; the rest is given back.
fn listed(
    now: Now,
    set: SetId,
    ranges: &mut Pairs,
    most: usize,
    replica: &mut dyn Replica,
) -> (Pairs, Pairs) {
    let most = most.max(8);
    // Ranges are told too: half of the room is theirs at most.
    let mut rest = ranges.split_off(ranges.len().min(most / 2));
    let mut items = content(now, set, ranges, replica);
    let room = most - ranges.len();
    if items.len() > room {
        let cut = items
            .get(room)
            .map_or(u64::MAX, |(place, _)| place.saturating_sub(1));
        items.retain(|(place, _)| *place <= cut);
        let mut beyond = Vec::new();
        ranges.retain_mut(|(first, last)| {
            if *last > cut {
                beyond.push(((*first).max(cut.saturating_add(1)), *last));
                *last = cut;
            }
            *first <= *last
        });
        beyond.append(&mut rest);
        rest = beyond;
    }
    (items, rest)
}
