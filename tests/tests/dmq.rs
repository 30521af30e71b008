//! On one DMQ bus with real Kamailio nodes: members, hash tables, contacts, both ways, and what must not happen.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchhook_tests::{Daemon, Kamailio, Peer, Place, Setup, beside, has, patience, status};

const OURS: u16 = 5060;
const THEIRS: u16 = 5062;

/// A daemon on the bus that joins through `peers`.
fn daemon(place: &Place, peers: &[SocketAddr], more: &str) -> Daemon {
    let peers: Vec<_> = peers.iter().map(|peer| format!("\"sip:{peer}\"")).collect();
    let config = format!(
        "[sip]\nlanes = 2\ndomains = [\"example.test\"]\n\
         [[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n\
         [[htable]]\nname = \"ht\"\nexpire = \"2h\"\nmax-items = 200000\n[[htable]]\nname = \"own\"\n\
         [dmq]\naddress = \"sip:{}\"\npeers = [{}]\nallow = [\"{}\"]\nhtables = [\"ht\"]\nlocation = \"location\"\n\
         ping = \"1s\"\ntimeout = \"3s\"\n{more}",
        place.at(OURS),
        peers.join(", "),
        place.ip(),
    );
    Setup::config(place, &config).start()
}

/// Waits until both say the same, and that is what is expected.
fn become_equal<T: PartialEq + Debug>(
    limit: Duration,
    what: &str,
    mut both: impl FnMut() -> (T, T),
) {
    let equal = patience(limit, || {
        let (left, right) = both();
        (left == right).then_some(())
    });
    if equal.is_none() {
        let (left, right) = both();
        panic!("{what} within {limit:?}: {left:?} and {right:?}");
    }
}

const SOON: Duration = Duration::from_secs(5);

/// The members that a Kamailio sees, with their states.
fn members_at_kamailio(kamailio: &Kamailio) -> BTreeMap<String, String> {
    let text = kamailio.rpc(&["dmq.list_nodes"]);
    let field = |block: &str, name: &str| {
        let line = block
            .lines()
            .find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let blocks = text.split('}').filter(|block| block.contains("host:"));
    blocks
        .map(|block| {
            (
                format!("{}:{}", field(block, "host:"), field(block, "port:")),
                field(block, "status:"),
            )
        })
        .collect()
}

fn sees_active(kamailio: &Kamailio, node: SocketAddr) -> bool {
    members_at_kamailio(kamailio)
        .get(&node.to_string())
        .map(String::as_str)
        == Some("active")
}

/// The table as a Kamailio has it: keys and values as text.
fn table_at_kamailio(kamailio: &Kamailio) -> BTreeMap<String, String> {
    let text = kamailio.rpc(&["htable.dump", "ht"]);
    let mut items = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("name: ") {
            name = text.to_owned();
        } else if let Some(value) = line.strip_prefix("value: ") {
            items.insert(std::mem::take(&mut name), value.to_owned());
        }
    }
    items
}

/// The table as the daemon has it.
fn table_here(daemon: &Daemon) -> BTreeMap<String, String> {
    let text = daemon.admin(&["rpc", "htable.dump", "table=ht", "--all"]);
    let lines = text.lines().filter(|line| line.contains("\"key\""));
    let field = |line: &str, name: &str| {
        let rest = line
            .split_once(&format!("\"{name}\":"))
            .expect("a field")
            .1
            .trim_start();
        match rest.strip_prefix('"') {
            Some(text) => unescaped(text),
            None => rest
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '-')
                .collect(),
        }
    };
    lines
        .map(|line| (field(line, "key"), field(line, "value")))
        .collect()
}

/// A JSON string up to its end.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// Both are members and say so.
fn pair(place: &Place) -> (Daemon, Kamailio) {
    let daemon = daemon(place, &[place.at(THEIRS)], "");
    let kamailio = Kamailio::member(place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &kamailio, place.at(OURS));
    (daemon, kamailio)
}

fn await_members(daemon: &Daemon, kamailio: &Kamailio, ours: SocketAddr) {
    let theirs = format!("sip:{}", kamailio.at());
    let both = || sees_active(kamailio, ours) && is_active_here(daemon, &theirs);
    let found = patience(SOON, || both().then_some(()));
    assert!(
        found.is_some(),
        "members: {:?}\n{}",
        members_at_kamailio(kamailio),
        nodes(daemon)
    );
}

fn nodes(daemon: &Daemon) -> String {
    daemon.admin(&["rpc", "dmq.list-nodes"])
}

fn is_active_here(daemon: &Daemon, node: &str) -> bool {
    let compact: String = nodes(daemon).split_whitespace().collect();
    compact
        .split('}')
        .any(|one| one.contains(&format!("\"{node}\"")) && one.contains("\"active\""))
}

fn set(daemon: &Daemon, key: &str, value: &str) {
    daemon.admin(&[
        "rpc",
        "htable.set",
        "table=ht",
        &format!("key={key}"),
        &format!("value={value}"),
    ]);
}

/// Has a Kamailio do what no RPC does.
fn has_it(place: &Place, kamailio: &Kamailio, what: &str) {
    let peer = Peer::new(place, 5091);
    let request = peer.request(
        "OPTIONS",
        &format!("sip:{}", kamailio.at()),
        "test",
        &format!("X-Do: {what}\r\n"),
    );
    let (status, answer) = peer.ask(&request, kamailio.at());
    assert_eq!(status, 200, "{answer}");
}

fn has_all() -> bool {
    has("kamailio") && has("kamcmd")
}

#[test]
fn members_find_each_other_whoever_comes_first() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let first = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &first, place.at(OURS));
    // The third one joins through us, and all know all.
    let second = Kamailio::member(&place, place.at(5063), place.at(OURS));
    await_members(&daemon, &second, place.at(OURS));
    let known = || sees_active(&first, second.at()) && sees_active(&second, first.at());
    assert!(
        patience(SOON, || known().then_some(())).is_some(),
        "{:?}",
        members_at_kamailio(&first)
    );
    // Goodbye is said: they need not find out by silence.
    daemon.stop();
    let gone = |kamailio| {
        members_at_kamailio(kamailio)
            .get(&place.at(OURS).to_string())
            .is_none_or(|state| state == "disabled")
    };
    assert!(
        patience(Duration::from_secs(1), || (gone(&first) && gone(&second))
            .then_some(()))
        .is_some()
    );
}

#[test]
fn one_that_is_killed_is_removed_and_comes_back() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    set(&daemon, "before", "1");
    become_equal(SOON, "tables", || {
        (table_here(&daemon), table_at_kamailio(&kamailio))
    });
    kamailio.kill();
    let theirs = format!("sip:{}", place.at(THEIRS));
    let gone = patience(Duration::from_secs(12), || {
        (!nodes(&daemon).contains(&theirs)).then_some(())
    });
    assert!(gone.is_some(), "{}", nodes(&daemon));
    set(&daemon, "meanwhile", "2");
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &kamailio, place.at(OURS));
    become_equal(SOON, "tables", || {
        (table_here(&daemon), table_at_kamailio(&kamailio))
    });
    assert_eq!(table_here(&daemon).len(), 2);
    daemon.stop();
}

#[test]
fn members_speak_tcp_too() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let config = format!(
        "[sip]\nlanes = 2\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n[[htable]]\nname = \"ht\"\n\
         [dmq]\naddress = \"sip:{ours};transport=tcp\"\npeers = [\"sip:{theirs};transport=tcp\"]\nhtables = [\"ht\"]\nping = \"1s\"\n",
        ours = place.at(OURS),
        theirs = place.at(THEIRS),
    );
    let daemon = Setup::config(&place, &config).start();
    let kamailio = Kamailio::tcp_member(&place, place.at(THEIRS), place.at(OURS));
    let theirs = format!("sip:{};transport=tcp", kamailio.at());
    let both = || sees_active(&kamailio, place.at(OURS)) && is_active_here(&daemon, &theirs);
    assert!(
        patience(SOON, || both().then_some(())).is_some(),
        "{}",
        nodes(&daemon)
    );
    set(&daemon, "ours", "1");
    kamailio.rpc(&["htable.seti", "ht", "theirs", "2"]);
    become_equal(SOON, "tables", || {
        (table_here(&daemon), table_at_kamailio(&kamailio))
    });
    assert_eq!(table_here(&daemon).len(), 2);
    daemon.stop();
}

#[test]
fn tables_are_equal_whoever_writes() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    let equal = |what: &str, items: usize| {
        become_equal(SOON, what, || {
            (table_here(&daemon), table_at_kamailio(&kamailio))
        });
        assert_eq!(table_here(&daemon).len(), items, "{what}");
    };
    set(&daemon, "n", "42");
    set(&daemon, "negative", "-7");
    set(&daemon, "text", "\"hello \\\"q\\\" é中😀\"");
    set(&daemon, "n", "43");
    equal("set here", 3);
    kamailio.rpc(&["htable.seti", "ht", "kn", "5"]);
    kamailio.rpc(&["htable.sets", "ht", "ktext", "s:grüße \"q\""]);
    equal("set there", 5);
    assert_eq!(table_here(&daemon)["kn"], "5");
    daemon.admin(&["rpc", "htable.remove", "table=ht", "key=negative"]);
    kamailio.rpc(&["htable.delete", "ht", "ktext"]);
    equal("removed", 3);
    for key in ["aa1", "aa2", "ab1", "bb1"] {
        set(&daemon, key, "\"v-one\"");
        kamailio.rpc(&["htable.sets", "ht", &format!("k{key}"), "w-two"]);
    }
    equal("more", 11);
    has_it(&place, &kamailio, "rm-name-re ^k?aa.*");
    equal("removed by an expression", 7);
    has_it(&place, &kamailio, "rm-name-sw ab");
    equal("removed by a prefix", 6);
    has_it(&place, &kamailio, "rm-value-sw w-");
    equal("removed by a value's prefix", 4);
    has_it(&place, &kamailio, "rm-value-re ^v-.*");
    equal("removed by a value's expression", 3);
    has_it(&place, &kamailio, "expire n 1");
    std::thread::sleep(Duration::from_millis(2500));
    equal("expired", 2);
    // Kamailio tells nobody of a reset.
    has_it(&place, &kamailio, "reset");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        (
            table_at_kamailio(&kamailio).len(),
            table_here(&daemon).len()
        ),
        (0, 2)
    );
    daemon.stop();
}

/// Fills the daemon's table with many items: over the admin socket, in batches.
fn many_here(count: usize) -> String {
    let items: Vec<_> = (0..count)
        .map(|n| format!("\"key-{n}\" = \"value-{n}\""))
        .collect();
    items.join("\n")
}

#[test]
fn a_large_table_comes_to_whoever_joins() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let count = 20_000;
    let daemon = {
        let config = format!(
            "[sip]\nlanes = 1\ndomains = [\"example.test\"]\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
             grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
             [script.config]\nauth = false\nrealm = \"example.test\"\n\
             [dmq]\naddress = \"sip:{}\"\nallow = [\"{}\"]\nhtables = [\"ht\"]\nping = \"1s\"\n\
             [[htable]]\nname = \"ht\"\nexpire = \"2h\"\n[htable.initial]\n{}\n",
            place.at(OURS),
            place.ip(),
            many_here(count),
        );
        Setup::config(&place, &config).start()
    };
    // From us to Kamailio ...
    let first = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    let start = Instant::now();
    let there = |kamailio: &Kamailio| {
        kamailio
            .rpc(&["htable.stats"])
            .contains(&format!("all: {count}"))
    };
    assert!(
        patience(SOON * 4, || there(&first).then_some(())).is_some(),
        "{}",
        first.rpc(&["htable.stats"])
    );
    eprintln!(
        "{count} items to Kamailio: {:?} after it was up",
        start.elapsed()
    );
    daemon.stop();
    // ... and from Kamailio to us.
    let daemon = self::daemon(&place, &[first.at()], "");
    let start = Instant::now();
    let here = || {
        daemon
            .admin(&["rpc", "htable.list"])
            .split_whitespace()
            .collect::<String>()
            .contains(&format!("\"items\":{count}"))
    };
    assert!(
        patience(SOON * 4, || here().then_some(())).is_some(),
        "{}",
        daemon.admin(&["rpc", "htable.list"])
    );
    eprintln!(
        "{count} items from Kamailio: {:?} after we were up",
        start.elapsed()
    );
    daemon.stop();
}

/// Address of record, contact and name of every contact at a Kamailio.
fn contacts_at_kamailio(kamailio: &Kamailio) -> Vec<String> {
    let text = kamailio.rpc(&["ul.dump"]);
    let mut contacts = Vec::new();
    let mut aor = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("AoR: ") {
            aor = name;
        } else if let Some(address) = line.strip_prefix("Address: ") {
            contacts.push(format!("{aor} {address}"));
        }
    }
    contacts.sort();
    contacts
}

fn contacts_here(daemon: &Daemon) -> Vec<String> {
    let text: String = daemon
        .admin(&["rpc", "ul.dump"])
        .split_whitespace()
        .collect();
    let mut contacts = Vec::new();
    for one in text.split("\"aor\":\"sip:").skip(1) {
        let aor = one.split('@').next().unwrap_or_default();
        for contact in one.split("\"uri\":\"").skip(1) {
            contacts.push(format!(
                "{aor} {}",
                contact.split('"').next().unwrap_or_default()
            ));
        }
    }
    contacts.sort();
    contacts
}

#[test]
fn contacts_are_equal_wherever_phones_register() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    let equal = |what: &str, count: usize| {
        become_equal(SOON, what, || {
            (contacts_here(&daemon), contacts_at_kamailio(&kamailio))
        });
        assert_eq!(contacts_here(&daemon).len(), count, "{what}");
    };
    let phone = Peer::new(&place, 5080);
    phone.registers(
        "alice",
        &format!("sip:alice@{}", phone.at()),
        place.at(OURS),
    );
    equal("registered here", 1);
    phone.registers("bob", &format!("sip:bob@{}", phone.at()), kamailio.at());
    equal("registered there", 2);
    // Refreshed and removed at the other node than where it was registered.
    phone.registers("alice", &format!("sip:alice@{}", phone.at()), kamailio.at());
    phone.registers("bob", &format!("sip:bob@{}", phone.at()), place.at(OURS));
    equal("refreshed elsewhere", 2);
    for (user, registrar) in [("alice", kamailio.at()), ("bob", place.at(OURS))] {
        let contact = format!("Contact: <sip:{user}@{}>\r\nExpires: 0\r\n", phone.at());
        let request = phone.request("REGISTER", "sip:example.test", user, &contact);
        let request = request.replace(
            "To: <sip:example.test>",
            &format!("To: <sip:{user}@example.test>"),
        );
        assert_eq!(phone.ask(&request, registrar).0, 200);
    }
    equal("removed elsewhere", 0);
    for n in 0..120 {
        phone.registers(
            &format!("user{n}"),
            &format!("sip:user{n}@{}", phone.at()),
            if n % 2 == 0 {
                kamailio.at()
            } else {
                place.at(OURS)
            },
        );
    }
    equal("many", 120);
    let late = Kamailio::member(&place, place.at(5063), place.at(OURS));
    become_equal(SOON, "contacts at one that joins", || {
        (contacts_here(&daemon), contacts_at_kamailio(&late))
    });
    daemon.stop();
}

/// A request of a stranger or of a member, as Kamailio writes it.
fn kdmq(
    peer: &Peer,
    named: SocketAddr,
    to: SocketAddr,
    channel: &str,
    branch: &str,
    body: &str,
) -> String {
    let at = peer.at();
    format!(
        "KDMQ sip:{channel}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{branch}\r\nTo: <sip:{channel}@{to}>\r\n\
         From: <sip:{channel}@{named}>;tag=1\r\nCSeq: 10 KDMQ\r\nCall-ID: {branch}@{at}\r\nContent-Length: {}\r\n\
         Max-Forwards: 1\r\nContent-Type: application/json\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn copies_malformed_bodies_and_strangers_change_nothing() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let ours = place.at(OURS);
    let member = Peer::new(&place, 5090);
    let mut n = 0;
    let mut ask = |peer: &Peer, named: SocketAddr, channel: &str, body: &str| {
        n += 1;
        peer.ask(
            &kdmq(peer, named, ours, channel, &format!("d{n}"), body),
            ours,
        )
        .0
    };
    for body in [
        "{}",
        "[1,2]",
        "hello",
        "",
        r#"{"action":2,"htname":5,"cname":"k"}"#,
        r#"{"action":5,"htname":"ht","strval":"(("}"#,
    ] {
        assert_eq!(ask(&member, member.at(), "htable", body), 400, "{body}");
    }
    for body in ["{}", r#"{"action":1}"#, r#"{"action":1,"aor":5}"#] {
        assert_eq!(ask(&member, member.at(), "usrloc", body), 400, "{body}");
    }
    assert_eq!(ask(&member, member.at(), "nochannel", "{}"), 404);
    let own = r#"{"action":2,"htname":"own","cname":"k","type":0,"intval":1,"mode":1}"#;
    assert_eq!(
        ask(&member, member.at(), "htable", own),
        500,
        "a table that does not replicate"
    );
    let set = r#"{"action":2,"htname":"ht","cname":"k","type":0,"intval":1,"mode":1}"#;
    // In the name of another host.
    assert_eq!(
        ask(
            &member,
            "127.0.0.1:5060".parse().expect("an address"),
            "htable",
            set
        ),
        403
    );
    // From an address that is no member's.
    let far = Place::new();
    let stranger = Peer::new(&far, 5090);
    assert_eq!(ask(&stranger, stranger.at(), "htable", set), 403);
    assert_eq!(
        ask(&stranger, stranger.at(), "htable", "{\"action\":1}"),
        403
    );
    assert!(
        stranger
            .receive_within(Duration::from_millis(300))
            .is_none(),
        "nothing leaks"
    );
    assert!(table_here(&daemon).is_empty());
    // A copy is answered again; the first removal is not undone by it.
    let request = kdmq(&member, member.at(), ours, "htable", "same", set);
    assert_eq!(member.ask(&request, ours).0, 200);
    daemon.admin(&["rpc", "htable.remove", "table=ht", "key=k"]);
    let again = patience(SOON, || {
        member.send(request.as_bytes(), ours);
        let answer = String::from_utf8_lossy(&member.receive()).into_owned();
        (status(&answer) == 200).then_some(())
    });
    assert!(
        again.is_some() && table_here(&daemon).is_empty(),
        "carried out once"
    );
    daemon.stop();
}
