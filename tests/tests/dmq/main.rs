//! On one DMQ bus with real Kamailio nodes: members, hash tables, contacts, both ways, and what must not happen.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

mod contacts;
mod hostile;
mod life;
mod member;
mod scripts;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use switchhook_tests::{Daemon, Kamailio, Peer, Place, Setup, has, patience};

const OURS: u16 = 5060;
const THEIRS: u16 = 5062;

/// A daemon on the bus that joins through `peers`.
fn daemon(place: &Place, peers: &[SocketAddr], more: &str) -> Daemon {
    setup(place, peers, more).start()
}

fn setup<'a>(place: &'a Place, peers: &[SocketAddr], more: &str) -> Setup<'a> {
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
    Setup::config(place, &config)
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

const SOON: Duration = Duration::from_secs(20);

/// Both have the same in the table that they share.
fn tables_become_equal(daemon: &Daemon, kamailio: &Kamailio) {
    become_equal(SOON, "tables", || {
        (table_here(daemon), table_at_kamailio(kamailio))
    });
}

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
