//! The contract in languages without an SDK: two small routers, in C and in JavaScript, answer OPTIONS and relay a MESSAGE.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_tests::{Peer, Place, Setup, answer as answer_to, beside, status};

fn answers_options_and_relays_a_message(guest: &str, grants: &[&str]) {
    let _beside = beside();
    let place = Place::new();
    let config = format!(
        "[[script]]\nname = \"router\"\npath = \"GUESTS/{guest}.wasm\"\ngrants = {grants:?}\n\
         limits = {{ deadline = \"500ms\" }}\n"
    );
    let daemon = Setup::config(&place, &config).start();
    let (proxy, alice, bob) = (
        place.at(5060),
        Peer::new(&place, 5080),
        Peer::new(&place, 5070),
    );

    let (code, answer) = alice.ask(
        &alice.request("OPTIONS", &format!("sip:{proxy}"), "alice", ""),
        proxy,
    );
    assert_eq!(code, 200, "{answer}");
    assert!(answer.contains("Allow: OPTIONS, MESSAGE"), "{answer}");

    // two in a row: the instance serves the second one too
    for _ in 0..2 {
        let message = alice.request("MESSAGE", &format!("sip:bob@{}", bob.at()), "alice", "");
        alice.send(message.as_bytes(), proxy);
        let relayed = String::from_utf8_lossy(&bob.receive()).into_owned();
        assert!(
            relayed.starts_with(&format!("MESSAGE sip:bob@{} SIP/2.0\r\n", bob.at())),
            "{relayed}"
        );
        bob.send(&answer_to(&relayed, "200 OK", "b", ""), proxy);
        let answer = String::from_utf8_lossy(&alice.receive()).into_owned();
        assert_eq!(status(&answer), 200, "{answer}");
    }
    daemon.stop();
}

#[test]
fn a_router_in_c() {
    answers_options_and_relays_a_message("options-c", &["request", "tm"]);
}

#[test]
fn a_router_in_javascript() {
    // componentize-qjs imports all that the world has
    let grants = [
        "log",
        "vars",
        "request",
        "reply",
        "transport",
        "tm",
        "rr",
        "registrar",
        "auth",
        "dialog",
        "htable",
        "erlang",
        "rpc",
        "dmq",
        "uac",
    ];
    answers_options_and_relays_a_message("options-js", &grants);
}
