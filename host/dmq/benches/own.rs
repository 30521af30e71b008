//! What our own nodes pay to be equal: a batch of 400 records written and merged, a counted write, the digest of 100,000 records
//! after one change, a signature over a full body.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may fail, and criterion's macros write no docs"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use switchhook_dmq::Now;
use switchhook_dmq::own::auth::{Covered, Guard, Key, Keyring, Signer};
use switchhook_dmq::own::records::Records;
use switchhook_dmq::own::repair::{Config, Mesh, PeerId, Replica, SetId};
use switchhook_dmq::own::version::{Clock, NodeId, Value};

const HT: SetId = SetId(0);
const UNIX_MS: u64 = 1_795_262_400_000;
const BATCH: u64 = 400;

struct Node {
    clock: Arc<Clock>,
    mesh: Mesh,
    records: Records,
}

fn node(id: u64, peer: u64, now: Now) -> Node {
    let clock = Arc::new(Clock::new(NodeId::new(id)));
    let mut mesh = Mesh::new(clock.clone(), Config::default());
    mesh.peer_up(now, PeerId(1), NodeId::new(peer));
    let records = Records::new(["ht".into()], 1_000_000);
    Node {
        clock,
        mesh,
        records,
    }
}

fn fill(node: &mut Node, now: Now, count: u64) {
    for n in 0..count {
        let when = (now.at, node.clock.write(now.unix_ms));
        let value = Value::Text(format!("value of key {n}").into());
        node.records
            .set(when, HT, &format!("key{n}"), value, Duration::ZERO);
    }
}

/// A batch of writes as it is sent.
fn batch(node: &mut Node, now: &mut Now) -> Bytes {
    for n in 0..BATCH {
        node.mesh.changed(HT, &format!("key{n}"));
    }
    loop {
        now.at += Duration::from_millis(5);
        let send = node.mesh.poll(*now, &mut node.records).unwrap();
        let answer = br#"{"v":1,"at":[1,0]}"#;
        node.mesh
            .answered(*now, PeerId(1), send.id, 200, answer, &mut node.records);
        if send.body.starts_with(br#"{"v":1,"put""#) {
            return send.body;
        }
    }
}

fn records(c: &mut Criterion) {
    let mut now = Now {
        at: Instant::now(),
        unix_ms: UNIX_MS,
    };
    let mut group = c.benchmark_group("own");
    let mut sender = node(1, 2, now);
    fill(&mut sender, now, 100_000);
    let body = batch(&mut sender, &mut now);
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("write-batch", |b| b.iter(|| batch(&mut sender, &mut now)));
    group.bench_function("merge-batch", |b| {
        let new = || node(2, 1, now);
        let merge = |mut node: Node| {
            let answer = node.mesh.request(now, PeerId(1), &body, &mut node.records);
            assert_eq!(answer.status, 200);
            node
        };
        b.iter_batched(new, merge, BatchSize::LargeInput);
    });
    group.throughput(Throughput::Elements(1));
    let add = |sender: &mut Node| {
        let when = (now.at, sender.clock.write(now.unix_ms));
        let added = sender.records.add(when, HT, "counter", 1, Duration::ZERO);
        added.unwrap().unwrap()
    };
    group.bench_function("add", |b| b.iter(|| add(&mut sender)));
    group.bench_function("digest-of-100k", |b| {
        b.iter(|| {
            black_box(add(&mut sender));
            black_box(sender.records.digest(now.at, HT).root())
        });
    });
    group.finish();
}

fn sign(c: &mut Criterion) {
    let key = Key::new("a", b"a secret of our nodes").unwrap();
    let keys = Keyring::new(vec![key]).unwrap();
    let mut signer: Signer<u8> = Signer::new(keys.clone(), NodeId::new(1));
    let mut guard = Guard::new(keys, NodeId::new(2), UNIX_MS);
    let mut group = c.benchmark_group("own");
    for (name, size) in [
        ("sign-and-check-1300", 1_300),
        ("sign-and-check-28000", 28_000),
    ] {
        let body = vec![b'x'; size];
        let covered = Covered {
            method: "KDMQ",
            uri: b"sip:switchhook@127.0.0.2:5060",
            body: &body,
        };
        group.bench_function(name, |b| {
            b.iter(|| {
                let (field, _) = signer.sign(UNIX_MS, 1, &covered);
                guard.request(UNIX_MS, Some(&field), &covered).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, records, sign);
criterion_main!(benches);
