//! Our own nodes on one bus: they know each other by their keys, tables are equal, a joining node gets all, and what is written
//! fast is sent once.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use switchhook_tests::{Daemon, Host, Place, Setup, Wire, alone, beside, patience};

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

/// A node on a host of a wire, which joins through all of them.
fn node_on(place: &Place, host: &Host, hosts: &[Host]) -> Daemon {
    std::fs::write(place.dir().join("bus.key"), KEY).expect("a key file");
    let peers: Vec<_> = hosts
        .iter()
        .map(|host| format!("\"sip:{}:5060\"", host.ip))
        .collect();
    let config = format!(
        "[sip]\nlanes = 1\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n\
         [dmq]\naddress = \"sip:{}:5060\"\npeers = [{}]\nhtables = [\"ht\"]\nlocation = \"location\"\n\
         key-files = [\"bus.key\"]\nping = \"1s\"\ntimeout = \"3s\"\n\
         [[htable]]\nname = \"ht\"\nexpire = \"2h\"\nmax-items = 200000\n",
        host.ip,
        peers.join(", "),
    );
    Setup::config(place, &config).on(host).start()
}

/// Calls the admin socket many times in one go.
fn calls(place: &Place, method: &str, params: impl Iterator<Item = String>) {
    let socket = UnixStream::connect(place.socket()).expect("the admin socket");
    let mut answers = BufReader::new(socket.try_clone().expect("a socket"));
    let mut requests = socket;
    let calls: Vec<_> = params
        .map(|params| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
        })
        .collect();
    for calls in calls.chunks(100) {
        writeln!(requests, "[{}]", calls.join(",")).expect("a batch");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("its answer");
        assert!(!answer.contains("\"error\""), "{answer}");
    }
}

fn sets(place: &Place, keys: std::ops::Range<usize>, value: &str) {
    let params = keys.map(|n| format!(r#"{{"table":"ht","key":"k{n}","value":"{value}-{n}"}}"#));
    calls(place, "htable.set", params);
}

fn adds(place: &Place, times: usize) {
    let params = (0..times).map(|n| format!(r#"{{"table":"ht","key":"c{}","by":1}}"#, n % 5));
    calls(place, "htable.add", params);
}

/// The whole table, sorted, as it is printed.
fn dump(daemon: &Daemon) -> Vec<String> {
    let text = daemon.admin(&["rpc", "htable.dump", "table=ht", "--all"]);
    let lines = text.lines().filter(|line| line.contains("\"key\""));
    // What is left of each life differs by the time it took to ask.
    let item = |line: &str| {
        let line = line.trim().trim_end_matches(',');
        let item: serde_json::Value = serde_json::from_str(line).expect("an item");
        format!("{}={}", item["key"], item["value"])
    };
    let mut items: Vec<_> = lines.map(item).collect();
    items.sort();
    items
}

/// Three daemons on hosts of their own; the wire loses 30 %, doubles and reorders; it is cut, both sides write and count; one is
/// killed in mid-sync; healed, all have equal tables within ten seconds, and exact counters.
#[test]
fn three_hosts_on_a_bad_wire_are_equal_ten_seconds_after_it_heals() {
    let _alone = alone();
    let Some(mut wire) = Wire::new(3) else {
        return;
    };
    let hosts = wire.hosts().to_vec();
    let places = [Place::new(), Place::new(), Place::new()];
    let start = |n: usize| node_on(&places[n], &hosts[n], &hosts);
    let mut nodes: Vec<Daemon> = (0..3).map(start).collect();
    let know_all = |nodes: &[Daemon]| {
        nodes.iter().all(|node| {
            let list: String = node
                .admin(&["rpc", "dmq.list-nodes"])
                .split_whitespace()
                .collect();
            list.matches("\"kind\":\"switchhook\"").count() == 2
        })
    };
    assert!(patience(SOON * 2, || know_all(&nodes).then_some(())).is_some());
    let equal = |nodes: &[Daemon], what: &str| {
        let healed = Instant::now();
        let all = || nodes.iter().map(dump).collect::<Vec<_>>();
        let same = patience(SOON, || {
            let all = all();
            (all.windows(2).all(|two| two[0] == two[1])).then(|| all[0].clone())
        });
        let Some(table) = same else {
            let sizes: Vec<_> = all().iter().map(Vec::len).collect();
            panic!("{what}: not equal within {SOON:?}: {sizes:?} items");
        };
        eprintln!(
            "{what}: {} items, equal {:?} later",
            table.len(),
            healed.elapsed()
        );
        table
    };
    let counted = |table: &[String], each: usize| {
        for n in 0..5 {
            let item = format!("\"c{n}\"={each}");
            let found = table
                .iter()
                .find(|item| item.starts_with(&format!("\"c{n}\"=")));
            assert_eq!(found, Some(&item), "exact counters");
        }
    };

    // A bad wire, writes and counters everywhere.
    wire.is("loss 30");
    wire.is("double 10");
    wire.is("late 20");
    for place in &places {
        adds(place, 100);
    }
    sets(&places[0], 0..600, "a");
    sets(&places[1], 300..900, "b");
    let table = equal(&nodes, "30 % loss, doubled and reordered");
    assert_eq!(table.len(), 905);
    counted(&table, 60);

    // Cut: the first alone, the others together; the same keys on both sides.
    wire.is(&format!("split {}", hosts[0].ip));
    sets(&places[0], 500..1500, "left");
    sets(&places[1], 1000..2000, "right");
    for place in &places {
        adds(place, 100);
    }
    std::thread::sleep(Duration::from_secs(5));
    assert_ne!(dump(&nodes[0]), dump(&nodes[1]), "they are cut off");
    wire.is("heal");
    let table = equal(
        &nodes,
        "split, writes on both sides, healed, still 30 % loss",
    );
    assert_eq!(table.len(), 2005);
    counted(&table, 120);

    // Killed in the middle of what it is told, and back while others write.
    let mut third = nodes.pop().expect("three nodes");
    third.program().signal("KILL");
    let _ = third.program().wait(SOON);
    drop(third);
    sets(&places[0], 2000..12_000, "later");
    let mut third = start(2);
    third.program().signal("KILL");
    let _ = third.program().wait(SOON);
    drop(third);
    nodes.push(start(2));
    sets(&places[1], 12_000..13_000, "latest");
    adds(&places[2], 100);
    wire.is("loss 0");
    let table = equal(&nodes, "killed in mid-sync twice, back");
    assert_eq!(table.len(), 13_005);
    counted(&table, 140);
    for node in nodes {
        node.stop();
    }
}
