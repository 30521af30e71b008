//! The receiving side: is it from one of us, and is it the first time?

use std::collections::HashMap;
use std::time::Duration;

use super::keyring::{Claim, Keyring, answer_parts};
use super::{Covered, Signed};
use crate::own::version::NodeId;

/// How far a sender's time may be from ours.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The most lives of senders that are remembered.
pub const MAX_LIVES: usize = 1024;
/// How many counts below the highest one are still told apart.
pub const WINDOW_COUNTS: u64 = 4096;

const WORDS: usize = (WINDOW_COUNTS / 64) as usize;

/// Why a message is refused: 403, and nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no field, or one that cannot be read.
    #[error("expected a signature")]
    Unsigned,
    /// The key is unknown, or the signature is not of this message.
    #[error("expected a signature with one of our keys")]
    Forged,
    /// It came before, or so much later than others that it may have.
    #[error("expected a message that did not come before")]
    Replayed,
    /// Signed at a time that is too far from ours; the sender, who has a key, may be told our time.
    #[error("expected a time within {} s of ours", WINDOW.as_secs())]
    Time(Signed),
    /// More senders than are remembered.
    #[error("expected at most {MAX_LIVES} senders")]
    Crowded,
}

/// See the module's header.
#[derive(Debug)]
pub struct Guard {
    keys: Keyring,
    node: NodeId,
    /// Our wall clock at the start: what was signed before is not for this life of ours.
    started: u64,
    lives: HashMap<NodeId, Counts>,
}

/// The counts of a life that were used.
#[derive(Debug)]
struct Counts {
    highest: u64,
    /// The latest time that was signed.
    time: u64,
    /// A bit for each count in the window, at its place modulo the window.
    used: Box<[u64; WORDS]>,
}

impl Guard {
    /// Of that life of ours. Knows nobody yet.
    pub fn new(keys: Keyring, node: NodeId, unix_ms: u64) -> Self {
        Self {
            keys,
            node,
            started: unix_ms,
            lives: HashMap::new(),
        }
    }

    /// Other keys from now on; lives are remembered.
    pub fn set_keys(&mut self, keys: Keyring) {
        self.keys = keys;
    }

    /// Whose request this is; `field` is the header field's value, if there is one.
    pub fn request(
        &mut self,
        unix_ms: u64,
        field: Option<&str>,
        covered: &Covered<'_>,
    ) -> Result<Signed, Refusal> {
        let claim = field.and_then(Claim::read).ok_or(Refusal::Unsigned)?;
        if !claim.is_genuine(&self.keys, covered) {
            return Err(Refusal::Forged);
        }
        let Claim {
            node, time, count, ..
        } = claim;
        let signed = Signed { node, count };
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        if self.started > unix_ms {
            // Our clock was set back: what it showed at the start says nothing any more.
            self.started = 0;
        }
        let earliest = self.started.max(unix_ms.saturating_sub(window));
        if time < earliest || time > unix_ms.saturating_add(window) {
            return Err(Refusal::Time(signed));
        }
        if !self.lives.contains_key(&node) && self.lives.len() >= MAX_LIVES {
            // Messages of those that go would be refused for their time by now.
            self.lives.retain(|_, counts| counts.time >= earliest);
            if self.lives.len() >= MAX_LIVES {
                return Err(Refusal::Crowded);
            }
        }
        let counts = self.lives.entry(node).or_insert_with(|| Counts {
            highest: 0,
            time,
            used: Box::new([0; WORDS]),
        });
        counts.time = counts.time.max(time);
        counts
            .take(count)
            .then_some(signed)
            .ok_or(Refusal::Replayed)
    }

    /// The field of an answer. It tells our life and our time.
    pub fn answer(&self, unix_ms: u64, to: Signed, status: u16, body: &[u8]) -> String {
        let (node, count) = (self.node, to.count);
        answer_parts((node, unix_ms), to, status, body, |parts| {
            let (key, mac) = self.keys.sign(parts);
            format!("key={key};node={node};time={unix_ms};count={count};mac={mac}")
        })
    }
}

impl Counts {
    /// False where the count was used, or is too far below to tell.
    fn take(&mut self, count: u64) -> bool {
        if count == 0 {
            return false;
        }
        if count > self.highest {
            // What comes into the window was not used yet.
            let fresh = (count - self.highest).min(WINDOW_COUNTS);
            for passed in (count - fresh + 1)..=count {
                self.mark(passed, false);
            }
            self.highest = count;
        } else if self.highest - count >= WINDOW_COUNTS || self.is_used(count) {
            return false;
        }
        self.mark(count, true);
        true
    }

    fn place(count: u64) -> (usize, u64) {
        let at = count % WINDOW_COUNTS;
        (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
    }

    fn is_used(&self, count: u64) -> bool {
        let (word, bit) = Self::place(count);
        self.used.get(word).is_none_or(|word| word & bit != 0)
    }

    fn mark(&mut self, count: u64, used: bool) {
        let (word, bit) = Self::place(count);
        if let Some(word) = self.used.get_mut(word) {
            *word = if used { *word | bit } else { *word & !bit };
        }
    }
}
