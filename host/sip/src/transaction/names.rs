//! Names this layer gives: the branch of a forwarded request and the To tags of answers made here.
//!
//! Both are keyed hashes written in hex, so that nobody who does not see our traffic can guess one, and so that we know our own
//! again: a late response to a transaction that is over (RFC 6026 s.8: drop it) is told from one that was forwarded without
//! state, and the ACK to a stateless answer is absorbed (RFC 3261 s.8.2.7).

use std::fmt;

use ahash::RandomState;

/// What a branch of RFC 3261 begins with (s.8.1.1.7).
const COOKIE: &[u8; 7] = b"z9hG4bK";
const PROOF: usize = 16;
const SERIAL: usize = 12;
const LEN: usize = COOKIE.len() + PROOF + SERIAL;
const LAST_SERIAL: u64 = (1 << (4 * SERIAL)) - 1;

/// The `branch` of one forwarded request. The caller puts it into the Via it renders and may append to it (a loop detection hash
/// after a dot, RFC 3261 s.16.6 step 8).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BranchId {
    text: [u8; LEN],
    serial: u64,
}

impl BranchId {
    /// The branch of that number, at most 2^48.
    pub(super) fn new(serial: u64, keys: &RandomState) -> BranchId {
        let serial = serial & LAST_SERIAL;
        let mut text = [0; LEN];
        let (cookie, rest) = text.split_at_mut(COOKIE.len());
        let (proof, number) = rest.split_at_mut(PROOF);
        cookie.copy_from_slice(COOKIE);
        write_hex(keys.hash_one(serial), proof);
        write_hex(serial, number);
        BranchId { text, serial }
    }

    /// Finds the branch at the start of a Via's parameter, if we made it; what follows is not looked at.
    pub(super) fn read(param: &[u8], keys: &RandomState) -> Option<BranchId> {
        let text = param.get(..LEN)?;
        let number = text.get(COOKIE.len() + PROOF..)?;
        let id = BranchId::new(read_hex(number)?, keys);
        text.eq_ignore_ascii_case(&id.text).then_some(id)
    }

    /// The number.
    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// The parameter's value.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl fmt::Display for BranchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for BranchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BranchId({self})")
    }
}

/// A To tag for answers made here: the same for every copy of a request, its CANCEL and its ACK (s.8.2.6.2, s.9.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag([u8; 16]);

impl Tag {
    /// The tag for the requests of this identity hash.
    pub(super) fn new(identity: u64, keys: &RandomState) -> Tag {
        let mut text = [0; 16];
        write_hex(keys.hash_one(("tag", identity)), &mut text);
        Tag(text)
    }

    /// The tag's text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// The To tag of an answer given without state: a name of the request and the proof that it is ours, so that the ACK is known by its To
/// tag alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct StatelessTag([u8; 2 * HALF]);

const HALF: usize = 12;

impl StatelessTag {
    /// The tag for the requests of this identity hash.
    pub(super) fn new(identity: u64, keys: &RandomState) -> StatelessTag {
        let mut text = [0; 2 * HALF];
        let (name, proof) = text.split_at_mut(HALF);
        write_hex(keys.hash_one(("stateless", identity)), name);
        write_hex(keys.hash_one(("proof", &*name)), proof);
        StatelessTag(text)
    }

    /// Whether it is such a tag of ours.
    pub(super) fn is_ours(tag: &[u8], keys: &RandomState) -> bool {
        let Some((name, proof)) = tag.split_at_checked(HALF) else {
            return false;
        };
        let mut own = [0; HALF];
        proof.len() == HALF && {
            write_hex(keys.hash_one(("proof", name)), &mut own);
            proof == own
        }
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Writes the lowest digits of a number, as many as there is room for.
fn write_hex(mut number: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        let nibble = (number & 15) as u8;
        *digit = if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        };
        number >>= 4;
    }
}

fn read_hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0u64, |number, digit| {
        let nibble = char::from(*digit).to_digit(16)?;
        Some(number << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u64) -> RandomState {
        RandomState::with_seeds(seed, 2, 3, 4)
    }

    #[test]
    fn a_branch_is_known_again_with_what_was_appended() {
        let keys = keys(1);
        let id = BranchId::new(77, &keys);
        assert!(id.as_str().starts_with("z9hG4bK"));
        assert_eq!(id.as_str().len(), 35);
        let param = format!("{id}.0badcafe");
        assert_eq!(BranchId::read(param.as_bytes(), &keys), Some(id));
    }

    #[test]
    fn a_branch_of_another_or_with_another_number_is_not_ours() {
        let id = BranchId::new(77, &keys(1));
        assert_eq!(BranchId::read(id.as_str().as_bytes(), &keys(2)), None);
        let mut forged = id.as_str().to_owned();
        forged.replace_range(34.., "e");
        assert_eq!(BranchId::read(forged.as_bytes(), &keys(1)), None);
        assert_eq!(BranchId::read(b"z9hG4bKnashds8", &keys(1)), None);
        assert_eq!(BranchId::read(b"", &keys(1)), None);
    }

    #[test]
    fn a_stateless_tag_proves_itself() {
        let tag = StatelessTag::new(5, &keys(1));
        assert!(StatelessTag::is_ours(tag.as_str().as_bytes(), &keys(1)));
        assert!(!StatelessTag::is_ours(tag.as_str().as_bytes(), &keys(2)));
        let mut forged = tag.0;
        forged[0] ^= 1;
        assert!(!StatelessTag::is_ours(&forged, &keys(1)));
        for other in [
            &b""[..],
            b"88sja8x",
            Tag::new(5, &keys(1)).as_str().as_bytes(),
        ] {
            assert!(!StatelessTag::is_ours(other, &keys(1)));
        }
    }

    #[test]
    fn a_tag_depends_on_the_identity_only() {
        assert_eq!(Tag::new(5, &keys(1)), Tag::new(5, &keys(1)));
        assert_ne!(Tag::new(5, &keys(1)), Tag::new(6, &keys(1)));
        assert_ne!(Tag::new(5, &keys(1)), Tag::new(5, &keys(2)));
    }
}
