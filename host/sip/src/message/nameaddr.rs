//! Addresses with a name: From, To, Contact, Route, Record-Route, Path and their like. RFC 3261 20.10, 20.20, 20.39.

use std::borrow::Cow;

use super::malformed::{Fault, Malformed};
use super::token::{Params, cut, is_lws, quoted_len, take_while, trim, trim_start, unquote};
use super::uri::Uri;

/// `"name" <uri>;params` or `uri;params`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The whole value.
    pub raw: &'a [u8],
    /// The display name as it came, quotes kept; `None` where there is none.
    pub display: Option<&'a [u8]>,
    /// The URI's bytes without `<>`. Read it with [`NameAddr::uri`].
    pub uri: &'a [u8],
    /// True where the URI came in `<>`.
    pub angled: bool,
    /// The parameters of the header (not of the URI).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value (not a comma list). The URI's bytes are not looked into.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(value).ok_or_else(|| Malformed::new(Fault::NameAddr, value))
    }

    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let raw = trim(value);
        let (display, rest) = match raw {
            [b'"', ..] => {
                let (quoted, rest) = cut(raw, quoted_len(raw)?);
                (Some(quoted), trim_start(rest))
            }
            _ => {
                // The name runs to `<`; without `<` there is no name, and `;` begins the header's parameters.
                let (before, rest) =
                    cut(raw, memchr::memchr2(b'<', b'"', raw).unwrap_or(raw.len()));
                match rest {
                    [b'<', ..] => (Some(trim(before)).filter(|name| !name.is_empty()), rest),
                    _ => return Self::bare(raw),
                }
            }
        };
        let [b'<', rest @ ..] = rest else {
            return None;
        };
        let (uri, rest) = cut(rest, memchr::memchr(b'>', rest)?);
        let params = Params::new(trim_start(cut(rest, 1).1));
        params.check(Fault::NameAddr).ok()?;
        let blank = uri.iter().fold(false, |bad, b| {
            bad | matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'<')
        });
        // A comma or semicolon in an unquoted name reads otherwise to the next hop (RFC 4475 3.1.2.15).
        let sane = display.is_none_or(|name| {
            name.starts_with(b"\"") || !name.iter().any(|b| matches!(b, b';' | b','))
        });
        if uri.is_empty() || blank || !sane {
            return None;
        }
        Some(Self {
            raw,
            display,
            uri,
            angled: true,
            params,
        })
    }

    /// An address without `<>`: `;` starts the header's parameters, and `?` and `,` cannot stand in the URI (20.10).
    fn bare(raw: &'a [u8]) -> Option<Self> {
        let (uri, rest) = take_while(raw, |b| !is_lws(b) && b != b';');
        let rest = trim_start(rest);
        let params = Params::new(rest);
        params.check(Fault::NameAddr).ok()?;
        if uri.is_empty()
            || uri.iter().any(|b| matches!(b, b'?' | b',' | b'>' | b'"'))
            || memchr::memchr(b':', uri).is_none()
        {
            return None;
        }
        Some(Self {
            raw,
            display: None,
            uri,
            angled: false,
            params,
        })
    }

    /// The URI taken apart.
    pub fn uri(&self) -> Result<Uri<'a>, Malformed> {
        Uri::parse(self.uri)
    }

    /// The `tag` of a From or To.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value(b"tag").filter(|tag| !tag.is_empty())
    }

    /// The display name without quotes and escapes.
    pub fn name(&self) -> Option<Cow<'a, [u8]>> {
        self.display.map(unquote)
    }

    /// The `q` of a Contact in thousandths, 1000 where there is none or it cannot be read (RFC 3261 20.10).
    pub fn q(&self) -> u16 {
        self.params
            .value(b"q")
            .and_then(thousandths)
            .unwrap_or(1000)
    }

    /// The `expires` of a Contact in seconds; one too large to hold is the largest (RFC 3261 20.10, RFC 4475 3.1.2.4).
    pub fn expires(&self) -> Option<u32> {
        self.params
            .value(b"expires")
            .and_then(super::number::seconds)
    }
}

/// `0.5` -> 500, at most three decimals and at most 1.
fn thousandths(q: &[u8]) -> Option<u16> {
    let (whole, rest) = take_while(q, |b| b != b'.');
    let whole = match whole {
        b"0" => 0,
        b"" if rest.len() > 1 => 0,
        b"1" => 1000,
        _ => return None,
    };
    let decimals = match rest {
        [] => b"",
        [b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
        _ => return None,
    };
    let mut sum = whole;
    for (digit, weight) in decimals.iter().zip([100u16, 10, 1]) {
        sum += u16::from(digit.checked_sub(b'0').filter(|d| *d < 10)?) * weight;
    }
    (sum <= 1000).then_some(sum)
}
