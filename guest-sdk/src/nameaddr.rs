//! The value of From, To, Contact, Route and their like: RFC 3261 section 20.10.

use std::borrow::Cow;
use std::fmt;

use crate::uri::{Uri, params};

/// `"Display" <uri>;params`, or a bare `uri;params` whose parameters are the field's, not the URI's.
///
/// ```
/// use switchhook_sdk::NameAddr;
///
/// let from = NameAddr::read(r#""Alice, at home" <sip:alice@example.test;transport=tcp>;tag=a1"#);
/// assert_eq!(from.uri().user(), Some("alice"));
/// assert_eq!(from.tag(), Some("a1"));
/// assert_eq!(from.display(), "Alice, at home");
/// ```
#[derive(Clone, Copy)]
pub struct NameAddr<'a> {
    display: &'a str,
    uri: &'a str,
    params: &'a str,
}

impl<'a> NameAddr<'a> {
    /// Reads what it can: parts that are not there are empty.
    pub fn read(value: &'a str) -> NameAddr<'a> {
        let value = value.trim_ascii();
        let after_quotes = quoted(value);
        let open = after_quotes + position(value, after_quotes, b'<');
        if open == value.len() {
            let end = position(value, 0, b';');
            return NameAddr {
                display: "",
                uri: at(value, 0, end).trim_ascii(),
                params: at(value, end, value.len()),
            };
        }
        let close = open + position(value, open, b'>');
        let params = close + position(value, close, b';');
        NameAddr {
            display: at(value, 0, open).trim_ascii(),
            uri: at(value, open + 1, close).trim_ascii(),
            params: at(value, params, value.len()),
        }
    }

    /// The URI.
    pub fn uri(&self) -> Uri<'a> {
        Uri::lenient(self.uri)
    }

    /// The display name without its quotes and escapes, empty where there is none.
    pub fn display(&self) -> Cow<'a, str> {
        let inner = self
            .display
            .strip_prefix('"')
            .and_then(|d| d.strip_suffix('"'));
        match inner {
            None => Cow::Borrowed(self.display),
            Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
            Some(escaped) => {
                let mut letters = escaped.chars();
                let mut display = String::with_capacity(escaped.len());
                while let Some(letter) = letters.next() {
                    display.extend(if letter == '\\' {
                        letters.next()
                    } else {
                        Some(letter)
                    });
                }
                Cow::Owned(display)
            }
        }
    }

    /// A parameter of the field's value, empty where it has no value.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params(self.params)
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.param("tag")
    }
}

/// Where a quoted string at the start ends; 0 where there is none.
fn quoted(value: &str) -> usize {
    if !value.starts_with('"') {
        return 0;
    }
    let mut escaped = false;
    for (at, byte) in value.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    value.len()
}

/// How far after `from` the letter is; up to the end where it is not.
fn position(value: &str, from: usize, letter: u8) -> usize {
    let rest = value.as_bytes().get(from..).unwrap_or_default();
    rest.iter().position(|b| *b == letter).unwrap_or(rest.len())
}

fn at(value: &str, from: usize, to: usize) -> &str {
    value.get(from..to).unwrap_or_default()
}

impl fmt::Debug for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>{}", self.display, self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_uri_leaves_its_parameters_to_the_field() {
        let to = NameAddr::read("sip:bob@example.test ;tag=x1;lr");
        assert_eq!(to.uri().as_str(), "sip:bob@example.test");
        assert_eq!((to.tag(), to.param("LR")), (Some("x1"), Some("")));
    }

    #[test]
    fn quotes_hide_what_looks_like_syntax() {
        let from = NameAddr::read(r#""a \"<;\" b" <sip:a@b;lr>  ; tag = 7"#);
        assert_eq!(from.display(), r#"a "<;" b"#);
        assert_eq!(from.uri().param("lr"), Some(""));
        assert_eq!(from.tag(), Some("7"));
    }

    #[test]
    fn what_is_broken_is_empty_not_fatal() {
        for value in [
            "",
            "\"",
            "\"unended <sip:a@b>",
            "<",
            "<sip:a@b",
            ">;tag",
            ";;=;",
        ] {
            let read = NameAddr::read(value);
            let _ = (read.uri(), read.display(), read.tag());
        }
        assert_eq!(NameAddr::read("<sip:a@b").uri().host(), "b");
    }
}
