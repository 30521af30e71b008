//! Digests of a set: one number for all of it, 64 for its groups, 4096 for its buckets.
//!
//! A key's bucket is the top of a hash that all nodes compute alike. A bucket's sum adds up its live records' prints, so it does
//! not depend on their order. Keys that were made to share a hash land in one bucket and make its repair longer, nothing else:
//! the sum is over prints, which have versions in them that nobody can choose.

use crate::own::version::mix;

/// How many groups a set has.
pub const GROUPS: usize = 64;
/// How many buckets a group has.
pub const BUCKETS: usize = 64;

/// A key's place: 6 bits of group, 6 bits of bucket, the rest tells keys of a bucket apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

impl Place {
    /// Of a key.
    pub fn of(key: &str) -> Self {
        let mut hash = u64::try_from(key.len()).unwrap_or_default();
        let mut words = key.as_bytes().chunks_exact(8);
        for word in &mut words {
            let word = word
                .first_chunk()
                .map_or(0, |word| u64::from_le_bytes(*word));
            hash = mix(hash, word);
        }
        let rest = words.remainder().iter();
        let last = rest.fold(0, |last, byte| (last << 8) | u64::from(*byte));
        Self(mix(mix(hash, last), 0x5357))
    }

    /// As it was told by another node.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Below [`GROUPS`].
    pub const fn group(self) -> usize {
        (self.0 >> 58) as usize
    }

    /// Of all of the set: below [`GROUPS`] * [`BUCKETS`].
    pub const fn bucket(self) -> usize {
        (self.0 >> 52) as usize
    }
}

/// The sums of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    buckets: [u64; BUCKETS],
    sum: u64,
    items: u64,
}

const EMPTY: Group = Group {
    buckets: [0; BUCKETS],
    sum: 0,
    items: 0,
};

impl Default for Digest {
    fn default() -> Self {
        Self {
            groups: vec![EMPTY; GROUPS],
        }
    }
}

impl Digest {
    /// Sums one group anew, from the places and prints of all live records that are in it.
    pub fn sum_group(&mut self, group: usize, records: impl Iterator<Item = (Place, u64)>) {
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        *group = EMPTY;
        for (place, print) in records {
            if let Some(sum) = group.buckets.get_mut(place.bucket() % BUCKETS) {
                *sum = sum.wrapping_add(mix(place.number(), print));
                group.items += 1;
            }
        }
        group.sum = sum(&group.buckets);
    }

    /// How many records are in it.
    pub fn items(&self) -> u64 {
        self.groups.iter().map(|group| group.items).sum()
    }

    /// Of the whole set.
    pub fn root(&self) -> u64 {
        sum(&self.groups())
    }

    /// One for each group.
    pub fn groups(&self) -> Vec<u64> {
        self.groups.iter().map(|group| group.sum).collect()
    }

    /// Those of a group's buckets; none where there is no such group.
    pub fn buckets(&self, group: usize) -> &[u64] {
        self.groups.get(group).map_or(&[], |group| &group.buckets)
    }
}

/// Sums are mixed in by their number, so that what moved from one to another does not cancel out.
fn sum(sums: &[u64]) -> u64 {
    let sums = (0u64..).zip(sums).filter(|(_, sum)| **sum != 0);
    sums.fold(0, |all, (at, sum)| all.wrapping_add(mix(at, *sum)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_place_is_what_every_node_of_any_version_computes() {
        assert_eq!(Place::of(""), Place::of(""));
        let known = ["", "a", "12345678", "alice@example.test"].map(|key| Place::of(key).number());
        assert_eq!(
            known, KNOWN,
            "changing it makes old and new nodes differ for ever"
        );
    }

    const KNOWN: [u64; 4] = [
        8_879_665_989_429_101_881,
        14_395_694_079_937_616_828,
        15_956_907_353_670_274_758,
        1_335_958_245_515_993_584,
    ];

    #[test]
    fn keys_spread_over_the_buckets() {
        let mut digest = vec![0u32; GROUPS * BUCKETS];
        for n in 0..100_000 {
            digest[Place::of(&format!("user{n:06}@example.test")).bucket()] += 1;
        }
        let (least, most) = (digest.iter().min().unwrap(), digest.iter().max().unwrap());
        assert!(*least > 3 && *most < 60, "{least} to {most}, 24 on average");
    }

    proptest! {
        #[test]
        fn order_does_not_matter_and_content_does(mut items in prop::collection::vec((any::<u64>(), any::<u64>()), 1..50)) {
            let digest = |items: &[(u64, u64)]| {
                let mut digest = Digest::default();
                for group in 0..GROUPS {
                    let items = items.iter().map(|(place, print)| (Place::new(*place), *print));
                    digest.sum_group(group, items.filter(|(place, _)| place.group() == group));
                }
                digest
            };
            let one = digest(&items);
            items.reverse();
            prop_assert_eq!(&one, &digest(&items));
            let last = items.pop();
            let less = digest(&items);
            prop_assert_ne!(one.root(), less.root());
            let differ: Vec<usize> = (0..GROUPS).filter(|n| one.groups()[*n] != less.groups()[*n]).collect();
            prop_assert_eq!(differ, [Place::new(last.unwrap().0).group()]);
        }
    }
}
