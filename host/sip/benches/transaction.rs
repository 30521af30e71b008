//! What the transaction layer costs: a transaction's life without its messages, a relayed request with all of them, and timers by the million.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may fail, and criterion's macros write no docs"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use switchhook_sip::message::{Edits, Message};
use switchhook_sip::transaction::timers::Time;
use switchhook_sip::transaction::wheel::Wheel;

#[path = "../tests/common/exchange.rs"]
mod exchange;
#[path = "../tests/common/invite.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod invite;

/// Transactions that are there while one is measured.
const CROWD: u64 = 100_000;

fn transaction(c: &mut Criterion) {
    let (mut tm, now) = exchange::lane();
    for number in 1..=CROWD {
        exchange::forward(&mut tm, now, exchange::request("INVITE", number));
    }
    let source = exchange::source();
    let mut group = c.benchmark_group("transaction");

    let request = Arc::new(exchange::request("INVITE", 0));
    group.bench_function("insert", |b| {
        b.iter(|| {
            let request = black_box(&request);
            tm.on_request(now, request, &source).unwrap();
            let key = tm.create(now, request.clone(), &source, 0).unwrap();
            tm.on_request(now, request, &source).unwrap();
            tm.terminate(key);
            exchange::discard(&mut tm)
        });
    });

    // From here every transaction stays until it has timed out, as on a real lane.
    let mut number = CROWD;
    let mut edits = Edits::default();
    group.bench_function("relay-message", |b| {
        b.iter_batched(
            || {
                number += 1;
                exchange::request("MESSAGE", number).bytes().clone()
            },
            |bytes| {
                let request = Arc::new(Message::parse(bytes).unwrap());
                tm.on_request(now, &request, &source).unwrap();
                let key = tm.create(now, request.clone(), &source, 0).unwrap();
                let branch = exchange::branch(&mut tm, &request, &mut edits);
                let sent = Message::parse(branch.bytes.clone()).unwrap();
                tm.relay(now, key, [branch]).unwrap();
                let answer = exchange::answer(&sent, 200);
                tm.on_response(now, &answer);
                let outputs = exchange::discard(&mut tm);
                tm.terminate(key);
                outputs + exchange::discard(&mut tm)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn wheel(c: &mut Criterion) {
    const MILLION: u64 = 1_000_000;
    let mut wheel = Wheel::new();
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 47;
    for n in 0..MILLION {
        wheel.insert(Time(500 + spread(n)), n);
    }
    let mut group = c.benchmark_group("wheel");
    let mut n = 0;
    group.bench_function("insert-cancel", |b| {
        b.iter(|| {
            n += 1;
            let id = wheel.insert(Time(500 + spread(n)), n);
            wheel.cancel(black_box(id))
        });
    });
    group.bench_function("deadline", |b| b.iter(|| black_box(&wheel).deadline()));
    group.finish();
}

criterion_group!(benches, transaction, wheel);
criterion_main!(benches);
