//! Our own nodes on one bus: they know each other by their keys, tables are equal, a joining node gets all, and what is written
//! fast is sent once.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use switchhook_tests::{Daemon, Place, Setup, alone, beside, patience};

const SOON: Duration = Duration::from_secs(10);
const KEY: &str = "a secret that all of our nodes have";

/// A node that joins through others; `more` is config behind `[dmq]`.
fn node(place: &Place, peers: &[&Place], key: &str, initial: usize) -> Daemon {
    std::fs::write(place.dir().join("bus.key"), key).expect("a key file");
    let peers: Vec<_> = peers
        .iter()
        .map(|peer| format!("\"sip:{}\"", peer.at(5060)))
        .collect();
    let mut config = format!(
        "[sip]\nlanes = 1\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n\
         [dmq]\naddress = \"sip:{}\"\npeers = [{}]\nallow = [\"127.0.0.0/8\"]\nhtables = [\"ht\"]\nlocation = \"location\"\n\
         key-files = [\"bus.key\"]\nping = \"1s\"\ntimeout = \"3s\"\n\
         [[htable]]\nname = \"ht\"\nexpire = \"2h\"\nmax-items = 200000\n",
        place.at(5060),
        peers.join(", "),
    );
    if initial > 0 {
        config += "[htable.initial]\n";
        for n in 0..initial {
            let _ = writeln!(config, "\"key-{n}\" = \"value-{n}\"");
        }
    }
    Setup::config(place, &config).start()
}

/// A number that the admin socket tells, by its name.
fn number(daemon: &Daemon, method: &str, name: &str) -> u64 {
    let compact: String = daemon.admin(&["rpc", method]).split_whitespace().collect();
    let rest = compact
        .split_once(&format!("\"{name}\":"))
        .map(|(_, rest)| rest);
    let digits = rest.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits
        .flatten()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {compact}"))
}

fn items(daemon: &Daemon) -> u64 {
    number(daemon, "htable.list", "items")
}

fn knows_one_of_ours(daemon: &Daemon) -> bool {
    let compact: String = daemon
        .admin(&["rpc", "dmq.list-nodes"])
        .split_whitespace()
        .collect();
    compact
        .split('}')
        .any(|one| one.contains("\"switchhook\"") && one.contains("\"active\""))
}

fn set(daemon: &Daemon, key: &str, value: &str) {
    let (key, value) = (format!("key={key}"), format!("value={value}"));
    daemon.admin(&["rpc", "htable.set", "table=ht", &key, &value]);
}

fn get(daemon: &Daemon, key: &str) -> String {
    daemon
        .admin(&["rpc", "htable.get", "table=ht", &format!("key={key}")])
        .trim()
        .to_owned()
}

#[test]
fn nodes_with_one_key_are_equal_and_one_with_another_learns_nothing() {
    let _beside = beside();
    let (one, two, three) = (Place::new(), Place::new(), Place::new());
    let first = node(&one, &[], KEY, 0);
    let second = node(&two, &[&one], KEY, 0);
    let both = || knows_one_of_ours(&first) && knows_one_of_ours(&second);
    assert!(patience(SOON, || both().then_some(())).is_some());
    let stranger = node(&three, &[&one], "a secret that nobody else has", 0);
    set(&first, "from-first", "1");
    set(&second, "from-second", "x");
    let arrived =
        || get(&second, "from-first").contains('1') && get(&first, "from-second").contains('x');
    assert!(patience(SOON, || arrived().then_some(())).is_some());
    // The later write wins, wherever it was made; a removal is one too.
    set(&second, "from-first", "later");
    first.admin(&["rpc", "htable.remove", "table=ht", "key=from-second"]);
    let arrived = || get(&first, "from-first").contains("later") && items(&second) == 1;
    assert!(patience(SOON, || arrived().then_some(())).is_some());
    assert_eq!(items(&stranger), 0);
    assert!(number(&first, "dmq.stats", "refused") > 0);
    for daemon in [stranger, second, first] {
        daemon.stop();
    }
}

#[test]
fn a_joining_node_gets_a_large_table_even_when_it_is_killed_in_the_middle() {
    let _alone = alone();
    let (one, two) = (Place::new(), Place::new());
    let count = 100_000;
    let first = node(&one, &[], KEY, count);
    let mut second = node(&two, &[&one], KEY, 0);
    second.program().signal("KILL");
    let _ = second.program().wait(SOON);
    drop(second);
    let second = node(&two, &[&one], KEY, 0);
    let start = Instant::now();
    let all = || items(&second) == count as u64;
    let complete = patience(SOON * 2, || all().then_some(())).is_some();
    eprintln!("{count} items {:?} after it was up", start.elapsed());
    assert!(complete, "{} of {count}", items(&second));
    eprintln!("{}", first.admin(&["rpc", "dmq.stats"]));
    second.stop();
    first.stop();
}

#[test]
fn ten_thousand_writes_a_second_are_sent_once() {
    let _alone = alone();
    let (one, two) = (Place::new(), Place::new());
    let first = node(&one, &[], KEY, 0);
    let second = node(&two, &[&one], KEY, 0);
    let both = || knows_one_of_ours(&first) && knows_one_of_ours(&second);
    assert!(patience(SOON, || both().then_some(())).is_some());
    let socket = UnixStream::connect(one.socket()).expect("the admin socket");
    let (mut answers, mut requests) = (
        BufReader::new(socket.try_clone().expect("a socket")),
        socket,
    );
    let (seconds, each) = (3, 100);
    let start = Instant::now();
    for batch in 0..seconds * 10_000 / each {
        let due = start + Duration::from_millis(batch * 1000 * each / 10_000);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let calls: Vec<_> = (0..each)
            .map(|n| {
                let n = batch * each + n;
                format!(
                    r#"{{"jsonrpc":"2.0","id":{n},"method":"htable.set","params":{{"table":"ht","key":"k{}","value":"{n}"}}}}"#,
                    n % 20_000
                )
            })
            .collect();
        writeln!(requests, "[{}]", calls.join(",")).expect("a batch");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("its answer");
        assert!(!answer.contains("\"error\""), "{answer}");
    }
    let took = start.elapsed();
    let last = (seconds * 10_000 - 1).to_string();
    let key = format!("k{}", (seconds * 10_000 - 1) % 20_000);
    let arrived = || items(&second) == 20_000 && get(&second, &key).contains(&last);
    let arrived = patience(SOON, || arrived().then_some(())).is_some();
    let stats = first.admin(&["rpc", "dmq.stats"]);
    eprintln!(
        "{} writes in {took:?}, all there {:?} later\n{stats}",
        seconds * 10_000,
        start.elapsed() - took
    );
    assert!(arrived, "{} items\n{stats}", items(&second));
    // A busy machine may hold a node up for longer than answers took so far.
    let (sent, copies) = (
        number(&first, "dmq.stats", "sent"),
        number(&first, "dmq.stats", "copies"),
    );
    assert!(copies * 100 <= sent, "{copies} copies of {sent}");
    second.stop();
    first.stop();
}
