//! The scenarios themselves, tried against Kamailio in the daemon's place: one that is wrong is found here, and not held
//! against the daemon.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_tests::{Kamailio, Phone, Place, beside, has, stories};

#[test]
fn every_scenario_holds_against_kamailio() {
    let _beside = beside();
    if !has("sipp") || !has("kamailio") {
        return;
    }
    for (name, story) in stories::STORIES {
        eprintln!("{name}");
        let place = Place::new();
        let _kamailio = Kamailio::registrar(&place, place.at(5060), 1500);
        story(&place);
    }
}

#[test]
fn two_phones_call_each_other_through_kamailio() {
    let _beside = beside();
    if !Phone::available() || !has("kamailio") {
        return;
    }
    for transport in ["udp", "tcp"] {
        let place = Place::new();
        let _kamailio = Kamailio::registrar(&place, place.at(5060), 5000);
        stories::two_phones(&place, transport, stories::password);
    }
}
