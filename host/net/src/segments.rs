//! Which datagrams of a batch go to the kernel as one: neighbours on the way to one peer that are equally long (`UDP_SEGMENT`).
//!
//! The kernel takes one large buffer, walks its stack once and cuts it into datagrams at the end; what arrives is the same. Only the last
//! of a group may be shorter. A peer gets its datagrams in the order in which they were queued.
//!
//! Pure: addresses and lengths go in, a [`Plan`] comes out. Limits: [`BATCH`] datagrams, [`LONGEST`] bytes each, [`TOTAL`] a group.

use std::net::SocketAddr;

use crate::mmsg::BATCH;

/// The longest datagram that goes with others: what every path of IPv6 must carry whole (RFC 8200 5), less its headers. A segment longer
/// than a path's MTU would be refused, where a single datagram is sent in fragments.
const LONGEST: usize = 1280 - 48;
/// The most bytes of a group: the kernel's limit for a datagram, less all headers.
const TOTAL: usize = 65535 - 64;
/// The end of a chain.
const NONE: u8 = u8::MAX;

/// A batch in the order in which it is sent, and where each group ends.
pub(crate) struct Plan {
    order: [u8; BATCH],
    ends: [u8; BATCH],
    groups: usize,
}

/// A group that is being made. Datagrams are chained by their numbers.
#[derive(Clone, Copy)]
struct Group {
    to: SocketAddr,
    /// The length of all but the last.
    length: usize,
    total: usize,
    first: u8,
    last: u8,
    /// Whether another one may follow.
    open: bool,
}

impl Plan {
    /// Plans the first [`BATCH`] of these. Where they may not `join`, each is a group of its own.
    pub(crate) fn of(batch: impl Iterator<Item = (SocketAddr, usize)>, join: bool) -> Plan {
        let mut groups: [Option<Group>; BATCH] = [None; BATCH];
        let mut next = [NONE; BATCH];
        let mut made = 0;
        for (number, (to, length)) in (0..BATCH as u8).zip(batch) {
            let (begun, free) = groups.split_at_mut(made);
            // Only the last group of a peer may grow, or its datagrams would overtake each other.
            let last = begun
                .iter_mut()
                .rev()
                .flatten()
                .find(|group| group.to == to);
            if let Some(group) = last.filter(|group| group.takes(length))
                && let Some(link) = next.get_mut(usize::from(group.last))
            {
                *link = number;
                group.last = number;
                group.total += length;
                group.open = length == group.length;
            } else if let Some(place) = free.first_mut() {
                *place = Some(Group {
                    to,
                    length,
                    total: length,
                    first: number,
                    last: number,
                    open: join && (1..=LONGEST).contains(&length),
                });
                made += 1;
            }
        }
        let mut plan = Plan {
            order: [0; BATCH],
            ends: [0; BATCH],
            groups: made,
        };
        let mut places = plan.order.iter_mut().zip(1..);
        for (group, end) in groups.iter().flatten().zip(&mut plan.ends) {
            let mut number = group.first;
            while number != NONE
                && let Some((place, count)) = places.next()
            {
                *place = number;
                *end = count;
                number = next.get(usize::from(number)).copied().unwrap_or(NONE);
            }
        }
        plan
    }

    /// The groups in the order in which they are sent, each as the numbers of its datagrams; none is empty.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &[u8]> {
        let ends = self.ends.iter().take(self.groups);
        ends.scan(0, |start, end| {
            let group = self.order.get(*start..usize::from(*end));
            *start = usize::from(*end);
            group
        })
    }

    /// Whether the first group has more than one datagram.
    pub(crate) fn joins_first(&self) -> bool {
        self.ends.first().is_some_and(|end| *end > 1)
    }

    /// The numbers of the datagrams of the first so many groups.
    pub(crate) fn sent(&self, groups: usize) -> &[u8] {
        let last = groups.min(self.groups).checked_sub(1);
        let end = last.and_then(|last| self.ends.get(last));
        let sent = end.and_then(|end| self.order.get(..usize::from(*end)));
        sent.unwrap_or_default()
    }
}

impl Group {
    fn takes(&self, length: usize) -> bool {
        self.open && (1..=self.length).contains(&length) && self.total + length <= TOTAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(batch: &[(u16, usize)], join: bool) -> Vec<Vec<u8>> {
        let batch = batch.iter().map(|(port, length)| {
            let to = SocketAddr::from(([192, 0, 2, 1], *port));
            (to, *length)
        });
        let plan = Plan::of(batch, join);
        let groups: Vec<_> = plan.groups().map(<[u8]>::to_vec).collect();
        assert_eq!(plan.sent(groups.len()), groups.concat());
        assert_eq!(plan.sent(1), groups.first().cloned().unwrap_or_default());
        assert_eq!(
            plan.joins_first(),
            groups.first().is_some_and(|first| first.len() > 1)
        );
        groups
    }

    #[test]
    fn equally_long_ones_for_one_peer_go_together() {
        let batch = [(1, 500), (2, 400), (1, 500), (2, 400), (1, 500)];
        assert_eq!(groups(&batch, true), [vec![0, 2, 4], vec![1, 3]]);
        assert_eq!(groups(&batch, false).len(), 5);
        assert!(groups(&[], true).is_empty());
    }

    #[test]
    fn the_last_may_be_shorter_and_no_peers_datagrams_overtake_each_other() {
        let batch = [(1, 500), (1, 499), (1, 500), (1, 501), (1, 501)];
        assert_eq!(groups(&batch, true), [vec![0, 1], vec![2], vec![3, 4]]);
    }

    #[test]
    fn what_may_be_too_long_for_a_path_goes_alone_and_so_does_what_is_empty() {
        assert_eq!(groups(&[(1, 1233), (1, 1233)], true).len(), 2);
        assert_eq!(groups(&[(1, 0), (1, 0)], true).len(), 2);
        assert_eq!(groups(&[(1, 1232); 32], true).len(), 1);
        assert_eq!(groups(&[(1, 10); 40], true), [(0..32).collect::<Vec<u8>>()]);
    }
}
