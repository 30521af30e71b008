//! The hybrid logical clock and what it gives out.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How far ahead of our wall clock another's stamp may be. One that is further is refused: it would make its writes the last
/// ones for good, and a stamp at the end of the scale would stop all writing.
pub const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

const COUNT_BITS: u32 = 16;

/// One life of a node: drawn at random when it starts, so a node that was killed comes back as another, and its counters' parts
/// are never taken up again with less in them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u64);

impl NodeId {
    /// From 64 random bits.
    pub const fn new(random: u64) -> Self {
        Self(random)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Text that is no node id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("node id: expected 16 hexadecimal digits")]
pub struct NotANodeId;

impl FromStr for NodeId {
    type Err = NotANodeId;

    fn from_str(text: &str) -> Result<Self, NotANodeId> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(NotANodeId)
    }
}

/// A moment of a [`Clock`]: milliseconds since 1970 (48 bits) and a count within them (16 bits).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The most milliseconds that a stamp can tell.
    pub const MAX_MS: u64 = u64::MAX >> COUNT_BITS;

    /// None where the milliseconds do not fit.
    pub const fn new(ms: u64, count: u16) -> Option<Self> {
        if ms > Self::MAX_MS {
            return None;
        }
        Some(Self((ms << COUNT_BITS) | count as u64))
    }

    /// Milliseconds since 1970.
    pub const fn ms(self) -> u64 {
        self.0 >> COUNT_BITS
    }

    /// The count within the millisecond.
    pub const fn count(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// Both in one number that orders as the stamp does.
    pub const fn number(self) -> u64 {
        self.0
    }

    fn of_wall(unix_ms: u64) -> Self {
        Self(unix_ms.min(Self::MAX_MS) << COUNT_BITS)
    }
}

/// A write's place in the one order of all writes. No two writes have the same; the default one is before all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// When.
    pub stamp: Stamp,
    /// Who: decides between equal stamps.
    pub node: NodeId,
}

/// A stamp that is too far ahead of our wall clock: that node's clock, or ours, is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stamp: expected at most {} s ahead of our clock, got {ahead_ms} ms", MAX_AHEAD.as_secs())]
pub struct Ahead {
    /// By how much.
    pub ahead_ms: u64,
}

/// A node's hybrid logical clock. Safe from every lane, without a lock.
#[derive(Debug)]
pub struct Clock {
    node: NodeId,
    last: AtomicU64,
}

impl Clock {
    /// The clock of one life of a node.
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            last: AtomicU64::new(0),
        }
    }

    /// Whose it is.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The version of a write that is made now: later than all that were given out or observed.
    pub fn write(&self, unix_ms: u64) -> Version {
        let wall = Stamp::of_wall(unix_ms).number();
        let next = |last: u64| Some(last.saturating_add(1).max(wall));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .unwrap_or_default();
        Version {
            stamp: Stamp(last.saturating_add(1).max(wall)),
            node: self.node,
        }
    }

    /// What it shows now; not a write.
    pub fn now(&self, unix_ms: u64) -> Stamp {
        let last = self.last.load(Ordering::Relaxed);
        Stamp(last.max(Stamp::of_wall(unix_ms).number()))
    }

    /// Goes past a stamp of another node.
    pub fn observe(&self, unix_ms: u64, stamp: Stamp) -> Result<(), Ahead> {
        let ahead_ms = stamp.ms().saturating_sub(unix_ms);
        if u128::from(ahead_ms) > MAX_AHEAD.as_millis() {
            return Err(Ahead { ahead_ms });
        }
        self.last.fetch_max(stamp.number(), Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_795_262_400_000;

    #[test]
    fn writes_are_later_than_all_that_was_seen() {
        let (ours, theirs) = (Clock::new(NodeId::new(1)), Clock::new(NodeId::new(2)));
        let hour = 3_600_000;
        let wrong = theirs.write(NOON + hour);
        assert!(ours.write(NOON) < wrong);
        ours.observe(NOON, wrong.stamp).unwrap();
        let answer = ours.write(NOON + 1);
        assert!(answer > wrong, "{answer:?}");
        assert!(
            answer.stamp.ms() <= NOON + hour + 1,
            "by a count, not by an hour more"
        );
    }

    #[test]
    fn a_wall_clock_that_steps_back_does_not_take_versions_along() {
        let clock = Clock::new(NodeId::new(1));
        let first = clock.write(NOON);
        assert!(clock.write(NOON - 5_000) > first);
        assert!(clock.now(0) > first.stamp);
    }

    #[test]
    fn nobody_pulls_the_clock_to_its_end() {
        let clock = Clock::new(NodeId::new(1));
        let day = u64::try_from(MAX_AHEAD.as_millis()).unwrap();
        let far = Stamp::new(NOON + day + 1, 0).unwrap();
        assert_eq!(clock.observe(NOON, far), Err(Ahead { ahead_ms: day + 1 }));
        let end = Stamp::new(Stamp::MAX_MS, u16::MAX).unwrap();
        assert!(clock.observe(NOON, end).is_err());
        assert_eq!(clock.write(NOON).stamp.ms(), NOON);
        assert_eq!(Stamp::new(Stamp::MAX_MS + 1, 0), None);
    }

    #[test]
    fn a_node_id_is_its_own_text() {
        let id = NodeId::new(0x00ab_0000_0000_0001);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "ab",
            "00ab00000000000g",
            "+0ab000000000001",
            "00ab00000000000111",
        ] {
            assert_eq!(text.parse::<NodeId>(), Err(NotANodeId), "{text}");
        }
    }
}
