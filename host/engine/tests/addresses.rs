//! Stories of a next hop with several addresses, where the first is not the one that answers (RFC 3263 4.3).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::net::TcpListener;
use std::time::Duration;

use support::{Phone, Plan, Site, TcpPhone, answer, name_server, text};
use switchhook_sip::message::HeaderId;
use switchhook_sip::transaction::Timers;

/// A site whose DNS says that every name is at these addresses of this machine.
fn site(last_bytes: &[u8], timers: Timers) -> Site {
    let addresses: Vec<[u8; 4]> = last_bytes.iter().map(|last| [127, 0, 0, *last]).collect();
    Site::with(Plan {
        dns: name_server(&addresses),
        timers,
        ..Plan::default()
    })
}

/// A name where the phone's port is open.
fn named(phone: &Phone) -> String {
    format!("sip:bob@phones.test:{}", phone.address.port())
}

#[test]
fn a_call_goes_past_the_addresses_that_are_off() {
    let site = site(&[77, 78, 1], Timers::default());
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(site.udp, &alice.request("INVITE", &named(&bob), "a1", ""));
    alice.status(100);
    let invite = bob.gets("INVITE");
    assert_eq!(
        invite.values(HeaderId::Via).count(),
        2,
        "each try is written anew: {}",
        text(&invite)
    );
    assert_eq!(invite.values(HeaderId::RecordRoute).count(), 1);
    bob.answer(site.udp, &invite, 200);
    alice.status(200);
    site.counts("relay.next_address", 2);
    site.engine.stop();
}

#[test]
fn a_server_that_says_503_is_followed_by_the_next_and_nobody_upstream_hears_of_it() {
    let site = site(&[2, 1], Timers::default());
    let (alice, second) = (Phone::new("alice"), Phone::new("bob"));
    let first = format!("127.0.0.2:{}", second.address.port());
    let first = Phone::at("bob", first.parse().unwrap());
    alice.send(
        site.udp,
        &alice.request("INVITE", &named(&second), "a2", ""),
    );
    alice.status(100);
    let invite = first.gets("INVITE");
    first.answer(site.udp, &invite, 503);
    first.gets("ACK");
    let again = second.gets("INVITE");
    assert_ne!(
        invite.via().unwrap().branch(),
        again.via().unwrap().branch(),
        "a client transaction of its own"
    );
    second.answer(site.udp, &again, 486);
    second.gets("ACK");
    alice.status(486);
    site.engine.stop();
}

#[test]
fn a_server_that_is_silent_is_followed_by_the_next() {
    let timers = Timers {
        b: Duration::from_millis(300),
        ..Timers::default()
    };
    let site = site(&[2, 1], timers);
    let (alice, second) = (Phone::new("alice"), Phone::new("bob"));
    let first = format!("127.0.0.2:{}", second.address.port());
    let first = Phone::at("bob", first.parse().unwrap());
    alice.send(
        site.udp,
        &alice.request("INVITE", &named(&second), "a3", ""),
    );
    alice.status(100);
    first.gets("INVITE");
    let invite = second.gets("INVITE");
    second.answer(site.udp, &invite, 200);
    alice.status(200);
    site.engine.stop();
}

#[test]
fn the_failure_route_comes_when_no_address_is_left() {
    let site = site(&[77, 78], Timers::default());
    let (alice, carol) = (Phone::new("alice"), Phone::new("carol"));
    let second = format!("X-Second: {}\r\n", carol.uri());
    alice.send(
        site.udp,
        &alice.request("INVITE", &named(&carol), "a4", &second),
    );
    alice.status(100);
    let invite = carol.gets("INVITE");
    carol.answer(site.udp, &invite, 200);
    alice.status(200);
    site.counts("relay.next_address", 1);
    site.engine.stop();
}

/// A header line that no datagram should carry.
fn long() -> String {
    format!("X-Long: {}\r\n", "long ".repeat(250))
}

#[test]
fn a_request_too_long_for_a_datagram_goes_by_tcp() {
    let site = Site::new();
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let listener = TcpListener::bind(bob.address).unwrap();
    alice.send(
        site.udp,
        &alice.request("INVITE", &bob.uri(), "l1", &long()),
    );
    alice.status(100);
    let mut by_tcp = TcpPhone::of(listener.accept().unwrap().0);
    let invite = by_tcp.receive();
    assert_eq!(invite.via().unwrap().transport, b"TCP");
    assert_eq!(
        invite.values(HeaderId::RecordRoute).count(),
        2,
        "both sides of us: {}",
        text(&invite)
    );
    by_tcp.send(&answer(&invite, 200, &bob.uri()));
    alice.status(200);
    // One that fits stays as it is.
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "l2", ""));
    alice.status(100);
    assert_eq!(bob.gets("INVITE").via().unwrap().transport, b"UDP");
    site.engine.stop();
}

#[test]
fn a_peer_without_tcp_gets_its_long_requests_by_udp_after_all() {
    let site = Site::new();
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    for (call, tried) in [("l3", 1), ("l4", 1)] {
        alice.send(
            site.udp,
            &alice.request("INVITE", &bob.uri(), call, &long()),
        );
        alice.status(100);
        let invite = bob.gets("INVITE");
        assert_eq!(invite.via().unwrap().transport, b"UDP");
        bob.answer(site.udp, &invite, 200);
        alice.status(200);
        // The second time nobody tries a connection again.
        site.counts("relay.next_address", tried);
    }
    site.engine.stop();
}
