//! Integers beyond 64 bits to digits and back.

use crate::{Big, Term};

/// 10^19, the greatest power of ten in 64 bits.
const CHUNK: u64 = 10_000_000_000_000_000_000;

/// The digits of a magnitude (lowest byte first), in base 10.
pub(super) fn decimal(magnitude: &[u8]) -> String {
    let mut words: Vec<u64> = magnitude
        .chunks(8)
        .map(|chunk| {
            chunk
                .iter()
                .rev()
                .fold(0, |word, byte| (word << 8) | u64::from(*byte))
        })
        .collect();
    let mut chunks = Vec::new();
    while !words.is_empty() {
        let mut rest = 0u128;
        for word in words.iter_mut().rev() {
            let value = (rest << 64) | u128::from(*word);
            // the quotient of a number below CHUNK * 2^64 by CHUNK fits a word
            *word = u64::try_from(value / u128::from(CHUNK)).unwrap_or(u64::MAX);
            rest = value % u128::from(CHUNK);
        }
        chunks.push(rest);
        while words.last() == Some(&0) {
            words.pop();
        }
    }
    let mut chunks = chunks.into_iter().rev();
    let mut text = chunks.next().unwrap_or(0).to_string();
    for chunk in chunks {
        text.push_str(&format!("{chunk:019}"));
    }
    text
}

/// The digits of a magnitude, in base 16.
pub(super) fn hexadecimal(magnitude: &[u8]) -> String {
    let mut bytes = magnitude.iter().rev();
    let mut text = format!("{:X}", bytes.next().unwrap_or(&0));
    for byte in bytes {
        text.push_str(&format!("{byte:02X}"));
    }
    text
}

/// The integer of these digits. None where one is no digit of the base, or the number too long for any base but 16.
pub(super) fn integer(negative: bool, digits: &str, base: u32) -> Option<Term> {
    if digits.is_empty() || !digits.bytes().all(|digit| char::from(digit).is_digit(base)) {
        return None;
    }
    if let Ok(distance) = u64::from_str_radix(digits, base) {
        return Some(Big::integer(negative, &distance.to_le_bytes()));
    }
    if base == 16 {
        return Some(Big::integer(negative, &from_hexadecimal(digits)));
    }
    // a digit is one bit at least
    if digits.len() > super::DECIMAL * 8 {
        return None;
    }
    let mut words: Vec<u32> = Vec::new();
    for digit in digits.chars() {
        let mut carry = u64::from(digit.to_digit(base)?);
        for word in &mut words {
            let value = u64::from(*word) * u64::from(base) + carry;
            *word = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX);
            carry = value >> 32;
        }
        if carry > 0 {
            words.push(u32::try_from(carry).unwrap_or(u32::MAX));
        }
    }
    let magnitude: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Some(Big::integer(negative, &magnitude))
}

fn from_hexadecimal(digits: &str) -> Vec<u8> {
    digits
        .as_bytes()
        .rchunks(2)
        .map(|pair| {
            pair.iter().fold(0, |byte, digit| {
                let value = char::from(*digit).to_digit(16).unwrap_or(0);
                (byte << 4) | u8::try_from(value).unwrap_or(0)
            })
        })
        .collect()
}
