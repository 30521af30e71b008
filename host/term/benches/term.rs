//! A call record as an Erlang node writes it: a tuple of 63 terms in 505 bytes.

#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a mistake ends the bench

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use switchhook_term::{Limits, Tape, Term, atom, decode, encode, list, map, to_bytes, tuple};

fn call_record() -> Term {
    let pid = switchhook_term::Pid {
        node: switchhook_term::Atom::from_static("node1@127.0.0.1"),
        id: 13_393,
        serial: 0,
        creation: 1_700_000_000,
    };
    let made = tuple![tuple![2015, 5, 12], tuple![14, 19, 6]];
    tuple![
        atom("$gen_cast"),
        tuple![
            atom("create"),
            tuple![
                atom("cdr"),
                tuple![
                    atom("call_desc"),
                    "b04f6dca-1233-4a8d-9d8f-5f6a7b8c9d0e@10.1.40.111",
                    0,
                    atom("outbound")
                ],
                tuple![atom("service_desc"), atom("subscriber"), 1, 2, atom("buy")],
                tuple![
                    atom("party"),
                    "442071234806",
                    "442071234807",
                    Term::binary("UK National")
                ],
                tuple![made, tuple![tuple![2015, 5, 12], tuple![14, 20, 15]]],
                atom("answered"),
                pid,
                0.013,
                69,
                list![
                    tuple![atom("codec"), Term::binary("PCMA/8000")],
                    tuple![
                        atom("gateway"),
                        Term::binary(
                            "sip:442071234807@gw1.carrier.example.net:5060;transport=udp;user=phone;ob;lr;tgrp=outbound-7;rn=442"
                        )
                    ],
                    tuple![atom("jitter"), 3.25],
                    tuple![atom("lost"), 1_234_567_890]
                ],
                map! { atom("rate") => 0.013, atom("currency") => atom("gbp") }
            ]
        ]
    ]
}

fn count(term: &Term) -> usize {
    1 + match term {
        Term::Tuple(parts) | Term::List(parts) => parts.iter().map(count).sum::<usize>(),
        Term::Map(map) => map
            .pairs()
            .iter()
            .map(|(key, value)| count(key) + count(value))
            .sum::<usize>(),
        _ => 0,
    }
}

fn bench(criterion: &mut Criterion) {
    let term = call_record();
    let bytes = to_bytes(&term);
    assert_eq!(
        (count(&term), bytes.len()),
        (63, 505),
        "the term of the measured facts"
    );
    let mut group = criterion.benchmark_group("term");
    group.throughput(Throughput::Bytes(bytes.len() as u64));

    let mut tape = Tape::new();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let view = tape.decode(black_box(&bytes), &Limits::default()).unwrap();
            black_box(view.kind())
        });
    });
    group.bench_function("decode/tree", |bencher| {
        bencher.iter(|| decode(black_box(&bytes)).unwrap());
    });
    let mut out = Vec::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode(black_box(&term), &mut out);
            black_box(out.len())
        });
    });
    // beside them, on the same machine at the same time, the usual crate
    group.bench_function("eetf/decode", |bencher| {
        bencher.iter(|| eetf::Term::decode(black_box(&bytes[..])).unwrap());
    });
    let theirs = eetf::Term::decode(&bytes[..]).unwrap();
    group.bench_function("eetf/encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&theirs).encode(&mut out).unwrap();
            black_box(out.len())
        });
    });
    group.bench_function("print", |bencher| {
        bencher.iter(|| black_box(&term).to_string())
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
