//! The laws of a join, and what they are for: the last writer wins, no count is lost, nothing comes back.

use super::*;
use crate::own::version::{Clock, NodeId, Stamp};
use proptest::prelude::*;

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

fn version(ms: u64, node: u64) -> Version {
    Version {
        stamp: Stamp::new(ms, 0).unwrap(),
        node: NodeId::new(node),
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn the_last_writer_wins_whoever_hears_first() {
    let now = Instant::now();
    let (mut a, mut b) = (Record::default(), Record::default());
    a.set(version(5, 1), now, text("first"), Duration::ZERO);
    b.set(version(6, 2), now, text("second"), Duration::ZERO);
    let sent = a.clone();
    assert!(a.merge(&b));
    assert!(!b.merge(&sent), "what is older changes nothing");
    assert_eq!((a.value(now), &a), (Some(text("second")), &b));
}

#[test]
fn counts_at_once_at_two_nodes_are_all_there() {
    let now = Instant::now();
    let (mut a, mut b) = (Record::default(), Record::default());
    for n in 0..150 {
        a.add(version(10 + n, 1), now, 1, Duration::ZERO).unwrap();
        b.add(version(10 + n, 2), now, 2, Duration::ZERO).unwrap();
    }
    b.add(version(200, 2), now, -7, Duration::ZERO).unwrap();
    let old = a.clone();
    a.merge(&b);
    b.merge(&a);
    b.merge(&old);
    assert_eq!(a, b);
    assert_eq!(a.value(now), Some(Value::Integer(150 + 300 - 7)));
    // A set ends the counting; what is counted after it counts on from there.
    a.set(version(300, 1), now, Value::Integer(1000), Duration::ZERO);
    b.merge(&a);
    b.add(version(301, 2), now, 5, Duration::ZERO).unwrap();
    a.merge(&b);
    assert_eq!(a.value(now), Some(Value::Integer(1005)));
    assert!(!a.merge(&old), "the old counts do not come back");
}

#[test]
fn counts_after_a_removal_are_exact_even_where_it_is_forgotten() {
    let now = Instant::now();
    let mut a = Record::default();
    a.add(version(1, 1), now, 40, Duration::ZERO).unwrap();
    a.remove(version(2, 1), now, Duration::from_secs(10));
    let (mut b, mut forgot) = (a.clone(), Record::default());
    assert_eq!(a.add(version(3, 1), now, 1, Duration::ZERO), Ok(1));
    assert_eq!(b.add(version(3, 2), now, 1, Duration::ZERO), Ok(1));
    assert_eq!(forgot.add(version(4, 3), now, 1, Duration::ZERO), Ok(1));
    a.merge(&forgot);
    a.merge(&b);
    forgot.merge(&a);
    assert_eq!(a.value(now), Some(Value::Integer(3)));
    assert_eq!(forgot.value(now), a.value(now));
}

#[test]
fn what_is_over_is_not_revived_by_a_late_copy() {
    let start = Instant::now();
    let mut a = Record::default();
    a.set(version(1, 1), start, text("x"), Duration::from_secs(5));
    let copy = a.clone();
    assert!(a.is_live(at(start, 4_999)) && !a.is_live(at(start, 5_000)));
    assert!(!a.is_over(at(start, 64_999)), "known a while longer");
    assert!(!a.merge(&copy));
    assert_eq!(a.value(at(start, 6_000)), None);
    assert!(a.is_over(at(start, 65_000)));

    a.remove(version(2, 1), start, Duration::from_secs(10));
    assert!(!a.merge(&copy));
    assert!(a.is_gone() && !a.is_over(at(start, 9_999)) && a.is_over(at(start, 10_000)));
}

#[test]
fn two_nodes_count_anew_when_a_counter_is_over() {
    let start = Instant::now();
    let life = Duration::from_secs(5);
    let mut a = Record::default();
    a.add(version(1, 1), start, 10, life).unwrap();
    a.add(version(2_000, 1), at(start, 2_000), 10, life)
        .unwrap();
    let mut b = a.clone();
    let later = at(start, 7_000);
    assert_eq!(a.add(version(7_000, 1), later, 1, life), Ok(1));
    assert_eq!(b.add(version(7_000, 2), later, 1, life), Ok(1));
    a.merge(&b);
    b.merge(&a);
    assert_eq!(a.value(later), Some(Value::Integer(2)));
    assert_eq!(a, b);
}

#[test]
fn a_sum_or_a_text_refuses_and_nothing_changes() {
    let now = Instant::now();
    let mut record = Record::default();
    record.set(version(1, 1), now, Value::Integer(i64::MAX), Duration::ZERO);
    let before = record.clone();
    let refused = record.add(version(2, 1), now, 1, Duration::ZERO);
    assert_eq!((refused, &record), (Err(AddError::Overflow), &before));
    record.set(version(3, 1), now, text("x"), Duration::ZERO);
    let refused = record.add(version(4, 1), now, 1, Duration::ZERO);
    assert_eq!(refused, Err(AddError::NotInteger));
}

#[test]
fn a_counter_has_so_many_parts_and_no_more() {
    let now = Instant::now();
    let mut record = Record::default();
    for n in 0..MAX_PARTS as u64 {
        record
            .add(version(n + 1, n), now, 1, Duration::ZERO)
            .unwrap();
    }
    let refused = record.add(version(999, 999), now, 1, Duration::ZERO);
    assert_eq!(refused, Err(AddError::Parts));
    let mut other = Record::default();
    other
        .add(version(999, 999), now, 1, Duration::ZERO)
        .unwrap();
    record.merge(&other);
    assert_eq!(record.parts().len(), MAX_PARTS);
}

/// A write of one of three nodes, each with its own clock.
#[derive(Debug, Clone)]
enum Write {
    Set(i64, u64),
    Remove,
    Add(i64),
    Expire(u64),
    /// The node takes in what another has.
    Hear(usize),
}

fn write() -> impl Strategy<Value = (usize, Write)> {
    let write = prop_oneof![
        ((-9i64..9), (0u64..3)).prop_map(|(n, life)| Write::Set(n, life)),
        Just(Write::Remove),
        (-9i64..9).prop_map(Write::Add),
        (0u64..3).prop_map(Write::Expire),
        (0usize..3).prop_map(Write::Hear),
    ];
    (0usize..3, write)
}

/// What three nodes have after writes, each 500 ms after the one before, one clock an hour ahead.
fn history(start: Instant, writes: &[(usize, Write)]) -> [Record; 3] {
    let clocks = [1, 2, 3].map(|n| Clock::new(NodeId::new(n)));
    let mut records = [const { None::<Record> }; 3].map(Option::unwrap_or_default);
    for (step, (node, write)) in (0u64..).zip(writes) {
        let now = at(start, step * 500);
        let wall = 1_000_000 + step * 500 + if *node == 1 { 3_600_000 } else { 0 };
        let life = |seconds: u64| Duration::from_secs(seconds);
        if let Write::Hear(from) = write {
            let heard = records[*from].clone();
            clocks[*node].observe(wall, clocks[*from].now(0)).unwrap();
            records[*node].merge(&heard);
            continue;
        }
        let (version, record) = (clocks[*node].write(wall), &mut records[*node]);
        match write {
            Write::Set(n, s) => record.set(version, now, Value::Integer(*n), life(*s)),
            Write::Remove => record.remove(version, now, life(10)),
            Write::Add(n) => drop(record.add(version, now, *n, life(2))),
            Write::Expire(s) => drop(record.expire(version, now, life(*s))),
            Write::Hear(_) => {}
        }
    }
    records
}

fn join(a: &Record, b: &Record) -> Record {
    let mut joined = a.clone();
    joined.merge(b);
    joined
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn merge_is_a_join(writes in prop::collection::vec(write(), 0..24)) {
        let start = Instant::now();
        let [a, b, c] = history(start, &writes);
        prop_assert_eq!(&join(&a, &a), &a);
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        let all = join(&join(&a, &b), &c);
        prop_assert_eq!(&join(&all, &b), &all);
        let mut told = a.clone();
        prop_assert_eq!(told.merge(&b), told != a, "it tells whether it changed");
        prop_assert_eq!(all.print() == a.print(), all == a);
    }

    /// A plain sum beside it.
    #[test]
    fn counts_are_exact(writes in prop::collection::vec((0usize..3, -9i64..9, 0usize..3), 0..60)) {
        let start = Instant::now();
        let mut flat = Vec::new();
        for (node, delta, from) in &writes {
            flat.push((*node, Write::Add(*delta)));
            flat.push((*node, Write::Hear(*from)));
        }
        // Far within their life, so that none begins anew.
        let clocks = [1, 2, 3].map(|n| Clock::new(NodeId::new(n)));
        let mut records = [const { None::<Record> }; 3].map(Option::unwrap_or_default);
        let mut sum = 0;
        for (node, write) in flat {
            match write {
                Write::Add(delta) => {
                    let version = clocks[node].write(1000);
                    records[node].add(version, start, delta, Duration::ZERO).unwrap();
                    sum += delta;
                }
                Write::Hear(from) => {
                    let heard = records[from].clone();
                    clocks[node].observe(1000, clocks[from].now(0)).unwrap();
                    records[node].merge(&heard);
                }
                _ => {}
            }
        }
        let [a, b, c] = records;
        let all = join(&join(&a, &b), &c);
        let expected = (!writes.is_empty()).then_some(Value::Integer(sum));
        prop_assert_eq!(all.value(start), expected);
    }
}
