//! Any bytes as a URI, an address, a Via, a CSeq: what is read is part of what came, and reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use switchhook_sip::message::{
    CSeq, NameAddr, Scheme, Uri, Via, host_ip, seconds, trim, unescape, unquote,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(uri) = Uri::parse(data) {
        assert_eq!(uri.raw, data);
        if uri.is_sip() {
            assert_eq!(built(&uri), data);
        }
        let _ = (
            uri.ip(),
            uri.is_loose_route(),
            uri.user_unescaped().map(|user| user.len()),
        );
        // Where it stands does not matter.
        let angled = [b"\"x\" <", data, b">;tag=1"].concat();
        let address = NameAddr::parse(&angled).expect("a URI in `<>`");
        assert_eq!((address.uri, address.tag()), (data, Some(&b"1"[..])));
    }
    if let Ok(address) = NameAddr::parse(data) {
        assert_eq!(address.raw, trim(data));
        let _ = (
            address.q(),
            address.expires(),
            address.tag(),
            address.name().map(|name| name.len()),
            address.uri(),
        );
        for param in address.params {
            assert!(!param.name.is_empty());
        }
    }
    if let Ok(via) = Via::parse(data) {
        assert_eq!(via.raw, trim(data));
        assert_eq!(Via::parse(via.raw), Ok(via));
        let _ = (
            via.branch(),
            via.magic_branch(),
            via.received(),
            via.rport(),
            via.ip(),
        );
    }
    if let Ok(cseq) = CSeq::parse(data) {
        let again = format!("{} {}", cseq.number, cseq.method);
        assert_eq!(CSeq::parse(again.as_bytes()), Ok(cseq));
    }
    let _ = (
        host_ip(data),
        seconds(data),
        unescape(data).len(),
        unquote(data).len(),
    );
});

/// The URI's parts put together again.
fn built(uri: &Uri<'_>) -> Vec<u8> {
    let colon = uri.raw.iter().position(|b| *b == b':').expect("a scheme") + 1;
    assert!(Scheme::of(&uri.raw[..colon - 1]) == uri.scheme);
    let mut text = uri.raw[..colon].to_vec();
    if let Some(user) = uri.user {
        text.extend_from_slice(user);
        if let Some(password) = uri.password {
            text.push(b':');
            text.extend_from_slice(password);
        }
        text.push(b'@');
    }
    text.extend_from_slice(uri.host);
    if uri.port.is_some() {
        // The port may be written with zeros before it.
        let rest = &uri.raw[text.len()..];
        let end = rest
            .iter()
            .skip(1)
            .position(|b| !b.is_ascii_digit())
            .map_or(rest.len(), |n| n + 1);
        text.extend_from_slice(&rest[..end]);
    }
    text.extend_from_slice(uri.params.as_bytes());
    if let Some(headers) = uri.headers {
        text.push(b'?');
        text.extend_from_slice(headers);
    }
    text
}
