//! Phones come, stay and go, by virtual time; and a plain map beside the table.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;
use switchhook_sip::registrar::{Limits, save};

/// Registers `host` for so many seconds, each time as a phone that just started does.
fn register(
    table: &Locations,
    now: Instant,
    aor: &str,
    host: u32,
    seconds: u64,
) -> Result<u16, Full> {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let request = format!(
        "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n\
         To: <sip:a@x>\r\nCall-ID: {call}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:a@h{host}>;expires={seconds}\r\n\r\n"
    );
    let request = Message::parse(request.into()).unwrap();
    let source = Source {
        transport: Transport::Udp,
        remote: "192.0.2.1:5060".parse().unwrap(),
        local: "192.0.2.9:5060".parse().unwrap(),
        flow: FlowId::new(1),
    };
    let limits = Limits {
        min_expires: Duration::ZERO,
        ..Limits::default()
    };
    table.update(now, aor, |current| {
        let outcome = save(now, request.view(), &source, current, &limits);
        (outcome.bindings, outcome.answer.status)
    })
}

fn hosts(table: &Locations, now: Instant, aor: &str) -> Vec<String> {
    table.read(now, aor, |live| live.map(host).collect())
}

fn host(binding: &Binding) -> String {
    String::from_utf8_lossy(binding.uri()).replace("sip:a@", "")
}

fn expired(table: &Locations, now: Instant, max: usize) -> Vec<String> {
    let over = table.expire(now, max).into_iter();
    let mut over: Vec<_> = over
        .map(|e| format!("{} {}", e.aor, host(&e.binding)))
        .collect();
    over.sort();
    over
}

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn contacts_come_are_refreshed_and_end_once() {
    let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
    for (aor, host, seconds) in [("alice", 1, 60), ("alice", 2, 120), ("bob", 3, 60)] {
        assert_eq!(register(&table, start, aor, host, seconds), Ok(200));
    }
    assert_eq!(hosts(&table, start, "alice"), ["h1", "h2"]);
    assert_eq!((table.aors(), table.contacts()), (2, 3));
    let aors = |now| {
        let mut aors = Vec::new();
        table.each_aor(now, |aor| aors.push(aor.to_owned()));
        aors.sort();
        aors
    };
    assert_eq!(aors(start), ["alice", "bob"]);
    assert_eq!(aors(at(start, 60)), ["alice"], "one is still alive");
    assert!(expired(&table, at(start, 59), 10).is_empty());

    register(&table, at(start, 59), "bob", 3, 60).unwrap();
    assert_eq!(
        hosts(&table, at(start, 60), "alice"),
        ["h2"],
        "not seen any more"
    );
    assert_eq!(table.contacts(), 3, "but not reported yet");
    assert_eq!(expired(&table, at(start, 60), 10), ["alice h1"]);
    assert_eq!((table.aors(), table.contacts()), (2, 2));
    assert!(expired(&table, at(start, 61), 10).is_empty(), "only once");

    assert_eq!(expired(&table, at(start, 500), 10), ["alice h2", "bob h3"]);
    assert_eq!((table.aors(), table.contacts()), (0, 0));
    assert!(!table.registered(start, "alice"));
}

#[test]
fn what_ended_is_reported_even_if_the_phone_came_back_meanwhile() {
    let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
    register(&table, start, "alice", 1, 60).unwrap();
    register(&table, at(start, 100), "alice", 2, 60).unwrap();
    assert_eq!(hosts(&table, at(start, 100), "alice"), ["h2"]);
    assert_eq!(expired(&table, at(start, 100), 10), ["alice h1"]);
    // A query alone finds nothing and leaves nothing.
    let none = table.update(at(start, 200), "alice", |live| (None, live.len()));
    assert_eq!((none, table.aors(), table.contacts()), (Ok(0), 0, 1));
    assert_eq!(expired(&table, at(start, 200), 10), ["alice h2"]);
}

#[test]
fn ends_are_reported_in_batches() {
    let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
    for n in 0..100 {
        register(&table, start, &format!("user{}", n / 2), n, 60).unwrap();
    }
    let mut all = Vec::new();
    while table.contacts() > 0 {
        let batch = expired(&table, at(start, 60), 7);
        assert!((1..=7).contains(&batch.len()));
        all.extend(batch);
    }
    all.sort();
    all.dedup();
    assert_eq!((all.len(), table.aors()), (100, 0));
}

#[test]
fn a_full_table_refuses_what_is_new_and_keeps_what_is_there() {
    let table = Locations::new(LocationLimits {
        max_aors: 2,
        max_contacts: 3,
    });
    let start = Instant::now();
    let mut late = start;
    for (aor, host) in [("alice", 1), ("bob", 2)] {
        register(&table, start, aor, host, 60).unwrap();
    }
    let full = register(&table, start, "carol", 3, 60).unwrap_err();
    assert_eq!(
        full.to_string(),
        "location table: expected at most 2 addresses of record"
    );
    assert_eq!(table.contacts(), 2, "nothing of it is left");
    register(&table, start, "bob", 4, 60).unwrap();
    let full = register(&table, start, "bob", 5, 60).unwrap_err();
    assert_eq!((full.what, full.limit), ("contacts", 3));
    late += Duration::from_secs(1);
    assert_eq!(register(&table, late, "bob", 4, 60), Ok(200), "a refresh");
    assert_eq!(register(&table, late, "alice", 1, 0), Ok(200), "a removal");
    assert_eq!(register(&table, late, "carol", 3, 60), Ok(200));
    assert!(register(&table, late, &"x".repeat(MAX_AOR + 1), 3, 60).is_err());
}

#[test]
fn removal_and_dump() {
    let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
    for (aor, host, seconds) in [("alice", 1, 60), ("alice", 2, 10), ("bob", 3, 60)] {
        register(&table, start, aor, host, seconds).unwrap();
    }
    let mut all = Vec::new();
    table.each(at(start, 20), |aor, b| {
        all.push(format!("{aor} {}", host(b)))
    });
    all.sort();
    assert_eq!(all, ["alice h1", "bob h3"]);
    assert_eq!(table.remove(at(start, 20), "alice"), 1);
    assert_eq!(table.remove(at(start, 20), "nobody"), 0);
    assert!(!table.registered(at(start, 20), "alice"));
    assert_eq!(table.aors(), 1);
}

#[test]
fn lanes_work_side_by_side() {
    let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let table = &table;
            scope.spawn(move || {
                for n in 0..200 {
                    register(table, start, &format!("own{lane}"), n % 8, 60).unwrap();
                    register(table, start, "shared", lane, 60).unwrap();
                    table.registered(start, "shared");
                }
            });
        }
    });
    assert_eq!(hosts(&table, start, "shared").len(), 4);
    assert_eq!((table.aors(), table.contacts()), (5, 4 * 8 + 4));
}

proptest! {
    /// Against a plain map of (address, host) to its end.
    #[test]
    fn it_does_what_a_plain_map_does(
        steps in prop::collection::vec((0u32..5, 0u32..4, prop::sample::select(vec![0u64, 5, 30, 60]), 0u64..20, 0usize..4), 1..80)
    ) {
        let (table, start) = (Locations::new(LocationLimits::default()), Instant::now());
        let mut model = BTreeMap::<(u32, u32), u64>::new();
        let (mut seconds, mut reported, mut ended) = (0, Vec::new(), Vec::new());
        for (aor, host, expires, wait, max) in steps {
            seconds += wait;
            model.retain(|key, end| {
                let live = *end > seconds;
                if !live { ended.push(format!("u{} h{}", key.0, key.1)); }
                live
            });
            prop_assert_eq!(register(&table, at(start, seconds), &format!("u{aor}"), host, expires), Ok(200));
            match expires {
                0 => { model.remove(&(aor, host)); }
                _ => { model.insert((aor, host), seconds + expires); }
            }
            reported.extend(expired(&table, at(start, seconds), max));
            for user in 0..5 {
                let mut came = hosts(&table, at(start, seconds), &format!("u{user}"));
                came.sort();
                let expected: Vec<_> = model.keys().filter(|k| k.0 == user).map(|k| format!("h{}", k.1)).collect();
                prop_assert_eq!(came, expected);
            }
        }
        ended.extend(model.keys().map(|k| format!("u{} h{}", k.0, k.1)));
        reported.extend(expired(&table, at(start, seconds + 1000), usize::MAX));
        ended.sort();
        reported.sort();
        prop_assert_eq!(reported, ended, "each end is reported once");
        prop_assert_eq!((table.aors(), table.contacts()), (0, 0));
        for shard in &table.shards {
            let shard = shard.read().unwrap();
            prop_assert!(shard.ends.is_empty() && shard.index.is_empty());
            prop_assert_eq!(shard.free.len(), shard.slots.len());
        }
    }
}
