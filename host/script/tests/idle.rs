//! What an instance costs while it waits for its next event: the resident memory that many of them add to this process.
//!
//! Takes target/guests/default.wasm. Where it is not built the test says so and passes over; under CI that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use support::{current, finish, services, settings};
use switchhook_script::{Event, Live, Pool, Route, Script};

const OPTIONS: &str = "OPTIONS sip:127.0.0.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n\
    Max-Forwards: 70\r\n\
    From: <sip:alice@example.test>;tag=1928301774\r\n\
    To: <sip:127.0.0.1>\r\n\
    Call-ID: a84b4c76e66710@192.0.2.1\r\n\
    CSeq: 1 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

const MANY: u32 = 64;

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.map_or(0, |pages: usize| pages * 4096)
}

/// Runs so many events side by side, each in an instance of its own.
fn side_by_side(pool: &mut Pool, count: u32) {
    let generation = pool.current().clone();
    let event = || Event::new(Route::Request, Some(current(OPTIONS)), None);
    let finished: Vec<_> = (0..count)
        .map(|_| finish(pool.start(&generation, event())).0)
        .collect();
    for one in finished {
        pool.finish(one).1.unwrap();
    }
}

#[test]
fn an_idle_instance_is_small() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/default.wasm");
    let Ok(wasm) = std::fs::read(&file) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is not built: cargo xtask guests",
            file.display()
        );
        eprintln!("passed over: {} is not built", file.display());
        return;
    };
    let mut settings = settings();
    settings.limits.instances = MANY + 1;
    settings.config = r#"{"auth": false, "realm": "example.test"}"#.into();
    let script = Script::load(settings, Arc::new(Live::new(Arc::new(services()))), &wasm).unwrap();
    let mut pool = Pool::new(script);
    side_by_side(&mut pool, 1);
    let before = resident();
    side_by_side(&mut pool, MANY + 1);
    let each = (resident() - before) / MANY as usize;
    assert_eq!(pool.idle(), MANY as usize + 1);
    println!("an idle instance of examples/default: {} KiB", each >> 10);
    assert!(each < 256 << 10, "{each} bytes");
}
