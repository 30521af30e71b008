//! One key's replicated state and how two of them are joined.

use std::time::{Duration, Instant};

use super::Version;

/// How long a record whose life is over is still known: as long as copies of it may be on their way, so that none revives it.
pub const GRACE: Duration = Duration::from_secs(60);
/// The longest that a removal is remembered.
pub const MAX_REMEMBERED: Duration = Duration::from_secs(3600);
/// The most parts of a counter: lives of nodes that counted in it since it was last set, removed or over.
pub const MAX_PARTS: usize = 256;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
}

/// What one life of a node counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Version of its first count; the node is whose part it is. A set or a removal after it ends the part.
    pub start: Version,
    /// The sum of what was added.
    pub up: u64,
    /// The sum of what was taken away.
    pub down: u64,
}

/// Why nothing was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The value is no number.
    #[error("expected an integer, got another kind of value")]
    NotInteger,
    /// The sum does not fit.
    #[error("expected a sum within 64 bits")]
    Overflow,
    /// No room for a part.
    #[error("expected at most {MAX_PARTS} parts of a counter")]
    Parts,
}

/// One key's state. See the module's header.
///
/// `base` is the version of the last set or removal; where a counter began anew because its life was over, that of the last write
/// before, without its value, so that all nodes that begin anew agree on what has ended. `touch` is that of the last write that gave it `end`: a set, a removal, an
/// expire, or an add that renewed its life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    base: Version,
    touch: Version,
    value: Option<Value>,
    end: Option<Instant>,
    life: Duration,
    /// Sorted by node; each started after `base`. Boxed: few records count.
    #[expect(
        clippy::box_collection,
        reason = "8 bytes in every record instead of 24"
    )]
    parts: Option<Box<Vec<Part>>>,
}

impl Record {
    /// A record as another node told it. Parts that `base` has ended are left out; of a life, what is beyond its bounds.
    pub fn told(
        base: Version,
        touch: Version,
        value: Option<Value>,
        (end, life): (Option<Instant>, Duration),
        parts: Vec<Part>,
    ) -> Self {
        let mut record = Self {
            base,
            touch,
            value,
            end,
            life,
            parts: None,
        };
        for part in parts {
            record.join_part(part);
        }
        record
    }

    /// The version of the last set or removal.
    pub fn base(&self) -> Version {
        self.base
    }

    /// The version of the last write that gave it its end.
    pub fn touch(&self) -> Version {
        self.touch
    }

    /// When it ends, or for a removal when it is forgotten; none: never.
    pub fn end(&self) -> Option<Instant> {
        self.end
    }

    /// What a write renews; zero: for ever.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// What was last set, whether its life is over or not; for a counter that was never set, and for a removal, none.
    pub fn set_value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// What was added since.
    pub fn parts(&self) -> &[Part] {
        self.parts.as_deref().map_or(&[], Vec::as_slice)
    }

    /// True for a removal and for a key that never was.
    pub fn is_gone(&self) -> bool {
        self.value.is_none() && self.parts().is_empty()
    }

    /// Whether it has a value now.
    pub fn is_live(&self, now: Instant) -> bool {
        !self.is_gone() && self.end.is_none_or(|end| end > now)
    }

    /// Whether it may be forgotten: its removal was remembered long enough, or its life is over since [`GRACE`].
    pub fn is_over(&self, now: Instant) -> bool {
        let grace = if self.is_gone() {
            Duration::ZERO
        } else {
            GRACE
        };
        let never_was = self.is_gone() && self.end.is_none();
        never_was || self.end.is_some_and(|end| end + grace <= now)
    }

    /// Its value, if it has one now; a counter's sum saturates.
    pub fn value(&self, now: Instant) -> Option<Value> {
        if !self.is_live(now) {
            return None;
        }
        match &self.value {
            Some(value @ (Value::Text(_) | Value::Bytes(_))) => Some(value.clone()),
            Some(Value::Integer(_)) | None => Some(Value::Integer(clamp(self.sum()))),
        }
    }

    /// Sets a value; life zero: for ever.
    pub fn set(&mut self, version: Version, now: Instant, value: Value, life: Duration) {
        *self = Self {
            base: version,
            touch: version,
            value: Some(value),
            end: end(now, life),
            life,
            parts: None,
        };
    }

    /// Removes what there is, to be remembered for so long, at most [`MAX_REMEMBERED`].
    pub fn remove(&mut self, version: Version, now: Instant, remembered: Duration) {
        *self = Self {
            base: version,
            touch: version,
            end: Some(now + remembered.min(MAX_REMEMBERED)),
            ..Self::default()
        };
    }

    /// Gives it another life; tells whether there was something to give it to.
    pub fn expire(&mut self, version: Version, now: Instant, life: Duration) -> bool {
        let live = self.is_live(now);
        if live {
            (self.touch, self.end, self.life) = (version, end(now, life), life);
        }
        live
    }

    /// Adds in the part of the version's node and gives the sum. What is not there, or over, counts as 0 and gets `life`; what
    /// is there has its life renewed.
    pub fn add(
        &mut self,
        version: Version,
        now: Instant,
        delta: i64,
        life: Duration,
    ) -> Result<i64, AddError> {
        let live = self.is_live(now);
        if live && matches!(self.value, Some(Value::Text(_) | Value::Bytes(_))) {
            return Err(AddError::NotInteger);
        }
        let before = if live { self.sum() } else { 0 };
        let sum = before + i128::from(delta);
        let sum = i64::try_from(sum).map_err(|_| AddError::Overflow)?;
        let mut next = if live {
            self.clone()
        } else {
            Self {
                base: self.base.max(self.touch),
                touch: version,
                end: end(now, life),
                life,
                ..Self::default()
            }
        };
        if live && !next.life.is_zero() {
            (next.touch, next.end) = (version, end(now, next.life));
        }
        next.count(version, delta)?;
        *self = next;
        Ok(sum)
    }

    fn count(&mut self, version: Version, delta: i64) -> Result<(), AddError> {
        let parts = self.parts.get_or_insert_default();
        let at = parts.binary_search_by_key(&version.node, |part| part.start.node);
        let fresh = Part {
            start: version,
            up: 0,
            down: 0,
        };
        let at = match at {
            Ok(at) => at,
            Err(_) if parts.len() >= MAX_PARTS => return Err(AddError::Parts),
            Err(at) => {
                parts.insert(at, fresh);
                at
            }
        };
        let Some(part) = parts.get_mut(at) else {
            return Ok(());
        };
        let side = if delta < 0 {
            &mut part.down
        } else {
            &mut part.up
        };
        *side = side
            .checked_add(delta.unsigned_abs())
            .ok_or(AddError::Overflow)?;
        Ok(())
    }

    /// Takes in what another node has of the same key. Tells whether that changed anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        // Of one version with and without its value, the one without has ended it.
        if (other.base, other.value.is_none()) > (self.base, self.value.is_none()) {
            self.base = other.base;
            self.value.clone_from(&other.value);
            let base = self.base;
            if let Some(parts) = &mut self.parts {
                parts.retain(|part| part.start > base);
            }
            changed = true;
        }
        for part in other.parts() {
            changed |= self.join_part(*part);
        }
        if self.parts().is_empty() {
            self.parts = None;
        }
        if other.touch > self.touch {
            (self.touch, self.end, self.life) = (other.touch, other.end, other.life);
            changed = true;
        }
        changed
    }

    /// The later of two parts of a life; of one and the same, what counted further.
    fn join_part(&mut self, part: Part) -> bool {
        if part.start <= self.base {
            return false;
        }
        let parts = self.parts.get_or_insert_default();
        match parts.binary_search_by_key(&part.start.node, |part| part.start.node) {
            // Beyond the limit the later nodes are left out, at every node the same ones.
            Err(at) => {
                parts.insert(at, part);
                let fits = parts.len() <= MAX_PARTS;
                parts.truncate(MAX_PARTS);
                fits || at < MAX_PARTS
            }
            Ok(at) => {
                let Some(own) = parts.get_mut(at) else {
                    return false;
                };
                let before = *own;
                if part.start > own.start {
                    *own = part;
                } else if part.start == own.start {
                    own.up = own.up.max(part.up);
                    own.down = own.down.max(part.down);
                }
                *own != before
            }
        }
    }

    /// Equal where the replicated state is, and hardly ever else.
    pub fn print(&self) -> u64 {
        let version = |seed: u64, version: Version| {
            mix(mix(seed, version.stamp.number()), version.node.number())
        };
        let seed = 0x9e37_79b9_7f4a_7c15 ^ u64::from(self.value.is_none());
        let mut print = version(version(seed, self.base), self.touch);
        for part in self.parts() {
            print = mix(mix(version(print, part.start), part.up), part.down);
        }
        print
    }

    fn sum(&self) -> i128 {
        let set = match self.value {
            Some(Value::Integer(number)) => i128::from(number),
            _ => 0,
        };
        let parts = self.parts().iter();
        parts.fold(set, |sum, part| {
            sum + i128::from(part.up) - i128::from(part.down)
        })
    }
}

fn clamp(sum: i128) -> i64 {
    let bounded = sum.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(bounded).unwrap_or_default()
}

/// A life too long for the clock is for ever.
fn end(now: Instant, life: Duration) -> Option<Instant> {
    (!life.is_zero()).then(|| now.checked_add(life)).flatten()
}

/// Mixes a word into a hash that all nodes compute alike.
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ 0xa076_1d64_78bd_642f)
        .wrapping_mul(u128::from(word ^ 0xe703_7ed1_a0b4_28db));
    let high = u64::try_from(product >> 64).unwrap_or_default();
    let low = u64::try_from(product & u128::from(u64::MAX)).unwrap_or_default();
    high ^ low ^ word.rotate_left(32)
}

#[cfg(test)]
mod tests;
