//! Header fields of bytes that need be no message: what looks like one is shown, the rest is stepped over without a word.
//!
//! For answers to what the index refuses, and for the length of a message that is not whole yet. Nothing is routed by this.

use super::token::{cut, is_token_byte, take_while, trim};

/// What looks like a header field.
pub(crate) struct RoughField<'a> {
    pub(crate) name: &'a [u8],
    /// Without white space around it, folds kept.
    pub(crate) value: &'a [u8],
    /// Where its line starts.
    pub(crate) at: usize,
}

/// The fields below the start line, up to the blank line or the end.
pub(crate) fn rough_fields(bytes: &[u8]) -> impl Iterator<Item = RoughField<'_>> {
    let mut rest = unfolded_line(bytes).1;
    std::iter::from_fn(move || {
        loop {
            let at = bytes.len() - rest.len();
            let (line, tail) = unfolded_line(rest);
            rest = tail;
            if matches!(line, [] | [b'\n'] | [b'\r', b'\n']) {
                return None;
            }
            let (name, value) = take_while(line, is_token_byte);
            if let [b':', value @ ..] = trim(value) {
                let value = trim(value);
                return Some(RoughField { name, value, at });
            }
        }
    })
}

/// A line with those folded under it, and what follows.
fn unfolded_line(lines: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    loop {
        let rest = cut(lines, end).1;
        end += memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
        if !matches!(lines.get(end), Some(b' ' | b'\t')) {
            return cut(lines, end);
        }
    }
}
