//! Stories of requests and calls through an engine with a small guest, over real sockets on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use support::{Phone, Site, TcpPhone, answer, in_dialog, text};
use switchhook_sip::message::{HeaderId, Rport};

#[test]
fn options_is_answered_by_the_guest_without_a_transaction() {
    let site = Site::new();
    let alice = Phone::new("alice");
    let options = alice.request("OPTIONS", "sip:127.0.0.1", "o1", "");
    alice.send(site.udp, &options);
    let ok = alice.status(200);
    assert_eq!(ok.header(HeaderId::Server), Some(&b"switchhook-test"[..]));
    assert!(ok.to().unwrap().tag().is_some());
    let via = ok.via().unwrap();
    assert_eq!(via.rport(), Some(Rport::Filled(alice.address.port())));
    assert_eq!(via.received(), Some(alice.address.ip()));
    site.counts("guest.calls", 1);
    let stats = site.engine.stats();
    assert_eq!(
        stats.value("transactions.created"),
        stats.value("guest.suspended"),
        "none but for a guest that was stopped because the machine is busy"
    );
    site.engine.stop();
}

#[test]
fn a_call_is_relayed_both_ways_and_stays_on_the_path() {
    let site = Site::new();
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "c1", ""));
    alice.status(100);
    let invite = bob.gets("INVITE");
    assert_eq!(invite.values(HeaderId::Via).count(), 2);
    assert_eq!(invite.max_forwards(), Some(Ok(69)));
    let record_route = invite.header(HeaderId::RecordRoute).unwrap();
    assert!(String::from_utf8_lossy(record_route).contains(&format!("{};lr", site.udp)));
    bob.answer(site.udp, &invite, 180);
    bob.answer(site.udp, &invite, 200);
    assert_eq!(alice.status(180).values(HeaderId::Via).count(), 1);
    let ok = alice.status(200);
    alice.send(site.udp, &in_dialog(&alice, "ACK", 1, &ok));
    let ack = bob.gets("ACK");
    assert!(
        ack.header(HeaderId::Route).is_none(),
        "our Route is taken off"
    );
    alice.send(site.udp, &in_dialog(&alice, "BYE", 2, &ok));
    let bye = bob.gets("BYE");
    bob.answer(site.udp, &bye, 200);
    alice.status(200);
    site.counts("transactions.created", 2);
    site.engine.stop();
}

#[test]
fn a_copy_of_an_invite_is_absorbed_and_cancel_ends_it() {
    let site = Site::new();
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let invite = alice.request("INVITE", &bob.uri(), "c2", "");
    alice.send(site.udp, &invite);
    alice.status(100);
    let first = bob.gets("INVITE");
    alice.send(site.udp, &invite);
    alice.status(100);
    bob.answer(site.udp, &first, 180);
    alice.status(180);
    let cancel = invite
        .replace("INVITE sip", "CANCEL sip")
        .replace("1 INVITE", "1 CANCEL");
    alice.send(site.udp, &cancel);
    alice.status(200);
    let cancel = bob.gets("CANCEL");
    bob.answer(site.udp, &cancel, 200);
    bob.answer(site.udp, &first, 487);
    bob.gets("ACK");
    alice.status(487);
    site.counts("guest.calls", 1);
    site.engine.stop();
}

#[test]
fn busy_goes_to_the_failure_route_and_a_second_phone() {
    let site = Site::new();
    let (alice, bob, carol) = (Phone::new("alice"), Phone::new("bob"), Phone::new("carol"));
    let second = format!("X-Second: {}\r\n", carol.uri());
    alice.send(
        site.udp,
        &alice.request("INVITE", &bob.uri(), "c3", &second),
    );
    alice.status(100);
    let invite = bob.gets("INVITE");
    bob.answer(site.udp, &invite, 486);
    bob.gets("ACK");
    let invite = carol.gets("INVITE");
    assert_eq!(
        String::from_utf8_lossy(invite.request_uri()),
        carol.uri(),
        "{}",
        text(&invite)
    );
    assert_eq!(
        invite.values(HeaderId::Via).count(),
        2,
        "the first branch's Via is not here"
    );
    carol.answer(site.udp, &invite, 200);
    alice.status(200);
    site.engine.stop();
}

#[test]
fn busy_without_a_second_phone_is_what_the_caller_hears() {
    let site = Site::new();
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "c4", ""));
    alice.status(100);
    let invite = bob.gets("INVITE");
    bob.answer(site.udp, &invite, 486);
    bob.gets("ACK");
    alice.status(486);
    site.engine.stop();
}

#[test]
fn a_phone_that_is_off_fails_at_once_and_the_second_one_rings() {
    let site = Site::new();
    let (alice, carol) = (Phone::new("alice"), Phone::new("carol"));
    let off = Phone::new("bob").uri();
    let second = format!("X-Second: {}\r\n", carol.uri());
    alice.send(site.udp, &alice.request("INVITE", &off, "c5", &second));
    alice.status(100);
    let invite = carol.gets("INVITE");
    carol.answer(site.udp, &invite, 200);
    alice.status(200);
    // Without a second one, the caller is told.
    alice.send(site.udp, &alice.request("INVITE", &off, "c6", ""));
    alice.status(100);
    // A 503 that is not about us goes upstream as 500 (RFC 3261 16.7 step 6).
    alice.status(500);
    site.engine.stop();
}

#[test]
fn a_target_that_cant_be_sent_to_goes_to_the_failure_route_too() {
    let site = Site::new();
    let (alice, carol) = (Phone::new("alice"), Phone::new("carol"));
    let second = format!("X-Second: {}\r\n", carol.uri());
    let nowhere = "sip:bob@127.0.0.1;transport=tls";
    alice.send(site.udp, &alice.request("INVITE", nowhere, "c7", &second));
    let invite = carol.gets("INVITE");
    carol.answer(site.udp, &invite, 200);
    alice.status(100);
    alice.status(200);
    site.engine.stop();
}

#[test]
fn a_call_from_tcp_to_udp_has_both_sides_in_its_record_route() {
    let site = Site::new();
    let bob = Phone::new("bob");
    let mut alice = TcpPhone::new(site.tcp);
    let on_udp = Phone::new("alice");
    let invite = on_udp
        .request("INVITE", &bob.uri(), "t1", "")
        .replace("SIP/2.0/UDP", "SIP/2.0/TCP")
        .replace(&on_udp.address.to_string(), &alice.address().to_string());
    alice.send(&invite);
    assert_eq!(alice.receive().status(), 100);
    let invite = bob.gets("INVITE");
    assert_eq!(
        invite.values(HeaderId::RecordRoute).count(),
        2,
        "{}",
        text(&invite)
    );
    bob.answer(site.udp, &invite, 200);
    let ok = alice.receive();
    assert_eq!(ok.status(), 200);
    let ack = in_dialog(&on_udp, "ACK", 1, &ok).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    alice.send(&ack);
    let ack = bob.gets("ACK");
    assert!(
        ack.header(HeaderId::Route).is_none(),
        "both of ours are taken off: {}",
        text(&ack)
    );
    // The called phone hangs up: the other way through both, over the caller's own connection.
    let bye = format!(
        "BYE sip:alice@{};transport=tcp SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKbye\r\nMax-Forwards: 70\r\n\
         Route: <sip:{};lr>\r\nFrom: <sip:bob@example.test>;tag=callee\r\nTo: <sip:alice@example.test>;tag=t1\r\n\
         Call-ID: t1\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n",
        alice.address(),
        bob.address,
        site.udp,
    );
    bob.send(site.udp, &bye);
    let bye = alice.receive();
    assert_eq!(bye.method().as_str(), "BYE");
    alice.send(&answer(&bye, 200, "sip:alice@127.0.0.1"));
    bob.status(200);
    site.counts("net.tcp.connected", 0);
    site.engine.stop();
}

#[test]
fn what_cant_be_read_is_answered_where_it_can_be() {
    let site = Site::new();
    let alice = Phone::new("alice");
    let good = alice.request("OPTIONS", "sip:127.0.0.1", "m1", "");
    alice.send(site.udp, "garbage\r\n\r\n");
    alice.send(
        site.udp,
        &good.replace("CSeq: 1 OPTIONS", "CSeq: one OPTIONS"),
    );
    alice.status(400);
    alice.send(site.udp, &good.replace("Call-ID: m1\r\n", ""));
    alice.status(400);
    alice.send(site.udp, "SIP/2.0 200 OK\r\nVia: nonsense\r\n\r\n");
    alice.send(site.udp, &good);
    alice.status(200);
    site.counts("drop.malformed_answered", 2);
    site.engine.stop();
}

#[test]
fn the_kernel_gives_every_datagram_to_the_lane_of_its_call() {
    let site = Site::with(support::Plan {
        lanes: 4,
        ..support::Plan::default()
    });
    for n in 0..40 {
        // Others than before, so that addresses don't happen to be right.
        let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
        let call = format!("lane-{n}");
        alice.send(site.udp, &alice.request("INVITE", &bob.uri(), &call, ""));
        alice.status(100);
        let invite = bob.gets("INVITE");
        bob.answer(site.udp, &invite, 200);
        let ok = alice.status(200);
        alice.send(site.udp, &in_dialog(&alice, "ACK", 1, &ok));
        bob.gets("ACK");
    }
    site.counts("net.udp.in", 40 * 3);
    assert_eq!(site.engine.stats().value("lanes.handed_over"), 0);
    site.engine.stop();
}

#[test]
fn every_call_finds_its_lane_wherever_the_kernel_puts_its_datagrams() {
    let site = Site::with(support::Plan {
        lanes: 4,
        ..support::Plan::default()
    });
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    // The kernel does not look for the compact form, and goes by addresses.
    let compact = |text: &str| text.replace("\r\nCall-ID: ", "\r\ni: ");
    for n in 0..40 {
        let call = format!("lane-{n}");
        let invite = alice.request("INVITE", &bob.uri(), &call, "");
        alice.send(site.udp, &compact(&invite));
        alice.status(100);
        let invite = bob.gets("INVITE");
        bob.send(site.udp, &compact(&answer(&invite, 200, &bob.uri())));
        let ok = alice.status(200);
        alice.send(site.udp, &compact(&in_dialog(&alice, "ACK", 1, &ok)));
        bob.gets("ACK");
    }
    assert!(
        site.engine.stats().value("lanes.handed_over") > 0,
        "two sockets can't have been on the right lane each time"
    );
    site.engine.stop();
}

#[test]
fn while_it_drains_only_dialogs_go_on() {
    let site = Site::new();
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "d1", ""));
    alice.status(100);
    let invite = bob.gets("INVITE");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let drained = runtime.block_on(site.engine.drain(Duration::from_millis(100)));
    assert_eq!(drained.left, 1, "the call still rings");
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "d2", ""),
    );
    let refused = alice.status(503);
    assert!(refused.header(HeaderId::RetryAfter).is_some());
    bob.answer(site.udp, &invite, 200);
    let ok = alice.status(200);
    let drained = runtime.block_on(site.engine.drain(support::PATIENCE));
    assert_eq!(
        drained.left, 0,
        "what only absorbs copies is not waited for"
    );
    alice.send(site.udp, &in_dialog(&alice, "BYE", 2, &ok));
    let bye = bob.gets("BYE");
    bob.answer(site.udp, &bye, 200);
    alice.status(200);
    site.engine.stop();
}

#[test]
fn a_request_that_took_two_ways_here_is_refused_the_second_time() {
    // A registrar in one line: it accepts everything.
    let wat = r#"
        (import "switchhook:script/tm@0.1.0" "reply"
            (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
    let routes = r#"
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin
            (call $reply (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))
            (call $done))"#;
    let guest = support::guest(&["request-route"], wat, routes);
    let site = Site::running(support::Plan::default(), &guest);
    let alice = Phone::new("alice");
    let request = alice.request("MESSAGE", "sip:127.0.0.1", "m1", "");
    alice.send(site.udp, &request);
    alice.status(200);
    alice.send(site.udp, &request.replace("z9hG4bK-", "z9hG4bK-other-"));
    alice.status(482);
    // A REGISTER is answered without state, with credentials too: the registrar knows the copy by Call-ID and CSeq.
    let credentials = "Authorization: Digest username=\"alice\"\r\n";
    let request = alice.request("REGISTER", "sip:127.0.0.1", "r1", credentials);
    for _ in 0..2 {
        alice.send(site.udp, &request);
        alice.status(200);
    }
    site.counts("transactions.created", 1);
    site.engine.stop();
}

#[test]
fn a_spiral_is_no_merged_request() {
    let site = Site::new();
    let (alice, bob, carol) = (Phone::new("alice"), Phone::new("bob"), Phone::new("carol"));
    let first = alice.request("MESSAGE", &bob.uri(), "s1", "");
    alice.send(site.udp, &first);
    let at_bob = bob.gets("MESSAGE");
    // Bob sends it on to carol, through us.
    let on = first
        .replace(
            &format!("MESSAGE {}", bob.uri()),
            &format!("MESSAGE {}", carol.uri()),
        )
        .replace("z9hG4bK-", "z9hG4bK-bob-");
    bob.send(site.udp, &on);
    let at_carol = carol.gets("MESSAGE");
    carol.answer(site.udp, &at_carol, 200);
    bob.answer(site.udp, &at_bob, 202);
    site.counts("replies.sent.4xx", 0);
    site.engine.stop();
}

#[test]
fn behind_nat_peers_see_what_is_advertised_and_both_names_mean_us() {
    let advertise = |text: &str, port| switchhook_net::Listen {
        advertise: Some(("sip.example.test".to_owned(), port)),
        ..text.parse().unwrap()
    };
    let listen = [("udp:0.0.0.0:0", 5060), ("tcp:127.0.0.1:0", 5070)];
    let site = Site::with(support::Plan {
        listen: listen.map(|(text, port)| advertise(text, port)).into(),
        ..support::Plan::default()
    });
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    let udp = "<sip:sip.example.test:5060;lr>";
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "n1", ""));
    alice.status(100);
    let invite = bob.gets("INVITE");
    let via = invite.via().unwrap();
    assert_eq!((via.host, via.port), (&b"sip.example.test"[..], Some(5060)));
    let routes: Vec<_> = invite.values(HeaderId::RecordRoute).collect();
    assert_eq!(
        routes,
        [udp.as_bytes()],
        "one, whichever address it left from"
    );
    bob.answer(site.udp, &invite, 200);
    let ok = alice.status(200);
    // The name and the address lead to us, and are taken off.
    for (cseq, route) in [(2, udp.to_owned()), (3, format!("<sip:{};lr>", site.udp))] {
        let bye = in_dialog(&alice, "BYE", cseq, &ok).replace(udp, &route);
        alice.send(site.udp, &bye);
        let bye = bob.gets("BYE");
        assert!(bye.header(HeaderId::Route).is_none(), "{}", text(&bye));
        bob.answer(site.udp, &bye, 200);
        alice.status(200);
    }
    // Between transports each side has the name with its own port.
    let mut by_tcp = TcpPhone::new(site.tcp);
    let invite = alice.request("INVITE", &bob.uri(), "n2", "");
    by_tcp.send(&invite.replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    let invite = bob.gets("INVITE");
    let routes: Vec<_> = invite.values(HeaderId::RecordRoute).collect();
    let both = [
        "<sip:sip.example.test:5060;lr;r2=on>",
        "<sip:sip.example.test:5070;transport=tcp;lr;r2=on>",
    ];
    assert_eq!(routes, both.map(str::as_bytes));
    site.engine.stop();
}
