//! What the proxy core, digest and registrar cost.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may fail, and criterion's macros write no docs"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use switchhook_sip::digest::{Authority, Config, Realm, UserTable, Verdict};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{Edits, Message};
use switchhook_sip::registrar::{Limits, save};

#[expect(dead_code, reason = "the other benches use the rest")]
#[path = "../tests/common/invite.rs"]
mod invite;
#[path = "../tests/common/proxied.rs"]
mod proxied;

fn source() -> Source {
    Source {
        transport: Transport::Udp,
        remote: "192.0.2.1:5062".parse().unwrap(),
        local: "192.0.2.9:5060".parse().unwrap(),
        flow: FlowId::new(1),
    }
}

fn proxy(c: &mut Criterion) {
    let bytes = invite::received(invite::INVITE);
    let (mut edits, mut out) = (Edits::default(), Vec::with_capacity(2048));
    c.bench_function("proxy/invite", |b| {
        b.iter(|| {
            proxied::invite(black_box(&bytes), &mut edits, &mut out);
            black_box(&out);
        });
    });
}

fn register(credentials: &str, cseq: u32) -> Message {
    let text = format!(
        "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.test>;tag=1\r\nTo: <sip:alice@example.test>\r\nCall-ID: c\r\n\
         CSeq: {cseq} REGISTER\r\nContact: <sip:alice@192.0.2.1:5062>;expires=600\r\n{credentials}\r\n"
    );
    Message::parse(text.into()).unwrap()
}

/// The full cost of credentials with a wrong response: as much as of right ones, but for the count.
fn digest(c: &mut Criterion) {
    let now = Instant::now();
    let authority = Authority::new([7; 32], now, Config::default());
    let mut users = UserTable::default();
    users.insert_password("alice", "example.test", "secret");
    let realm = Realm::www("example.test");
    c.bench_function("digest/challenge", |b| {
        b.iter(|| authority.challenge(now, realm, false).count())
    });
    let source = source();
    for (name, algorithm, digits) in [("md5", "MD5", 32), ("sha-256", "SHA-256", 64)] {
        let challenge = authority.challenge(now, realm, false).next().unwrap().1;
        let nonce = challenge.split('"').nth(3).unwrap().to_owned();
        let request = register(
            &format!(
                "Authorization: Digest username=\"alice\", realm=\"example.test\", nonce=\"{nonce}\", \
                 uri=\"sip:example.test\", response=\"{}\", algorithm={algorithm}, cnonce=\"0a4f113b\", \
                 qop=auth, nc=00000001\r\n",
                "0".repeat(digits)
            ),
            1,
        );
        let check = || authority.check(now, realm, black_box(&request).view(), &source, &users);
        assert_eq!(check(), Verdict::Rejected);
        c.bench_function(&format!("digest/check-{name}"), |b| b.iter(check));
    }
}

fn registrar(c: &mut Criterion) {
    let now = Instant::now();
    let source = source();
    let limits = Limits::default();
    let first = register("", 1);
    let bindings = save(now, first.view(), &source, &[], &limits)
        .bindings
        .unwrap();
    let again = register("", 2);
    let later = now + Duration::from_secs(300);
    c.bench_function("registrar/refresh", |b| {
        b.iter(|| save(later, black_box(&again).view(), &source, &bindings, &limits))
    });
}

criterion_group!(benches, proxy, digest, registrar);
criterion_main!(benches);
