//! Kamailio as the proxy before and behind the daemon.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_tests::{Kamailio, Party, Peer, Place, Setup, beside, has};

/// Caller and callee of each call that is tried.
const STORIES: [(&str, &str); 3] = [
    ("uac-call", "uas-answer"),
    ("uac-cancel", "uas-ring"),
    ("uac-is-hung-up", "uas-hangs-up"),
];

/// Bob's phone is behind Kamailio: the daemon's next hop.
fn kamailio_is_the_next_hop(transport: &str) {
    let _beside = beside();
    if !has("sipp") || !has("kamailio") {
        return;
    }
    for (caller, callee) in STORIES {
        let place = Place::new();
        let daemon = Setup::open(&place).start();
        let bob = Party::new(&place, callee, 5070);
        let _kamailio = Kamailio::hop(&place, place.at(5062), &bob.contact("bob"));
        let contact = format!("sip:bob@{};transport={transport}", place.at(5062));
        Peer::new(&place, 5099).registers("bob", &contact, place.at(5060));
        let mut bob = bob.waits();
        Party::new(&place, caller, 5080)
            .calls_user("bob", place.at(5060))
            .done();
        bob.done();
        daemon.stop();
    }
}

/// Alice's calls come by way of Kamailio.
fn kamailio_is_the_previous_hop(transport: &str) {
    let _beside = beside();
    if !has("sipp") || !has("kamailio") {
        return;
    }
    for (caller, callee) in STORIES {
        let place = Place::new();
        let daemon = Setup::open(&place).start();
        let next = format!("sip:{};transport={transport}", place.at(5060));
        let _kamailio = Kamailio::hop(&place, place.at(5062), &next);
        let bob = Party::new(&place, callee, 5070);
        Peer::new(&place, 5099).registers("bob", &bob.contact("bob"), place.at(5060));
        let mut bob = bob.waits();
        Party::new(&place, caller, 5080)
            .calls_user("bob", place.at(5062))
            .done();
        bob.done();
        daemon.stop();
    }
}

#[test]
fn calls_go_on_to_kamailio_over_udp() {
    kamailio_is_the_next_hop("udp");
}

#[test]
fn calls_go_on_to_kamailio_over_tcp() {
    kamailio_is_the_next_hop("tcp");
}

#[test]
fn calls_come_from_kamailio_over_udp() {
    kamailio_is_the_previous_hop("udp");
}

#[test]
fn calls_come_from_kamailio_over_tcp() {
    kamailio_is_the_previous_hop("tcp");
}
