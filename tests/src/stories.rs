//! Stories that are told of more than one proxy: whatever listens at port 5060 of the place serves example.test as examples/default
//! does, without authentication unless a password is given.

use crate::{Party, Peer, Phone, Place};

/// A story and its name.
pub type Story = (&'static str, fn(&Place));

/// Every story of calls.
pub const STORIES: &[Story] = &[
    ("a call over UDP", call_over_udp),
    ("a call over TCP", call_over_tcp),
    ("a call from UDP to TCP", call_from_udp_to_tcp),
    ("a call from TCP to UDP", call_from_tcp_to_udp),
    ("the callee hangs up", callee_hangs_up),
    (
        "the callee hangs up, from TCP to UDP",
        callee_hangs_up_from_tcp_to_udp,
    ),
    ("a call put on hold", call_on_hold),
    (
        "a call put on hold, from UDP to TCP",
        call_on_hold_from_udp_to_tcp,
    ),
    ("the caller gives up", caller_gives_up),
    ("the caller gives up, over TCP", caller_gives_up_over_tcp),
    ("the callee is busy", callee_is_busy),
    ("the busy callee has a second phone", busy_goes_to_second),
    (
        "the silent callee has a second phone",
        no_answer_goes_to_second,
    ),
    ("a text", text),
];

/// Both by UDP.
pub fn call_over_udp(place: &Place) {
    call(place, ("uac-call", "udp"), ("uas-answer", "udp"));
}

/// Both by TCP.
pub fn call_over_tcp(place: &Place) {
    call(place, ("uac-call", "tcp"), ("uas-answer", "tcp"));
}

/// The proxy stands between UDP and TCP.
pub fn call_from_udp_to_tcp(place: &Place) {
    call(place, ("uac-call", "udp"), ("uas-answer", "tcp"));
}

/// The proxy stands between TCP and UDP.
pub fn call_from_tcp_to_udp(place: &Place) {
    call(place, ("uac-call", "tcp"), ("uas-answer", "udp"));
}

/// The BYE comes from the other side.
pub fn callee_hangs_up(place: &Place) {
    call(place, ("uac-is-hung-up", "udp"), ("uas-hangs-up", "udp"));
}

/// The callee's BYE goes from UDP to the caller's TCP.
pub fn callee_hangs_up_from_tcp_to_udp(place: &Place) {
    call(place, ("uac-is-hung-up", "tcp"), ("uas-hangs-up", "udp"));
}

/// A re-INVITE within the call.
pub fn call_on_hold(place: &Place) {
    call(place, ("uac-reinvite", "udp"), ("uas-reinvite", "udp"));
}

/// A re-INVITE that changes the transport on its way.
pub fn call_on_hold_from_udp_to_tcp(place: &Place) {
    call(place, ("uac-reinvite", "udp"), ("uas-reinvite", "tcp"));
}

/// CANCEL, 487.
pub fn caller_gives_up(place: &Place) {
    call(place, ("uac-cancel", "udp"), ("uas-ring", "udp"));
}

/// CANCEL, 487, by TCP.
pub fn caller_gives_up_over_tcp(place: &Place) {
    call(place, ("uac-cancel", "tcp"), ("uas-ring", "tcp"));
}

/// 486.
pub fn callee_is_busy(place: &Place) {
    call(place, ("uac-busy", "udp"), ("uas-busy", "udp"));
}

/// MESSAGE.
pub fn text(place: &Place) {
    call(place, ("uac-message", "udp"), ("uas-message", "udp"));
}

/// Alice's scenario against Bob's, each by its transport.
fn call(place: &Place, caller: (&str, &str), callee: (&str, &str)) {
    let proxy = place.at(5060);
    let bob = Party::new(place, callee.0, 5070).by(callee.1);
    Peer::new(place, 5099).registers("bob", &bob.contact("bob"), proxy);
    let mut bob = bob.waits();
    let mut alice = Party::new(place, caller.0, 5080)
        .by(caller.1)
        .calls_user("bob", proxy);
    alice.done();
    let stats = bob.done();
    assert_eq!(stats.successful, 1);
}

/// A busy phone, and another where its calls go: `bob-second`.
pub fn busy_goes_to_second(place: &Place) {
    to_second(place, "uas-busy");
}

/// A phone that nobody answers, and another where its calls go.
pub fn no_answer_goes_to_second(place: &Place) {
    to_second(place, "uas-ring");
}

fn to_second(place: &Place, first: &str) {
    let proxy = place.at(5060);
    let desk = Party::new(place, first, 5070);
    let second = Party::new(place, "uas-answer", 5071);
    let peer = Peer::new(place, 5099);
    peer.registers("bob", &desk.contact("bob"), proxy);
    peer.registers("bob-second", &second.contact("bob"), proxy);
    let (mut desk, mut second) = (desk.waits(), second.waits());
    // an answer that came from the second phone ends the call well; Alice hears it ring once or twice
    let mut alice = Party::new(place, "uac-second", 5080).calls_user("bob", proxy);
    alice.done();
    desk.done();
    second.done();
}

/// The password that examples/default ships for a user.
pub fn password(user: &str) -> String {
    format!("{user}-secret")
}

/// Two phones register, call each other in both directions, write to each other and go away.
pub fn two_phones(place: &Place, transport: &str, password: fn(&str) -> String) {
    let proxy = place.at(5060);
    let mut alice = Phone::new(place, "alice", &password("alice"), 5081, transport, proxy);
    let mut bob = Phone::new(place, "bob", &password("bob"), 5082, transport, proxy);
    alice.hears("registered");
    bob.hears("registered");

    alice.calls("sip:bob@example.test");
    assert!(bob.hears("incoming").contains("alice@example.test"));
    alice.hears("talking");
    bob.hears("talking");
    alice.hangs_up();
    bob.hears("ended 200");
    alice.hears("ended 200");

    bob.calls("sip:alice@example.test");
    assert!(alice.hears("incoming").contains("bob@example.test"));
    bob.hears("talking");
    alice.hears("talking");
    // this time the callee hangs up
    alice.hangs_up();
    bob.hears("ended 200");
    alice.hears("ended 200");

    alice.writes("sip:bob@example.test", "good morning");
    assert!(bob.hears("text").ends_with("good morning"));
    alice.hears("sent 200");

    bob.unregisters();
    bob.hears("unregistered");
    alice.calls("sip:bob@example.test");
    let end = alice.hears("ended");
    assert!(
        end == "ended 404" || end == "ended 480",
        "nobody is there now: {end}"
    );
}
