//! Messages that come in fragments, of several senders at once (erl_ext_dist, "Fragmented distribution header").
//!
//! The first fragment carries the header and how many there are; they count down to 1, in order. What is held is bounded: so
//! many messages, so many bytes in all.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Messages in fragments at once, of one connection: a peer has one for each sending process.
const MAX_MESSAGES: usize = 1024;

/// What is wrong with a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFragment {
    /// Not the one that was due.
    #[error("fragment {got} where {due} was due")]
    Order {
        /// What was due; 0 where there is no such message.
        due: u64,
        /// What came.
        got: u64,
    },
    /// Too much is held.
    #[error("messages in fragments hold more than {0} bytes or are too many")]
    Full(usize),
}

/// A message put together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) atoms: Vec<Bytes>,
    pub(crate) bytes: Vec<u8>,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Fragments {
    messages: BTreeMap<u64, Part>,
    held: usize,
    limit: usize,
}

#[derive(Debug)]
struct Part {
    whole: Whole,
    /// The number of the next fragment.
    due: u64,
}

impl Fragments {
    /// Holds at most that many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            messages: BTreeMap::new(),
            held: 0,
            limit,
        }
    }

    /// Takes the first fragment of a message.
    pub(crate) fn first(
        &mut self,
        sequence: u64,
        count: u64,
        atoms: Vec<Bytes>,
        bytes: &[u8],
    ) -> Result<Option<Whole>, BadFragment> {
        let due = self.messages.get(&sequence).map(|part| part.due);
        if due.is_some() || count == 0 {
            return Err(BadFragment::Order {
                due: due.unwrap_or_default(),
                got: count,
            });
        }
        let whole = Whole {
            atoms,
            bytes: bytes.to_vec(),
        };
        if count == 1 {
            return Ok(Some(whole));
        }
        if self.messages.len() >= MAX_MESSAGES {
            return Err(BadFragment::Full(self.limit));
        }
        self.hold(bytes.len())?;
        let due = count - 1;
        self.messages.insert(sequence, Part { whole, due });
        Ok(None)
    }

    /// Takes a later one; gives the message where it was the last.
    pub(crate) fn next(
        &mut self,
        sequence: u64,
        number: u64,
        bytes: &[u8],
    ) -> Result<Option<Whole>, BadFragment> {
        let due = self.messages.get(&sequence).map_or(0, |part| part.due);
        if number == 0 || due != number {
            return Err(BadFragment::Order { due, got: number });
        }
        self.hold(bytes.len())?;
        let std::collections::btree_map::Entry::Occupied(mut entry) = self.messages.entry(sequence)
        else {
            return Err(BadFragment::Order { due, got: number });
        };
        entry.get_mut().whole.bytes.extend_from_slice(bytes);
        entry.get_mut().due -= 1;
        if number > 1 {
            return Ok(None);
        }
        let whole = entry.remove().whole;
        self.held -= whole.bytes.len();
        Ok(Some(whole))
    }

    fn hold(&mut self, more: usize) -> Result<(), BadFragment> {
        if more > self.limit.saturating_sub(self.held) {
            return Err(BadFragment::Full(self.limit));
        }
        self.held += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_two_senders_come_mixed() {
        let mut fragments = Fragments::new(100);
        let atom = Bytes::from_static(b"w\x01a");
        assert_eq!(fragments.first(1, 3, vec![atom.clone()], b"ab"), Ok(None));
        assert_eq!(fragments.first(2, 2, vec![], b"xy"), Ok(None));
        assert_eq!(fragments.next(1, 2, b"cd"), Ok(None));
        let second = fragments.next(2, 1, b"z").unwrap().unwrap();
        assert_eq!(second.bytes, b"xyz");
        let first = fragments.next(1, 1, b"e").unwrap().unwrap();
        assert_eq!((&first.bytes[..], first.atoms), (&b"abcde"[..], vec![atom]));
        assert_eq!(fragments.held, 0);
    }

    #[test]
    fn fragments_out_of_order_and_too_many_are_refused() {
        let mut fragments = Fragments::new(10);
        let order = |due, got| Err(BadFragment::Order { due, got });
        assert_eq!(fragments.next(1, 1, b""), order(0, 1));
        assert_eq!(fragments.first(1, 0, vec![], b""), order(0, 0));
        assert_eq!(fragments.first(1, 9, vec![], b"12345"), Ok(None));
        assert_eq!(fragments.next(1, 7, b""), order(8, 7));
        assert_eq!(fragments.first(1, 3, vec![], b""), order(8, 3));
        assert_eq!(fragments.next(1, 8, b"123456"), Err(BadFragment::Full(10)));
        let mut fragments = Fragments::new(10);
        for sequence in 0..MAX_MESSAGES as u64 {
            assert_eq!(fragments.first(sequence, 2, vec![], b""), Ok(None));
        }
        assert_eq!(
            fragments.first(9999, 2, vec![], b""),
            Err(BadFragment::Full(10))
        );
    }
}
