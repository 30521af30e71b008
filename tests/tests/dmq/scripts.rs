//! Scripts on the bus: channels of their own, copies of requests, what becomes of members; and a pair of registrars without a bus.

use std::process::{Command, Stdio};

use switchhook_tests::{
    Daemon, Kamailio, Peer, Place, Program, Setup, answer, beside, patience, status,
};

use super::*;

const NODE: &str = "examples/dmq-pair/switchhook.toml";

/// examples/dmq-pair at its place, joining through `peers`.
fn node(place: &Place, peers: &[SocketAddr]) -> Daemon {
    let peers: Vec<_> = peers.iter().map(|peer| format!("\"sip:{peer}\"")).collect();
    Setup::example(place, NODE)
        .set(&format!("dmq.address=\"sip:{}\"", place.at(OURS)))
        .set(&format!("dmq.peers=[{}]", peers.join(", ")))
        .set("dmq.ping=\"1s\"")
        .start()
}

/// Whether a table's dump has that text, at a Kamailio.
fn heard_there(kamailio: &Kamailio, table: &str, text: &str) -> bool {
    kamailio.rpc(&["htable.dump", table]).contains(text)
}

fn heard_here(daemon: &Daemon, table: &str, text: &str) -> bool {
    let table = format!("table={table}");
    let dump = daemon.admin(&["rpc", "htable.dump", &table, "--all"]);
    dump.contains(text)
}

fn soon(what: &str, happens: impl Fn() -> bool) {
    let happened = patience(SOON, || happens().then_some(()));
    assert!(happened.is_some(), "{what}");
}

#[test]
fn scripts_talk_on_channels_of_their_own() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let daemon = node(&place, &[]);
    let kamailio = Kamailio::of_example(
        &place,
        "examples/dmq-pair/kamailio.cfg",
        place.at(THEIRS),
        place.at(OURS),
    );
    await_members(&daemon, &kamailio, place.at(OURS));
    let theirs = format!("sip:{}", kamailio.at());
    // To all, to one; each answer is an event.
    let number = daemon.admin(&["rpc", "news.tell", "to all of you"]);
    soon("broadcast", || {
        heard_there(&kamailio, "news", "to all of you")
    });
    let answered = format!("message {}: {theirs} answers 202", number.trim());
    soon("its answer", || daemon.log().contains(&answered));
    daemon.admin(&["rpc", "news.tell_one", &theirs, "to you alone"]);
    soon("to one", || heard_there(&kamailio, "news", "to you alone"));
    let nobody = daemon.try_admin(&["rpc", "news.tell_one", "sip:127.0.0.1:9", "x"]);
    assert!(nobody.is_err_and(|error| error.contains("127.0.0.1:9")));
    // A MESSAGE at Kamailio is copied to us, and not back; and news come with it.
    // Kamailio tells members by address alone, whatever the port.
    let elsewhere = Place::new();
    let phone = Peer::new(&elsewhere, 5080);
    let bulletin = |text: &str| {
        let body = format!(
            "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let request = phone.request("MESSAGE", "sip:bulletin@example.test", "alice", "");
        request.replace("Content-Length: 0\r\n\r\n", &body)
    };
    assert_eq!(phone.ask(&bulletin("from there"), kamailio.at()).0, 200);
    soon("a copy for us", || {
        heard_here(&daemon, "bulletins", "from there")
    });
    soon("news for us", || heard_here(&daemon, "news", "from there"));
    assert_eq!(phone.ask(&bulletin("from here"), place.at(OURS)).0, 200);
    soon("a copy for them", || {
        heard_there(&kamailio, "bulletins", "from here")
    });
    let stats = daemon.admin(&["rpc", "stats.get"]);
    let compact: String = stats.split_whitespace().collect();
    assert!(compact.contains("\"copies.sent\":1,"), "no loop: {stats}");
    assert!(compact.contains("\"copies.lost\":0,"), "{stats}");
    assert!(
        phone.receive_within(Duration::from_millis(200)).is_none(),
        "the phone has its one answer"
    );
    // A channel that nobody here listens to.
    let member = Peer::new(&place, 5090);
    let unknown = kdmq(&member, member.at(), place.at(OURS), "nochan", "n1", "x");
    assert_eq!(member.ask(&unknown, place.at(OURS)).0, 404);
    let text = kdmq(&member, member.at(), place.at(OURS), "news", "n2", "x");
    let (status, answer) = member.ask(&text, place.at(OURS));
    assert_eq!(status, 202, "{answer}");
    assert!(answer.ends_with("\r\n\r\nthank you"), "{answer}");
    // What becomes of members.
    kamailio.kill();
    soon("up", || daemon.log().contains(&format!("{theirs} is here")));
    let gone = format!("{theirs} does not answer");
    let noticed = patience(Duration::from_secs(15), || {
        daemon.log().contains(&gone).then_some(())
    });
    assert!(noticed.is_some(), "{}", daemon.log());
    daemon.stop();
}

/// Calls a user through a node: the phone rings and is busy, which the caller learns.
fn call(caller: &Peer, user: &str, through: SocketAddr, phone: &Peer) {
    let uri = format!("sip:{user}@example.test");
    let contact = format!("Contact: <sip:caller@{}>\r\n", caller.at());
    let invite = caller.request("INVITE", &uri, "caller", &contact);
    caller.send(invite.as_bytes(), through);
    let rings = patience(SOON, || {
        let came = phone.receive_within(SOON)?;
        let came = String::from_utf8_lossy(&came).into_owned();
        // The ACK of the call before may come late.
        came.starts_with(&format!("INVITE sip:{user}@"))
            .then_some(came)
    });
    let rings = rings.unwrap_or_else(|| panic!("{user} is not called through {through}"));
    phone.send(&answer(&rings, "486 Busy Here", "busy", ""), through);
    let end = std::time::Instant::now() + SOON;
    while std::time::Instant::now() < end {
        let came = String::from_utf8_lossy(&caller.receive()).into_owned();
        if status(&came) == 486 {
            let ack = invite
                .replace("INVITE sip", "ACK sip")
                .replace("CSeq: 1 INVITE", "CSeq: 1 ACK");
            caller.send(ack.as_bytes(), through);
            return;
        }
    }
    panic!("the caller does not learn that {user} is busy");
}

#[test]
fn a_phone_is_called_through_another_node_while_a_third_is_killed() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let (left, right, phones) = (Place::new(), Place::new(), Place::new());
    let first = node(&left, &[]);
    let second = node(&right, &[left.at(OURS)]);
    let kamailio = Kamailio::of_example(
        &left,
        "examples/dmq-pair/kamailio.cfg",
        left.at(THEIRS),
        left.at(OURS),
    );
    await_members(&first, &kamailio, left.at(OURS));
    await_members(&second, &kamailio, right.at(OURS));
    let (alice, bob) = (Peer::new(&phones, 5080), Peer::new(&phones, 5081));
    let caller = Peer::new(&phones, 5082);
    alice.registers("alice", &format!("sip:alice@{}", alice.at()), left.at(OURS));
    bob.registers("bob", &format!("sip:bob@{}", bob.at()), kamailio.at());
    for user in ["alice", "bob"] {
        soon(user, || {
            let known = [&first, &second].map(dump);
            known
                .iter()
                .all(|dump| dump.contains(&format!("sip:{user}@")))
                && kamailio.rpc(&["ul.dump"]).contains(&format!("sip:{user}@"))
        });
    }
    // One of ours is killed: what registered at the other rings through Kamailio, and the other way round.
    let mut second = second;
    second.program().signal("KILL");
    call(&caller, "alice", kamailio.at(), &alice);
    call(&caller, "bob", left.at(OURS), &bob);
    let _ = second.program().wait(SOON);
    drop(second);
    // It is back, and now the Kamailio is killed.
    let second = node(&right, &[left.at(OURS)]);
    soon("back", || dump(&second).contains("sip:bob@"));
    kamailio.kill();
    call(&caller, "bob", right.at(OURS), &bob);
    call(&caller, "alice", right.at(OURS), &alice);
    for daemon in [first, second] {
        daemon.stop();
    }
}

#[test]
fn two_nodes_and_a_kamailio_start_by_one_command() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let [one, two, three] = [5060, 5064, 5068].map(|port| place.at(port));
    let mut run = Command::new("sh");
    run.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../examples/dmq-pair/run"
    ))
    .env("SWITCHHOOK", switchhook_tests::binary())
    .env("DIR", place.dir())
    .env("ONE", one.to_string())
    .env("TWO", two.to_string())
    .env("THREE", three.to_string())
    .stdin(Stdio::null());
    let mut bus = Program::start("run", &mut run, place.dir().join("run.log"));
    // A phone that registers at the Kamailio is known to both, and one that registers at the second is known to all.
    let phone = Peer::new(&place, 5080);
    let options = || {
        [one, two, three].iter().all(|node| {
            let request = phone.request("OPTIONS", &format!("sip:nobody@{node}"), "test", "");
            phone.send(request.as_bytes(), *node);
            phone.receive_within(Duration::from_millis(500)).is_some()
        })
    };
    let up = patience(Duration::from_secs(60), || options().then_some(()));
    assert!(up.is_some(), "{}", bus.log());
    while phone.receive_within(Duration::from_millis(300)).is_some() {}
    phone.registers("alice", &format!("sip:alice@{}", phone.at()), three);
    phone.registers("bob", &format!("sip:bob@{}", phone.at()), two);
    let rings = |user: &str, at: SocketAddr| {
        let uri = format!("sip:{user}@example.test");
        phone.send(phone.request("MESSAGE", &uri, "carol", "").as_bytes(), at);
        let came = phone.receive_within(Duration::from_millis(500));
        let came = came.map(|came| String::from_utf8_lossy(&came).into_owned());
        came.is_some_and(|came| came.starts_with(&format!("MESSAGE sip:{user}@")))
    };
    for (user, at) in [("alice", one), ("alice", two), ("bob", one), ("bob", three)] {
        soon(&format!("{user} at {at}"), || rings(user, at));
        while phone.receive_within(Duration::from_millis(100)).is_some() {}
    }
    bus.terminate();
    let _ = bus.wait(Duration::from_secs(40));
}

/// One of a pair of registrars, whose other is at `pair`.
fn one_of_pair(place: &Place, pair: SocketAddr) -> Daemon {
    Setup::example(place, "examples/register-replication/switchhook.toml")
        .set(&format!(
            "script.register-replication.config.pair=\"sip:{pair}\""
        ))
        .start()
}

/// The contacts of the location table.
fn dump(daemon: &Daemon) -> String {
    daemon.admin(&["rpc", "ul.dump"])
}

#[test]
fn a_register_is_passed_on_to_the_other_of_a_pair() {
    let _beside = beside();
    let (left, right) = (Place::new(), Place::new());
    let first = one_of_pair(&left, right.at(OURS));
    let second = one_of_pair(&right, left.at(OURS));
    let phone = Peer::new(&left, 5080);
    // A phone behind NAT: its contact is nowhere.
    phone.registers("alice", "sip:alice@192.0.2.77:5060", left.at(OURS));
    soon("a copy", || dump(&second).contains("192.0.2.77"));
    let (at_first, at_second) = (dump(&first), dump(&second));
    let phones = format!("{}", phone.at());
    assert!(at_first.contains(&phones), "{at_first}");
    assert!(
        at_second.contains(&phones),
        "where the phone is: {at_second}"
    );
    // It is called through the other, while the one that it registered at is gone.
    drop(first);
    let caller = Peer::new(&right, 5081);
    let message = caller.request("MESSAGE", "sip:alice@example.test", "bob", "");
    caller.send(message.as_bytes(), right.at(OURS));
    let came = String::from_utf8_lossy(&phone.receive()).into_owned();
    assert!(
        came.starts_with("MESSAGE sip:alice@192.0.2.77:5060 "),
        "{came}"
    );
    let stats: String = second
        .admin(&["rpc", "stats.get"])
        .split_whitespace()
        .collect();
    assert!(stats.contains("\"copies.sent\":0,"), "no loop: {stats}");
    second.stop();
}

#[test]
fn a_kamailio_of_the_pair_has_the_same_recipe() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let daemon = one_of_pair(&place, place.at(THEIRS));
    let kamailio = Kamailio::pair(&place, place.at(THEIRS), place.at(OURS));
    let phone = Peer::new(&place, 5080);
    phone.registers("alice", "sip:alice@192.0.2.77:5060", place.at(OURS));
    let there = || kamailio.rpc(&["ul.dump"]);
    let at = phone.at().to_string();
    soon("a copy for Kamailio", || {
        let there = there();
        there.contains("sip:alice@192.0.2.77:5060") && there.contains(&at)
    });
    phone.registers("bob", "sip:bob@192.0.2.78:5060", kamailio.at());
    soon("a copy for us", || {
        let here = dump(&daemon);
        here.contains("sip:bob@192.0.2.78:5060") && here.contains(&at)
    });
    assert!(phone.receive_within(Duration::from_millis(200)).is_none());
    daemon.stop();
}
