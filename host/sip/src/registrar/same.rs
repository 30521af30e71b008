//! Whether two URIs are equal by RFC 3261 19.1.4 (and RFC 3966 section 5 for `tel:`).

use crate::message::{Scheme, Uri, host_ip};

use super::aor::is_visual_separator;

/// Parameters whose absence differs from any value.
const DISTINCT: [&[u8]; 5] = [b"transport", b"user", b"ttl", b"method", b"maddr"];

/// Whether they are equal. URIs of schemes other than `sip`, `sips` and `tel` are where their bytes are.
///
/// ```
/// use switchhook_sip::message::Uri;
/// use switchhook_sip::registrar::same_uri;
/// let same = |a: &'static [u8], b: &'static [u8]| same_uri(&Uri::parse(a).unwrap(), &Uri::parse(b).unwrap());
/// assert!(same(b"sip:%61lice@atlanta.com;transport=TCP", b"sip:alice@AtLanTa.CoM;Transport=tcp"));
/// assert!(!same(b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"));
/// ```
pub fn same_uri(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    match (a.scheme, b.scheme) {
        (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => {
            same_part(a.user, b.user)
                && same_part(a.password, b.password)
                && same_host(a.host, b.host)
                && a.port == b.port
                && same_params(a, b)
                && same_headers(a.headers, b.headers)
        }
        (Scheme::Tel, Scheme::Tel) => {
            let digits = |uri: &Uri<'_>| {
                let number = uri.user.unwrap_or_default().iter();
                let number = number.filter(|b| !is_visual_separator(**b));
                number.map(u8::to_ascii_lowercase).collect::<Vec<_>>()
            };
            let within = |a: &Uri<'_>, b: &Uri<'_>| {
                let mut params = a.params;
                params.all(|param| same_param(a, b, param.name).unwrap_or(false))
            };
            digits(a) == digits(b) && within(a, b) && within(b, a)
        }
        _ => a.raw == b.raw,
    }
}

fn same_host(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b) || matches!((host_ip(a), host_ip(b)), (Some(a), Some(b)) if a == b)
}

fn same_params(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let distinct = DISTINCT
        .iter()
        .all(|name| a.params.get(name).is_some() == b.params.get(name).is_some());
    let mut params = a.params;
    distinct && params.all(|param| same_param(a, b, param.name).unwrap_or(true))
}

/// Whether both give a parameter the same value; none where one of them lacks it. Of a name that stands twice, which
/// 19.1.1 forbids, the first counts.
fn same_param(a: &Uri<'_>, b: &Uri<'_>, name: &[u8]) -> Option<bool> {
    let (a, b) = (a.params.get(name)?, b.params.get(name)?);
    Some(same_value(a.value, b.value))
}

fn same_value(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => decoded(a)
            .map(|(b, raw)| (b.to_ascii_lowercase(), raw))
            .eq(decoded(b).map(|(b, raw)| (b.to_ascii_lowercase(), raw))),
        (None, None) => true,
        _ => false,
    }
}

/// Each header of one is in the other, in any order.
fn same_headers(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    let list = |headers: Option<&[u8]>| {
        let mut list: Vec<_> = headers
            .unwrap_or_default()
            .split(|b| *b == b'&')
            .map(|header| {
                let mut parts = header.splitn(2, |b| *b == b'=');
                let name = parts.next().unwrap_or_default().to_ascii_lowercase();
                let value: Vec<_> = decoded(parts.next().unwrap_or_default()).collect();
                (name, value)
            })
            .collect();
        list.sort();
        list
    };
    a.is_some() == b.is_some() && list(a) == list(b)
}

fn same_part(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => decoded(a).eq(decoded(b)),
        (None, None) => true,
        _ => false,
    }
}

/// Bytes with `%xx` taken back, each with whether it is a reserved one that came bare: such a byte differs from its escape.
fn decoded(bytes: &[u8]) -> impl Iterator<Item = (u8, bool)> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || match rest {
        [b'%', high, low, tail @ ..] => match (nibble(*high), nibble(*low)) {
            (Some(high), Some(low)) => {
                rest = tail;
                Some((high << 4 | low, false))
            }
            _ => {
                rest = rest.get(1..)?;
                Some((b'%', true))
            }
        },
        [first, tail @ ..] => {
            rest = tail;
            Some((*first, b";/?:@&=+$,".contains(first)))
        }
        [] => None,
    })
}

fn nibble(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let (x, y) = (
            Uri::parse(a.as_bytes()).unwrap(),
            Uri::parse(b.as_bytes()).unwrap(),
        );
        assert_eq!(same_uri(&x, &y), same_uri(&y, &x), "{a} {b}");
        same_uri(&x, &y)
    }

    /// The examples of RFC 3261 19.1.4.
    #[test]
    fn the_rfcs_examples() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:carol@chicago.com;newparam=5",
                "sip:carol@chicago.com;security=on",
            ),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:a@x", "sips:a@x"),
            ("sip:a%3Bb@x", "sip:a;b@x"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_uri_is_itself_even_with_a_parameter_twice() {
        assert!(same("sip:a@x;line=1;line=2", "sip:a@x;line=1;line=2"));
        assert!(!same("sip:a@x;line=1;line=2", "sip:a@x;line=2;line=1"));
        assert!(same("tel:+1;x=1;x=2", "tel:+1;x=1;x=2"));
    }

    #[test]
    fn numbers_and_addresses() {
        assert!(same("tel:+1-201-555-0123", "tel:+12015550123"));
        assert!(!same("tel:863-1234;phone-context=+1", "tel:863-1234"));
        assert!(same("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]"));
        assert!(same("urn:service:sos", "urn:service:sos"));
        assert!(!same("urn:service:sos", "URN:service:sos"));
    }
}
