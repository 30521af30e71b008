//! Bit strings whose length is no multiple of 8. The others are binaries.

use crate::Term;

/// A bit string; unused bits of the last byte are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    bytes: Vec<u8>,
    last: u8,
}

impl Bits {
    /// Of bytes with `last` bits used (the high ones) in the last byte: a binary for 8 bits or no bytes. None when `last` is not
    /// 1 to 8.
    #[must_use]
    pub fn term(mut bytes: Vec<u8>, last: u8) -> Option<Term> {
        if !(1..=8).contains(&last) {
            return None;
        }
        if last == 8 || bytes.is_empty() {
            return Some(Term::Binary(bytes));
        }
        if let Some(byte) = bytes.last_mut() {
            *byte &= mask(last);
        }
        Some(Term::Bits(Box::new(Bits { bytes, last })))
    }

    /// Its bytes, the last one filled up with zero bits.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits of the last byte are used, 1 to 7: the high ones.
    #[must_use]
    pub fn last(&self) -> u8 {
        self.last
    }

    /// Its length in bits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes
            .len()
            .saturating_sub(1)
            .saturating_mul(8)
            .saturating_add(usize::from(self.last))
    }

    /// Never: an empty bit string is the empty binary.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// The `used` high bits of a byte.
fn mask(used: u8) -> u8 {
    0xffu8.checked_shl(8 - u32::from(used.min(8))).unwrap_or(0)
}
