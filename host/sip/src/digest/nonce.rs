//! Nonces: made, recognised, and counted. RFC 7616 3.3, 5.4.
//!
//! A nonce is `base64url(milliseconds | serial | HMAC-SHA-256(key, milliseconds | serial | realm)[..16])`, so no state is kept
//! for one that is never used: a flood of requests without credentials costs no memory.
//!
//! For a nonce that was used with a right response, the counts (`nc`) seen so far are kept: the highest, and which of the 64
//! below it. A count that was seen or is too far below is refused, so a request that is recorded and sent again is worth
//! nothing, while requests that overtake each other pass. The table has a fixed number of slots; a nonce's slot is its serial
//! modulo that number. **When two live nonces share a slot, the newer one takes it and the older one counts as stale**: its
//! owner is challenged again and goes on with a new nonce. Only right responses take slots.
//!
//! Beside the counts stands a print of the last request that was let in and asked to be known again: so a copy that its sender repeats
//! is told from a replay, for the 32 s in which it may be repeated, without a transaction that waits for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Milliseconds and serial.
const HEAD: usize = 16;
const SIGNATURE: usize = 16;
/// How long a sender over UDP may repeat a request: 64*T1 (RFC 3261 17.1.2.2, Timer F).
const REPEATED: Duration = Duration::from_secs(32);
/// Of the text.
const LENGTH: usize = (HEAD + SIGNATURE) * 4 / 3 + 1;

pub(super) struct Nonces {
    key: Hmac<Sha256>,
    epoch: Instant,
    lifetime: Duration,
    next: AtomicU64,
    slots: Box<[Mutex<Slot>]>,
}

/// Names a nonce of ours whose signature is right and whose time is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Serial(u64);

/// What the use of a count is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The first.
    First,
    /// The last request that was let in with this nonce, once more.
    Again,
    /// It was used before, is too old to tell, or a newer nonce has the slot.
    Spent,
}

#[derive(Debug, Default)]
struct Slot {
    /// 0 where nobody has it yet; serials start at 1.
    serial: u64,
    seen: Seen,
    last: Last,
}

/// The last request that was let in and is to be known again.
#[derive(Debug, Default, Clone, Copy)]
struct Last {
    print: u64,
    /// Until when, in milliseconds since the epoch; 0 where there is none.
    until: u64,
}

/// The counts that were used.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    highest: u32,
    /// Bit n: `highest - n` was used.
    below: u64,
}

impl Nonces {
    pub(super) fn new(key: &[u8; 32], epoch: Instant, lifetime: Duration, slots: usize) -> Self {
        // A fixed-size key always fits; the fallback is never taken.
        let key = Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self {
            key,
            epoch,
            lifetime,
            next: AtomicU64::new(1),
            slots: (0..slots.max(1)).map(|_| Mutex::default()).collect(),
        }
    }

    /// A new nonce for a realm.
    pub(super) fn make(&self, now: Instant, realm: &[u8]) -> String {
        let made = self.millis(now);
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; HEAD + SIGNATURE];
        let (head, signature) = bytes.split_at_mut(HEAD);
        for (to, from) in head
            .iter_mut()
            .zip(made.to_be_bytes().into_iter().chain(serial.to_be_bytes()))
        {
            *to = from;
        }
        let full = self.sign(head, realm).finalize().into_bytes();
        for (to, from) in signature.iter_mut().zip(full) {
            *to = from;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The nonce's serial, if it is one of ours for that realm and young enough.
    pub(super) fn read(&self, now: Instant, realm: &[u8], nonce: &[u8]) -> Option<Serial> {
        if nonce.len() != LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (head, signature) = bytes.split_at_checked(HEAD)?;
        if signature.len() != SIGNATURE {
            return None;
        }
        // Compares in constant time.
        self.sign(head, realm)
            .verify_truncated_left(signature)
            .ok()?;
        let (made, serial) = head.split_first_chunk::<8>()?;
        let made = Duration::from_millis(u64::from_be_bytes(*made));
        let age = now
            .saturating_duration_since(self.epoch)
            .saturating_sub(made);
        (age <= self.lifetime).then_some(())?;
        Some(Serial(u64::from_be_bytes(*serial.first_chunk::<8>()?)))
    }

    /// Takes note of a count. With a `print` of the request, a copy of it is known.
    pub(super) fn count(
        &self,
        now: Instant,
        serial: Serial,
        count: u32,
        print: Option<u64>,
    ) -> Use {
        let at = usize::try_from(serial.0 % self.slots.len() as u64).unwrap_or(0);
        let Some(slot) = self.slots.get(at) else {
            return Use::Spent;
        };
        let now = self.millis(now);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.serial > serial.0 {
            return Use::Spent;
        }
        if slot.serial < serial.0 {
            *slot = Slot {
                serial: serial.0,
                ..Slot::default()
            };
        }
        if slot.seen.add(count) {
            if let Some(print) = print {
                let until = now.saturating_add(REPEATED.as_millis() as u64);
                slot.last = Last { print, until };
            }
            return Use::First;
        }
        match print {
            Some(print) if print == slot.last.print && now < slot.last.until => Use::Again,
            _ => Use::Spent,
        }
    }

    /// Since the epoch.
    fn millis(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX)
    }

    fn sign(&self, head: &[u8], realm: &[u8]) -> Hmac<Sha256> {
        self.key.clone().chain_update(head).chain_update(realm)
    }
}

impl Seen {
    fn add(&mut self, count: u32) -> bool {
        if count == 0 {
            return false;
        }
        if let Some(ahead) = count.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.below = self.below.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let Some(bit) = 1u64.checked_shl(self.highest - count) else {
            return false;
        };
        let fresh = self.below & bit == 0;
        self.below |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn nonces(slots: usize) -> (Instant, Nonces) {
        let epoch = Instant::now();
        (
            epoch,
            Nonces::new(&[1; 32], epoch, Duration::from_secs(60), slots),
        )
    }

    #[test]
    fn a_nonce_lives_its_time_and_no_longer() {
        let (epoch, nonces) = nonces(4);
        let nonce = nonces.make(epoch + Duration::from_secs(5), b"r");
        let at = |seconds| {
            nonces.read(
                epoch + Duration::from_millis(seconds),
                b"r",
                nonce.as_bytes(),
            )
        };
        assert!(at(5_000).is_some());
        assert!(at(65_000).is_some());
        assert_eq!(at(65_001), None);
    }

    #[test]
    fn only_ours_for_this_realm_are_known() {
        let (epoch, ours) = nonces(4);
        let nonce = ours.make(epoch, b"r");
        assert_eq!(nonce.len(), LENGTH);
        assert!(ours.read(epoch, b"r", nonce.as_bytes()).is_some());
        assert!(ours.read(epoch, b"other", nonce.as_bytes()).is_none());
        let theirs = Nonces::new(&[2; 32], epoch, Duration::from_secs(60), 4);
        assert!(theirs.read(epoch, b"r", nonce.as_bytes()).is_none());
        for at in 0..nonce.len() {
            let mut forged = nonce.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            // The last character carries two bits that are not of the nonce.
            let same = URL_SAFE_NO_PAD.decode(&forged) == URL_SAFE_NO_PAD.decode(&nonce);
            assert!(same || ours.read(epoch, b"r", &forged).is_none(), "{at}");
        }
        assert!(ours.read(epoch, b"r", b"").is_none());
        assert!(ours.read(epoch, b"r", &[0xff; LENGTH]).is_none());
    }

    #[test]
    fn nonces_differ() {
        let (epoch, nonces) = nonces(4);
        let made: HashSet<_> = (0..1000).map(|_| nonces.make(epoch, b"r")).collect();
        assert_eq!(made.len(), 1000);
    }

    #[test]
    fn a_full_table_gives_the_slot_to_the_newer() {
        let (epoch, nonces) = nonces(2);
        let uses = |serial, count| nonces.count(epoch, Serial(serial), count, None);
        assert_eq!(uses(2, 1), Use::First);
        assert_eq!(uses(3, 1), Use::First);
        assert_eq!(uses(4, 1), Use::First);
        assert_eq!(uses(2, 2), Use::Spent, "4 has its slot now");
        assert_eq!(uses(3, 2), Use::First, "another slot");
        assert_eq!(uses(4, 2), Use::First);
    }

    #[test]
    fn the_last_request_is_known_again_for_its_time() {
        let (epoch, nonces) = nonces(2);
        let uses = |seconds, count, print| {
            let now = epoch + Duration::from_secs(seconds);
            nonces.count(now, Serial(2), count, print)
        };
        assert_eq!(uses(0, 1, Some(7)), Use::First);
        assert_eq!(uses(1, 1, Some(7)), Use::Again);
        assert_eq!(uses(1, 1, Some(8)), Use::Spent, "another request");
        assert_eq!(uses(1, 1, None), Use::Spent, "one that asks for nothing");
        assert_eq!(uses(31, 1, Some(7)), Use::Again);
        assert_eq!(
            uses(32, 1, Some(7)),
            Use::Spent,
            "nobody repeats it any more"
        );
        assert_eq!(uses(33, 2, None), Use::First);
        assert_eq!(uses(34, 3, Some(9)), Use::First);
        assert_eq!(uses(34, 3, Some(9)), Use::Again);
        let newer = nonces.count(epoch + Duration::from_secs(35), Serial(4), 1, None);
        assert_eq!(newer, Use::First);
        assert_eq!(uses(35, 3, Some(9)), Use::Spent, "4 has its slot now");
    }

    #[test]
    fn a_nonce_takes_48_bytes() {
        assert_eq!(size_of::<Mutex<Slot>>(), 48);
    }

    proptest! {
        /// Against a plain set: no count passes twice, and those in the window pass once.
        #[test]
        fn no_count_passes_twice(counts in prop::collection::vec(0u32..300, 0..400)) {
            let mut seen = Seen::default();
            let mut set = HashSet::new();
            let mut highest = 0;
            for count in counts {
                let near = count > 0 && count + 64 > highest;
                prop_assert_eq!(seen.add(count), near && set.insert(count));
                highest = highest.max(count);
            }
        }
    }
}
