//! Who is on the bus, and how they do.
//!
//! Owns the members and their states; decides nothing about what is sent to them. A node that a list names is looked at
//! ([`State::Pending`]) before it counts; one that leaves a request unanswered is [`State::Disabled`]; one that does so again is
//! removed. At most [`MAX_MEMBERS`].

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::node::{Node, Now};

/// The most members.
pub const MAX_MEMBERS: usize = 256;
/// The most members that fell silent and whose changes are still kept for them, and how long.
pub const MAX_FORMER: usize = 8;
/// See [`MAX_FORMER`].
pub const FORMER_LIFE: Duration = Duration::from_secs(600);
/// The most members that fell silent and are remembered.
const MAX_LOST: usize = 1024;

/// How a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Named by another member; not heard of yet.
    Pending,
    /// It answers.
    Active,
    /// It left a request unanswered, said goodbye, or was disabled by hand.
    Disabled,
}

/// What a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Kamailio's channels.
    Kamailio,
    /// What only our own nodes speak.
    Own,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its address.
    pub node: Node,
    /// How it does.
    pub state: State,
    /// What it speaks.
    pub kind: Kind,
    /// Since when it is in that state.
    pub since: Instant,
    /// When it is pinged next.
    pub(crate) ping_at: Instant,
    /// When it was asked for all its data.
    pub(crate) asked: Option<Instant>,
    /// What was changed here while it was away, as keys of its queue: what it tells of those is older.
    pub(crate) missed: HashSet<u64>,
    /// Changes were lost on their way to it: it has to be told everything.
    pub(crate) behind_us: bool,
    /// They were when it came back: what it tells of its tables fills gaps, and changes nothing that is there.
    pub(crate) fills: bool,
    /// The least seconds between its clock and ours that were seen; the way of a message only adds to it.
    pub(crate) clock: Option<i64>,
    /// Disabled by hand, until enabled by hand.
    pub(crate) held: bool,
}

/// Seconds that clocks may differ without anybody caring.
const CLOCK_TOLERANCE: i64 = 5;

impl Member {
    /// Notes what time it was at the member when it sent what has just come.
    pub(crate) fn saw_clock(&mut self, now: Now, theirs: u64) {
        let span = i64::try_from(now.unix().abs_diff(theirs)).unwrap_or(i64::MAX);
        let sample = if now.unix() >= theirs { span } else { -span };
        self.clock = Some(self.clock.map_or(sample, |least| least.min(sample)));
    }

    /// How many seconds its clock is behind ours; 0 where that is little or not known.
    pub(crate) fn clock_behind(&self) -> i64 {
        let behind = self.clock.unwrap_or(0);
        if behind.abs() <= CLOCK_TOLERANCE {
            0
        } else {
            behind
        }
    }
}

/// All members but ourselves, in the order of their addresses.
#[derive(Debug, Default)]
pub struct Members {
    all: BTreeMap<Node, Member>,
    former: BTreeMap<Node, Former>,
}

/// One that fell silent and may come back.
#[derive(Debug)]
struct Former {
    since: Instant,
    /// Changes are kept for it no more: when it comes back it has to be told everything.
    lost: bool,
}

impl Members {
    /// All.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.all.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.all.values_mut()
    }

    /// Those that answer.
    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.iter().filter(|member| member.state == State::Active)
    }

    /// The member of that address.
    pub fn find(&self, node: Node) -> Option<&Member> {
        self.all.get(&node)
    }

    pub(crate) fn find_mut(&mut self, node: Node) -> Option<&mut Member> {
        self.all.get_mut(&node)
    }

    /// Adds a node that was named or that called; gives `None` where there are too many.
    pub(crate) fn add(&mut self, now: Instant, node: Node) -> Option<&mut Member> {
        if self.all.len() >= MAX_MEMBERS && !self.all.contains_key(&node) {
            return None;
        }
        let behind_us = self.former.remove(&node).is_some_and(|former| former.lost);
        Some(self.all.entry(node).or_insert_with(|| Member {
            node,
            state: State::Pending,
            kind: Kind::Kamailio,
            since: now,
            ping_at: now,
            asked: None,
            missed: HashSet::new(),
            behind_us,
            fills: false,
            clock: None,
            held: false,
        }))
    }

    pub(crate) fn remove(&mut self, node: Node) -> Option<Member> {
        self.former.remove(&node);
        self.all.remove(&node)
    }

    /// Removes a member that may come back; gives one whose changes are kept no longer, where there are too many.
    pub(crate) fn retire(&mut self, now: Instant, node: Node) -> Option<Node> {
        let member = self.all.remove(&node)?;
        if member.state == State::Pending || self.former.len() >= MAX_LOST {
            return Some(node);
        }
        let former = Former {
            since: now,
            lost: member.behind_us,
        };
        self.former.insert(node, former);
        let kept = self.former.iter_mut().filter(|(_, former)| !former.lost);
        let mut kept: Vec<_> = kept.collect();
        if kept.len() <= MAX_FORMER {
            return None;
        }
        kept.sort_by_key(|(_, former)| former.since);
        let (oldest, former) = kept.into_iter().next()?;
        former.lost = true;
        Some(*oldest)
    }

    /// Those that are gone, may come back, and have changes kept for them.
    pub(crate) fn former(&self) -> impl Iterator<Item = Node> {
        let kept = self.former.iter().filter(|(_, former)| !former.lost);
        kept.map(|(node, _)| *node)
    }

    /// Changes for one that is gone could not be kept.
    pub(crate) fn lose(&mut self, node: Node) {
        if let Some(former) = self.former.get_mut(&node) {
            former.lost = true;
        }
    }

    /// Gives those that have been gone for too long for their changes to be kept.
    pub(crate) fn lose_old(&mut self, now: Instant) -> Vec<Node> {
        let old = |former: &Former| now.saturating_duration_since(former.since) > FORMER_LIFE;
        let all = self.former.iter_mut();
        let old = all.filter(|(_, former)| !former.lost && old(former));
        old.map(|(node, former)| {
            former.lost = true;
            *node
        })
        .collect()
    }

    /// Says what a member speaks.
    pub fn set_kind(&mut self, node: Node, kind: Kind) {
        if let Some(member) = self.all.get_mut(&node) {
            member.kind = kind;
        }
    }
}
