//! SIP and tel URIs: RFC 3261 section 19.1, RFC 3966.
//!
//! A [`Uri`] keeps the text it was read from and where its parts are; reading one copies nothing, changing one writes its text anew.
//! Parts are given as they are written: nothing is unescaped.

use std::fmt;

/// A URI: `scheme:user:password@host:port;params?headers`.
///
/// ```
/// use switchhook_sdk::Uri;
///
/// let uri = Uri::parse("sip:bob@example.test:5070;transport=tcp")?;
/// assert_eq!((uri.user(), uri.host(), uri.port()), (Some("bob"), "example.test", Some(5070)));
/// assert_eq!(uri.param("transport"), Some("tcp"));
///
/// let carol = uri.with_user("carol").with_port(None);
/// assert_eq!(carol.as_str(), "sip:carol@example.test;transport=tcp");
/// # Ok::<(), switchhook_sdk::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Uri<'a> {
    text: &'a str,
    parts: Parts,
}

/// A URI that was made by changing another: what the `with_` functions of [`Uri`] give.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UriBuf(String);

/// Why a text is no URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoUri(String);

/// Where the parts are, as offsets into the text. What is absent is empty and lies where it would be.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    /// Where the scheme ends: its colon.
    scheme: usize,
    /// Where user and password end: the `@`; the start of the host where there is none.
    userinfo: usize,
    host: usize,
    host_end: usize,
    port: Option<u16>,
    params: usize,
    headers: usize,
}

impl<'a> Uri<'a> {
    /// Reads a `sip:`, `sips:` or `tel:` URI, or any other with a scheme.
    ///
    /// # Errors
    /// The scheme is missing, or a SIP URI has no host.
    pub fn parse(text: &'a str) -> Result<Uri<'a>, NoUri> {
        let uri = Uri::lenient(text);
        let sound = match uri.scheme() {
            "" => false,
            _ if uri.is_sip() => !uri.host().is_empty() && uri.tail_is_sound(),
            _ => text.len() > uri.parts.scheme + 1,
        };
        if sound && !text.bytes().any(|b| b <= b' ' || b == b'<' || b == b'>') {
            Ok(uri)
        } else {
            Err(NoUri(text.to_owned()))
        }
    }

    /// Reads what it can: parts that are not there are empty.
    pub(crate) fn lenient(text: &'a str) -> Uri<'a> {
        Uri {
            text,
            parts: Parts::of(text.as_bytes()),
        }
    }

    /// The same with parts that are known already.
    pub(crate) fn of(text: &'a str, parts: Parts) -> Uri<'a> {
        Uri { text, parts }
    }

    /// The URI as text.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// `sip`, `sips`, `tel`, ... as written.
    pub fn scheme(&self) -> &'a str {
        self.slice(0, self.parts.scheme)
    }

    /// Whether it is a `sip:` or `sips:` URI.
    pub fn is_sip(&self) -> bool {
        self.scheme().eq_ignore_ascii_case("sip") || self.scheme().eq_ignore_ascii_case("sips")
    }

    /// The user, without its password; `$rU` of the request URI. A `tel:` URI's number.
    pub fn user(&self) -> Option<&'a str> {
        let userinfo = self.slice(self.parts.scheme + 1, self.parts.userinfo);
        let user = userinfo.split(':').next().unwrap_or_default();
        (!user.is_empty()).then_some(user)
    }

    /// The host: a domain name, an IPv4 address or an IPv6 address in brackets; `$rd`. Empty in a `tel:` URI.
    pub fn host(&self) -> &'a str {
        self.slice(self.parts.host, self.parts.host_end)
    }

    /// The port where one is written; `$rp`.
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// A parameter's value, empty where it has none; names are compared without case.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        params(self.slice(self.parts.params, self.parts.headers))
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every parameter, in order.
    pub fn params(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        params(self.slice(self.parts.params, self.parts.headers))
    }

    /// The headers after the `?`, without it.
    pub fn headers(&self) -> &'a str {
        self.text
            .get(self.parts.headers..)
            .and_then(|h| h.strip_prefix('?'))
            .unwrap_or_default()
    }

    /// With another user; an empty one takes it away. A password goes with the old one.
    pub fn with_user(&self, user: &str) -> UriBuf {
        let at = if user.is_empty() { "" } else { "@" };
        self.splice(self.parts.scheme + 1, self.parts.host, &[user, at])
    }

    /// With another host. An IPv6 address stands in brackets.
    pub fn with_host(&self, host: &str) -> UriBuf {
        self.splice(self.parts.host, self.parts.host_end, &[host])
    }

    /// With another port; none takes it away.
    pub fn with_port(&self, port: Option<u16>) -> UriBuf {
        let port = port.map(|port| port.to_string());
        let with = match &port {
            Some(port) => [":", port.as_str()],
            None => ["", ""],
        };
        self.splice(self.parts.host_end, self.parts.params, &with)
    }

    /// With a parameter set or added; an empty value means one without `=`.
    pub fn with_param(&self, name: &str, value: &str) -> UriBuf {
        let without = self.without_param(name);
        let equals = if value.is_empty() { "" } else { "=" };
        let end = without.uri().parts.headers;
        without.uri().splice(end, end, &[";", name, equals, value])
    }

    /// Without a parameter.
    pub fn without_param(&self, name: &str) -> UriBuf {
        let left: Vec<&str> = self
            .slice(self.parts.params, self.parts.headers)
            .split(';')
            .skip(1)
            .filter(|param| !pair(param).0.eq_ignore_ascii_case(name))
            .flat_map(|param| [";", param])
            .collect();
        self.splice(self.parts.params, self.parts.headers, &left)
    }

    fn tail_is_sound(&self) -> bool {
        let port = self.slice(self.parts.host_end, self.parts.params);
        port.is_empty() || self.parts.port.is_some()
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn splice(&self, from: usize, to: usize, with: &[&str]) -> UriBuf {
        let mut text = String::with_capacity(self.text.len() + 32);
        text.push_str(self.slice(0, from));
        text.extend(with.iter().copied());
        text.push_str(self.slice(to, self.text.len()));
        UriBuf(text)
    }
}

impl UriBuf {
    /// Its parts.
    pub fn uri(&self) -> Uri<'_> {
        Uri::lenient(&self.0)
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// See [`Uri::with_user`].
    pub fn with_user(&self, user: &str) -> UriBuf {
        self.uri().with_user(user)
    }

    /// See [`Uri::with_host`].
    pub fn with_host(&self, host: &str) -> UriBuf {
        self.uri().with_host(host)
    }

    /// See [`Uri::with_port`].
    pub fn with_port(&self, port: Option<u16>) -> UriBuf {
        self.uri().with_port(port)
    }

    /// See [`Uri::with_param`].
    pub fn with_param(&self, name: &str, value: &str) -> UriBuf {
        self.uri().with_param(name, value)
    }

    /// See [`Uri::without_param`].
    pub fn without_param(&self, name: &str) -> UriBuf {
        self.uri().without_param(name)
    }
}

impl Parts {
    pub(crate) fn of(text: &[u8]) -> Parts {
        let end = text.len();
        let scheme = match find(text, 0, |byte| byte == b':') {
            colon if colon < end && text.iter().take(colon).all(scheme_char) => colon,
            _ => {
                // no scheme: nothing of it can be trusted
                return Parts {
                    scheme: 0,
                    userinfo: 0,
                    host: end,
                    host_end: end,
                    port: None,
                    params: end,
                    headers: end,
                };
            }
        };
        let start = scheme + 1;
        // a user may hold `;` and `?`, so the `@` is looked for first (RFC 3261 section 19.1.2)
        let at = find(text, start, |byte| byte == b'@');
        let sip = matches!(text.first(), Some(b's' | b'S'));
        let (userinfo, host) = match (at < end, sip) {
            (true, true) => (at, at + 1),
            (false, true) => (start, start),
            // tel:+4912;phone-context=...: a user without host
            (_, false) => {
                let user_end = find(text, start, ends_host);
                (user_end, user_end)
            }
        };
        let host_end = match text.get(host) {
            Some(b'[') => (find(text, host, |byte| byte == b']') + 1).min(end),
            _ => find(text, host, |byte| byte == b':' || ends_host(byte)),
        };
        let params = find(text, host_end, ends_host);
        let port = match text.get(host_end..params) {
            Some([b':', digits @ ..]) => number(digits),
            _ => None,
        };
        Parts {
            scheme,
            userinfo,
            host,
            host_end,
            port,
            params,
            headers: find(text, params, |byte| byte == b'?'),
        }
    }
}

/// Where such a byte is, not before `from`; the end where there is none.
fn find(text: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let at = rest.iter().position(|byte| wanted(*byte));
    at.map_or(text.len(), |at| from + at)
}

/// Whether it ends host and port.
fn ends_host(byte: u8) -> bool {
    matches!(byte, b';' | b'?')
}

fn scheme_char(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// A number of at most 65535, of digits only.
fn number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u16, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// The parameters of `;a=b;c`, names and values trimmed.
pub(crate) fn params(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';').skip(1).map(pair)
}

fn pair(param: &str) -> (&str, &str) {
    let (name, value) = param.split_once('=').unwrap_or((param, ""));
    (name.trim_ascii(), value.trim_ascii())
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl AsRef<str> for Uri<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

impl fmt::Display for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for UriBuf {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<UriBuf> for String {
    fn from(uri: UriBuf) -> String {
        uri.0
    }
}

impl fmt::Display for NoUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no URI: expected such as sip:bob@example.test:5060 or tel:+49301234",
            self.0
        )
    }
}

impl std::error::Error for NoUri {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_where_rfc_3261_has_them() {
        let uri =
            Uri::parse("sips:bob;x=1?:secret@[2001:db8::1]:5061;lr;Transport=tls?subject=hi%20you")
                .unwrap();
        assert_eq!(uri.scheme(), "sips");
        assert_eq!(uri.user(), Some("bob;x=1?"));
        assert_eq!(uri.host(), "[2001:db8::1]");
        assert_eq!(uri.port(), Some(5061));
        assert_eq!(uri.param("lr"), Some(""));
        assert_eq!(uri.param("transport"), Some("tls"));
        assert_eq!(uri.param("maddr"), None);
        assert_eq!(uri.headers(), "subject=hi%20you");
    }

    #[test]
    fn a_tel_uri_is_a_user_without_host() {
        let uri = Uri::parse("tel:+4930123;phone-context=example.test").unwrap();
        assert_eq!(
            (uri.user(), uri.host(), uri.is_sip()),
            (Some("+4930123"), "", false)
        );
        assert_eq!(uri.param("phone-context"), Some("example.test"));
    }

    #[test]
    fn a_change_leaves_everything_else() {
        let uri = Uri::parse("sip:bob:pw@example.test;lr?a=b").unwrap();
        let uri = uri.with_port(Some(5062)).with_param("transport", "tcp");
        assert_eq!(
            uri.as_str(),
            "sip:bob:pw@example.test:5062;lr;transport=tcp?a=b"
        );
        let uri = uri.with_user("").without_param("LR").with_host("192.0.2.1");
        assert_eq!(uri.as_str(), "sip:192.0.2.1:5062;transport=tcp?a=b");
        let uri = uri.with_user("carol").with_param("transport", "udp");
        assert_eq!(uri.as_str(), "sip:carol@192.0.2.1:5062;transport=udp?a=b");
    }

    #[test]
    fn what_is_no_uri_says_so() {
        for text in [
            "",
            "bob",
            "sip:",
            "sip:bob@",
            "sip:bob@host:port",
            "sip:bob@host:70000",
            "sip:a b@c",
            "<sip:a@b>",
        ] {
            let error = Uri::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
