//! What was answered: a request that comes again gets the same answer and is not carried out again.
//!
//! A peer retransmits until it is answered, and a network doubles datagrams. Requests are known by the branch of their Via and
//! the address they came from. At most [`MAX_SEEN`] are remembered, for [`LIFE`]; then the oldest are forgotten.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use std::collections::HashMap;

use crate::envelope::Reply;

/// The most requests that are remembered.
pub const MAX_SEEN: usize = 65_536;
/// How long: as long as a peer may retransmit (RFC 3261 17.1.2.2, Timer F), and some more.
pub const LIFE: Duration = Duration::from_secs(40);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nobody has decided yet.
    Pending,
    /// Answered so.
    Given { status: u16, listed: bool },
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Seen {
    answers: HashMap<u64, Answer, ahash::RandomState>,
    order: VecDeque<(Instant, u64)>,
    hasher: ahash::RandomState,
}

impl Seen {
    /// The seed keeps others from making branches that are taken for one another.
    pub(crate) fn new(seed: [u64; 4]) -> Self {
        let [a, b, c, d] = seed;
        let hasher = ahash::RandomState::with_seeds(a, b, c, d);
        Self {
            answers: HashMap::with_hasher(hasher.clone()),
            order: VecDeque::new(),
            hasher,
        }
    }

    pub(crate) fn id(&self, from: SocketAddr, branch: &[u8]) -> u64 {
        self.hasher.hash_one((from, branch))
    }

    /// What became of that request, if it came before.
    pub(crate) fn find(&self, id: u64) -> Option<Answer> {
        self.answers.get(&id).copied()
    }

    /// A request has come that nobody has decided yet.
    pub(crate) fn open(&mut self, now: Instant, id: u64) {
        while let Some((at, oldest)) = self.order.front().copied()
            && (self.order.len() >= MAX_SEEN || now.saturating_duration_since(at) > LIFE)
        {
            self.order.pop_front();
            self.answers.remove(&oldest);
        }
        if self.answers.insert(id, Answer::Pending).is_none() {
            self.order.push_back((now, id));
        }
    }

    /// It was answered so.
    pub(crate) fn close(&mut self, id: u64, reply: &Reply) {
        if let Some(answer) = self.answers.get_mut(&id) {
            *answer = Answer::Given {
                status: reply.status,
                listed: reply.body.is_some(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_remembered_for_their_time_and_within_bounds() {
        let (mut seen, start) = (Seen::new([1, 2, 3, 4]), Instant::now());
        let from = "127.0.0.1:5060".parse().unwrap();
        let id = seen.id(from, b"z9hG4bK1");
        assert_eq!(seen.find(id), None);
        seen.open(start, id);
        assert_eq!(seen.find(id), Some(Answer::Pending));
        seen.close(id, &Reply::BAD);
        let given = Answer::Given {
            status: 400,
            listed: false,
        };
        assert_eq!(seen.find(id), Some(given));
        seen.open(start + LIFE * 2, seen.id(from, b"z9hG4bK2"));
        assert_eq!(seen.find(id), None);
        for n in 0..MAX_SEEN as u64 * 2 {
            seen.open(start + LIFE * 2, n);
        }
        assert!(seen.answers.len() <= MAX_SEEN && seen.order.len() <= MAX_SEEN);
    }
}
