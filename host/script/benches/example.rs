//! What routing costs: `on-request` of examples/default, and of the benchmark's trunk, with all of its host calls, on the stores and users of
//! a daemon.
//!
//! It takes target/guests/default.wasm and trunk.wasm as `cargo xtask guests default trunk` builds them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench fails as a test does"
)]
#![allow(
    missing_docs,
    reason = "criterion's macro makes an undocumented function"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use support::{poll, run, settings, source};
use switchhook_script::{Current, Decision, Event, Live, Pool, Route, Script, Services};
use switchhook_sip::digest::{Authority, Config, UserTable};
use switchhook_sip::flow::Transport;
use switchhook_sip::message::Message;
use switchhook_sip::proxy::{LoopKey, Own};
use switchhook_sip::registrar;
use switchhook_store::{DialogLimits, Dialogs, Htables, LocationLimits, Locations};

/// What a phone sends, as large as phones write it.
fn request(method: &str, uri: &str, more: &str) -> Box<Event> {
    let text = format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.test>;tag=1928301774\r\n\
         To: <sip:bob@example.test>{tag}\r\n\
         Call-ID: a84b4c76e66710@192.0.2.1\r\n\
         CSeq: 314159 {method}\r\n\
         {more}\
         User-Agent: Phone/1.0 (some longer description of it)\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, REFER\r\n\
         Supported: replaces, 100rel, timer, norefersub\r\n\
         Content-Length: 0\r\n\r\n",
        tag = if more.contains("Route:") {
            ";tag=a6c85cf"
        } else {
            ""
        },
    );
    let message = Message::parse(text.into()).unwrap();
    Event::new(
        Route::Request,
        Some(Current::new(Arc::new(message), source())),
        None,
    )
}

/// A lane with a guest.
fn lane(guest: &str, config: String) -> (Arc<Script>, Pool) {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/guests/{guest}.wasm"));
    let wasm = std::fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; cargo xtask guests {guest} builds it",
            file.display()
        )
    });
    let mut own = Own::new();
    own.add_interface(Transport::Udp, "127.0.0.1:5060", source().local);
    own.add_domain("example.test");
    let services = Services {
        erlang: Default::default(),
        dmq: Default::default(),
        uac: Default::default(),
        own,
        loop_key: LoopKey::new([1, 2]),
        htables: Htables::new(Vec::new()),
        locations: BTreeMap::from([(
            "location".to_owned(),
            Locations::new(LocationLimits::default()),
        )]),
        dialogs: Dialogs::new(Instant::now(), DialogLimits::default()),
        registrar: registrar::Limits::default(),
        authority: Authority::new([7; 32], Instant::now(), Config::default()),
        users: Box::new(UserTable::default()),
        clock: Instant::now,
    };
    let mut settings = settings();
    settings.config = config;
    let script = Script::load(settings, Arc::new(Live::new(Arc::new(services))), &wasm)
        .unwrap_or_else(|error| panic!("{error}"));
    let pool = Pool::new(script.clone());
    (script, pool)
}

/// A lane with the example, bob registered with two phones.
fn example(auth: bool) -> (Arc<Script>, Pool) {
    let config = format!(r#"{{"auth": {auth}, "realm": "example.test"}}"#);
    let (script, mut pool) = lane("default", config);
    for phone in ["192.0.2.7:5060", "192.0.2.8:5060"] {
        let contact = format!("Contact: <sip:bob@{phone}>;expires=3600\r\n");
        let register = request("REGISTER", "sip:example.test", &contact);
        run(&mut pool, register).1.unwrap();
    }
    (script, pool)
}

fn routes(c: &mut Criterion) {
    let contact = "Contact: <sip:alice@192.0.2.1:5060>\r\n";
    let in_dialog = "Route: <sip:127.0.0.1:5060;lr>\r\n";
    let cases = [
        (
            "INVITE to two phones",
            false,
            "INVITE",
            "sip:bob@example.test",
            contact,
        ),
        (
            "MESSAGE to two phones",
            false,
            "MESSAGE",
            "sip:bob@example.test",
            contact,
        ),
        (
            "BYE of a dialog",
            false,
            "BYE",
            "sip:bob@192.0.2.7:5060",
            in_dialog,
        ),
        (
            "OPTIONS answered",
            false,
            "OPTIONS",
            "sip:example.test",
            contact,
        ),
        (
            "INVITE challenged",
            true,
            "INVITE",
            "sip:bob@example.test",
            contact,
        ),
    ];
    for (name, auth, method, uri, more) in cases {
        let (_script, mut pool) = example(auth);
        let asked = request(method, uri, more);
        let (event, outcome) = run(&mut pool, asked.clone());
        outcome.unwrap();
        assert!(
            event
                .decisions
                .iter()
                .any(|decision| matches!(decision, Decision::Relay { .. } | Decision::Respond(_))),
            "{name} decides something"
        );
        c.bench_function(&format!("examples/default: {name}"), |b| {
            b.iter(|| {
                let generation = pool.current().clone();
                let mut running = pool.start(&generation, black_box(asked.clone()));
                // pending when a tick came in between: rare, and worth nothing as a measurement
                if let std::task::Poll::Ready(finished) = poll(&mut running) {
                    assert!(pool.finish(finished).1.is_ok());
                }
            });
        });
    }
}

/// Wasm's share of a relayed MESSAGE: into the guest, its host calls, its own work, and out again, without making the event and without
/// what the engine does next. `cargo xtask bench wasm` knows it by its name.
fn share(c: &mut Criterion) {
    let config = r#"{"host": "192.0.2.9", "port": 5060}"#;
    let (_script, mut pool) = lane("trunk", config.to_owned());
    let asked = request("MESSAGE", "sip:bob@example.test", "");
    let (event, outcome) = run(&mut pool, asked.clone());
    outcome.unwrap();
    assert!(matches!(event.decisions[..], [Decision::Relay { .. }]));
    c.bench_function("wasm share of a relayed MESSAGE", |b| {
        b.iter_batched(
            || asked.clone(),
            |event| {
                let generation = pool.current().clone();
                let mut running = pool.start(&generation, black_box(event));
                match poll(&mut running) {
                    std::task::Poll::Ready(finished) => Some(pool.finish(finished)),
                    std::task::Poll::Pending => None,
                }
            },
            // Few at a time: a lane makes an event right before it asks the guest, so it is warm.
            BatchSize::NumIterations(8),
        );
    });
}

criterion_group!(benches, routes, share);
criterion_main!(benches);
