//! What a call of a guest costs: an event in, a route, an event out, the instance used again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]
#![allow(
    missing_docs,
    reason = "criterion's macro makes an undocumented function"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use support::{current, invite, live, load, on_request, poll, run, settings};
use switchhook_script::{Event, Pool, Route, Script};

const HEADER: &str = r#"(import "switchhook:script/request@0.1.0" "header" (func $header (param i32 i32 i32)))
    (data (i32.const 1024) "User-Agent")"#;
const READ: &str = r#"(import "switchhook:script/request@0.1.0" "read" (func $read (param i32)))"#;
const ENABLED: &str =
    r#"(import "switchhook:script/log@0.1.0" "enabled" (func $enabled (param i32) (result i32)))"#;

fn event(pool: &mut Pool) {
    let generation = pool.current().clone();
    let mut running = pool.start(&generation, black_box(invite_of()));
    let std::task::Poll::Ready(finished) = poll(&mut running) else {
        // A tick came in between: rare, and worth nothing as a measurement.
        return;
    };
    assert!(pool.finish(finished).1.is_ok());
}

/// One message for all events, as retransmissions of a hot path share it.
fn invite_of() -> Event {
    thread_local! {
        static MESSAGE: Event = invite();
    }
    MESSAGE.with(Clone::clone)
}

fn calls(c: &mut Criterion) {
    let bodies = [
        ("no-op on-request", on_request("", "call $done")),
        (
            "on-request with 10 host calls, no strings",
            on_request(
                ENABLED,
                &format!(
                    "{} call $done",
                    "(drop (call $enabled (i32.const 0)))".repeat(10)
                ),
            ),
        ),
        (
            "on-request with 10 host calls, string in and out",
            on_request(
                HEADER,
                &format!(
                    "{} call $done",
                    "(call $header (i32.const 1024) (i32.const 10) (i32.const 64))".repeat(10)
                ),
            ),
        ),
        (
            "on-request with request.read",
            on_request(READ, "(call $read (i32.const 64)) call $done"),
        ),
    ];
    for (name, wasm) in bodies {
        let (_script, mut pool, _) = load(&wasm);
        c.bench_function(name, |b| b.iter(|| event(&mut pool)));
    }
    c.bench_function("event alone", |b| b.iter(|| black_box(invite_of())));
}

/// `on-request` of examples/default for a call to a registered user, all its host calls included.
fn example(c: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/default.wasm");
    let Ok(wasm) = std::fs::read(&path) else {
        eprintln!(
            "left out: {} is not there; `cargo xtask guests default` builds it",
            path.display()
        );
        return;
    };
    let mut settings = settings();
    settings.config =
        r#"{"auth":false,"realm":"example.test","second":{},"voicemail":"","no-answer":30000}"#
            .into();
    let script =
        Script::load(settings, Arc::new(live()), &wasm).unwrap_or_else(|error| panic!("{error}"));
    let mut pool = Pool::new(script);
    let register = Event::new(Route::Request, Some(current(REGISTER)), None);
    run(&mut pool, register).1.unwrap();
    c.bench_function("examples/default: INVITE to a registered user", |b| {
        b.iter(|| event(&mut pool))
    });
}

const REGISTER: &str = "REGISTER sip:example.test SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKreg\r\n\
    Max-Forwards: 70\r\n\
    To: <sip:bob@example.test>\r\n\
    From: <sip:bob@example.test>;tag=1\r\n\
    Call-ID: reg@192.0.2.1\r\n\
    CSeq: 1 REGISTER\r\n\
    Contact: <sip:bob@192.0.2.1>\r\n\
    Content-Length: 0\r\n\r\n";

criterion_group!(benches, calls, example);
criterion_main!(benches);
