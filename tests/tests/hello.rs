//! examples/hello: OPTIONS answered, everything else to one server.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_tests::{Party, Peer, Place, Setup, beside, has};

#[test]
fn hello_answers_options_and_sends_calls_to_its_server() {
    let _beside = beside();
    if !has("sipp") {
        return;
    }
    let place = Place::new();
    let proxy = place.at(5060);
    let bob = Party::new(&place, "uas-answer", 5070);
    let daemon = Setup::example(&place, "examples/hello/switchhook.toml")
        .set(&format!(
            "script.hello.config.server=\"{}\"",
            bob.contact("bob")
        ))
        .start();
    let peer = Peer::new(&place, 5090);
    let (status, answer) = peer.ask(
        &peer.request("OPTIONS", &format!("sip:{proxy}"), "alice", ""),
        proxy,
    );
    assert_eq!(status, 200, "{answer}");
    assert!(answer.starts_with("SIP/2.0 200 Hello\r\n"), "{answer}");

    let mut bob = bob.waits();
    Party::new(&place, "uac-call", 5080)
        .calls_user("anybody", proxy)
        .done();
    bob.done();
    daemon.stop();
}
