//! Any bytes as credentials: read or refused, the same when written again, and never good without the password.
#![no_main]

use std::net::Ipv4Addr;
use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use switchhook_sip::digest::{Authority, Config, Credentials, Realm, UserTable, Verdict};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;

static SITE: LazyLock<(Instant, Authority, UserTable)> = LazyLock::new(|| {
    let now = Instant::now();
    let config = Config {
        legacy: true,
        nonces: 64,
        ..Config::default()
    };
    let mut users = UserTable::default();
    users.insert_password("alice", "example.test", "secret");
    (now, Authority::new([7; 32], now, config), users)
});

fuzz_target!(|data: &[u8]| {
    let value = [b"Digest ", data].concat();
    if let Some(Ok(read)) = Credentials::parse(&value) {
        let written = write(&read);
        let again = Credentials::parse(&written)
            .expect("Digest")
            .expect("readable");
        assert_eq!(read, again);
    }
    let request = [
        b"INVITE sip:bob@example.test SIP/2.0\r\nCSeq: 1 INVITE\r\nProxy-Authorization: Digest ",
        data,
        b"\r\n\r\n",
    ]
    .concat();
    let Ok(request) = Message::parse(request.into()) else {
        return;
    };
    let (now, authority, users) = &*SITE;
    let source = Source {
        transport: Transport::Udp,
        remote: (Ipv4Addr::LOCALHOST, 5062).into(),
        local: (Ipv4Addr::LOCALHOST, 5060).into(),
        flow: FlowId::new(1),
    };
    let realm = Realm::proxy("example.test");
    let verdict = authority.check(*now, realm, request.view(), &source, users);
    assert!(!matches!(verdict, Verdict::Accepted { .. }));
});

/// As a careful client writes them: every value quoted, every quote escaped.
fn write(credentials: &Credentials<'_>) -> Vec<u8> {
    let some = |value: &[u8]| Some(value.to_vec());
    let userhash = credentials.userhash.then(|| b"true".to_vec());
    let mut out = b"Digest ".to_vec();
    for (name, value) in [
        ("username", some(&credentials.username)),
        ("realm", some(&credentials.realm)),
        ("nonce", some(&credentials.nonce)),
        ("uri", some(&credentials.uri)),
        ("response", some(&credentials.response)),
        ("algorithm", credentials.algorithm.as_deref().and_then(some)),
        ("cnonce", credentials.cnonce.as_deref().and_then(some)),
        ("opaque", credentials.opaque.as_deref().and_then(some)),
        ("qop", credentials.qop.as_deref().and_then(some)),
        ("nc", credentials.nc.as_deref().and_then(some)),
        ("userhash", userhash),
    ] {
        let Some(value) = value else { continue };
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        for b in value {
            if matches!(b, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(b);
        }
        out.extend_from_slice(b"\", ");
    }
    out
}
