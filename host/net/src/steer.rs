//! Which lane has a message: chosen by its Call-ID, by the kernel already where that can be.
//!
//! [`Steer::lane_of`] is the rule. The kernel follows it for datagrams by a small program ([`program`]) at the lanes' sockets, so that a message
//! arrives at its lane's own socket and is never handed over. That is an optimisation alone: where the program does not find the
//! Call-ID (its compact form, another case of its letters, further down than its [`reach`]) the kernel spreads
//! by addresses as it always did, and whoever reads the message hands it over by the same rule.
//!
//! The hash is keyed, so that nobody outside can choose Call-IDs that all fall on one lane. It takes the first [`WORDS`] words of four bytes,
//! each times a key of its own, and mixes their sum: little enough for a program without loops.

mod program;

use std::hash::{BuildHasher, RandomState};

pub(crate) use program::{GROUPS, Op, program, reach};

/// Words of a Call-ID, of four bytes each, that choose its lane.
const WORDS: usize = 8;
/// Taken from a word, it leaves the highest bit in each byte that ends a Call-ID (a blank, a control character), and in none before that one;
/// bytes beyond ASCII end it too, which is as good.
const ENDS: u32 = 0x2121_2121;
/// The highest bit of each byte.
const TOPS: u32 = 0x8080_8080;

/// Chooses lanes by Call-IDs; clones choose alike.
#[derive(Debug, Clone)]
pub struct Steer {
    lanes: u16,
    /// One for each word.
    words: [u32; WORDS],
    /// For the word that the Call-ID ends in.
    last: u32,
    /// Mixes the sum.
    mix: u32,
}

impl Steer {
    /// Chooses among so many lanes, by keys that nobody knows.
    pub fn new(lanes: u16) -> Steer {
        let random = RandomState::new();
        // An even factor would lose bits.
        let key = |number: usize| random.hash_one(number) as u32 | 1;
        Steer {
            lanes,
            words: std::array::from_fn(key),
            last: key(WORDS),
            mix: key(WORDS + 1),
        }
    }

    /// Among how many.
    pub(crate) fn lanes(&self) -> u16 {
        self.lanes
    }

    /// The lane that has all messages of that Call-ID.
    pub fn lane_of(&self, call_id: &[u8]) -> usize {
        let mut sum = 0_u32;
        let mut rest = call_id;
        for key in self.words {
            let (word, behind) = match rest.split_first_chunk() {
                Some((word, behind)) => (*word, behind),
                None => {
                    let mut word = [0; 4];
                    word.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
                    (word, &[][..])
                }
            };
            let word = u32::from_be_bytes(word);
            let ends = word.wrapping_sub(ENDS) & TOPS;
            if ends != 0 {
                // Its bits are the highest of bytes, so this many bits are the bytes before.
                let kept = word & !(u32::MAX >> ends.leading_zeros());
                sum = sum.wrapping_add(kept.wrapping_mul(self.last));
                break;
            }
            sum = sum.wrapping_add(word.wrapping_mul(key));
            rest = behind;
        }
        let mixed = (sum ^ (sum >> 15)).wrapping_mul(self.mix);
        // The lowest bit of a product is that of its factors alone, so the high ones choose.
        (((mixed >> 16) * u32::from(self.lanes)) >> 16) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_have_their_shares_whatever_call_ids_look_like() {
        type Form = fn(u32) -> String;
        let forms: [(&str, Form); 5] = [
            ("SIPp's", |n| format!("{n}-4711@127.0.0.1")),
            ("counted at the end", |n| format!("a84b4c76e66710-{n}")),
            ("random", |n| {
                format!(
                    "{:032x}",
                    u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                )
            }),
            ("short", |n| format!("{n:x}")),
            ("of the phones", |n| format!("options-{n}@load")),
        ];
        for lanes in [2, 3, 5, 8, 32] {
            for (what, form) in forms {
                let steer = Steer::new(lanes);
                let mut shares = vec![0_u32; usize::from(lanes)];
                let count = 2000 * u32::from(lanes);
                for n in 0..count {
                    shares[steer.lane_of(form(n).as_bytes())] += 1;
                }
                let fair = 1200..2800;
                let all = shares.iter().all(|share| fair.contains(share));
                assert!(all, "{what}, {lanes} lanes: {shares:?}");
            }
        }
    }

    #[test]
    fn what_stands_behind_a_call_id_does_not_matter() {
        let steer = Steer::new(1 << 15);
        for length in 0..4 * WORDS {
            for call_id in [vec![b'!'; length], vec![b'~'; length]] {
                let lane = steer.lane_of(&call_id);
                for behind in ["\r\nCSeq: 1 ACK", " \r\n\r\n", "\t\r\n", "\0\0\0\0"] {
                    let more = [&call_id, behind.as_bytes()].concat();
                    assert_eq!(steer.lane_of(&more), lane, "{length} {behind:?}");
                }
            }
        }
    }

    #[test]
    fn one_lane_has_all() {
        let steer = Steer::new(1);
        assert_eq!(steer.lane_of(b"a"), 0);
        assert_eq!(steer.lane_of(b""), 0);
        assert_ne!(
            (0..64)
                .map(|n| Steer::new(1 << 15).lane_of(&[b'a', n + 48]))
                .max(),
            Some(0),
            "keys are not all alike"
        );
    }
}
