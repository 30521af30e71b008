//! Phones with passwords, digest authentication on, as examples/default is shipped: real ones (pjsua2), and one whose answers are lost.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use serde_json::Value;
use switchhook_sip::digest::{Login, respond};
use switchhook_tests::{Daemon, Peer, Phone, Place, Setup, beside, line, status, stories};

fn two_phones(transport: &str) {
    let _beside = beside();
    if !Phone::available() {
        return;
    }
    let place = Place::new();
    let daemon = Setup::default(&place).start();
    stories::two_phones(&place, transport, stories::password);
    daemon.stop();
}

#[test]
fn two_phones_register_call_hang_up_and_write_over_udp() {
    two_phones("udp");
}

#[test]
fn two_phones_register_call_hang_up_and_write_over_tcp() {
    two_phones("tcp");
}

#[test]
fn a_phone_with_a_wrong_password_does_not_get_in() {
    let _beside = beside();
    if !Phone::available() {
        return;
    }
    let place = Place::new();
    let daemon = Setup::default(&place).start();
    let mallory = Phone::new(
        &place,
        "alice",
        "not her password",
        5081,
        "udp",
        place.at(5060),
    );
    let refused = mallory.hears("refused");
    assert!(
        refused == "refused 401" || refused == "refused 403",
        "{refused}"
    );
    daemon.stop();
}

const REGISTRAR: &str = "sip:example.test";

/// Alice's phone answers the challenge to `register` and makes it the request of that number.
fn answered(register: &str, challenge: &str, cseq: u32) -> String {
    let login = Login {
        user: "alice",
        password: "alice-secret",
    };
    let challenge = line(challenge, "WWW-Authenticate");
    let value = respond(
        [challenge.as_bytes()],
        login,
        b"REGISTER",
        REGISTRAR.as_bytes(),
        "cafe",
    );
    let authorization = format!(
        "Authorization: {}\r\nContent-Length",
        value.expect("an answer")
    );
    register
        .replace("Content-Length", &authorization)
        .replace("CSeq: 1", &format!("CSeq: {cseq}"))
        .replace("branch=z9hG4bK", &format!("branch=z9hG4bK{cseq}-"))
}

fn registers_of(phone: &Peer) -> String {
    let contact = format!("Contact: <sip:alice@{}>\r\nExpires: 600\r\n", phone.at());
    phone
        .request("REGISTER", REGISTRAR, "alice", &contact)
        .replace("To: <sip:example.test>", "To: <sip:alice@example.test>")
}

fn transactions(daemon: &Daemon) -> Value {
    let stats = daemon.admin(&["rpc", "stats.get", "prefix=transactions."]);
    let stats: Value = serde_json::from_str(&stats).expect("the numbers");
    stats["transactions.created"].clone()
}

#[test]
fn a_register_whose_answer_was_lost_is_answered_again_and_leaves_no_transaction() {
    let _beside = beside();
    let place = Place::new();
    let daemon = Setup::default(&place).start();
    let (phone, registrar) = (Peer::new(&place, 5080), place.at(5060));
    let first = registers_of(&phone);
    let (challenged, challenge) = phone.ask(&first, registrar);
    assert_eq!(challenged, 401, "{challenge}");
    let register = answered(&first, &challenge, 2);
    let (accepted, answer) = phone.ask(&register, registrar);
    assert_eq!(accepted, 200, "{answer}");
    for _ in 0..3 {
        let (_, again) = phone.ask(&register, registrar);
        // a second may have passed
        let lives = |text: &str| text.replace("expires=599", "expires=600");
        assert_eq!(lives(&again), lives(&answer));
    }
    assert_eq!(transactions(&daemon), 0);
    daemon.stop();
}

#[test]
fn who_has_seen_a_register_can_do_nothing_with_it() {
    let _beside = beside();
    let place = Place::new();
    let daemon = Setup::default(&place).start();
    let (phone, registrar) = (Peer::new(&place, 5080), place.at(5060));
    let first = registers_of(&phone);
    let (_, challenge) = phone.ask(&first, registrar);
    let register = answered(&first, &challenge, 2);
    let (accepted, answer) = phone.ask(&register, registrar);
    assert_eq!(accepted, 200, "{answer}");
    // From elsewhere the very bytes are a replay. The Via says where the answer goes to.
    let mallory = Peer::new(&place, 5081);
    mallory.send(register.as_bytes(), registrar);
    let refused = String::from_utf8_lossy(&phone.receive()).into_owned();
    assert_eq!(status(&refused), 401, "{refused}");
    assert!(refused.contains("stale=true"), "{refused}");
    // From here another request with the same credentials is one.
    for (what, other) in [
        ("CSeq", register.replace("CSeq: 2", "CSeq: 3")),
        ("Call-ID", register.replace("Call-ID: ", "Call-ID: other-")),
        (
            "Contact",
            register.replace("Contact: <sip:alice@", "Contact: <sip:mallory@"),
        ),
        (
            "branch",
            register.replace("branch=z9hG4bK", "branch=z9hG4bKother-"),
        ),
    ] {
        assert_ne!(other, register, "{what}");
        let (refused, answer) = phone.ask(&other, registrar);
        assert_eq!(refused, 401, "{what}: {answer}");
        assert!(answer.contains("stale=true"), "{what}: {answer}");
    }
    // What the phone has done since is not undone by a copy that comes late.
    let (_, challenge) = phone.ask(&registers_of(&phone), registrar);
    let removes = answered(&first.replace("Expires: 600", "Expires: 0"), &challenge, 3);
    let (removed, answer) = phone.ask(&removes, registrar);
    assert_eq!(removed, 200, "{answer}");
    assert!(!answer.contains("Contact:"), "{answer}");
    let (late, answer) = phone.ask(&register, registrar);
    assert_eq!(late, 500, "{answer}");
    let (_, challenge) = phone.ask(&registers_of(&phone), registrar);
    let asks = answered(&registers_of(&phone), &challenge, 2);
    let asks: String = asks
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Contact:"))
        .collect();
    let (found, answer) = phone.ask(&asks, registrar);
    assert_eq!(found, 200, "{answer}");
    assert!(!answer.contains("Contact:"), "{answer}");
    daemon.stop();
}
