//! Which keys were written here, in order: what each peer is sent next. Keys only; the record is read when it is sent, so many
//! writes of one key cost one record or a few.
//!
//! Limits: the given number of entries. When it is full the oldest is dropped, and a peer that was not sent it is behind: it
//! goes on with what is left, and digests find the rest.

use std::collections::VecDeque;

use super::replica::SetId;

#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<(SetId, Box<str>)>,
    /// The number of the first entry.
    first: u64,
    most: usize,
}

impl Log {
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            most: most.max(1),
        }
    }

    pub(super) fn push(&mut self, set: SetId, key: &str) {
        if self.entries.len() >= self.most {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back((set, key.into()));
    }

    /// Behind the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.len()
    }

    /// The first entry that is still there.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn get(&self, at: u64) -> Option<(SetId, &str)> {
        let at = usize::try_from(at.checked_sub(self.first)?).ok()?;
        self.entries.get(at).map(|(set, key)| (*set, &**key))
    }

    /// Drops what all peers have been sent.
    pub(super) fn trim(&mut self, all_sent: u64) {
        while self.first < all_sent && self.entries.pop_front().is_some() {
            self.first += 1;
        }
    }
}
