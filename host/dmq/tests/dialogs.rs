//! Dialogs between our own nodes: as records with versions, so that loss, splits and late news leave no ghosts.

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
use switchhook_dmq::Change;
use switchhook_dmq::Event;
use switchhook_dmq::dialog::{self, Dialog, Id, Leg, State, Update};

const KEYS: [&str; 1] = ["a"];
const NODES: [u8; 3] = [1, 2, 3];

fn id(call: &str) -> Id {
    Id {
        entry: dialog::entry_of(call.as_bytes(), dialog::ENTRIES),
        number: 7,
    }
}

fn created(call: &str) -> Change {
    let mut dialog = Dialog {
        id: id(call),
        begun: UNIX,
        call_id: call.into(),
        from_uri: "sip:alice@example.test".into(),
        to_uri: "sip:bob@example.test".into(),
        req_uri: "sip:bob@192.0.2.7".into(),
        state: State::Unconfirmed,
        answered: 0,
        lifetime: 3600,
        caller: Leg {
            tag: "a".into(),
            cseq: "1".into(),
            ..Leg::default()
        },
        callee: Leg::default(),
        vars: [("foo".to_owned(), "bar".to_owned())].into(),
        profiles: String::new(),
    };
    dialog.set_profiles([("caller", Some("alice")), ("inbound", None)]);
    Change::Dialog(dialog::Change::Save(Box::new(dialog)))
}

fn goes_on(call: &str, state: State, answered: u64) -> Change {
    let update = Update {
        id: id(call),
        state,
        answered: (answered > 0).then_some(answered),
        lifetime: Some(3600),
        caller: None,
        callee: Some(Leg {
            tag: "b".into(),
            ..Leg::default()
        }),
    };
    Change::Dialog(dialog::Change::State(Box::new(update)))
}

fn removed(call: &str) -> Change {
    Change::Dialog(dialog::Change::Remove(id(call)))
}

fn start(world: &mut World, n: u8, peers: &[u8]) {
    world.start_ours(n, peers, &KEYS);
}

fn states(world: &mut World, n: u8) -> Vec<u8> {
    let dialogs = &world.at(n).memory.dialogs;
    dialogs.values().map(|d| d.state.number()).collect()
}

#[test]
fn a_call_is_known_at_every_node_and_gone_at_every_node() {
    let mut world = World::new(41);
    for (n, peers) in [(1, &[][..]), (2, &[1]), (3, &[1])] {
        start(&mut world, n, peers);
    }
    world.run_secs(5);
    (world.lost, world.doubled) = (30, 10);
    world.jitter = Duration::from_millis(60);
    world.change(1, created("c1"));
    world.change(1, goes_on("c1", State::Early, 0));
    world.run_secs(5);
    for n in NODES {
        let known = &world.at(n).memory.dialogs[&id("c1")];
        assert_eq!((known.state, &*known.vars["foo"]), (State::Early, "bar"));
        let profiles = known.read_profiles();
        assert_eq!(profiles[0].value.as_deref(), Some("alice"), "node {n}");
    }
    world.change(1, goes_on("c1", State::Confirmed, UNIX + 5));
    world.run_secs(5);
    // Its BYE comes to another node, which tells that it is gone.
    world.change(3, goes_on("c1", State::Deleted, 0));
    world.run_secs(5);
    for n in NODES {
        assert_eq!(states(&mut world, n), [5], "node {n}");
    }
    world.change(3, removed("c1"));
    world.run_secs(5);
    for n in NODES {
        assert_eq!(states(&mut world, n), [0u8; 0], "node {n}");
    }
}

#[test]
fn what_a_split_kept_from_a_node_it_learns_when_that_heals() {
    let mut world = World::new(42);
    for (n, peers) in [(1, &[][..]), (2, &[1])] {
        start(&mut world, n, peers);
    }
    world.run_secs(3);
    for call in ["c1", "c2"] {
        world.change(1, created(call));
        world.change(1, goes_on(call, State::Confirmed, UNIX + 3));
    }
    world.run_secs(3);
    assert_eq!(states(&mut world, 2), [4, 4]);
    world.split = Box::new(|_, _| true);
    // Ended on one side, begun on the other.
    world.change(2, goes_on("c1", State::Deleted, 0));
    world.change(2, removed("c1"));
    world.change(1, created("c3"));
    world.run_secs(4);
    assert_eq!(states(&mut world, 1).len(), 3);
    world.split = Box::new(|_, _| false);
    world.run_secs(20);
    for n in [1, 2] {
        let mut states = states(&mut world, n);
        states.sort_unstable();
        assert_eq!(states, [1, 4], "node {n}");
    }
    // One that starts anew is told of what goes on, and of no ghost.
    start(&mut world, 3, &[1]);
    world.run_secs(10);
    assert_eq!(states(&mut world, 3).len(), 2);
}

#[test]
fn an_hour_of_skew_lengthens_no_call_and_ends_none() {
    let mut world = World::new(43);
    for (n, skew, peers) in [(1, 0, &[][..]), (2, 3600, &[1]), (3, -3600, &[1])] {
        world.skew = skew;
        start(&mut world, n, peers);
    }
    world.run_secs(5);
    let now = world.now_at(1).unix();
    world.change(1, created("c1"));
    world.change(1, goes_on("c1", State::Confirmed, now));
    world.run_secs(5);
    for n in NODES {
        let now = world.now_at(n).unix();
        let answered = world.at(n).memory.dialogs[&id("c1")].answered;
        assert!(
            (now - 15..=now).contains(&answered),
            "node {n}: {}",
            now - answered
        );
    }
}

#[test]
fn dialogs_of_other_entries_are_refused_and_told_of_once() {
    let mut world = World::new(44);
    world.start(1, &[]);
    for n in 0..2 {
        let body = format!(
            r#"{{"action":1,"h_entry":4095,"h_id":{n},"callid":"call-1","from_uri":"","to_uri":"","tag1":"t","state":1}}"#
        );
        let branch = format!("e{n}");
        let told = kdmq(node(9), node(1), "dialog", &branch, 1, &body);
        world.send(node(9), node(1), told);
        world.run(Duration::from_millis(10));
    }
    assert!(world.at(1).memory.dialogs.is_empty());
    let events = &world.at(1).events;
    let other = |event: &&Event| matches!(event, Event::OtherEntries(_));
    assert_eq!(events.iter().filter(other).count(), 1, "{events:?}");
}
