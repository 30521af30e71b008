//! A whole call, datagram by datagram: what the daemon sends reads well in Wireshark's dissector, and the exact bytes that matter to
//! the parties are there.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::time::Duration;

use switchhook_tests::{Capture, Kamailio, Peer, Place, Setup, answer, beside, has, status};

/// The value of a header field's first line.
fn field<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in\n{message}"))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("ASCII was sent")
}

#[test]
fn a_call_reads_well_in_wireshark() {
    let _beside = beside();
    if !has("tshark") {
        return;
    }
    let place = Place::new();
    let daemon = Setup::open(&place).start();
    a_call(&place);
    daemon.stop();
}

/// That the story itself is right.
#[test]
fn the_same_call_through_kamailio_reads_well() {
    let _beside = beside();
    if !has("tshark") || !has("kamailio") {
        return;
    }
    let place = Place::new();
    let _kamailio = Kamailio::registrar(&place, place.at(5060), 5000);
    a_call(&place);
}

fn a_call(place: &Place) {
    let proxy = place.at(5060);
    let (alice, bob) = (Peer::new(place, 5080), Peer::new(place, 5070));
    let mut capture = Capture::default();
    bob.registers("bob", &format!("sip:bob@{}", bob.at()), proxy);

    let contact = format!("Contact: <sip:alice@{}>\r\n", alice.at());
    let invite = alice.request("INVITE", "sip:bob@example.test", "alice", &contact);
    alice.send(invite.as_bytes(), proxy);
    let mut heard = |peer: &Peer| {
        let bytes = peer.receive();
        capture.add(proxy, peer.at(), &bytes);
        text(bytes)
    };
    let trying = heard(&alice);
    assert_eq!(status(&trying), 100, "{trying}");
    let rings = heard(&bob);
    // to the registered contact, by way of the proxy, one hop less, and all else as Alice wrote it
    assert!(
        rings.starts_with(&format!("INVITE sip:bob@{} SIP/2.0\r\n", bob.at())),
        "{rings}"
    );
    assert_eq!(field(&rings, "Max-Forwards"), "69");
    for name in ["From", "To", "Call-ID", "CSeq", "Contact"] {
        assert_eq!(field(&rings, name), field(&invite, name), "{name}");
    }
    let route = field(&rings, "Record-Route").to_owned();
    assert!(
        route.contains(&proxy.ip().to_string()) && route.contains(";lr"),
        "{route}"
    );

    let contact = format!("Contact: <sip:bob@{}>\r\n", bob.at());
    bob.send(&answer(&rings, "180 Ringing", "b1", &contact), proxy);
    let ringing = heard(&alice);
    assert_eq!(status(&ringing), 180, "{ringing}");
    bob.send(&answer(&rings, "200 OK", "b1", &contact), proxy);
    let ok = heard(&alice);
    assert_eq!(status(&ok), 200, "{ok}");
    assert_eq!(
        ok.matches("Via: ").count(),
        1,
        "the proxy's Via is gone: {ok}"
    );
    assert_eq!(field(&ok, "Record-Route"), route);

    let within = |method: &str, sequence: u32| {
        let to = format!("To: <sip:bob@example.test>;tag=b1\r\nRoute: {route}");
        let request = alice.request(method, &format!("sip:bob@{}", bob.at()), "alice", "");
        let request = request.replace(&format!("To: <sip:bob@{}>", bob.at()), &to);
        let request = request.replace(field(&request, "Call-ID"), field(&invite, "Call-ID"));
        let request = request.replace(field(&request, "From"), field(&invite, "From"));
        request.replace(
            &format!("CSeq: 1 {method}"),
            &format!("CSeq: {sequence} {method}"),
        )
    };
    alice.send(within("ACK", 1).as_bytes(), proxy);
    let ack = heard(&bob);
    assert!(
        ack.starts_with("ACK ") && !ack.contains("\r\nRoute:"),
        "{ack}"
    );
    alice.send(within("BYE", 2).as_bytes(), proxy);
    let bye = heard(&bob);
    assert!(
        bye.starts_with("BYE ") && !bye.contains("\r\nRoute:"),
        "{bye}"
    );
    bob.send(&answer(&bye, "200 OK", "", ""), proxy);
    let over = heard(&alice);
    assert_eq!((status(&over), field(&over, "CSeq")), (200, "2 BYE"));
    assert_eq!(
        alice.receive_within(Duration::from_millis(50)),
        None,
        "nothing more"
    );

    let (messages, complaints) = capture.dissect(place);
    assert_eq!(
        messages,
        ["100", "INVITE", "180", "200", "ACK", "BYE", "200"]
    );
    assert_eq!(complaints, [""; 0]);
}
