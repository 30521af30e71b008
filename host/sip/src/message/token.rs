//! Bytes and their classes, and the small scanners every typed header shares: trimming, quotes, comma lists, parameters.
//!
//! Nothing here allocates but [`unquote`] of a string with escapes. RFC 3261 section 25.1. White space inside a value may be
//! a fold (CR LF followed by space), so CR and LF count as white space once the index has cut the fields apart.

use std::borrow::Cow;

use super::malformed::{Fault, Malformed};

const TOKEN: u8 = 1;
const LWS: u8 = 2;
const HOST: u8 = 4;
/// A paramchar of a URI (RFC 3261 25.1): token bytes and a few more.
const PARAM: u8 = 8;

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is a compile error"
)]
const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut b = 0usize;
    while b < 256 {
        let c = b as u8;
        let mut class = 0;
        if c.is_ascii_alphanumeric()
            || matches!(
                c,
                b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
            )
        {
            class |= TOKEN | PARAM;
        }
        if matches!(c, b' ' | b'\t' | b'\r' | b'\n') {
            class |= LWS;
        }
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        if matches!(c, b'[' | b']' | b'/' | b':' | b'&' | b'$' | b'(' | b')') {
            class |= PARAM;
        }
        table[b] = class;
        b += 1;
    }
    table
}

static CLASSES: [u8; 256] = classes();

#[inline]
fn class(b: u8) -> u8 {
    CLASSES.get(usize::from(b)).copied().unwrap_or(0)
}

/// A byte of a `token`.
#[inline]
pub fn is_token_byte(b: u8) -> bool {
    class(b) & TOKEN != 0
}

/// Space, tab, CR or LF.
#[inline]
pub fn is_lws(b: u8) -> bool {
    class(b) & LWS != 0
}

/// A byte of a host name; the underscore is no RFC 1123 name but is met in the field.
#[inline]
pub(crate) fn is_host_byte(b: u8) -> bool {
    class(b) & HOST != 0
}

/// A whole, non-empty `token`.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_token_byte(*b))
}

/// Without white space at both ends.
#[inline]
pub fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

#[inline]
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_lws(*first) {
            break;
        }
        bytes = rest;
    }
    bytes
}

#[inline]
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        if !is_lws(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Splits after the leading run of bytes that `keep` accepts.
#[inline]
pub(crate) fn take_while(bytes: &[u8], keep: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let n = bytes.iter().position(|b| !keep(*b)).unwrap_or(bytes.len());
    bytes.split_at_checked(n).unwrap_or((bytes, &[]))
}

/// `split_at` that cannot panic: past the end gives an empty tail.
#[inline]
pub(crate) fn cut(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

/// Decimal digits only, no sign, that fit; an over-long number is no number.
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |sum, b| {
        let digit = b.checked_sub(b'0').filter(|d| *d < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The length of the quoted string at the start (both quotes counted), or `None` where it is not closed.
#[inline]
pub(crate) fn quoted_len(bytes: &[u8]) -> Option<usize> {
    debug_assert_eq!(bytes.first(), Some(&b'"'));
    let mut at = 1;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(found)? {
            b'"' => return Some(found + 1),
            _ => at = found + 2,
        }
    }
}

/// The text of a quoted string without its quotes and escapes; anything else comes back as it is.
///
/// ```
/// use switchhook_sip::message::unquote;
/// assert_eq!(&*unquote(br#""J. \"Joe\" Doe""#), br#"J. "Joe" Doe"#);
/// assert_eq!(&*unquote(b"plain"), b"plain");
/// ```
pub fn unquote(bytes: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = bytes else {
        return Cow::Borrowed(bytes);
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(b) = rest.next() {
        match b {
            b'\\' => text.extend(rest.next()),
            _ => text.push(*b),
        }
    }
    Cow::Owned(text)
}

/// A quoted string; control characters, which no header can carry, are left out.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Cuts the first value off a comma list: (value trimmed, bytes after its comma). Commas inside quotes and `<>` do not count.
/// A quote that is never closed swallows the rest, which the typed parsers then refuse.
#[inline]
pub(crate) fn split_value(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut i = 0;
    while let Some(found) = memchr::memchr3(b',', b'"', b'<', cut(list, i).1) {
        i += found;
        let (head, rest) = cut(list, i);
        let skip = match rest {
            [b',', rest @ ..] => return (trim(head), Some(rest)),
            [b'"', ..] => quoted_len(rest),
            _ => memchr::memchr(b'>', rest).map(|n| n + 1),
        };
        match skip {
            Some(n) => i += n,
            None => break,
        }
    }
    (trim(list), None)
}

/// One `;name` or `;name=value`. The value is as it came, quotes and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as it came; compare it without case.
    pub name: &'a [u8],
    /// The value, or `None` where there is no `=`.
    pub value: Option<&'a [u8]>,
}

/// The parameters of a Via, an address or a URI: iterates, and looks one up by name.
///
/// Empty parameters (`;;`, or a `;` at the end) are stepped over: phones write them, and nobody reads anything into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    /// Over bytes that start with `;` (or are empty).
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes it was made of, first `;` included.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The first parameter of that name, without regard to case.
    pub fn get(&self, name: &[u8]) -> Option<Param<'a>> {
        let mut params = *self;
        params.find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter of that name; `None` where it is absent or has none.
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.get(name)?.value
    }

    /// Where the first parameter of that name stands among the bytes, from its `;` to its end.
    pub(crate) fn locate(&self, name: &[u8]) -> Option<(usize, usize)> {
        let mut at = 0;
        while let Some(semicolon) = memchr::memchr(b';', cut(self.rest, at).1) {
            let start = at + semicolon;
            let tail = cut(self.rest, start + 1).1;
            let param = split_param(tail).map_or(tail, |(param, _)| param);
            let key = trim(take_while(param, |b| b != b'=').0);
            if key.eq_ignore_ascii_case(name) {
                return Some((start, start + 1 + trim_end(param).len()));
            }
            at = start + 1 + param.len();
        }
        None
    }

    /// Every parameter has a name of token bytes or is empty, no quote is left open.
    pub(crate) fn check(&self, fault: Fault) -> Result<(), Malformed> {
        self.walk(|_| {})
            .ok_or_else(|| Malformed::new(fault, self.rest))
    }

    /// As [`Params::check`], and shows each parameter on the way.
    #[inline]
    pub(crate) fn walk(&self, mut each: impl FnMut(Param<'a>)) -> Option<()> {
        let mut rest = trim(self.rest);
        while let [b';', tail @ ..] = rest {
            let (param, tail) = split_param(tail)?;
            rest = tail;
            if trim(param).is_empty() {
                continue;
            }
            // `[` and `:` and a few more come bare in the names of URI parameters, and nowhere else do harm.
            let (name, value) = take_while(trim(param), |b| class(b) & PARAM != 0);
            let value = match trim_start(value) {
                [] => None,
                [b'=', value @ ..] => Some(trim_start(value)),
                _ => return None,
            };
            if name.is_empty() {
                return None;
            }
            each(Param { name, value });
        }
        rest.is_empty().then_some(())
    }
}

/// Cuts at the next `;` outside quotes: (parameter, rest that starts with that `;`). `None` where a quote is not closed.
#[inline]
fn split_param(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut i = 0;
    loop {
        let rest = cut(bytes, i).1;
        let Some(found) = memchr::memchr2(b';', b'"', rest) else {
            return Some((bytes, &[]));
        };
        i += found;
        let rest = cut(bytes, i).1;
        match rest {
            [b';', ..] => return Some(cut(bytes, i)),
            _ => i += quoted_len(rest)?,
        }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;

    #[inline]
    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            let rest = trim_start(self.rest);
            let body = match rest {
                [] => {
                    self.rest = rest;
                    return None;
                }
                [b';', tail @ ..] => tail,
                other => other,
            };
            let (param, tail) = split_param(body).unwrap_or((body, &[]));
            self.rest = tail;
            let param = trim(param);
            if param.is_empty() {
                continue;
            }
            let (name, value) = take_while(param, |b| b != b'=');
            return Some(Param {
                name: trim_end(name),
                value: match value {
                    [b'=', value @ ..] => Some(trim_start(value)),
                    _ => None,
                },
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(bytes: &[u8]) -> Vec<&[u8]> {
        let mut values = Vec::new();
        let mut rest = Some(bytes);
        while let Some(list) = rest {
            let (value, tail) = split_value(list);
            values.push(value);
            rest = tail;
        }
        values
    }

    #[test]
    fn commas_in_quotes_and_angles_do_not_split() {
        assert_eq!(
            list(br#""Doe, J." <sip:a,b@x;m=",">;q=1 , <sip:c@y>,sip:d@z"#),
            [
                &br#""Doe, J." <sip:a,b@x;m=",">;q=1"#[..],
                b"<sip:c@y>",
                b"sip:d@z"
            ],
        );
        assert_eq!(
            list(br#""a\",b" <sip:x>, y"#),
            [&br#""a\",b" <sip:x>"#[..], b"y"]
        );
        assert_eq!(list(br#""open, <sip:x>"#), [&br#""open, <sip:x>"#[..]]);
    }

    #[test]
    fn params_with_space_quotes_and_flags() {
        let params = Params::new(b" ; a = 1;b ;\r\n c=\"x;y\\\"z\" ;D=");
        let all: Vec<_> = params.collect();
        assert_eq!(
            all[0],
            Param {
                name: b"a",
                value: Some(b"1")
            }
        );
        assert_eq!(
            all[1],
            Param {
                name: b"b",
                value: None
            }
        );
        assert_eq!(
            all[2],
            Param {
                name: b"c",
                value: Some(b"\"x;y\\\"z\"")
            }
        );
        assert_eq!(params.value(b"d"), Some(&b""[..]));
        assert!(params.check(Fault::Via).is_ok());
        assert!(Params::new(b";=1").check(Fault::Via).is_err());
        assert!(Params::new(b";a=\"x").check(Fault::Via).is_err());
    }

    #[test]
    fn empty_parameters_are_stepped_over() {
        let params = Params::new(b";;a=1; ;b;");
        assert!(params.check(Fault::Via).is_ok());
        let names: Vec<_> = params.map(|param| param.name).collect();
        assert_eq!(names, [b"a", b"b"]);
    }

    #[test]
    fn decimals_must_fit() {
        assert_eq!(decimal(b"4294967301"), Some(4_294_967_301));
        assert_eq!(decimal(b"36893488147419103232"), None);
        assert_eq!(decimal(b"-1"), None);
        assert_eq!(decimal(b""), None);
    }
}
