//! Our own nodes on a bus with whoever else is there: what they say to each other, and what nobody else can.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

mod common;

use std::time::Duration;

use common::{UNIX, World, kdmq, node};
use switchhook_dmq::htable::{Action, Of, Value};
use switchhook_dmq::members::Kind;
use switchhook_dmq::{Change, usrloc};

const KEYS: [&str; 1] = ["a"];

fn set(key: &str, value: i64, ttl: Option<Duration>) -> Change {
    Change::Htable {
        table: "ht".into(),
        action: Action::Set {
            key: key.into(),
            value: Value::Integer(value),
            ttl,
        },
    }
}

/// What all of these nodes see, if they see the same.
fn equal(world: &mut World, nodes: &[u8]) -> std::collections::BTreeMap<String, Value> {
    let now = world.now;
    let first = world.at(nodes[0]).memory.values(now, "ht");
    for n in nodes {
        assert_eq!(world.at(*n).memory.values(now, "ht"), first, "node {n}");
    }
    first
}

fn bad(world: &mut World) {
    (world.lost, world.doubled) = (30, 10);
    world.jitter = Duration::from_millis(60);
}

#[test]
fn nodes_of_ours_know_each_other_and_send_a_stranger_nothing_of_theirs() {
    let mut world = World::new(1);
    world.start_ours(1, &[9], &KEYS);
    world.start_ours(2, &[1], &KEYS);
    world.run_secs(2);
    let list = "sip:127.0.0.9:5060;status=active\r\n";
    let hello = kdmq(node(9), node(1), "notification_peer", "h", 1, list);
    world.send(node(9), node(1), hello);
    world.run_secs(3);
    for (one, other) in [(1, 2), (2, 1)] {
        let member = world.at(one).bus.members().find(node(other)).unwrap();
        assert_eq!(member.kind, Kind::Own, "{one} about {other}");
    }
    assert_eq!(
        world.at(1).bus.members().find(node(9)).unwrap().kind,
        Kind::Kamailio
    );
    world.set(2, "k", 7);
    world.run_secs(2);
    assert_eq!(equal(&mut world, &[1, 2])["k"], Value::Integer(7));
    let told: Vec<_> = world
        .strangers
        .iter()
        .filter(|(_, to, _)| *to == node(9))
        .collect();
    assert!(
        told.iter()
            .any(|(_, _, text)| text.starts_with("KDMQ sip:htable@"))
    );
    assert!(
        told.iter()
            .all(|(_, _, text)| !text.contains("sip:switchhook@"))
    );
    let between = world.at(1).bus.own_counters().unwrap();
    assert!(between.mesh.records_in >= 1, "{between:?}");
}

#[test]
fn six_hundred_writes_over_a_network_that_loses_a_third() {
    let mut world = World::new(23);
    world.start_ours(1, &[], &KEYS);
    world.start_ours(2, &[1], &KEYS);
    world.run_secs(2);
    bad(&mut world);
    for n in 0..600 {
        world.set(1, &format!("k{n}"), n);
        world.run(Duration::from_millis(5));
    }
    world.run_secs(8);
    assert_eq!(equal(&mut world, &[1, 2]).len(), 600);
}

#[test]
fn both_sides_of_a_split_write_and_are_equal_within_ten_seconds_of_healing() {
    let mut world = World::new(30);
    for n in 1..=3 {
        world.start_ours(n, &[1], &KEYS);
    }
    world.run_secs(2);
    for n in 0..200 {
        world.set(1, &format!("k{n}"), n);
        world.add(2, "calls", 1);
    }
    world.run_secs(2);
    bad(&mut world);
    let lonely = |a: switchhook_dmq::Node, b| (a == node(3)) != (b == node(3));
    world.split = Box::new(lonely);
    // Long enough that members are removed, and written meanwhile.
    for n in 0..90 {
        world.set(1, &format!("left{n}"), n);
        world.set(3, &format!("right{n}"), n);
        world.set(2, "both", n);
        world.set(3, "both", 1000 + n);
        for at in 1..=3 {
            world.add(at, "calls", 1);
        }
        world.run_secs(1);
    }
    let gone = Action::DeletePrefix {
        of: Of::Name,
        prefix: "k1".into(),
    };
    let table = "ht".into();
    world.change(
        3,
        Change::Htable {
            table,
            action: gone,
        },
    );
    world.split = Box::new(|_, _| false);
    world.run_secs(10);
    let all = equal(&mut world, &[1, 2, 3]);
    assert_eq!(all["calls"], Value::Integer(200 + 3 * 90));
    assert_eq!(all["both"], Value::Integer(1089), "the later of two writes");
    assert_eq!(all.len(), 200 - 111 + 90 + 90 + 2);
}

#[test]
fn fast_updates_and_counters_at_all_nodes_at_once() {
    let mut world = World::new(36);
    for n in 1..=3 {
        world.start_ours(n, &[1], &KEYS);
    }
    world.run_secs(2);
    bad(&mut world);
    for n in 0..200 {
        for key in 0..20 {
            world.set(1 + (key % 3) as u8, &format!("k{key}"), n);
        }
        for at in 1..=3 {
            world.add(at, "n", 1);
        }
        world.run(Duration::from_millis(2));
    }
    world.run_secs(6);
    let all = equal(&mut world, &[1, 2, 3]);
    assert_eq!(all["n"], Value::Integer(600));
    assert!((0..20).all(|key| all[&format!("k{key}")] == Value::Integer(199)));
}

#[test]
fn a_joining_node_gets_all_and_a_node_killed_in_mid_sync_gets_it_after_its_restart() {
    let mut world = World::new(22);
    world.start_ours(1, &[], &KEYS);
    world.run_secs(1);
    for n in 0..30_000 {
        world.set(1, &format!("k{n}"), n);
    }
    world.start_ours(2, &[1], &KEYS);
    while world.at(2).memory.tables["ht"].len() < 5_000 {
        world.run(Duration::from_millis(1));
    }
    assert!(
        world.at(2).memory.tables["ht"].len() < 30_000,
        "in the middle"
    );
    world.start_ours(2, &[1], &KEYS);
    let began = world.now;
    while world.at(2).memory.tables["ht"].len() < 30_000 {
        world.run(Duration::from_millis(10));
        assert!(world.now - began < Duration::from_secs(3));
    }
    assert_eq!(equal(&mut world, &[1, 2]).len(), 30_000);
    let counters = world.at(1).bus.own_counters().unwrap();
    assert_eq!(counters.mesh.copies, 0, "{counters:?}");
}

#[test]
fn an_hour_of_skew_costs_no_life_and_gives_none() {
    let mut world = World::new(29);
    for (n, skew) in [(1, 0), (2, 3600), (3, -3600)] {
        world.skew = skew;
        world.start_ours(n, &[1], &KEYS);
    }
    world.run_secs(4);
    let life = Duration::from_secs(20);
    for n in 1..=3 {
        world.change(n, set(&format!("of{n}"), 1, Some(life)));
    }
    world.run_secs(15);
    assert_eq!(equal(&mut world, &[1, 2, 3]).len(), 3, "all live");
    world.run_secs(8);
    assert_eq!(equal(&mut world, &[1, 2, 3]).len(), 0, "none does");
    world.run_secs(120);
    assert_eq!(equal(&mut world, &[1, 2, 3]).len(), 0, "none is revived");
    // What is written later is later, whatever the clocks say.
    world.set(2, "k", 1);
    world.run_secs(1);
    world.set(3, "k", 2);
    world.run_secs(1);
    assert_eq!(equal(&mut world, &[1, 2, 3])["k"], Value::Integer(2));
}

#[test]
fn contacts_live_at_all_nodes_and_are_gone_at_all() {
    let mut world = World::new(40);
    world.start_ours(1, &[], &KEYS);
    world.skew = 3600;
    world.start_ours(2, &[1], &KEYS);
    world.run_secs(4);
    let contact = |aor: &str, cseq, unix| {
        let mut contact = usrloc::Contact::named(aor, "uloc-1");
        contact.uri = format!("sip:{aor}@127.0.0.31:5090");
        (contact.call_id, contact.cseq) = ("c".into(), cseq);
        (contact.last_modified, contact.expires) = (unix, unix + 60);
        contact
    };
    let change = |action, contact: usrloc::Contact| {
        Change::Contact(usrloc::Change {
            action,
            contact: Box::new(contact),
            behind: 0,
        })
    };
    world.change(
        1,
        change(usrloc::Action::Save, contact("alice", 1, UNIX + 4)),
    );
    world.change(
        2,
        change(usrloc::Action::Save, contact("bob", 1, UNIX + 4 + 3600)),
    );
    world.run_secs(1);
    for n in [1, 2] {
        let now = world.now;
        let contacts = &world.at(n).memory.contacts;
        let aors: Vec<_> = contacts.keys().map(|(aor, _)| aor.clone()).collect();
        assert_eq!(aors, ["alice", "bob"], "node {n}");
        let left = contacts.values().map(|(_, end)| (*end - now).as_secs());
        assert!(
            left.clone().all(|left| (57..=60).contains(&left)),
            "{:?}",
            left.collect::<Vec<_>>()
        );
    }
    world.change(
        2,
        change(usrloc::Action::Remove, contact("alice", 2, UNIX + 5)),
    );
    world.run_secs(1);
    assert_eq!(world.at(1).memory.contacts.len(), 1);
}

#[test]
fn who_has_no_key_changes_nothing_and_learns_nothing() {
    let mut world = World::new(32);
    world.start_ours(1, &[], &KEYS);
    world.start_ours(2, &[1], &KEYS);
    world.start_ours(3, &[1], &["another"]);
    world.run_secs(3);
    world.set(1, "secret", 1);
    world.run_secs(2);
    assert_eq!(equal(&mut world, &[1, 2]).len(), 1);
    // One with another key is no node of ours, and no member.
    assert_eq!(world.at(3).memory.tables["ht"].len(), 0);
    assert!(
        world
            .at(1)
            .bus
            .members()
            .find(node(3))
            .is_none_or(|member| member.kind == Kind::Kamailio)
    );
    let body =
        r#"{"v":1,"put":[["ht",[["k",1,0,0,0,0,"x"]]]],"nodes":["00000000000000aa"],"at":[1,0]}"#;
    for body in [body, r#"{"v":1,"pull":"ht","at":[1,0]}"#] {
        let request = kdmq(node(9), node(1), "switchhook", "x", 1, body);
        let named = request.replace(
            "Max-Forwards",
            "Switchhook-Node: 00000000000000aa\r\nMax-Forwards",
        );
        for request in [request, named] {
            world.send(node(9), node(1), request);
        }
    }
    world.run_secs(2);
    assert_eq!(world.at(1).memory.tables["ht"].len(), 1);
    let told: Vec<_> = world
        .strangers
        .iter()
        .filter(|(_, to, _)| *to == node(9))
        .collect();
    assert!(!told.is_empty());
    for (_, _, text) in told {
        assert!(text.starts_with("SIP/2.0 403 "), "{text}");
        assert!(!text.contains("secret"));
    }
}

#[test]
fn what_was_recorded_is_refused_when_it_comes_again() {
    let mut world = World::new(33);
    // Everything that 1 sends to 2 is seen by a stranger, because 2 is none of ours yet.
    world.start_ours(1, &[2], &KEYS);
    world.run_secs(2);
    let recorded: Vec<String> = world
        .strangers
        .iter()
        .filter(|(_, to, _)| *to == node(2))
        .map(|(_, _, text)| text.clone())
        .collect();
    assert!(
        recorded
            .iter()
            .any(|text| text.contains("Switchhook-Auth: key=a;node="))
    );
    world.start_ours(2, &[], &KEYS);
    world.run_secs(1);
    for text in recorded {
        let other = text.replace("z9hG4bKdmq.", "z9hG4bKdmq.f");
        world.send(
            node(7),
            node(2),
            other.replace("127.0.0.1:5060;branch", "127.0.0.7:5060;branch"),
        );
    }
    world.run_secs(1);
    let answers: Vec<_> = world
        .strangers
        .iter()
        .filter(|(_, to, _)| *to == node(7))
        .collect();
    assert!(
        answers
            .iter()
            .all(|(_, _, text)| text.starts_with("SIP/2.0 403 ")),
        "{answers:?}"
    );
    assert!(world.at(2).bus.own_counters().unwrap().refused > 0);
}

#[test]
fn writes_that_never_came_to_the_bus_are_found_in_the_tables() {
    let mut world = World::new(50);
    world.start_ours(1, &[], &KEYS);
    world.start_ours(2, &[1], &KEYS);
    world.run_secs(2);
    for n in 0..50 {
        world.set(1, &format!("k{n}"), n);
    }
    world.run_secs(1);
    let now = world.now_at(1);
    let own = world.at(1);
    let table = own.memory.tables.get_mut("ht").unwrap();
    table.insert("lost".into(), (Value::Integer(1), None));
    table.insert("k1".into(), (Value::Integer(77), None));
    table.remove("k2");
    own.bus.resync(now);
    world.run_secs(3);
    let all = equal(&mut world, &[1, 2]);
    assert_eq!((all.len(), &all["k1"]), (50, &Value::Integer(77)));
}

#[test]
fn what_a_table_begins_with_undoes_nothing_that_was_written_since() {
    let mut world = World::new(51);
    let begin = |world: &mut World, n: u8| {
        let table = world.at(n).memory.tables.get_mut("ht").unwrap();
        table.insert("greeting".into(), (Value::Text("hello".into()), None));
        table.insert("of each".into(), (Value::Integer(n.into()), None));
    };
    for n in [1, 2] {
        world.start_ours(n, &[1], &KEYS);
        begin(&mut world, n);
    }
    world.run_secs(3);
    assert_eq!(equal(&mut world, &[1, 2]).len(), 2);
    world.set(1, "greeting", 5);
    world.run_secs(1);
    // It starts again with what its config says.
    world.start_ours(2, &[1], &KEYS);
    begin(&mut world, 2);
    world.run_secs(3);
    assert_eq!(equal(&mut world, &[1, 2])["greeting"], Value::Integer(5));
}
