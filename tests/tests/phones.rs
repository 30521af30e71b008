//! Real phones (pjsua2), digest authentication on, as examples/default is shipped.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_tests::{Phone, Place, Setup, beside, stories};

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
