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

use criterion::{Criterion, criterion_group, criterion_main};
use support::{invite, load, on_request, poll};
use switchhook_script::{Event, Pool};

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
fn invite_of() -> Box<Event> {
    thread_local! {
        static MESSAGE: Box<Event> = invite();
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

criterion_group!(benches, calls);
criterion_main!(benches);
