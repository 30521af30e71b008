//! What one message costs: index, edit and render of an INVITE of 741 bytes, the relay of an answer and one of our own; and
//! the same INVITE cut out of a stream.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may fail, and criterion's macros write no docs"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use switchhook_sip::framing::{FrameLimits, Framer};
use switchhook_sip::message::{Edits, HeaderId, Message, ResponseBuilder, render};

#[path = "../tests/common/invite.rs"]
mod invite;

fn message(c: &mut Criterion) {
    let bytes = invite::received(invite::INVITE);
    let msg = Message::parse(bytes.clone()).unwrap();
    let (mut edits, mut out) = (Edits::default(), Vec::with_capacity(2048));
    let mut group = c.benchmark_group("message");

    group.bench_function("index", |b| {
        b.iter(|| Message::parse(black_box(bytes.clone())).unwrap())
    });
    group.bench_function("needed", |b| {
        b.iter(|| invite::needed(black_box(&msg)).unwrap())
    });
    group.bench_function("check", |b| b.iter(|| black_box(&msg).check().unwrap()));
    group.bench_function("edit", |b| {
        b.iter(|| invite::edit(black_box(&msg), &mut edits).unwrap())
    });
    group.bench_function("render", |b| {
        b.iter(|| {
            out.clear();
            render(black_box(&msg), black_box(&edits), &mut out);
        });
    });
    group.bench_function("all", |b| {
        b.iter(|| {
            let msg = Message::parse(black_box(bytes.clone())).unwrap();
            black_box(invite::needed(&msg).unwrap());
            invite::edit(&msg, &mut edits).unwrap();
            out.clear();
            render(&msg, &edits, &mut out);
            black_box(&out);
        });
    });

    let ringing = invite::received(invite::RINGING);
    group.bench_function("response-relay", |b| {
        b.iter(|| {
            let msg = Message::parse(black_box(ringing.clone())).unwrap();
            black_box((msg.via().unwrap().magic_branch(), msg.cseq().unwrap()));
            edits.clear();
            edits.remove_first_value(&msg, HeaderId::Via).unwrap();
            out.clear();
            render(&msg, &edits, &mut out);
            black_box(&out);
        });
    });
    let mut answer = Vec::with_capacity(2048);
    group.bench_function("answer", |b| {
        b.iter(|| {
            let out = std::mem::take(&mut answer);
            let builder = ResponseBuilder::new(out, msg.view(), None, 200, "OK", Some("b0b"));
            answer = builder.finish_vec();
        });
    });
    group.finish();
}

/// One message of a stream that comes whole, or in pieces of 64 bytes.
fn framing(c: &mut Criterion) {
    let mut group = c.benchmark_group("framing");
    for (name, step) in [("whole", invite::INVITE.len()), ("pieces", 64)] {
        group.bench_function(name, |b| {
            let mut framer = Framer::new(FrameLimits::default());
            b.iter(|| {
                for piece in invite::INVITE.as_bytes().chunks(step) {
                    framer.push(piece);
                    while let Some(frame) = framer.next().unwrap() {
                        black_box(frame);
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, message, framing);
criterion_main!(benches);
