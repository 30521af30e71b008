//! One thing at a time: what a join costs, what is sent on a clean network, what a full queue does, what a wrong clock does.

use std::time::Duration;

use switchhook_dmq::own::repair::{Config, PeerId, SetId};
use switchhook_dmq::own::version::Value;

use crate::net::{CALM, Net, Weather};

const HT: SetId = SetId(0);
const COUNTERS: SetId = SetId(1);
const FOREVER: Duration = Duration::ZERO;
const HOUR: i64 = 3_600_000;
const BAD: Weather = Weather {
    loss: 30,
    twice: 10,
    delay: (5, 40),
};

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn set(net: &mut Net, node: usize, key: &str, value: Value, life: Duration) {
    let now = net.now(node);
    let node = &mut net.nodes[node];
    node.memory.set(now, HT, key, value, life);
    node.mesh.changed(HT, key);
}

fn get(net: &Net, node: usize, key: &str) -> Option<Value> {
    net.nodes[node].memory.get(net.now(node).at, HT, key)
}

fn run(net: &mut Net, ms: u64) {
    let end = net.ms + ms;
    net.run_until(end);
}

fn copies(net: &Net) -> u64 {
    net.nodes
        .iter()
        .map(|node| node.mesh.counters().copies)
        .sum()
}

#[test]
fn a_joining_node_gets_all_of_a_table_in_few_messages() {
    let mut net = Net::new(1, &[0, 0], CALM, Config::default());
    let now = net.now(0);
    for n in 0..20_000 {
        let value = text(&format!("value of key {n}"));
        net.nodes[0]
            .memory
            .set(now, HT, &format!("key{n}"), value, FOREVER);
    }
    while !net.agree() {
        run(&mut net, 10);
        assert!(net.ms < 2_000, "{}", net.disagreement());
    }
    assert_eq!(copies(&net), 0);
    assert!(net.bytes < 20_000 * 70, "{} bytes", net.bytes);
    assert!(net.datagrams < 150, "{} messages", net.datagrams);
    // Equal nodes ask one question a second each.
    let before = net.datagrams;
    run(&mut net, 10_000);
    assert!(
        net.datagrams - before <= 2 * 2 * 11,
        "{}",
        net.datagrams - before
    );
}

#[test]
fn fast_writes_go_in_batches_and_nothing_is_sent_twice() {
    let mut net = Net::new(2, &[0, 0], CALM, Config::default());
    run(&mut net, 100);
    let before = net.datagrams;
    for n in 0..50_000u32 {
        set(
            &mut net,
            0,
            &format!("k{}", n % 9_000),
            Value::Integer(n.into()),
            FOREVER,
        );
        if n % 20 == 19 {
            run(&mut net, 1);
        }
    }
    run(&mut net, 20);
    assert!(net.agree(), "{}", net.disagreement());
    assert_eq!(copies(&net), 0);
    let messages = net.datagrams - before;
    assert!(
        messages < 4_000,
        "{messages} messages for 50,000 writes in 2.5 s"
    );
}

#[test]
fn two_hundred_fast_updates_of_a_key_and_counters_at_once() {
    let mut net = Net::new(3, &[0, HOUR, -HOUR], BAD, Config::default());
    for n in 0..200 {
        for key in 0..20 {
            set(&mut net, 0, &format!("k{key}"), Value::Integer(n), FOREVER);
        }
        for node in 0..3 {
            let now = net.now(node);
            let at = &mut net.nodes[node];
            at.memory.add(now, COUNTERS, "n", 1).unwrap();
            at.mesh.changed(COUNTERS, "n");
        }
        run(&mut net, 1);
    }
    run(&mut net, 5_000);
    assert!(net.agree(), "{}", net.disagreement());
    assert_eq!(get(&net, 2, "k7"), Some(Value::Integer(199)));
    let at = net.now(1).at;
    assert_eq!(
        net.nodes[1].memory.get(at, COUNTERS, "n"),
        Some(Value::Integer(600))
    );
}

#[test]
fn six_hundred_writes_over_a_network_that_loses_a_third() {
    let mut net = Net::new(4, &[0, 0], BAD, Config::default());
    for n in 0..600 {
        set(&mut net, 0, &format!("k{n}"), Value::Integer(n), FOREVER);
        run(&mut net, 5);
    }
    run(&mut net, 3_000);
    let arrived = (0..600).filter(|n| get(&net, 1, &format!("k{n}")).is_some());
    assert_eq!(arrived.count(), 600);
}

#[test]
fn a_queue_that_runs_over_is_mended_by_digests() {
    let config = Config {
        log: 100,
        ..Config::default()
    };
    let mut net = Net::new(5, &[0, 0, 0], CALM, config);
    run(&mut net, 50);
    for n in 0..5_000 {
        set(&mut net, 0, &format!("k{n}"), Value::Integer(n), FOREVER);
    }
    run(&mut net, 3_000);
    assert!(net.agree(), "{}", net.disagreement());
    let counters = net.nodes[0].mesh.counters();
    assert!(
        counters.behind > 0 && net.nodes[0].mesh.lag(PeerId(1)) == Some(0),
        "{counters:?}"
    );
}

#[test]
fn both_sides_of_a_split_keep_what_they_wrote_and_the_later_write_wins() {
    let mut net = Net::new(6, &[0, 0, 0, 0], CALM, Config::default());
    run(&mut net, 100);
    for n in 0..1_000 {
        set(&mut net, n % 4, &format!("k{n}"), text("before"), FOREVER);
    }
    run(&mut net, 500);
    net.side = vec![0, 0, 1, 1];
    run(&mut net, 20_000);
    set(&mut net, 0, "left", text("l"), FOREVER);
    set(&mut net, 2, "right", text("r"), FOREVER);
    set(&mut net, 1, "k5", text("first"), FOREVER);
    run(&mut net, 10);
    set(&mut net, 3, "k5", text("second"), FOREVER);
    let now = net.now(0);
    net.nodes[0].memory.remove(now, HT, "k6");
    net.nodes[0].mesh.changed(HT, "k6");
    run(&mut net, 20_000);
    let sent = net.bytes;
    net.side.fill(0);
    let healed = net.ms;
    while !net.agree() {
        run(&mut net, 50);
        assert!(net.ms < healed + 4_000, "{}", net.disagreement());
    }
    assert_eq!(get(&net, 0, "k5"), Some(text("second")));
    assert_eq!(get(&net, 3, "k6"), None);
    assert_eq!(get(&net, 3, "left"), Some(text("l")));
    assert_eq!(get(&net, 1, "right"), Some(text("r")));
    assert!(
        net.bytes - sent < 120_000,
        "{} bytes to mend four keys",
        net.bytes - sent
    );
}

#[test]
fn an_hour_of_skew_neither_revives_nor_lengthens_nor_ends() {
    let mut net = Net::new(7, &[0, HOUR, -HOUR], BAD, Config::default());
    let life = Duration::from_secs(20);
    set(&mut net, 1, "ahead", text("x"), life);
    set(&mut net, 2, "behind", text("x"), life);
    run(&mut net, 10_000);
    for node in 0..3 {
        assert_eq!(get(&net, node, "ahead"), Some(text("x")), "{node}");
        assert_eq!(get(&net, node, "behind"), Some(text("x")), "{node}");
    }
    // Killed, it gets what is left of a life, not a new one.
    net.kill(0);
    run(&mut net, 7_000);
    assert_eq!(get(&net, 0, "ahead"), Some(text("x")));
    run(&mut net, 8_000);
    for node in 0..3 {
        assert_eq!(
            (get(&net, node, "ahead"), get(&net, node, "behind")),
            (None, None),
            "{node}"
        );
    }
    // The clock that is behind can still overwrite what the one ahead wrote, once it has seen it.
    set(&mut net, 1, "k", text("ahead"), FOREVER);
    run(&mut net, 3_000);
    set(&mut net, 2, "k", text("behind"), FOREVER);
    run(&mut net, 3_000);
    assert_eq!(get(&net, 1, "k"), Some(text("behind")));
    // Days later nothing has come back, and nothing is kept.
    for _ in 0..50 {
        run(&mut net, 10_000);
        let now = net.now(0).at;
        for node in &mut net.nodes {
            (0..64).for_each(|_| node.memory.sweep(now));
        }
    }
    assert!(net.agree());
    assert_eq!(
        net.nodes.iter().map(|node| node.memory.len()).max(),
        Some(1)
    );
}

#[test]
fn a_clock_that_is_days_off_changes_nobody_else() {
    let mut net = Net::new(8, &[0, 49 * HOUR], CALM, Config::default());
    run(&mut net, 50);
    set(&mut net, 1, "poison", text("x"), FOREVER);
    set(&mut net, 0, "fine", text("y"), FOREVER);
    run(&mut net, 3_000);
    assert_eq!(get(&net, 0, "poison"), None);
    assert_eq!(get(&net, 1, "fine"), Some(text("y")));
    assert!(net.nodes[0].mesh.counters().clock_ahead > 0);
}

#[test]
fn a_node_killed_in_mid_sync_comes_back_and_gets_the_rest() {
    let mut net = Net::new(9, &[0, 0], BAD, Config::default());
    let now = net.now(0);
    for n in 0..3_000 {
        net.nodes[0]
            .memory
            .set(now, HT, &format!("key{n}"), Value::Integer(n), FOREVER);
    }
    while net.nodes[1].memory.len() < 500 {
        run(&mut net, 20);
        assert!(net.ms < 10_000);
    }
    net.kill(1);
    while !net.agree() {
        run(&mut net, 100);
        assert!(net.ms < 15_000, "{}", net.disagreement());
    }
    assert_eq!(net.nodes[1].memory.len(), 3_000);
}

#[test]
fn a_source_killed_in_mid_sync_leaves_what_was_sent_and_another_sends_the_rest() {
    let mut net = Net::new(10, &[0, 0, 0], CALM, Config::default());
    let now = net.now(0);
    for n in 0..60_000 {
        let key = format!("key{n}");
        net.nodes[0]
            .memory
            .set(now, HT, &key, Value::Integer(n), FOREVER);
    }
    while net.nodes[1].memory.len() < 60_000 || net.nodes[2].memory.len() < 60_000 {
        run(&mut net, 1);
        assert!(net.ms < 3_000);
    }
    net.kill(2);
    while net.nodes[2].memory.len() < 5_000 {
        run(&mut net, 1);
    }
    assert!(net.nodes[2].memory.len() < 60_000, "in the middle of it");
    net.kill(0);
    while !net.agree() {
        run(&mut net, 50);
        assert!(net.ms < 8_000, "{}", net.disagreement());
    }
    assert_eq!(net.nodes[0].memory.len(), 60_000);
}

#[test]
fn strangers_and_garbage_change_nothing() {
    let mut net = Net::new(11, &[0, 0], CALM, Config::default());
    run(&mut net, 50);
    let (now, node) = (net.now(0), &mut net.nodes[0]);
    let good =
        br#"{"v":1,"put":[["ht",[["k",1,0,0,0,0,"x"]]]],"nodes":["00000000000000aa"],"at":[1,0]}"#;
    assert_eq!(
        node.mesh
            .request(now, PeerId(77), good, &mut node.memory.records)
            .status,
        403
    );
    for bad in [
        &b""[..],
        b"{}",
        b"[]",
        b"[1,2]",
        b"null",
        br#"{"v":2,"at":[1,0]}"#,
        br#"{"v":1,"at":[281474976710656,0]}"#,
        br#"{"v":1,"at":[1,0],"put":[["ht",[["k",1,0,3,0,0,"x"]]]]}"#,
        br#"{"v":1,"at":[1,0],"put":[["ht",[["k",1,0,0,0,0,"x"],["l",1,0,9,0,0,"x"]]]],"nodes":["00000000000000aa"]}"#,
        br#"{"v":1,"at":[1,0],"put":[["ht",[["k",1,0,0,0,0,{"b":"*"}]]]],"nodes":["00000000000000aa"]}"#,
        br#"{"v":1,"at":[1,0],"put":[["ht",[["k",1,0,0,0,0,{"z":1}]]]],"nodes":["00000000000000aa"]}"#,
        br#"{"v":1,"at":[1,0],"nodes":["xyz"]}"#,
        &[0xff; 100],
        &[b'['; 30_000],
    ] {
        let answer = node.mesh.request(now, PeerId(1), bad, &mut node.memory.records);
        assert_eq!((answer.status, answer.body.len()), (400, 0), "{}", String::from_utf8_lossy(bad));
        assert_eq!(node.memory.len(), 0);
    }
    assert_eq!(
        node.mesh
            .request(now, PeerId(1), good, &mut node.memory.records)
            .status,
        200
    );
    assert_eq!(node.memory.len(), 1);
}
