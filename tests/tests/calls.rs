//! Calls through examples/default, played by SIPp on both sides.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_tests::{Peer, Place, Setup, beside, has, stories};

/// A story told of the example without authentication.
fn through_the_example(story: fn(&Place)) {
    let _beside = beside();
    if !has("sipp") {
        return;
    }
    let place = Place::new();
    let daemon = Setup::open(&place)
        .set("script.default.config.second.bob=\"sip:bob-second@example.test\"")
        .set("script.default.config.no-answer=1500")
        .start();
    story(&place);
    daemon.stop();
}

#[test]
fn alice_calls_bob_over_udp() {
    through_the_example(stories::call_over_udp);
}

#[test]
fn alice_calls_bob_over_tcp() {
    through_the_example(stories::call_over_tcp);
}

#[test]
fn alice_has_udp_and_bob_has_tcp() {
    through_the_example(stories::call_from_udp_to_tcp);
}

#[test]
fn alice_has_tcp_and_bob_has_udp() {
    through_the_example(stories::call_from_tcp_to_udp);
}

#[test]
fn bob_hangs_up() {
    through_the_example(stories::callee_hangs_up);
}

#[test]
fn bob_hangs_up_towards_tcp() {
    through_the_example(stories::callee_hangs_up_from_tcp_to_udp);
}

#[test]
fn alice_puts_the_call_on_hold() {
    through_the_example(stories::call_on_hold);
}

#[test]
fn alice_puts_a_call_to_tcp_on_hold() {
    through_the_example(stories::call_on_hold_from_udp_to_tcp);
}

#[test]
fn alice_gives_up() {
    through_the_example(stories::caller_gives_up);
}

#[test]
fn alice_gives_up_over_tcp() {
    through_the_example(stories::caller_gives_up_over_tcp);
}

#[test]
fn a_busy_phone_passes_the_call_on() {
    through_the_example(stories::busy_goes_to_second);
}

#[test]
fn a_phone_that_nobody_answers_passes_the_call_on() {
    through_the_example(stories::no_answer_goes_to_second);
}

#[test]
fn alice_writes_to_bob() {
    through_the_example(stories::text);
}

#[test]
fn a_busy_phone_without_a_second_is_busy() {
    let _beside = beside();
    if !has("sipp") {
        return;
    }
    let place = Place::new();
    let daemon = Setup::open(&place)
        .set("script.default.config.second.bob=\"\"")
        .start();
    stories::callee_is_busy(&place);
    daemon.stop();
}

#[test]
fn the_example_answers_options_and_knows_whom_it_does_not_know() {
    let _beside = beside();
    let place = Place::new();
    let daemon = Setup::open(&place).start();
    let proxy = place.at(5060);
    let peer = Peer::new(&place, 5090);
    let (status, answer) = peer.ask(
        &peer.request("OPTIONS", &format!("sip:{proxy}"), "alice", ""),
        proxy,
    );
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = peer.ask(
        &peer.request("INVITE", "sip:nobody@example.test", "alice", ""),
        proxy,
    );
    assert_eq!(status, 404, "{answer}");
    let message = peer.request("MESSAGE", "sip:nobody@example.test", "alice", "");
    let (status, answer) = peer.ask(
        &message.replace("Max-Forwards: 70", "Max-Forwards: 0"),
        proxy,
    );
    assert_eq!(status, 483, "{answer}");
    daemon.stop();
}

#[test]
fn sipsak_finds_the_example_and_registers() {
    let _beside = beside();
    if !has("sipsak") {
        return;
    }
    let place = Place::new();
    let daemon = Setup::open(&place).start();
    let proxy = place.at(5060);
    let ip = place.ip().to_string();
    let sipsak = |args: &[&str]| {
        let mut command = std::process::Command::new("sipsak");
        command
            .args(["-vvv", "-k", &ip, "-l", "5091", "-p", &proxy.to_string()])
            .args(args);
        let out = command.output().expect("sipsak runs");
        assert!(
            out.status.success(),
            "sipsak {args:?}: {}",
            String::from_utf8_lossy(&out.stdout)
        );
    };
    sipsak(&["-s", &format!("sip:{proxy}")]);
    sipsak(&[
        "-U",
        "-C",
        &format!("sip:alice@{ip}:5091"),
        "-x",
        "60",
        "-s",
        "sip:alice@example.test",
    ]);
    daemon.stop();
}
