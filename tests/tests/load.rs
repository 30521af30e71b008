//! 500 calls a second: none may fail, and nothing may be sent again and again.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::time::{Duration, Instant};

use switchhook_tests::{Party, Peer, Place, Setup, Stats, alone, has};

/// Calls a second.
const RATE: u32 = 500;
/// A whole run.
const SECONDS: u32 = 30;

/// No call failed, and nothing was sent again but in single seconds: on a quiet machine none is, on a busy one a moment in
/// which nobody ran costs some hundred messages at once. A daemon that loses or delays messages shows in most of the seconds, and a storm is
/// a message for every call.
fn assert_quiet(calls: u32, caller: Stats, callee: Stats) {
    for (side, stats) in [("caller", caller), ("callee", callee)] {
        assert_eq!(
            (stats.successful, stats.failed),
            (u64::from(calls), 0),
            "{side}: {stats:?}"
        );
        assert!(
            stats.retransmissions <= u64::from(calls) / 20 && stats.restless <= stats.seconds / 5,
            "{side} sent again: {stats:?}"
        );
    }
}

fn thirty_seconds_of_calls(transport: &str) {
    let _alone = alone();
    if !has("sipp") {
        return;
    }
    let place = Place::new();
    let mut daemon = Setup::open(&place).set("log.level=\"warn\"").start();
    let calls = RATE * SECONDS;
    let bob = Party::new(&place, "uas-answer", 5070)
        .by(transport)
        .calls(calls, RATE);
    Peer::new(&place, 5099).registers("bob", &bob.contact("bob"), place.at(5060));
    let mut bob = bob.waits();
    let mut alice = Party::new(&place, "uac-load", 5080)
        .by(transport)
        .calls(calls, RATE)
        .calls_user("bob", place.at(5060));
    let begin = Instant::now();
    let (caller, callee) = (alice.done(), bob.done());
    eprintln!(
        "{transport}: {calls} calls in {:.1} s, {caller:?}, {callee:?}",
        begin.elapsed().as_secs_f64()
    );
    eprintln!("resident: {} MiB", daemon.program().memory() >> 20);
    assert_quiet(calls, caller, callee);
    daemon.stop();
}

#[test]
fn thirty_seconds_of_500_calls_a_second_over_udp() {
    thirty_seconds_of_calls("udp");
}

#[test]
fn thirty_seconds_of_500_calls_a_second_over_tcp() {
    thirty_seconds_of_calls("tcp");
}

#[test]
fn the_script_is_swapped_a_hundred_times_under_500_calls_a_second() {
    let _alone = alone();
    if !has("sipp") {
        return;
    }
    let place = Place::new();
    let daemon = Setup::open(&place).set("log.level=\"warn\"").start();
    let calls = RATE * SECONDS;
    let bob = Party::new(&place, "uas-answer", 5070).calls(calls, RATE);
    Peer::new(&place, 5099).registers("bob", &bob.contact("bob"), place.at(5060));
    let mut bob = bob.waits();
    let mut alice = Party::new(&place, "uac-load", 5080)
        .calls(calls, RATE)
        .calls_user("bob", place.at(5060));

    // spread over the run, so that each swap meets calls in every state
    std::thread::sleep(Duration::from_secs(1));
    let guest = switchhook_tests::guest("default");
    let pause = Duration::from_secs(u64::from(SECONDS) - 5) / 100;
    for number in 0..100 {
        let begin = Instant::now();
        let told = daemon.admin(&["swap", "default", &guest]);
        assert!(
            alice.program().ended().is_none(),
            "swap {number} came after the calls: {told}"
        );
        std::thread::sleep(pause.saturating_sub(begin.elapsed()));
    }
    let (caller, callee) = (alice.done(), bob.done());
    eprintln!("{caller:?}, {callee:?}");
    assert_quiet(calls, caller, callee);
    // every message had its answer and every generation but the last is gone
    let scripts = daemon.admin(&["scripts"]);
    assert!(
        scripts.contains("101"),
        "the hundred and first generation runs: {scripts}"
    );
    daemon.stop();
}

#[test]
fn a_bad_module_changes_nothing() {
    let _alone = alone();
    if !has("sipp") {
        return;
    }
    let place = Place::new();
    let daemon = Setup::open(&place).start();
    let before = daemon.admin(&["scripts"]);
    let bad = place.dir().join("bad.wasm");
    for bytes in [
        &b"\0asm\x0d\0\x01\0 and then nonsense"[..],
        b"",
        b"not a module",
    ] {
        std::fs::write(&bad, bytes).expect("a file");
        let error = daemon
            .try_admin(&["swap", "default", &bad.display().to_string()])
            .expect_err("a bad module is refused");
        assert!(
            error.contains("default") && error.contains("module"),
            "the complaint names the script and says what is wrong: {error}"
        );
    }
    assert_eq!(daemon.admin(&["scripts"]), before);
    switchhook_tests::stories::call_over_udp(&place);
    daemon.stop();
}
