//! Addresses of record in one spelling, so that they can be looked up. RFC 3261 10.3 step 5, 19.1.4; RFC 3966 section 5.

use std::fmt::Write as _;

use crate::answer::Answer;
use crate::message::{HeaderId, Scheme, Uri, View, host_ip, unescape};

/// The address of record that a REGISTER is about: the URI of its To.
pub fn address_of_record(request: View<'_>) -> Result<String, Answer> {
    let to = request.to()?;
    let uri = to
        .uri()
        .map_err(|_| Answer::because(400, format!("Malformed URI in {}", HeaderId::To)))?;
    Ok(canonical(&uri))
}

/// The spelling that an address of record is stored and looked up by. What does not tell users apart is left out: parameters,
/// headers, password, a default port, the difference of `sip:` and `sips:` (RFC 5630 section 5: one user, two ways to reach
/// them). The host is in lower case, and escapes stand only where they must, so equal users have equal bytes.
///
/// ```
/// use switchhook_sip::message::Uri;
/// use switchhook_sip::registrar::canonical;
/// let of = |uri: &'static [u8]| canonical(&Uri::parse(uri).unwrap());
/// assert_eq!(of(b"sips:%61lice:pw@EXAMPLE.test:5061;user=phone"), "sip:alice@example.test");
/// assert_eq!(of(b"sip:b%40d@example.test:5070"), "sip:b%40d@example.test:5070");
/// assert_eq!(of(b"tel:+1-(201)-555.0123"), "tel:+12015550123");
/// ```
pub fn canonical(uri: &Uri<'_>) -> String {
    let mut out = String::with_capacity(uri.raw.len() + 1);
    match uri.scheme {
        Scheme::Sip | Scheme::Sips => {
            out.push_str("sip:");
            if let Some(user) = uri.user {
                escape(&mut out, &unescape(user));
                out.push('@');
            }
            host(&mut out, uri.host);
            let default = if uri.is_secure() { 5061 } else { 5060 };
            if let Some(port) = uri.port.filter(|port| *port != default) {
                // Writing to a String cannot fail.
                let _ = write!(out, ":{port}");
            }
        }
        Scheme::Tel => {
            out.push_str("tel:");
            let digits = uri.user.unwrap_or_default().iter();
            let digits: Vec<u8> = digits
                .filter(|b| !is_visual_separator(**b))
                .map(u8::to_ascii_lowercase)
                .collect();
            escape(&mut out, &digits);
            if let Some(context) = uri.params.value(b"phone-context") {
                out.push_str(";phone-context=");
                escape(&mut out, &context.to_ascii_lowercase());
            }
        }
        Scheme::Other(_) => out.push_str(&String::from_utf8_lossy(uri.raw)),
    }
    out
}

/// RFC 3966 section 3.
pub(super) fn is_visual_separator(b: u8) -> bool {
    matches!(b, b'-' | b'.' | b'(' | b')')
}

fn host(out: &mut String, host: &[u8]) {
    match host_ip(host) {
        Some(std::net::IpAddr::V6(address)) => {
            let _ = write!(out, "[{address}]");
        }
        _ => {
            let from = out.len();
            out.push_str(&String::from_utf8_lossy(host));
            if let Some(host) = out.get_mut(from..) {
                host.make_ascii_lowercase();
            }
        }
    }
}

/// Bytes that may stand in a user part stay (RFC 3261 25.1 unreserved and user-unreserved, and letters beyond ASCII as they
/// are met), all others are escaped. `%` itself is one of these, so different bytes never get the same text.
fn escape(out: &mut String, bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && bytes.iter().all(u8::is_ascii_alphanumeric)
    {
        return out.push_str(text);
    }
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let plain = c.is_ascii_alphanumeric()
                || "-_.!~*'()&=+$,;?/#".contains(c)
                || (!c.is_ascii() && !c.is_control() && !c.is_whitespace());
            if plain {
                out.push(c);
            } else {
                let mut utf8 = [0; 4];
                for b in c.encode_utf8(&mut utf8).bytes() {
                    let _ = write!(out, "%{b:02X}");
                }
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "%{b:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(uri: &str) -> String {
        canonical(&Uri::parse(uri.as_bytes()).expect("a URI"))
    }

    #[test]
    fn equal_users_have_equal_addresses() {
        for (one, other) in [
            ("sip:alice@example.test", "sip:alice@EXAMPLE.test;user=ip"),
            ("sip:alice@example.test", "sips:alice@example.test"),
            ("sip:alice@example.test", "sip:%61lic%65@example.test:5060"),
            ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]:5060"),
            ("sip:a%c3%a9@x", "sip:aé@x"),
        ] {
            assert_eq!(of(one), of(other));
        }
    }

    #[test]
    fn different_users_do_not() {
        for (one, other) in [
            ("sip:alice@example.test", "sip:Alice@example.test"),
            ("sip:alice@example.test", "sip:alice@example.test:5070"),
            ("sip:a%3Ab@x", "sip:a:b@x"),
            ("sip:a%2540b@x", "sip:a%40b@x"),
            ("sip:x", "sip:a@x"),
            ("tel:+123", "tel:123"),
        ] {
            assert_ne!(of(one), of(other));
        }
    }

    proptest! {
        /// The spelling is a URI of the same user, and its own spelling.
        #[test]
        fn it_is_its_own_spelling(user in prop::collection::vec(any::<u8>(), 1..20)) {
            let escaped: String = user.iter().map(|b| format!("%{b:02x}")).collect();
            let once = of(&format!("sip:{escaped}@example.test"));
            let parsed = Uri::parse(once.as_bytes()).expect("a URI");
            let unescaped = parsed.user_unescaped();
            prop_assert_eq!(unescaped.as_deref(), Some(&user[..]));
            prop_assert_eq!(of(&once), once);
        }
    }
}
