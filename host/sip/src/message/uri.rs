//! URIs: `sip:` and `sips:` taken apart, `tel:` and every other scheme carried whole.
//!
//! Borrowed slices only, nothing is unescaped while reading. RFC 3261 19.1, RFC 3966, RFC 5118 (IPv6, and its erratum of
//! three colons that must be accepted and never written).

use std::net::{IpAddr, Ipv6Addr};

use super::malformed::{Fault, Malformed};
use super::token::{Params, cut, decimal, is_host_byte, take_while};
use crate::address::ipv4;

/// A URI's scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme<'a> {
    /// `sip`
    Sip,
    /// `sips`
    Sips,
    /// `tel` (RFC 3966)
    Tel,
    /// Any other, as it came.
    Other(&'a [u8]),
}

impl<'a> Scheme<'a> {
    /// Reads a scheme's name, whatever its case.
    pub fn of(name: &'a [u8]) -> Self {
        if name.eq_ignore_ascii_case(b"sip") {
            Self::Sip
        } else if name.eq_ignore_ascii_case(b"sips") {
            Self::Sips
        } else if name.eq_ignore_ascii_case(b"tel") {
            Self::Tel
        } else {
            Self::Other(name)
        }
    }

    /// The scheme in lower case, or as it came for one we do not know.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Sip => b"sip",
            Self::Sips => b"sips",
            Self::Tel => b"tel",
            Self::Other(name) => name,
        }
    }
}

/// A URI taken apart. All slices are as they came, escapes and case kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The whole of it.
    pub raw: &'a [u8],
    /// The scheme.
    pub scheme: Scheme<'a>,
    /// The user part before `@`; of `tel:` the number.
    pub user: Option<&'a [u8]>,
    /// What follows `:` in the user part.
    pub password: Option<&'a [u8]>,
    /// Host name or address, IPv6 with its brackets; empty for `tel:`; everything after the colon for other schemes.
    pub host: &'a [u8],
    /// The port, where one is written.
    pub port: Option<u16>,
    /// `;name=value` parameters.
    pub params: Params<'a>,
    /// What follows `?`, without it.
    pub headers: Option<&'a [u8]>,
}

impl<'a> Uri<'a> {
    /// Reads a whole URI: no white space, no angle brackets.
    ///
    /// ```
    /// use switchhook_sip::message::Uri;
    /// let uri = Uri::parse(b"sip:alice:secret@[2001:db8::1]:5070;transport=tcp?subject=x")?;
    /// assert_eq!(uri.user, Some(&b"alice"[..]));
    /// assert_eq!(uri.ip(), Some("2001:db8::1".parse().unwrap()));
    /// assert_eq!((uri.port, uri.params.value(b"transport")), (Some(5070), Some(&b"tcp"[..])));
    /// # Ok::<(), switchhook_sip::message::Malformed>(())
    /// ```
    pub fn parse(raw: &'a [u8]) -> Result<Self, Malformed> {
        Self::read(raw).ok_or_else(|| Malformed::new(Fault::Uri, raw))
    }

    fn read(raw: &'a [u8]) -> Option<Self> {
        // Without an early end, so that it is done many bytes at a time.
        let bad = raw.iter().fold(false, |bad, b| {
            bad | (*b <= b' ') | matches!(b, b'<' | b'>' | b'"' | 0x7f)
        });
        if bad {
            return None;
        }
        let (name, rest) = take_while(raw, |b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')
        });
        let [b':', rest @ ..] = rest else {
            return None;
        };
        if !name.first()?.is_ascii_alphabetic() || rest.is_empty() {
            return None;
        }
        let blank = Uri {
            raw,
            scheme: Scheme::of(name),
            user: None,
            password: None,
            host: b"",
            port: None,
            params: Params::default(),
            headers: None,
        };
        match blank.scheme {
            Scheme::Sip | Scheme::Sips => blank.sip(rest),
            Scheme::Tel => blank.tel(rest),
            Scheme::Other(_) => Some(Uri {
                host: rest,
                ..blank
            }),
        }
    }

    /// `[ user [ ":" password ] "@" ] host [ ":" port ] *( ";" param ) [ "?" headers ]`
    fn sip(self, rest: &'a [u8]) -> Option<Self> {
        // `;`, `?` and `/` may stand in the user part, so the `@` is looked for first; it can stand nowhere else.
        let (user, password, rest) = match memchr::memchr(b'@', rest) {
            None => (None, None, rest),
            Some(at) => {
                let (info, rest) = cut(rest, at);
                let (user, password) = take_while(info, |b| b != b':');
                if user.is_empty() {
                    return None;
                }
                let password = match password {
                    [b':', password @ ..] => Some(password),
                    _ => None,
                };
                (Some(user), password, cut(rest, 1).1)
            }
        };
        let (host, rest) = take_host(rest)?;
        let (port, rest) = match rest {
            [b':', rest @ ..] => {
                let (digits, rest) = take_while(rest, |b| b.is_ascii_digit());
                (Some(port(digits)?), rest)
            }
            _ => (None, rest),
        };
        let (params, headers) = take_while(rest, |b| b != b'?');
        let params = Params::new(params);
        params.check(Fault::Uri).ok()?;
        let headers = match headers {
            [b'?', headers @ ..] => Some(headers),
            _ => None,
        };
        if headers.is_some_and(|h| h.is_empty() || memchr::memchr(b'@', h).is_some()) {
            return None;
        }
        Some(Uri {
            user,
            password,
            host,
            port,
            params,
            headers,
            ..self
        })
    }

    /// `number *( ";" param )`. What the number is made of is left to who dials it: a proxy need not refuse a From for it.
    fn tel(self, rest: &'a [u8]) -> Option<Self> {
        let (number, params) = take_while(rest, |b| b != b';');
        let params = Params::new(params);
        params.check(Fault::Uri).ok()?;
        (!number.is_empty()).then_some(Uri {
            user: Some(number),
            params,
            ..self
        })
    }

    /// The host as an address, where it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// True for `sips:`.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// True for `sip:` and `sips:`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user's bytes with `%xx` taken back, for comparing and for the log. A `%` without two hex digits stays.
    pub fn user_unescaped(&self) -> Option<std::borrow::Cow<'a, [u8]>> {
        self.user.map(unescape)
    }

    /// The `lr` parameter: the next hop routes loosely (RFC 3261 16.12).
    pub fn is_loose_route(&self) -> bool {
        self.params.get(b"lr").is_some()
    }
}

/// Takes `%xx` back. Borrowed where there is none.
pub fn unescape(bytes: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if memchr::memchr(b'%', bytes).is_none() {
        return std::borrow::Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = match (*first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                out.push((hex(*high) << 4) | hex(*low));
                tail
            }
            (b, tail) => {
                out.push(b);
                tail
            }
        };
    }
    std::borrow::Cow::Owned(out)
}

fn hex(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        b'a'..=b'f' => b - b'a' + 10,
        _ => (b | 0x20).wrapping_sub(b'a').wrapping_add(10) & 15,
    }
}

/// A port in decimal digits, at most 65535.
#[inline]
pub(crate) fn port(digits: &[u8]) -> Option<u16> {
    decimal(digits).and_then(|n| u16::try_from(n).ok())
}

/// Cuts a host off the front: a name, an IPv4 address or `[IPv6]`, brackets kept.
#[inline]
pub(crate) fn take_host(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (host, rest) = match bytes {
        [b'[', ..] => {
            let end = memchr::memchr(b']', bytes)?;
            let (host, rest) = cut(bytes, end + 1);
            host_ip(host)?;
            (host, rest)
        }
        _ => take_while(bytes, is_host_byte),
    };
    if host.is_empty() {
        None
    } else {
        Some((host, rest))
    }
}

/// The address a host is, where it is one: `192.0.2.1`, `[2001:db8::1]`, or IPv6 without brackets as `received` has it.
pub fn host_ip(host: &[u8]) -> Option<IpAddr> {
    let bare = match host {
        [b'[', inner @ .., b']'] => inner,
        other => other,
    };
    // The longest address is `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` and a third colon.
    if bare.len() > 46 {
        return None;
    }
    if memchr::memchr(b':', bare).is_none() {
        return if bare.len() == host.len() {
            ipv4(bare).map(IpAddr::V4)
        } else {
            None
        };
    }
    let text = std::str::from_utf8(bare).ok()?;
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(IpAddr::V6(address));
    }
    // RFC 5118 4.10: early grammars wrote a third colon before an embedded IPv4 address.
    let colons = text.find(":::")?;
    let (head, tail) = text.split_at_checked(colons)?;
    let fixed = Fixed::<48>::of(&[head, tail.get(1..)?])?;
    fixed.as_str()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// A few bytes on the stack.
struct Fixed<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Fixed<N> {
    fn of(parts: &[&str]) -> Option<Self> {
        let mut fixed = Self {
            bytes: [0; N],
            len: 0,
        };
        for b in parts.iter().flat_map(|part| part.bytes()) {
            *fixed.bytes.get_mut(fixed.len)? = b;
            fixed.len += 1;
        }
        Some(fixed)
    }

    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.len)?).ok()
    }
}
