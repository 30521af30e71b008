//! The integers by which a message finds its call again: in the branch of a response, in the Call-ID of a request.
//!
//! `RRRRRRSSSSSSNNNNNNNN`: this run, the call's slot, and how many calls began before. A message of an earlier call in the same
//! slot, or of an earlier run, is told apart by the other two.

/// Digits of an [`Id`].
pub(crate) const LENGTH: usize = 20;
/// The most slots that an id can name.
pub(crate) const MAX_SLOTS: usize = 1 << 24;
/// What a branch begins with (RFC 3261 8.1.1.7).
pub(crate) const COOKIE: &[u8] = b"z9hG4bK";

/// The identity of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Id([u8; LENGTH]);

impl Id {
    pub(crate) fn new(run: u32, slot: usize, serial: u32) -> Id {
        let mut digits = [0; LENGTH];
        let (head, tail) = digits.split_at_mut(6);
        hex(u64::from(run), head);
        let (middle, tail) = tail.split_at_mut(6);
        hex(slot as u64, middle);
        hex(u64::from(serial), tail);
        Id(digits)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An id read from a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) run: u32,
    pub(crate) slot: usize,
    pub(crate) serial: u32,
    /// Which transaction (branch) or dialog (Call-ID).
    pub(crate) index: usize,
    /// Which attempt (branch).
    pub(crate) attempt: u8,
}

/// Reads a branch of ours.
pub(crate) fn branch(branch: &[u8]) -> Option<Found> {
    let rest = branch.strip_prefix(COOKIE)?;
    let found = read(rest)?;
    let attempt = rest.get(LENGTH + 2)?.wrapping_sub(b'0');
    (rest.len() == LENGTH + 3).then_some(Found { attempt, ..found })
}

/// Reads a Call-ID of ours.
pub(crate) fn call_id(call_id: &[u8]) -> Option<Found> {
    (call_id.get(LENGTH + 2) == Some(&b'@')).then_some(())?;
    read(call_id)
}

fn read(digits: &[u8]) -> Option<Found> {
    let number = |range| digits.get(range).and_then(unhex);
    Some(Found {
        run: number(0..6)? as u32,
        slot: number(6..12)? as usize,
        serial: number(12..LENGTH)? as u32,
        index: number(LENGTH..LENGTH + 2)? as usize,
        attempt: 0,
    })
}

/// Lower-case digits that fill `out`.
pub(crate) fn hex(number: u64, out: &mut [u8]) {
    let mut left = number;
    for digit in out.iter_mut().rev() {
        *digit = match (left & 15) as u8 {
            nibble @ 0..=9 => b'0' + nibble,
            nibble => b'a' + nibble - 10,
        };
        left >>= 4;
    }
}

fn unhex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(nibble))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_again() {
        let id = Id::new(0x00ab_cdef, 65_535, u32::MAX);
        let text = String::from_utf8(id.as_bytes().to_vec()).unwrap();
        let expected = Found {
            run: 0x00ab_cdef,
            slot: 65_535,
            serial: u32::MAX,
            index: 17,
            attempt: 2,
        };
        assert_eq!(
            branch(format!("z9hG4bK{text}112").as_bytes()),
            Some(expected)
        );
        let dialog = Found {
            attempt: 0,
            ..expected
        };
        assert_eq!(call_id(format!("{text}11@phones").as_bytes()), Some(dialog));
        for other in ["z9hG4bK", "z9hG4bKabc", "abc", ""] {
            assert_eq!(branch(other.as_bytes()), None);
            assert_eq!(call_id(other.as_bytes()), None);
        }
        assert_eq!(branch(format!("z9hG4bK{text}112x").as_bytes()), None);
    }
}
