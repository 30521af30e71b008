//! What comes in Authorization and Proxy-Authorization: `Digest name=value, name="value", ...`. RFC 3261 20.7, 25.1;
//! RFC 7616 3.4.
//!
//! Reads quoted strings with escapes, values without quotes where peers leave them out, parameters in any order, and steps
//! over those it does not know. A parameter that comes twice is refused: two readers could take different ones.

use std::borrow::Cow;

use crate::message::{is_lws, is_token_byte, quoted_len, trim, trim_start, unquote};

/// The most parameters that are read.
pub(super) const MAX_PARAMS: usize = 32;

/// Credentials of the Digest scheme, quotes and escapes taken off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials<'a> {
    /// `username`, or `username*` decoded (RFC 7616 3.4).
    pub username: Cow<'a, [u8]>,
    /// `realm`
    pub realm: Cow<'a, [u8]>,
    /// `nonce`
    pub nonce: Cow<'a, [u8]>,
    /// `uri`: the request URI as the client knew it.
    pub uri: Cow<'a, [u8]>,
    /// `response`
    pub response: Cow<'a, [u8]>,
    /// `algorithm`; absent means MD5.
    pub algorithm: Option<Cow<'a, [u8]>>,
    /// `cnonce`
    pub cnonce: Option<Cow<'a, [u8]>>,
    /// `opaque`
    pub opaque: Option<Cow<'a, [u8]>>,
    /// `qop`
    pub qop: Option<Cow<'a, [u8]>>,
    /// `nc` as it came (it is hashed so); read it with [`Credentials::count`].
    pub nc: Option<Cow<'a, [u8]>>,
    /// `userhash=true`: the name is a hash. We never offer that.
    pub userhash: bool,
}

/// Credentials that cannot be read; the text is a reason phrase for a 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCredentials {
    /// No `name=value` where one should be, a quote left open, or too many of them.
    #[error("Malformed Credentials")]
    Syntax,
    /// A parameter that came twice.
    #[error("Repeated Parameter In Credentials")]
    Repeated,
    /// A parameter that must be there.
    #[error("Missing {0} In Credentials")]
    Missing(&'static str),
    /// A parameter with a value that makes no sense.
    #[error("Bad {0} In Credentials")]
    Bad(&'static str),
}

impl<'a> Credentials<'a> {
    /// Reads a header's value. `None` for a scheme other than Digest.
    ///
    /// ```
    /// use switchhook_sip::digest::Credentials;
    /// let read = Credentials::parse(br#"Digest username="al\"ice", realm="r", nonce="n", uri="sip:r", response="0""#);
    /// assert_eq!(&*read.unwrap()?.username, br#"al"ice"#);
    /// assert!(Credentials::parse(b"Bearer abc").is_none());
    /// # Ok::<(), switchhook_sip::digest::BadCredentials>(())
    /// ```
    pub fn parse(value: &'a [u8]) -> Option<Result<Self, BadCredentials>> {
        let value = trim(value);
        let (scheme, rest) = value.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first().is_none_or(|b| is_lws(*b)) {
            return None;
        }
        Some(Self::read(rest))
    }

    /// The count of uses of the nonce: exactly eight hexadecimal digits.
    pub fn count(&self) -> Option<u32> {
        let digits = self.nc.as_deref()?;
        if digits.len() != 8 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn read(list: &'a [u8]) -> Result<Self, BadCredentials> {
        let mut credentials = Self::default();
        let mut seen = 0u32;
        for (n, param) in Pairs(list).enumerate() {
            let (name, value) = param?;
            if n >= MAX_PARAMS {
                return Err(BadCredentials::Syntax);
            }
            let Some(known) = KNOWN
                .iter()
                .position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
            else {
                continue;
            };
            // `username` and `username*` are two spellings of one.
            let bit = 1 << known.saturating_sub(1);
            if seen & bit != 0 {
                return Err(BadCredentials::Repeated);
            }
            seen |= bit;
            let text = unquote(value);
            match known {
                0 => credentials.username = extended(&text)?,
                1 => credentials.username = text,
                2 => credentials.realm = text,
                3 => credentials.nonce = text,
                4 => credentials.uri = text,
                5 => credentials.response = text,
                6 => credentials.algorithm = Some(text),
                7 => credentials.cnonce = Some(text),
                8 => credentials.opaque = Some(text),
                9 => credentials.qop = Some(text),
                10 => credentials.nc = Some(text),
                _ => credentials.userhash = text.eq_ignore_ascii_case(b"true"),
            }
        }
        match MANDATORY.iter().find(|(bit, _)| seen & bit == 0) {
            Some((_, name)) => Err(BadCredentials::Missing(name)),
            None => Ok(credentials),
        }
    }
}

/// In the order of [`Credentials`]' fields; both spellings of the name stand first.
const KNOWN: [&str; 12] = [
    "username*",
    "username",
    "realm",
    "nonce",
    "uri",
    "response",
    "algorithm",
    "cnonce",
    "opaque",
    "qop",
    "nc",
    "userhash",
];

const MANDATORY: [(u32, &str); 5] = [
    (1, "Username"),
    (1 << 1, "Realm"),
    (1 << 2, "Nonce"),
    (1 << 3, "Uri"),
    (1 << 4, "Response"),
];

/// `UTF-8''al%C3%ADce` (RFC 8187 as RFC 7616 3.4 uses it).
fn extended<'a>(text: &[u8]) -> Result<Cow<'a, [u8]>, BadCredentials> {
    let bad = BadCredentials::Bad("Username");
    let mut parts = text.splitn(3, |b| *b == b'\'');
    let (Some(charset), Some(_), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(bad);
    };
    if !charset.eq_ignore_ascii_case(b"UTF-8") {
        return Err(bad);
    }
    Ok(Cow::Owned(crate::message::unescape(name).into_owned()))
}

/// The pairs of a comma list; empty elements are stepped over (RFC 9110 5.6.1).
pub(super) struct Pairs<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), BadCredentials>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.0.strip_prefix(b",").or_else(|| strip_lws(self.0)) {
            self.0 = rest;
        }
        if self.0.is_empty() {
            return None;
        }
        let pair = pair(self.0);
        Some(match pair {
            Some((name, value, rest)) => {
                self.0 = rest;
                Ok((name, value))
            }
            None => {
                self.0 = &[];
                Err(BadCredentials::Syntax)
            }
        })
    }
}

fn strip_lws(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [first, rest @ ..] if is_lws(*first) => Some(rest),
        _ => None,
    }
}

/// `name = value` at the start, up to the comma after it: name, value with its quotes, rest.
fn pair(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = bytes.iter().position(|b| !is_token_byte(*b))?;
    let (name, rest) = bytes.split_at_checked(end)?;
    let rest = trim_start(trim_start(rest).strip_prefix(b"=")?);
    let end = match rest {
        [b'"', ..] => quoted_len(rest)?,
        // Some peers write the nonce or the URI bare, `=` padding and all.
        _ => rest
            .iter()
            .position(|b| *b == b',' || is_lws(*b))
            .unwrap_or(rest.len()),
    };
    let (value, rest) = rest.split_at_checked(end)?;
    let rest = trim_start(rest);
    let ends = rest.is_empty() || rest.starts_with(b",");
    (!name.is_empty() && ends).then_some((name, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Credentials<'_>, BadCredentials> {
        Credentials::parse(value.as_bytes()).expect("the Digest scheme")
    }

    /// RFC 3261 20.7 and the answers of a few phones.
    #[test]
    fn credentials_as_they_come() {
        let alice = read(
            r#"Digest username="Alice", realm="atlanta.com",
               nonce="84a4cc6f3082121f32b42a2187831a9e",
               response="7587245234b3434cc3412213e5f113a5432", uri="sip:atlanta.com""#,
        )
        .unwrap();
        assert_eq!(&*alice.username, b"Alice");
        assert_eq!(&*alice.realm, b"atlanta.com");
        assert_eq!(alice.algorithm, None);

        let bare = read(
            "digest  USERNAME=bob , realm = \"a, b\",,nonce=YWJj==,uri=sip:x;y=1, response=\"00\" ,\
             qop=auth, nc=0000000a,cnonce=\"\",x-new=\"?\"",
        )
        .unwrap();
        assert_eq!(&*bare.username, b"bob");
        assert_eq!(&*bare.realm, b"a, b");
        assert_eq!(&*bare.nonce, b"YWJj==");
        assert_eq!(&*bare.uri, b"sip:x;y=1");
        assert_eq!(bare.count(), Some(10));
        assert_eq!(bare.cnonce.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn an_extended_name_is_decoded() {
        let named = read(
            r#"Digest username*=UTF-8''J%C3%A4s%C3%B8n, realm="r", nonce="n", uri="u", response="0""#,
        )
        .unwrap();
        assert_eq!(&*named.username, "Jäsøn".as_bytes());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        use BadCredentials::*;
        let full = r#"Digest username="a", realm="r", nonce="n", uri="u", response="0""#;
        for (value, fault) in [
            ("Digest", Missing("Username")),
            (
                r#"Digest username="a", realm="r", nonce="n", uri="u""#,
                Missing("Response"),
            ),
            (r#"Digest username="a"#, Syntax),
            (r#"Digest username="a\"#, Syntax),
            (r#"Digest username="a" realm="b""#, Syntax),
            ("Digest username", Syntax),
            ("Digest =x", Syntax),
            (&format!("{full}, realm=\"other\""), Repeated),
            (&format!("{full}, username*=UTF-8''b"), Repeated),
            (
                &full.replace("username=\"a\"", "username*=UTF-8"),
                Bad("Username"),
            ),
        ] {
            assert_eq!(read(value), Err(fault), "{value}");
        }
        assert!(Credentials::parse(b"Digestive x=y").is_none());
        assert!(Credentials::parse(b"").is_none());
    }

    #[test]
    fn a_count_is_eight_digits() {
        for (nc, count) in [
            ("00000001", Some(1)),
            ("FFffFFff", Some(u32::MAX)),
            ("1", None),
            ("+0000001", None),
            ("000000001", None),
        ] {
            let credentials = Credentials {
                nc: Some(Cow::Borrowed(nc.as_bytes())),
                ..Credentials::default()
            };
            assert_eq!(credentials.count(), count, "{nc}");
        }
    }
}
