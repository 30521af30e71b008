//! Medians and spread of what was measured in several rounds.
//!
//! The median, because other work on the machine disturbs some rounds and only ever upwards; the spread beside it, so that a
//! reader sees how far it can be trusted.

use serde::{Deserialize, Serialize};

/// The median of a few rounds, with the least and the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// The middle value; of an even number the mean of the two in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one value that is a number.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values
            .into_iter()
            .filter(|value| value.is_finite())
            .collect();
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        let upper = *values.get(half)?;
        let median = match values.len() % 2 {
            1 => upper,
            _ => (upper + *values.get(half.checked_sub(1)?)?) / 2.0,
        };
        Some(Spread {
            median,
            least: *values.first()?,
            most: *values.last()?,
        })
    }
}

/// Ratios of one thing to another that were measured in the same rounds: each round's own ratio, so that what slows the
/// machine for a while slows both sides of a fraction.
pub(crate) fn ratio(of: &[f64], to: &[f64]) -> Option<Spread> {
    Spread::of(of.iter().zip(to).map(|(of, to)| of / to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_not_the_mean() {
        let spread = Spread::of([9.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.least, spread.most), (2.0, 1.0, 9.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN]), None, "nothing was measured");
    }

    #[test]
    fn a_slow_round_slows_both_sides_of_a_ratio() {
        let ours = [10.0, 30.0, 10.0];
        let theirs = [20.0, 60.0, 20.0];
        let ratio = ratio(&ours, &theirs).unwrap();
        assert_eq!((ratio.median, ratio.least, ratio.most), (0.5, 0.5, 0.5));
    }
}
