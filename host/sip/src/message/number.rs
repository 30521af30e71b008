//! Headers that are numbers: CSeq, Max-Forwards, Expires and their like. RFC 3261 20.16, 20.19, 20.22; RFC 4475 3.1.2.4.

use super::malformed::{Fault, Malformed};
use super::method::Method;
use super::token::{cut, decimal, is_lws, is_token, take_while, trim};

/// `number method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The sequence number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads the header's value.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(value).ok_or_else(|| Malformed::new(Fault::Cseq, value))
    }

    fn read(value: &'a [u8]) -> Option<Self> {
        let (digits, rest) = take_while(trim(value), |b| b.is_ascii_digit());
        let number = decimal(digits)
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n < 1 << 31)?;
        let method = trim(rest);
        if !rest.first().copied().is_some_and(is_lws) || !is_token(method) {
            return None;
        }
        Some(Self {
            number,
            method: Method::of(method),
        })
    }
}

/// A decimal number that may not exceed `max`.
pub(crate) fn at_most(value: &[u8], max: u32) -> Result<u32, Malformed> {
    decimal(trim(value))
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| *n <= max)
        .ok_or_else(|| Malformed::new(Fault::Number, value))
}

/// Delta-seconds: digits, those beyond 2^32-1 taken as that (RFC 3261 20.19, RFC 4475 3.1.2.4); anything after a `;` or
/// white space is not looked at. `None` where there is no digit.
pub fn seconds(value: &[u8]) -> Option<u32> {
    let (digits, rest) = take_while(trim(value), |b| b.is_ascii_digit());
    let ends = matches!(
        cut(rest, 1).0,
        [] | [b';' | b' ' | b'\t' | b'\r' | b'\n' | b'(']
    );
    if digits.is_empty() || !ends {
        return None;
    }
    Some(
        decimal(digits)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(u32::MAX),
    )
}
