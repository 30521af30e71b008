//! Requests of scripts' own, over the network: tests/guests/own sends what commands say, a Kamailio challenges; and
//! examples/central-location, whose registrars tell a central server where users are.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use switchhook_tests::{
    Daemon, Kamailio, Peer, Place, Setup, answer, beside, has, patience, status,
};

const SOON: Duration = Duration::from_secs(5);
const OURS: u16 = 5060;
const THEIRS: u16 = 5062;

fn daemon(place: &Place) -> Daemon {
    let config = "[sip]\nlanes = 2\ndomains = [\"example.test\"]\nmax-own-requests = 3\n\
         [[script]]\nname = \"other\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n\
         [[script]]\nname = \"own\"\npath = \"GUESTS/own.wasm\"\n\
         grants = [\"log\", \"request\", \"tm\", \"rpc\", \"htable\", \"uac\"]\n\
         [[htable]]\nname = \"replies\"\n";
    Setup::config(place, config).start()
}

fn ask(daemon: &Daemon, args: &[&str]) -> Value {
    let text = daemon.admin(&[&["rpc", "own.ask"], args].concat());
    serde_json::from_str(&text).expect("JSON")
}

/// What came for that context.
fn reply(daemon: &Daemon, context: &str) -> String {
    let key = format!("key={context}");
    let found = daemon.try_admin(&["rpc", "htable.get", "table=replies", &key]);
    let found = found.unwrap_or_default().replace('"', "");
    found.trim().replace("null", "")
}

fn becomes(what: &str, mut is: impl FnMut() -> bool) {
    assert!(patience(SOON, || is().then_some(())).is_some(), "{what}");
}

fn has_kamailio() -> bool {
    has("kamailio")
}

#[test]
fn a_script_that_is_not_the_router_asks_and_is_told() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place);
    let phone = Peer::new(&place, 5080);
    let uri = format!("uri=sip:bob@{}", phone.at());
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&daemon, &[&uri, "body=hello"]));
        let came = String::from_utf8_lossy(&phone.receive()).into_owned();
        assert!(
            came.starts_with("OPTIONS sip:bob@") && came.ends_with("\r\n\r\nhello"),
            "{came}"
        );
        assert!(
            came.contains("X-Asks: own\r\n") && came.contains("User-Agent: switchhook/"),
            "{came}"
        );
        phone.send(
            &answer(&came, "486 Busy Here", "b", "Server: phone\r\n"),
            place.at(OURS),
        );
        let reply = asked.join().expect("a reply");
        assert_eq!(
            (&reply["status"], &reply["server"]),
            (&486.into(), &"phone".into()),
            "{reply}"
        );
        assert_eq!(reply["made_here"], false);
    });
    // The reply as an event, with what it was about.
    daemon.admin(&["rpc", "own.send", &uri, "method=MESSAGE", "context=first"]);
    let came = String::from_utf8_lossy(&phone.receive()).into_owned();
    assert_eq!(reply(&daemon, "first"), "");
    phone.send(&answer(&came, "202 Accepted", "b", ""), place.at(OURS));
    becomes("the event", || reply(&daemon, "first") == "202 false");
    daemon.admin(&["rpc", "own.send", &uri, "timeout=100", "context=silence"]);
    becomes("a 408", || reply(&daemon, "silence") == "408 true");
    daemon.stop();
}

/// The lanes' sockets share a port, so the kernel gives the refusal of a port to any of them.
#[test]
fn a_port_that_refuses_is_known_at_once_whichever_lane_hears_of_it() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place);
    let uri = format!("uri=sip:bob@{}", place.at(5099));
    for _ in 0..12 {
        let reply = ask(&daemon, &[&uri, "timeout=8000"]);
        assert_eq!(
            (&reply["status"], &reply["made_here"]),
            (&503.into(), &true.into())
        );
    }
    daemon.stop();
}

#[test]
fn what_makes_no_sense_is_refused() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place);
    let refused = |args: &[&str], why: &str| {
        let refused = daemon.try_admin(&[&["rpc", "own.send"], args].concat());
        let text = refused.expect_err("refused");
        assert!(text.contains(why), "{text}");
    };
    refused(
        &["uri=sip:a@127.0.0.1", "method=INVITE"],
        "nobody would hold the call",
    );
    refused(
        &["uri=sip:a@127.0.0.1", "method=CANCEL"],
        "nobody would hold the call",
    );
    refused(&["uri=sip:a@127.0.0.1", "method=A B"], "expected a method");
    refused(&["uri=nothing"], "nothing");
    refused(&["uri=sip:a@127.0.0.1", "next_hop=<sip:x>"], "<sip:x>");
    refused(&["uri=sip:a@127.0.0.1", "timeout=999999"], "180000");
    refused(
        &["uri=sip:a@127.0.0.1", "route=nowhere"],
        "no uac route `nowhere`",
    );
    // As many as sip.max-own-requests says, and no more.
    let phone = Peer::new(&place, 5080);
    let uri = format!("uri=sip:bob@{}", phone.at());
    for context in ["1", "2", "3"] {
        daemon.admin(&[
            "rpc",
            "own.send",
            &uri,
            "timeout=2000",
            &format!("context=c{context}"),
        ]);
    }
    refused(&[&uri], "sip.max-own-requests");
    becomes("room", || reply(&daemon, "c3") == "408 true");
    daemon.admin(&["rpc", "own.send", &uri, "timeout=100"]);
    daemon.stop();
}

#[test]
fn a_route_that_sends_again_what_can_not_be_sent_comes_to_rest() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place);
    daemon.admin(&[
        "rpc",
        "own.send",
        "uri=sip:127.0.0.1;transport=tls",
        "route=again",
        "context=loop",
    ]);
    becomes("four rounds", || reply(&daemon, "loop") == "4");
    becomes("the last one told", || {
        daemon.log().contains("events that lead to one another")
    });
    assert_eq!(reply(&daemon, "loop"), "4");
    daemon.stop();
}

#[test]
fn a_request_route_waits_for_the_reply_of_its_own_request() {
    let _beside = beside();
    let place = Place::new();
    let config = "[sip]\nlanes = 2\n[[script]]\nname = \"own\"\npath = \"GUESTS/own.wasm\"\n\
         grants = [\"log\", \"request\", \"tm\", \"rpc\", \"htable\", \"uac\"]\n[[htable]]\nname = \"replies\"\n";
    let daemon = Setup::config(&place, config).start();
    let (phone, caller) = (Peer::new(&place, 5080), Peer::new(&place, 5081));
    let message = caller.request("MESSAGE", &format!("sip:bob@{}", phone.at()), "alice", "");
    caller.send(message.as_bytes(), place.at(OURS));
    // A copy finds the first one at work.
    caller.send(message.as_bytes(), place.at(OURS));
    let came = String::from_utf8_lossy(&phone.receive()).into_owned();
    assert!(came.starts_with("OPTIONS sip:bob@"), "{came}");
    phone.send(&answer(&came, "480 Asleep", "b", ""), place.at(OURS));
    let mut told = String::from_utf8_lossy(&caller.receive()).into_owned();
    if status(&told) < 200 {
        told = String::from_utf8_lossy(&caller.receive()).into_owned();
    }
    assert!(told.starts_with("SIP/2.0 480 Asleep\r\n"), "{told}");
    // Its own request may come to itself.
    let own = caller.request("MESSAGE", &format!("sip:{}", place.at(OURS)), "alice", "");
    assert_eq!(caller.ask(&own, place.at(OURS)).0, 200);
    daemon.stop();
}

#[test]
fn a_kamailio_challenges() {
    let _beside = beside();
    if !has_kamailio() {
        return;
    }
    let place = Place::new();
    let daemon = daemon(&place);
    let kamailio = Kamailio::kusrloc(&place, place.at(THEIRS), place.at(OURS), Some("secret"));
    let store = |args: &[&str]| {
        let uri = format!("uri=sip:store@{}", kamailio.at());
        ask(
            &daemon,
            &[&["method=KUSRLOC", "body=alice@example.test", &uri], args].concat(),
        )
    };
    assert_eq!(store(&[])["status"], 401);
    assert_eq!(store(&["user=own", "password=guess"])["status"], 401);
    let tables = kamailio.rpc(&["htable.dump", "kusrloc"]);
    assert!(!tables.contains("alice@example.test"), "{tables}");
    let stored = store(&["user=own", "password=secret"]);
    assert_eq!(
        (&stored["status"], &stored["reason"]),
        (&200.into(), &"Stored".into())
    );
    let tables = kamailio.rpc(&["htable.dump", "kusrloc"]);
    assert!(
        tables.contains(&format!("sip:{};transport=udp", place.at(OURS))),
        "{tables}"
    );
    // By TCP too.
    let uri = format!("uri=sip:{};transport=tcp", kamailio.at());
    assert_eq!(ask(&daemon, &[&uri])["reason"], "Alive");
    // Gone, it refuses connections.
    kamailio.kill();
    let reply = ask(&daemon, &[&uri, "timeout=3000"]);
    assert_eq!(
        (&reply["status"], &reply["made_here"]),
        (&503.into(), &true.into())
    );
    daemon.stop();
}

const EXAMPLE: &str = "examples/central-location/switchhook.toml";

/// A registrar of examples/central-location.
fn registrar(place: &Place, central: SocketAddr) -> Daemon {
    let config = "script.central-location.config";
    Setup::example(place, EXAMPLE)
        .set(&format!("{config}.central=\"sip:{central}\""))
        .set(&format!("{config}.trusted=[\"{}\"]", central.ip()))
        .set(&format!("{config}.user=\"registrar\""))
        .set(&format!("{config}.password=\"secret\""))
        .set("sip.lanes=4")
        .start()
}

/// Its central server.
fn central(place: &Place, registrars: &[&Place]) -> Daemon {
    let trusted: Vec<_> = registrars
        .iter()
        .map(|place| format!("\"{}\"", place.ip()))
        .collect();
    Setup::example(place, "examples/central-location/central.toml")
        .set(&format!(
            "script.central-location.config.trusted=[{}]",
            trusted.join(", ")
        ))
        .start()
}

/// A MESSAGE for a user comes to the phone, through that server.
fn reaches(caller: &Peer, user: &str, through: SocketAddr, phone: &Peer) {
    let uri = format!("sip:{user}@example.test");
    let request = caller.request("MESSAGE", &uri, "caller", "");
    caller.send(request.as_bytes(), through);
    let came = String::from_utf8_lossy(&phone.receive()).into_owned();
    assert!(came.starts_with(&format!("MESSAGE sip:{user}@")), "{came}");
    phone.send(&answer(&came, "200 OK", "b", ""), through_via(&came));
    let told = String::from_utf8_lossy(&caller.receive()).into_owned();
    assert_eq!(status(&told), 200, "{told}");
}

/// Where an answer goes: the address of the top Via, whose port may be left out.
fn through_via(request: &str) -> SocketAddr {
    let via = request
        .lines()
        .find_map(|line| line.strip_prefix("Via: SIP/2.0/UDP "));
    let sent_by = via
        .and_then(|via| via.split(';').next())
        .unwrap_or_default();
    let with_port = format!("{}:{OURS}", sent_by.trim());
    let found = [sent_by.trim(), &with_port]
        .into_iter()
        .find_map(|at| at.parse().ok());
    found.expect("a Via with an address")
}

#[test]
fn registrars_find_each_others_phones_through_a_central_server() {
    let _beside = beside();
    let (middle, left, right) = (Place::new(), Place::new(), Place::new());
    let central = central(&middle, &[&left, &right]);
    let first = registrar(&left, middle.at(OURS));
    let second = registrar(&right, middle.at(OURS));
    let (alice, bob) = (Peer::new(&left, 5080), Peer::new(&right, 5080));
    let caller = Peer::new(&left, 5081);
    alice.registers("alice", &format!("sip:alice@{}", alice.at()), left.at(OURS));
    bob.registers("bob", &format!("sip:bob@{}", bob.at()), right.at(OURS));
    let known = |user: &str| {
        let key = format!("key={user}@example.test");
        let found = central.try_admin(&["rpc", "htable.get", "table=kusrloc", &key]);
        found.unwrap_or_default()
    };
    becomes("alice is known", || {
        known("alice").contains(&left.at(OURS).to_string())
    });
    becomes("bob is known", || {
        known("bob").contains(&right.at(OURS).to_string())
    });
    reaches(&caller, "alice", left.at(OURS), &alice);
    reaches(&caller, "bob", left.at(OURS), &bob);
    reaches(&caller, "alice", right.at(OURS), &alice);
    let nobody = caller.request("MESSAGE", "sip:carol@example.test", "caller", "");
    assert_eq!(caller.ask(&nobody, left.at(OURS)).0, 404);
    // Bob leaves.
    let leave = bob.request(
        "REGISTER",
        "sip:example.test",
        "bob",
        "Contact: *\r\nExpires: 0\r\n",
    );
    let leave = leave.replace("To: <sip:example.test>", "To: <sip:bob@example.test>");
    assert_eq!(bob.ask(&leave, right.at(OURS)).0, 200);
    becomes("bob is forgotten", || !known("bob").contains("sip:"));
    // While the central server is gone, phones still register, and the log says what it misses.
    central.stop();
    alice.registers("alice", &format!("sip:alice@{}", alice.at()), left.at(OURS));
    becomes("a warning", || {
        first
            .log()
            .contains("does not know of alice@example.test: 503")
    });
    reaches(&caller, "alice", left.at(OURS), &alice);
    for daemon in [first, second] {
        daemon.stop();
    }
}

#[test]
fn a_kamailio_is_the_central_server_or_a_registrar() {
    let _beside = beside();
    if !has_kamailio() {
        return;
    }
    // The talk's central server, which asks for a password, and our registrar.
    let (middle, left) = (Place::new(), Place::new());
    let kamailio = Kamailio::kusrloc(&middle, middle.at(OURS), middle.at(OURS), Some("secret"));
    let first = registrar(&left, middle.at(OURS));
    let (alice, caller) = (Peer::new(&left, 5080), Peer::new(&left, 5081));
    alice.registers("alice", &format!("sip:alice@{}", alice.at()), left.at(OURS));
    becomes("alice is known", || {
        let table = kamailio.rpc(&["htable.dump", "kusrloc"]);
        table.contains("alice@example.test") && table.contains(&left.at(OURS).to_string())
    });
    reaches(&caller, "alice", middle.at(OURS), &alice);
    first.stop();
    // Our central server and the talk's registrar.
    let (middle, right) = (Place::new(), Place::new());
    let central = central(&middle, &[&right]);
    let registrar = Kamailio::kusrloc(&right, right.at(OURS), middle.at(OURS), None);
    let (bob, caller) = (Peer::new(&right, 5080), Peer::new(&middle, 5081));
    bob.registers("bob", &format!("sip:bob@{}", bob.at()), registrar.at());
    becomes("bob is known", || {
        let found =
            central.try_admin(&["rpc", "htable.get", "table=kusrloc", "key=bob@example.test"]);
        found.is_ok_and(|found| found.contains(&right.at(OURS).to_string()))
    });
    reaches(&caller, "bob", middle.at(OURS), &bob);
    central.stop();
}
