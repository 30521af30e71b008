//! Integers beyond 64 bits: sign and magnitude. Carried, compared, printed and read; there is no arithmetic.

use std::cmp::Ordering;

use crate::Term;

/// An integer that is no `i64`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Big {
    negative: bool,
    /// The lowest byte first, the last one not 0.
    magnitude: Vec<u8>,
}

impl Big {
    /// The integer of that sign and magnitude (lowest byte first): an `Int` where it is one.
    #[must_use]
    pub fn integer(negative: bool, magnitude: &[u8]) -> Term {
        let used = magnitude
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let magnitude = magnitude.get(..used).unwrap_or_default();
        match small(negative, magnitude) {
            Some(number) => Term::Int(number),
            None => Term::Big(Box::new(Big {
                negative,
                magnitude: magnitude.to_vec(),
            })),
        }
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Its distance from zero, the lowest byte first, the last byte not 0.
    #[must_use]
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }

    /// The nearest float; infinite beyond the greatest one.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        let distance = self
            .magnitude
            .iter()
            .rev()
            .fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte));
        if self.negative { -distance } else { distance }
    }

    /// Against a float, exactly.
    pub(crate) fn compare_float(&self, float: f64) -> Ordering {
        let sign = if self.negative {
            Ordering::Less
        } else {
            Ordering::Greater
        };
        if float.abs() < 9.0e18 || (float < 0.0) != self.negative {
            return sign; // the float is nearer to zero than any of us, or on the other side of it
        }
        // so great a float is an integer: mantissa * 2^exponent
        let bits = float.abs().to_bits();
        let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
        let exponent = usize::try_from(bits >> 52)
            .unwrap_or(0)
            .saturating_sub(1075);
        let mut magnitude = vec![0; exponent / 8];
        magnitude.extend((u128::from(mantissa) << (exponent % 8)).to_le_bytes());
        while magnitude.last() == Some(&0) {
            magnitude.pop();
        }
        directed(
            self.negative,
            compare_magnitudes(&self.magnitude, &magnitude),
        )
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Big) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Big {
    fn cmp(&self, other: &Big) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (negative, _) => directed(
                negative,
                compare_magnitudes(&self.magnitude, &other.magnitude),
            ),
        }
    }
}

fn directed(negative: bool, order: Ordering) -> Ordering {
    if negative { order.reverse() } else { order }
}

fn compare_magnitudes(a: &[u8], b: &[u8]) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn small(negative: bool, magnitude: &[u8]) -> Option<i64> {
    let mut bytes = [0; 8];
    bytes.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    let distance = u64::from_le_bytes(bytes);
    if negative {
        0i64.checked_sub_unsigned(distance)
    } else {
        i64::try_from(distance).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_64_bits_are_small_and_beyond_them_big() {
        let edge = 1u64 << 63;
        assert_eq!(Big::integer(true, &edge.to_le_bytes()), Term::Int(i64::MIN));
        assert_eq!(
            Big::integer(false, &(edge - 1).to_le_bytes()),
            Term::Int(i64::MAX)
        );
        assert!(matches!(
            Big::integer(false, &edge.to_le_bytes()),
            Term::Big(_)
        ));
        assert!(matches!(
            Big::integer(true, &(edge + 1).to_le_bytes()),
            Term::Big(_)
        ));
        assert_eq!(Big::integer(true, &[0, 0, 0]), Term::Int(0));
    }

    #[test]
    fn a_float_is_compared_exactly() {
        let Term::Big(big) = Big::integer(false, &(1u128 << 100).to_le_bytes()) else {
            panic!("small")
        };
        let same = 2f64.powi(100);
        assert_eq!(big.compare_float(same), Ordering::Equal);
        assert_eq!(big.compare_float(same.next_up()), Ordering::Less);
        assert_eq!(big.compare_float(same.next_down()), Ordering::Greater);
        assert_eq!(big.compare_float(-same), Ordering::Greater);
        assert_eq!(big.compare_float(1.0), Ordering::Greater);
    }
}
