//! Stories on the bus, in virtual time: nodes of ours, a stranger that speaks as Kamailio does, and a network that loses.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{World, kdmq, node};
use switchhook_dmq::envelope::Reply;
use switchhook_dmq::htable::{Action, Of, Value};
use switchhook_dmq::members::State;
use switchhook_dmq::{Change, Event, Node, dialog, usrloc};

/// The answers that a stranger got, by status.
fn statuses(world: &World, to: Node) -> Vec<u16> {
    let answers = world.strangers.iter().filter(|(_, at, _)| *at == to);
    let status = |text: &str| text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok();
    answers.filter_map(|(_, _, text)| status(text)).collect()
}

/// The bodies of the requests that a stranger got on a channel.
fn bodies(world: &World, to: Node, channel: &str) -> Vec<String> {
    let start = format!("KDMQ sip:{channel}@");
    let got = world
        .strangers
        .iter()
        .filter(|(_, at, text)| *at == to && text.starts_with(&start));
    got.map(|(_, _, text)| text.split_once("\r\n\r\n").unwrap().1.to_owned())
        .collect()
}

/// Answers every request that a stranger got since that place.
fn answer(world: &mut World, from: usize, status: &str) {
    let requests: Vec<_> = world.strangers.split_off(from);
    for (sender, at, text) in &requests {
        let Some(head) = text
            .strip_prefix("KDMQ ")
            .and_then(|t| t.split("\r\n\r\n").next())
        else {
            continue;
        };
        let kept = head.lines().filter(|line| {
            ["Via:", "To:", "From:", "CSeq:", "Call-ID:"]
                .iter()
                .any(|name| line.starts_with(name))
        });
        let kept: Vec<_> = kept.collect();
        let reply = format!(
            "SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n",
            kept.join("\r\n")
        );
        world.send(*at, *sender, reply);
    }
    world.strangers.extend(requests);
}

#[test]
fn three_nodes_know_each_other_within_a_second() {
    let mut world = World::new(1);
    world.start(1, &[]);
    world.start(2, &[1]);
    world.run_secs(1);
    world.start(3, &[2]);
    world.run_secs(1);
    for n in 1..=3 {
        let active: Vec<_> = world
            .at(n)
            .bus
            .members()
            .active()
            .map(|member| member.node)
            .collect();
        let others: Vec<_> = (1..=3).filter(|other| *other != n).map(node).collect();
        assert_eq!(active, others, "seen by {n}");
    }
    assert!(world.at(1).events.contains(&Event::Up(node(3))));
}

#[test]
fn forty_members_find_each_other_through_lists_that_name_but_some() {
    let mut world = World::new(2);
    world.start(1, &[]);
    for n in 2..=40 {
        world.start(n, &[1]);
        world.run(Duration::from_millis(100));
    }
    world.run_secs(60);
    for n in 1..=40 {
        assert_eq!(
            world.at(n).bus.members().active().count(),
            39,
            "seen by {n}"
        );
    }
}

#[test]
fn writes_of_one_node_are_seen_at_all() {
    let mut world = World::new(3);
    world.start(1, &[]);
    world.start(2, &[1]);
    world.start(3, &[1]);
    world.run_secs(2);
    for n in 0..100 {
        world.set(1, &format!("k{n}"), n);
    }
    world.run_secs(1);
    let change = |action| Change::Htable {
        table: "ht".into(),
        action,
    };
    world.change(2, change(Action::Delete { key: "k1".into() }));
    world.change(
        2,
        change(Action::DeletePrefix {
            of: Of::Name,
            prefix: "k9".into(),
        }),
    );
    world.change(
        3,
        change(Action::DeletePattern {
            of: Of::Name,
            pattern: "^k[34]".into(),
        }),
    );
    let short = Action::Set {
        key: "short".into(),
        value: Value::Text("é \"q\"".into()),
        ttl: Some(Duration::from_secs(5)),
    };
    world.change(3, change(short));
    world.run_secs(1);
    let now = world.now;
    let expected = world.at(1).memory.values(now, "ht");
    assert_eq!(expected.len(), 100 - 1 - 11 - 22 + 1);
    for n in 2..=3 {
        assert_eq!(
            world.at(n).memory.values(now, "ht"),
            expected,
            "seen at {n}"
        );
    }
    world.run_secs(5);
    let now = world.now;
    assert!((1..=3).all(|n| !world.at(n).memory.values(now, "ht").contains_key("short")));
}

#[test]
fn one_that_joins_gets_everything_in_short_messages() {
    let mut world = World::new(4);
    world.start(1, &[]);
    for n in 0..20_000 {
        world.set(1, &format!("key-{n}"), n);
    }
    world.start(2, &[1]);
    world.run_secs(3);
    let now = world.now;
    assert_eq!(world.at(2).memory.values(now, "ht").len(), 20_000);
    assert_eq!(world.at(1).bus.counters().resent, 0);
}

/// As a Kamailio node tells it: no list of its hash table is walked twice (seen in the order in which 5.6.3 tells 5000 keys with capitals).
#[test]
fn a_table_is_told_list_by_list() {
    let mut world = World::new(4);
    world.start(1, &[]);
    for n in 0..300 {
        world.set(1, &format!("KeY-{n}XyZ"), n);
    }
    let ask = kdmq(node(9), node(1), "htable", "a", 1, "{\"action\":1}");
    world.send(node(9), node(1), ask);
    world.run(Duration::from_millis(100));
    let told: Vec<_> = bodies(&world, node(9), "htable")
        .iter()
        .flat_map(|body| texts(body, "cname"))
        .collect();
    assert_eq!(told.len(), 300);
    assert_lists(told.iter().map(|key| key.to_lowercase()));
}

/// The texts of that key in a body, in order.
fn texts(body: &str, key: &str) -> impl Iterator<Item = String> {
    let mark = format!("\"{key}\":\"");
    let entries = body.split(&mark).skip(1);
    let texts: Vec<_> = entries
        .map(|entry| entry.split('"').next().unwrap().to_owned())
        .collect();
    texts.into_iter()
}

/// Of entries in the order in which they are told: those of one list come together.
fn assert_lists(names: impl Iterator<Item = String>) {
    let lists = names.map(|name| dialog::entry_of(name.as_bytes(), 64));
    let mut lists: Vec<_> = lists.collect();
    lists.dedup();
    let runs = lists.len();
    lists.sort_unstable();
    lists.dedup();
    assert_eq!(runs, lists.len(), "no list is walked twice");
}

/// Its workers wait for each other at the lock of a list.
#[test]
fn no_two_messages_of_the_same_lists_are_under_way() {
    let mut world = World::new(4);
    world.start(1, &[]);
    let mut wanted = BTreeSet::new();
    for n in 0..5000 {
        world.set(1, &format!("key-{n}"), n);
        wanted.insert(format!("key-{n}"));
    }
    let ask = kdmq(node(9), node(1), "htable", "a", 1, "{\"action\":1}");
    world.send(node(9), node(1), ask);
    while !wanted.is_empty() {
        world.run(Duration::from_millis(10));
        let under_way = bodies(&world, node(9), "htable");
        assert!(!under_way.is_empty(), "{} are not told", wanted.len());
        let mut parts = Vec::new();
        for body in &under_way {
            let mut lists: Vec<_> = texts(body, "cname")
                .inspect(|key| assert!(wanted.remove(key), "{key} is told twice"))
                .map(|key| dialog::entry_of(key.as_bytes(), 4))
                .collect();
            lists.dedup();
            parts.extend(lists);
        }
        parts.sort_unstable();
        let all = parts.len();
        parts.dedup();
        assert_eq!(parts.len(), all, "each quarter of the lists once");
        answer(&mut world, 0, "200 OK");
        world.strangers.clear();
    }
}

#[test]
fn contacts_are_told_list_by_list_whatever_their_table_calls_them() {
    let mut world = World::new(4);
    world.start(1, &[]);
    let told = contact(1, common::UNIX, common::UNIX + 600);
    for n in 0..50 {
        let body = told.replace("gus", &format!("Gus{n}"));
        let tell = kdmq(node(9), node(1), "usrloc", &format!("c{n}"), 1, &body);
        world.send(node(9), node(1), tell);
    }
    let ask = kdmq(node(9), node(1), "usrloc", "a", 1, "{\"action\":3}");
    world.run(Duration::from_millis(100));
    world.send(node(9), node(1), ask);
    world.run(Duration::from_millis(100));
    let told: Vec<_> = bodies(&world, node(9), "usrloc")
        .iter()
        .flat_map(|body| texts(body, "aor"))
        .collect();
    assert_eq!(told.len(), 50);
    assert_lists(told.into_iter());
}

#[test]
fn the_last_value_arrives_however_much_is_lost() {
    let mut world = World::new(5);
    world.start(1, &[]);
    world.start(2, &[1]);
    world.run_secs(2);
    (world.lost, world.doubled, world.jitter) = (30, 10, Duration::from_millis(300));
    for round in 0..200 {
        for key in 0..20 {
            world.set(1, &format!("k{key}"), round);
        }
        world.run(Duration::from_millis(20));
    }
    world.run_secs(30);
    let now = world.now;
    let values = world.at(2).memory.values(now, "ht");
    assert_eq!(values, world.at(1).memory.values(now, "ht"));
    assert!(values.values().all(|value| *value == Value::Integer(199)));
}

#[test]
fn a_silent_member_is_disabled_then_removed_and_one_that_says_goodbye_at_once() {
    let mut world = World::new(6);
    world.start(1, &[]);
    world.start(2, &[1]);
    world.start(3, &[1]);
    world.run_secs(2);
    world.at(2).up = false;
    let now = world.now_at(3);
    world.at(3).bus.shutdown(now);
    world.run_secs(0);
    // What it has to say goes out with its next step.
    world.run_secs(10);
    world.run_secs(10);
    assert_eq!(
        world.at(1).bus.members().find(node(2)).unwrap().state,
        State::Disabled
    );
    world.run_secs(30);
    assert_eq!(world.at(1).bus.members().find(node(2)), None);
    let events = world.at(1).events.clone();
    assert!(events.contains(&Event::Disabled(node(2))) && events.contains(&Event::Down(node(2))));
    world.at(2).up = true;
    world.run_secs(15);
    assert_eq!(
        world.at(1).bus.members().find(node(2)).unwrap().state,
        State::Active
    );
}

#[test]
fn a_hello_to_one_that_was_not_there_yet_is_not_held_against_it() {
    let mut world = World::new(18);
    world.start(1, &[2]);
    world.run_secs(7);
    world.start(2, &[1]);
    world.run_secs(10);
    assert_eq!(world.at(1).events, [Event::Up(node(2))]);
}

#[test]
fn what_a_silent_member_missed_is_told_when_it_is_back() {
    let mut world = World::new(7);
    world.start(1, &[]);
    world.start(2, &[1]);
    world.run_secs(2);
    for seconds in [15, 120] {
        world.split = Box::new(|a, b| a != b);
        world.set(1, "a", seconds);
        world.run_secs(seconds as u64);
        world.set(1, "b", seconds);
        world.split = Box::new(|_, _| false);
        world.run_secs(30);
        let now = world.now;
        assert_eq!(
            world.at(2).memory.values(now, "ht"),
            world.at(1).memory.values(now, "ht"),
            "after {seconds} s"
        );
    }
}

/// Sets so many keys at node 1, has a stranger join that it can tell them, and answers but the notifications for so long. The keys that came.
fn told(
    world: &mut World,
    until: Duration,
    mut answers: impl FnMut(&str) -> bool,
) -> BTreeSet<String> {
    let mut came = BTreeSet::new();
    let end = world.now + until;
    while world.now < end {
        world.run(Duration::from_millis(10));
        let all = std::mem::take(&mut world.strangers);
        for datagram in all {
            if !answers(&datagram.2) {
                continue;
            }
            came.extend(texts(&datagram.2, "cname"));
            world.strangers.push(datagram);
            answer(world, 0, "200 OK");
            world.strangers.clear();
        }
    }
    came
}

/// A busy member answers what it is told and leaves a ping unanswered: it is disabled in the middle of the telling, and told the rest when it answers again.
#[test]
fn one_that_is_disabled_while_it_is_told_is_told_the_rest_when_it_is_back() {
    let mut world = World::new(8);
    world.start(1, &[]);
    for n in 0..20_000 {
        world.set(1, &format!("key-{n}"), n);
    }
    let list = "sip:127.0.0.9:5060;status=active\r\n";
    let hello = kdmq(node(9), node(1), "notification_peer", "a", 1, list);
    let ask = kdmq(node(9), node(1), "htable", "b", 1, "{\"action\":1}");
    world.send(node(9), node(1), hello);
    world.send(node(9), node(1), ask);
    // So slow that a ping is due and given up before all is told.
    let mut count = 0;
    let mut came = told(&mut world, Duration::from_secs(20), |text| {
        count += 1;
        !text.contains("notification_peer") && (!text.contains("cells") || count % 100 == 0)
    });
    let events = &world.at(1).events;
    assert!(events.contains(&Event::Disabled(node(9))), "{events:?}");
    assert!(came.len() < 20_000, "it was not slow enough");
    let hello = kdmq(node(9), node(1), "notification_peer", "c", 1, list);
    world.send(node(9), node(1), hello);
    came.extend(told(&mut world, Duration::from_secs(5), |_| true));
    assert_eq!(came.len(), 20_000);
}

/// What was under way when a member was disabled may be given up when it is back already: it goes again, and so does what waits behind it.
#[test]
fn what_is_given_up_late_holds_nobody_up() {
    let mut world = World::new(8);
    world.start(1, &[]);
    let list = "sip:127.0.0.9:5060;status=active\r\n";
    let hello = |branch: &str| kdmq(node(9), node(1), "notification_peer", branch, 1, list);
    world.send(node(9), node(1), hello("a"));
    told(&mut world, Duration::from_secs(6), |_| true);
    // Unanswered: first this, then a ping.
    world.set(1, "lost", 1);
    told(&mut world, Duration::from_secs(1), |_| false);
    let goodbye = list.replace("active", "disabled");
    let goodbye = kdmq(node(9), node(1), "notification_peer", "b", 1, &goodbye);
    world.send(node(9), node(1), goodbye);
    world.run(Duration::from_millis(10));
    world.send(node(9), node(1), hello("c"));
    // It is back, and still does not answer that one.
    let lost = |text: &str| text.contains("\"lost\"");
    told(&mut world, Duration::from_secs(12), |text| !lost(text));
    world.set(1, "next", 1);
    let came = told(&mut world, Duration::from_secs(10), |_| true);
    assert!(came.contains("lost") && came.contains("next"), "{came:?}");
}

#[test]
fn a_copy_is_answered_again_and_not_carried_out_again() {
    let mut world = World::new(8);
    world.start(1, &[]);
    let body = r#"{"action":2,"htname":"ht","cname":"k","type":0,"intval":1,"mode":1}"#;
    for _ in 0..3 {
        world.send(
            node(9),
            node(1),
            kdmq(node(9), node(1), "htable", "same", 1, body),
        );
    }
    world.run_secs(1);
    assert_eq!(statuses(&world, node(9)), [200; 3]);
    assert_eq!(world.at(1).memory.applied, 1);
    assert_eq!(world.at(1).bus.counters().repeated, 2);
}

#[test]
fn a_question_for_everything_is_answered_at_once_and_served_once() {
    let mut world = World::new(9);
    world.start(1, &[]);
    world.set(1, "k", 1);
    for branch in ["a", "a", "b", "c"] {
        world.send(
            node(9),
            node(1),
            kdmq(node(9), node(1), "htable", branch, 1, "{\"action\":1}"),
        );
    }
    world.run(Duration::from_millis(100));
    let first = world.strangers.first().unwrap().2.clone();
    assert!(first.starts_with("SIP/2.0 200"), "{first}");
    let cells = bodies(&world, node(9), "htable");
    assert_eq!(
        cells,
        [r#"{"cells":[{"htname":"ht","cname":"k","type":0,"intval":1,"expire":0}]}"#]
    );
}

#[test]
fn strangers_and_liars_are_refused() {
    let mut world = World::new(10);
    world.start(1, &[]);
    world.set(1, "secret", 1);
    let far = Node::udp("192.0.2.66:5060".parse().unwrap());
    let set = r#"{"action":2,"htname":"ht","cname":"k","type":0,"intval":1,"mode":1}"#;
    for (n, body) in [set, "{\"action\":1}"].iter().enumerate() {
        world.send(
            far,
            node(1),
            kdmq(far, node(1), "htable", &format!("x{n}"), 1, body),
        );
        // From a member's address, in the name of another.
        world.send(
            node(9),
            node(1),
            kdmq(node(8), node(1), "htable", &format!("y{n}"), 1, body),
        );
        world.send(
            far,
            node(1),
            kdmq(node(8), node(1), "htable", &format!("z{n}"), 1, body),
        );
    }
    world.run_secs(1);
    assert_eq!(statuses(&world, far), [403; 4]);
    assert_eq!(statuses(&world, node(9)), [403; 2]);
    assert!(
        world
            .strangers
            .iter()
            .all(|(_, _, text)| text.starts_with("SIP/2.0 403")),
        "no leak"
    );
    assert_eq!(
        world.nodes[&node(1)].memory.values(world.now, "ht").len(),
        1
    );
    assert_eq!(world.at(1).bus.counters().refused, 6);
}

#[test]
fn bodies_that_kamailio_dies_of_are_refused() {
    let mut world = World::new(11);
    world.start(1, &[]);
    let cases = [
        ("htable", "{}", 400),
        ("htable", "[1,2]", 400),
        ("htable", "hello", 400),
        ("htable", "", 400),
        (
            "htable",
            r#"{"action":2,"htname":5,"cname":"k","type":0,"intval":1}"#,
            400,
        ),
        ("htable", r#"{"action":99,"htname":"ht"}"#, 400),
        (
            "htable",
            r#"{"action":2,"htname":"nosuch","cname":"k","type":0,"intval":1,"mode":1}"#,
            500,
        ),
        (
            "htable",
            r#"{"action":5,"htname":"ht","type":2,"strval":"((","mode":0}"#,
            400,
        ),
        ("htable", r#"{"action":1,"htname":"nosuch"}"#, 500),
        ("usrloc", "{}", 400),
        ("usrloc", r#"{"action":1}"#, 400),
        ("usrloc", r#"{"action":1,"aor":5}"#, 400),
        ("dialog", r#"{"action":1,"callid":5}"#, 400),
        ("dialog", "{}", 400),
        ("dialog", r#"{"action":42}"#, 400),
        ("nochannel", "{}", 404),
        (
            "htable",
            r#"{"action":2,"htname":"ht","cname":"ok","type":0,"intval":1,"mode":1,"last_modified":5,"ver":6}"#,
            200,
        ),
        (
            "notification_peer",
            "garbage\r\n\r\nsip:x.invalid;status=active",
            200,
        ),
    ];
    for (n, (channel, body, _)) in cases.iter().enumerate() {
        world.send(
            node(9),
            node(1),
            kdmq(node(9), node(1), channel, &format!("m{n}"), 1, body),
        );
        world.run(Duration::from_millis(10));
    }
    let expected: Vec<_> = cases.iter().map(|(_, _, status)| *status).collect();
    assert_eq!(statuses(&world, node(9)), expected);
    assert_eq!(world.at(1).memory.applied, 1);
}

fn contact(cseq: u32, changed: u64, expires: u64) -> String {
    format!(
        r#"{{"action":1,"aor":"gus","ruid":"uloc-9-x-1","c":"sip:gus@127.0.0.31:5090","received":"","sock":"udp:127.0.0.9:5060","path":"","callid":"c1","user_agent":"u","instance":"","expires":{expires},"cseq":{cseq},"flags":0,"cflags":0,"q":-1,"last_modified":{changed},"methods":4294967295,"reg_id":0,"server_id":9}}"#
    )
}

#[test]
fn an_older_contact_overwrites_nothing_and_one_that_was_removed_stays_so() {
    let mut world = World::new(12);
    world.start(1, &[]);
    let unix = common::UNIX;
    let mut n = 0;
    let mut tell = |world: &mut World, body: &str| {
        n += 1;
        world.send(
            node(9),
            node(1),
            kdmq(node(9), node(1), "usrloc", &format!("c{n}"), 1, body),
        );
        world.run(Duration::from_millis(10));
        world
            .at(1)
            .memory
            .contacts
            .values()
            .map(|(contact, _)| contact.cseq)
            .collect::<Vec<_>>()
    };
    assert_eq!(tell(&mut world, &contact(10, unix, unix + 600)), [10]);
    assert_eq!(tell(&mut world, &contact(9, unix - 10, unix + 100)), [10]);
    let removal = contact(11, unix + 1, unix + 600).replace(r#""action":1"#, r#""action":2"#);
    assert_eq!(tell(&mut world, &removal), [0u32; 0]);
    assert_eq!(
        tell(&mut world, &contact(10, unix, unix + 600)),
        [0u32; 0],
        "no ghost"
    );
    assert_eq!(
        tell(&mut world, &contact(11, unix + 1, unix + 600)),
        [0u32; 0],
        "no ghost"
    );
    assert_eq!(
        tell(&mut world, &contact(12, unix + 2, unix + 602)),
        [12],
        "registered anew"
    );
    assert_eq!(
        tell(&mut world, &contact(13, unix - 700, unix - 100)),
        [12],
        "over before it came"
    );
}

#[test]
fn a_clock_an_hour_off_gives_and_takes_no_life() {
    for skew in [-3600i64, 3600] {
        let mut world = World::new(13);
        world.start(1, &[]);
        let theirs = common::UNIX.saturating_add_signed(skew);
        world.send(
            node(9),
            node(1),
            kdmq(
                node(9),
                node(1),
                "usrloc",
                "c",
                1,
                &contact(1, theirs, theirs + 600),
            ),
        );
        world.send(
            node(9),
            node(1),
            kdmq(
                node(9),
                node(1),
                "notification_peer",
                "n",
                1,
                "sip:127.0.0.9:5060;status=active\r\n",
            ),
        );
        world.run(Duration::from_millis(10));
        // Known by now, and no longer settling.
        for _ in 0..70 {
            world.run_secs(1);
            answer(&mut world, 0, "200 OK");
            world.strangers.clear();
        }
        let theirs = theirs + 70;
        world.send(
            node(9),
            node(1),
            kdmq(
                node(9),
                node(1),
                "usrloc",
                "d",
                1,
                &contact(2, theirs, theirs + 600),
            ),
        );
        world.run(Duration::from_millis(10));
        let now = world.now;
        let ends: Vec<_> = world
            .at(1)
            .memory
            .contacts
            .values()
            .map(|(_, end)| (*end - now).as_secs())
            .collect();
        assert!(
            ends.iter().all(|left| (590..=600).contains(left)) && ends.len() == 1,
            "{skew}: {ends:?}"
        );
    }
}

fn created(state: u8) -> String {
    let entry = dialog::entry_of(b"call-1", dialog::ENTRIES);
    format!(
        r#"{{"action":1,"h_entry":{entry},"h_id":7,"init_ts":1,"callid":"call-1","from_uri":"sip:a@b","to_uri":"sip:c@d","req_uri":"sip:c@d","tag1":"t","cseq1":"1","route_set1":"","contact1":"sip:a@b","vars":{{}},"state":{state}}}"#
    )
}

#[test]
fn a_state_before_its_dialog_is_repaired_and_a_late_dialog_is_no_ghost() {
    let mut world = World::new(14);
    world.start(1, &[]);
    let entry = dialog::entry_of(b"call-1", dialog::ENTRIES);
    let mut n = 0;
    let mut tell = |world: &mut World, body: &str| {
        n += 1;
        world.send(
            node(9),
            node(1),
            kdmq(node(9), node(1), "dialog", &format!("d{n}"), 1, body),
        );
        world.run(Duration::from_millis(10));
        world
            .at(1)
            .memory
            .dialogs
            .values()
            .map(|dialog| dialog.state.number())
            .collect::<Vec<_>>()
    };
    let state = |state| format!(r#"{{"action":2,"h_entry":{entry},"h_id":7,"state":{state}}}"#);
    assert_eq!(tell(&mut world, &state(4)), [0u8; 0]);
    assert_eq!(tell(&mut world, &created(1)), [4]);
    assert_eq!(tell(&mut world, &created(1)), [4]);
    assert_eq!(tell(&mut world, &state(2)), [4]);
    assert_eq!(tell(&mut world, &state(5)), [5]);
    let removed = format!(r#"{{"action":3,"h_entry":{entry},"h_id":7,"state":5}}"#);
    assert_eq!(tell(&mut world, &removed), [0u8; 0]);
    assert_eq!(tell(&mut world, &created(1)), [0u8; 0], "no ghost");
    assert_eq!(tell(&mut world, &state(4)), [0u8; 0], "no ghost");
    assert_eq!(statuses(&world, node(9)), [200; 8]);
}

#[test]
fn a_script_is_asked_once_and_its_answer_is_given_to_copies_too() {
    let mut world = World::new(15);
    world.start(1, &[]);
    for _ in 0..2 {
        world.send(
            node(9),
            node(1),
            kdmq(node(9), node(1), "talk", "t", 1, "hello"),
        );
    }
    world.run_secs(1);
    let events = std::mem::take(&mut world.at(1).events);
    let [
        Event::Message {
            ticket,
            channel,
            body,
            from,
            ..
        },
    ] = events.as_slice()
    else {
        panic!("expected one message, got {events:?}");
    };
    assert_eq!(
        (&**channel, &body[..], *from),
        ("talk", &b"hello"[..], node(9))
    );
    assert!(
        world
            .at(1)
            .bus
            .answer(*ticket, &Reply::new(202, "Accepted"))
    );
    assert!(!world.at(1).bus.answer(*ticket, &Reply::OK));
    world.send(
        node(9),
        node(1),
        kdmq(node(9), node(1), "talk", "t", 1, "hello"),
    );
    world.run_secs(1);
    assert_eq!(statuses(&world, node(9)), [202, 202]);
    world.send(
        node(9),
        node(1),
        kdmq(node(9), node(1), "talk", "u", 1, "nobody answers"),
    );
    world.run_secs(6);
    assert_eq!(statuses(&world, node(9)), [202, 202, 500]);
}

#[test]
fn a_scripts_message_tells_what_came_back() {
    let mut world = World::new(16);
    world.start(1, &[]);
    world.start(2, &[1]);
    world.run_secs(2);
    let now = world.now_at(2);
    let bus = &mut world.at(2).bus;
    let none = bus.send(now, 1, Some(node(7)), "talk", "text/plain", "x".into());
    assert_eq!(none, 0, "no member");
    assert_eq!(
        bus.send(now, 2, None, "htable", "text/plain", "x".into()),
        0,
        "not a script's channel"
    );
    let sent = bus.send(now, 3, None, "nochan", "text/plain", "x".into());
    assert_eq!(sent, 1);
    world.run_secs(20);
    let answered = Event::Answered {
        number: 3,
        node: node(1),
        status: 404,
    };
    assert!(world.at(2).events.contains(&answered));
}

#[test]
fn kamailio_gets_nothing_but_what_it_knows() {
    let mut world = World::new(17);
    world.start(1, &[]);
    let k = node(9);
    world.send(
        k,
        node(1),
        kdmq(
            k,
            node(1),
            "notification_peer",
            "hello",
            2,
            "sip:127.0.0.9:5060;status=active\r\n",
        ),
    );
    world.run(Duration::from_millis(10));
    answer(&mut world, 0, "200 OK");
    world.run(Duration::from_millis(10));
    let asks: Vec<_> = ["dialog", "usrloc", "htable"]
        .iter()
        .flat_map(|channel| bodies(&world, k, channel))
        .collect();
    assert_eq!(asks, ["{\"action\":4}", "{\"action\":3}", "{\"action\":1}"]);
    let place = world.strangers.len();
    world.set(1, "k1", 42);
    let sent: usize = 19;
    let contact = usrloc::read(contact(1, 5, common::UNIX + 600).as_bytes());
    let Ok(usrloc::Message::One(action, contact)) = contact else {
        panic!("expected a contact");
    };
    world.change(
        1,
        Change::Contact(usrloc::Change {
            action,
            contact,
            behind: 0,
        }),
    );
    world.run(Duration::from_millis(10));
    let new: Vec<_> = world.strangers[place..]
        .iter()
        .map(|(_, _, text)| text.clone())
        .collect();
    assert_eq!(new.len(), 2, "{new:?}");
    let set = new
        .iter()
        .find(|text| text.starts_with("KDMQ sip:htable@"))
        .unwrap();
    assert!(set.ends_with("\r\n\r\n{\"action\":2,\"htname\":\"ht\",\"cname\":\"k1\",\"type\":0,\"intval\":42,\"mode\":1}"));
    for line in [
        "CSeq: 10 KDMQ",
        "Max-Forwards: 1",
        "Content-Type: application/json",
        "To: <sip:htable@127.0.0.9:5060>",
    ] {
        assert!(set.contains(&format!("\r\n{line}\r\n")), "{line} in {set}");
    }
    let save = new
        .iter()
        .find(|text| text.starts_with("KDMQ sip:usrloc@"))
        .unwrap();
    let body: serde_json::Value =
        serde_json::from_str(save.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body.as_object().unwrap().len(), sent, "all 19 keys");
}
