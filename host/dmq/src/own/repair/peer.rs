//! What the machine knows of one peer: what is on its way, what waits, what is being compared.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::digest::{GROUPS, Place};
use super::replica::{Replica, SetId};
use super::window::Window;
use crate::own::version::NodeId;

/// The most places that wait to be sent because a peer lacks them; of more, the next repair finds the rest.
pub const MAX_WANTED: usize = 65_536;

/// What a request on its way is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Records.
    Put,
    /// Are all sets equal?
    Roots,
    /// Which buckets of these groups differ?
    Buckets(SetId, Vec<usize>),
    /// Which records in these ranges of places differ?
    Leaf(SetId, Vec<(u64, u64)>),
    /// Send all of it.
    Pull(SetId),
}

#[derive(Debug)]
pub(super) struct Peer {
    pub node: NodeId,
    pub window: Window<Ask>,
    /// The next entry of the log.
    pub cursor: u64,
    /// The log had dropped what it was not sent.
    pub behind: bool,
    /// It has not answered for long. It is asked whether it is there, and sent nothing.
    pub silent: bool,
    /// No batch of writes before.
    pub paced: Instant,
    pub bulk_next: bool,
    pub asks: VecDeque<Ask>,
    pub pushes: VecDeque<Push>,
    pub compare_at: Instant,
    /// Questions that wait or are on their way.
    pub open: usize,
}

impl Peer {
    pub(super) fn new(node: NodeId, now: Instant, cursor: u64, max_body: usize) -> Self {
        Self {
            node,
            window: Window::new(max_body),
            cursor,
            behind: false,
            silent: false,
            paced: now,
            bulk_next: false,
            asks: VecDeque::new(),
            pushes: VecDeque::new(),
            compare_at: now,
            open: 0,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.window.is_empty() || !self.asks.is_empty() || !self.pushes.is_empty()
    }

    /// Queues a question.
    pub(super) fn ask(&mut self, ask: Ask) {
        self.open += 1;
        self.asks.push_back(ask);
    }

    /// Queues the question that begins a comparison, if it is time and the last one has ended.
    pub(super) fn compare_when_due(&mut self, now: Instant, every: Duration) {
        if self.open == 0 && self.compare_at <= now {
            self.compare_at = now + every;
            self.behind = false;
            self.ask(Ask::Roots);
        }
    }

    /// It was heard: if it had been silent, it is compared at once.
    pub(super) fn heard(&mut self, now: Instant) {
        self.window.wake(now);
        if std::mem::replace(&mut self.silent, false) {
            self.compare_at = now;
        }
    }

    /// It does not answer: what it was to be sent is left to a comparison.
    pub(super) fn give_up(&mut self, now: Instant, log_end: u64) {
        drop(self.window.clear());
        self.asks.clear();
        self.pushes.clear();
        self.open = 0;
        self.cursor = log_end;
        self.silent = true;
        self.compare_at = now;
    }

    /// Takes note of what it lacks.
    pub(super) fn lacks(&mut self, set: SetId, places: BTreeSet<Place>) {
        let waiting: usize = self.pushes.iter().map(Push::waiting).sum();
        if !places.is_empty() && waiting + places.len() <= MAX_WANTED {
            self.pushes.push_back(Push::new(set, From::Places(places)));
        }
    }

    /// Whether it is being sent all of a set.
    pub(super) fn is_pulling(&self, set: SetId) -> bool {
        self.pushes
            .iter()
            .any(|push| push.set == set && push.whole())
    }

    /// It wants all of a set; asking twice gives it once.
    pub(super) fn pulls(&mut self, set: SetId) {
        if !self.is_pulling(set) {
            self.pushes.push_back(Push::new(set, From::Group(0)));
        }
    }

    pub(super) fn deadline(&self, log_end: u64) -> Option<Instant> {
        let mut first = self.window.deadline();
        let mut at = |at: Instant| first = Some(first.map_or(at, |first| first.min(at)));
        if self.open == 0 {
            at(self.compare_at);
        }
        if self.cursor < log_end && !self.silent && self.window.has_room() {
            at(self.paced);
        }
        first
    }
}

/// Records that a peer lacks, as keys of one group at a time.
#[derive(Debug)]
pub(super) struct Push {
    pub set: SetId,
    from: From,
    whole: bool,
    keys: VecDeque<Box<str>>,
}

#[derive(Debug)]
enum From {
    /// All of them, this group next.
    Group(usize),
    Places(BTreeSet<Place>),
}

impl Push {
    fn new(set: SetId, from: From) -> Self {
        Self {
            set,
            whole: matches!(from, From::Group(_)),
            from,
            keys: VecDeque::new(),
        }
    }

    /// Whether it is all of a set.
    pub(super) fn whole(&self) -> bool {
        self.whole
    }

    fn waiting(&self) -> usize {
        match &self.from {
            From::Group(_) => self.keys.len(),
            From::Places(places) => places.len() + self.keys.len(),
        }
    }

    /// The next key.
    pub(super) fn next(&mut self, now: Instant, replica: &mut dyn Replica) -> Option<Box<str>> {
        loop {
            if let Some(key) = self.keys.pop_front() {
                return Some(key);
            }
            let keys = &mut self.keys;
            match &mut self.from {
                From::Group(group) if *group < GROUPS => {
                    replica.each(now, self.set, *group, &mut |_, key, record| {
                        if record.is_live(now) {
                            keys.push_back(key.into());
                        }
                    });
                    *group += 1;
                }
                From::Places(places) if !places.is_empty() => {
                    let group = places.first()?.group();
                    replica.each(now, self.set, group, &mut |place, key, _| {
                        if places.contains(&place) {
                            keys.push_back(key.into());
                        }
                    });
                    places.retain(|place| place.group() != group);
                }
                From::Group(_) | From::Places(_) => return None,
            }
        }
    }

    /// A key that did not fit any more.
    pub(super) fn put_back(&mut self, key: Box<str>) {
        self.keys.push_front(key);
    }
}
