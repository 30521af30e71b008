//! What is gone and stays gone: a change that was made before a removal and comes after it makes nothing anew.
//!
//! Kamailio's messages overtake each other, and carry no version that says so. For [`LIFE`] after a removal the name of a contact or
//! dialog is remembered; at most [`MAX_TOMBS`], then the oldest are forgotten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use std::collections::HashMap;

/// The most removals that are remembered.
pub const MAX_TOMBS: usize = 65_536;
/// How long: longer than a request is retransmitted.
pub const LIFE: Duration = Duration::from_secs(120);

/// See the module's header. `T` is what is remembered of the removed.
#[derive(Debug)]
pub(crate) struct Tombs<T> {
    graves: HashMap<u64, (Instant, T)>,
    order: VecDeque<(Instant, u64)>,
}

impl<T> Default for Tombs<T> {
    fn default() -> Self {
        Self {
            graves: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Tombs<T> {
    /// Something was removed.
    pub(crate) fn bury(&mut self, now: Instant, name: u64, remembered: T) {
        while let Some((at, oldest)) = self.order.front().copied()
            && (self.order.len() >= MAX_TOMBS || now.saturating_duration_since(at) > LIFE)
        {
            self.order.pop_front();
            // A later removal of the same name has a place of its own.
            if self
                .graves
                .get(&oldest)
                .is_some_and(|(buried, _)| *buried == at)
            {
                self.graves.remove(&oldest);
            }
        }
        self.graves.insert(name, (now, remembered));
        self.order.push_back((now, name));
    }

    /// What is remembered of something that was removed.
    pub(crate) fn find(&self, now: Instant, name: u64) -> Option<&T> {
        let (at, remembered) = self.graves.get(&name)?;
        (now.saturating_duration_since(*at) <= LIFE).then_some(remembered)
    }

    /// It is there again, and rightly so.
    pub(crate) fn raise(&mut self, name: u64) {
        self.graves.remove(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removals_are_remembered_for_their_time_and_within_bounds() {
        let (mut tombs, start) = (Tombs::default(), Instant::now());
        tombs.bury(start, 1, "a");
        tombs.bury(start + LIFE / 2, 1, "b");
        assert_eq!(tombs.find(start + LIFE, 1), Some(&"b"));
        tombs.bury(start + LIFE * 2, 2, "c");
        assert_eq!(tombs.find(start + LIFE * 2, 1), None);
        tombs.raise(2);
        assert_eq!(tombs.find(start + LIFE * 2, 2), None);
        for n in 0..MAX_TOMBS as u64 * 2 {
            tombs.bury(start, n, "d");
        }
        assert!(tombs.graves.len() <= MAX_TOMBS && tombs.order.len() <= MAX_TOMBS);
    }
}
