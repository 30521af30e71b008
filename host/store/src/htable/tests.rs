//! Items live, count and end, by virtual time; and a plain map beside the table.

use super::*;
use proptest::prelude::*;

fn table(max_items: usize, max_bytes: usize, expire: u64) -> Htable {
    Htable::new(TableConfig {
        name: "t".into(),
        expire: Duration::from_secs(expire),
        max_items,
        max_bytes,
    })
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[test]
fn items_live_their_time() {
    let (table, start) = (table(10, 1000, 60), Instant::now());
    table.set(start, "a", text("x"), None).unwrap();
    table
        .set(start, "b", Value::Integer(1), Some(Duration::from_secs(5)))
        .unwrap();
    table
        .set(
            start,
            "c",
            Value::Bytes([1, 2].into()),
            Some(Duration::ZERO),
        )
        .unwrap();
    assert_eq!(table.get(at(start, 4), "b"), Some(Value::Integer(1)));
    assert_eq!(table.get(at(start, 5), "b"), None);
    let left = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(
        table.item(at(start, 4), "b"),
        Some((Value::Integer(1), left(1)))
    );
    assert_eq!(table.item(at(start, 5), "b"), None);
    assert_eq!(table.len(at(start, 5)), 2);
    assert!(table.expire(at(start, 50), "a", Duration::from_secs(100)));
    assert_eq!(table.get(at(start, 149), "a"), Some(text("x")));
    assert!(!table.expire(at(start, 150), "a", Duration::from_secs(100)));
    let forever = at(start, 1_000_000);
    assert_eq!(table.get(forever, "c"), Some(Value::Bytes([1, 2].into())));
    let swept: usize = (0..SHARDS).map(|_| table.sweep(forever)).sum();
    assert_eq!(swept, 2);
    assert_eq!(table.items(), 1);
}

#[test]
fn a_counter_counts_and_lives_on_with_each_call() {
    let (table, start) = (table(10, 1000, 60), Instant::now());
    assert_eq!(table.add(start, "n", 1), Ok(1));
    assert_eq!(table.add(at(start, 50), "n", 2), Ok(3));
    assert_eq!(table.add(at(start, 100), "n", -4), Ok(-1));
    assert_eq!(table.add(at(start, 160), "n", 7), Ok(7), "it began again");
    table.set(start, "t", text("x"), None).unwrap();
    let error = table.add(start, "t", 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "key `t`: expected an integer, got another kind of value"
    );
    table
        .set(start, "m", Value::Integer(i64::MAX), None)
        .unwrap();
    assert!(matches!(
        table.add(start, "m", 1),
        Err(HtableError::Overflow(_))
    ));
    assert_eq!(table.get(start, "m"), Some(Value::Integer(i64::MAX)));
}

#[test]
fn a_full_table_refuses_until_something_ends() {
    let (table, start) = (table(2, 1000, 60), Instant::now());
    table.set(start, "a", text("1"), None).unwrap();
    table
        .set(start, "b", text("2"), Some(Duration::ZERO))
        .unwrap();
    let full = table.set(start, "c", text("3"), None).unwrap_err();
    assert_eq!(full.to_string(), "table `t`: expected at most 2 items");
    table.set(start, "a", text("4"), None).unwrap();
    assert!(table.remove("b") && !table.remove("b"));
    table.set(start, "c", text("3"), None).unwrap();
    table.set(at(start, 61), "d", text("5"), None).unwrap();
    assert_eq!(table.get(at(start, 61), "a"), None);
}

#[test]
fn bytes_are_limited_too() {
    let (table, start) = (table(10, 20, 0), Instant::now());
    table.set(start, "key1", text("0123456789"), None).unwrap();
    let full = table.set(start, "key2", text("0123"), None).unwrap_err();
    assert!(matches!(
        full,
        HtableError::Full {
            what: "bytes",
            limit: 20,
            ..
        }
    ));
    assert_eq!(table.items.load(Ordering::Relaxed), 1);
    table.set(start, "key1", text("0"), None).unwrap();
    table.set(start, "key2", text("0123"), None).unwrap();
    let long = "k".repeat(MAX_KEY + 1);
    assert_eq!(
        table.set(start, &long, text(""), None),
        Err(HtableError::Key(1025))
    );
}

#[test]
fn keys_go_by_prefix_or_pattern() {
    let (table, start) = (table(100, 10_000, 0), Instant::now());
    let fill = || {
        for key in ["ip:1", "ip:2", "ip:10", "user:1", "ip", "ÿip:1"] {
            table.set(start, key, Value::Integer(1), None).unwrap();
        }
    };
    fill();
    assert_eq!(table.count_prefix(start, "ip:"), 3);
    assert_eq!(table.remove_prefix("ip:"), 3);
    assert_eq!(table.len(start), 3);
    fill();
    assert_eq!(table.remove_matching("?ip:*"), 1);
    assert_eq!(table.remove_matching("*:1*"), 3);
    assert_eq!(table.remove_matching("*"), 2);
    assert!(table.is_empty(start));
    assert_eq!(table.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn tables_are_found_by_name() {
    let of = |name: &str| TableConfig {
        name: name.into(),
        ..TableConfig::default()
    };
    let tables = Htables::new([of("b"), of("a")]);
    assert_eq!(tables.names().collect::<Vec<_>>(), ["a", "b"]);
    let now = Instant::now();
    let table = tables.table("a").unwrap();
    table
        .set(now, "x", text("y"), Some(Duration::from_secs(1)))
        .unwrap();
    let mut all = Vec::new();
    table.each(now, |key, value, left| {
        all.push((key.to_owned(), value.clone(), left))
    });
    assert_eq!(
        all,
        [("x".to_owned(), text("y"), Some(Duration::from_secs(1)))]
    );
    assert!(tables.table("c").is_none());
    let swept: usize = (0..SHARDS).map(|_| tables.sweep(at(now, 1))).sum();
    assert_eq!(swept, 1);
}

#[test]
fn no_count_is_lost_between_lanes() {
    let (table, start) = (table(10, 1000, 60), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    table.add(start, "n", 1).unwrap();
                }
            });
        }
    });
    assert_eq!(table.get(start, "n"), Some(Value::Integer(4000)));
}

/// The slow and plain way.
fn plain(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', p @ ..], _) => plain(p, text) || matches!(text, [_, t @ ..] if plain(pattern, t)),
        (['?', p @ ..], [_, t @ ..]) => plain(p, t),
        ([a, p @ ..], [b, t @ ..]) => a == b && plain(p, t),
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_match_as_they_should(pattern in "[ab*?é]{0,8}", text in "[abé]{0,8}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(matches(&pattern, &text), plain(&chars(&pattern), &chars(&text)));
    }

    /// Against a plain map, and the counts are those of what is there.
    #[test]
    fn it_does_what_a_plain_map_does(steps in prop::collection::vec((0u8..6, "[abc]{1,2}", 0u64..50), 1..100)) {
        let (table, start) = (table(5, 1000, 30), Instant::now());
        let mut model = BTreeMap::<String, (i64, u64)>::new();
        let mut seconds = 0;
        for (kind, key, n) in steps {
            seconds += n / 10;
            let now = at(start, seconds);
            model.retain(|_, (_, end)| *end > seconds);
            let room = model.contains_key(&key) || model.len() < 5;
            match kind {
                0 | 1 => {
                    let result = table.add(now, &key, n as i64);
                    let expected = model.get(&key).map_or(0, |m| m.0) + n as i64;
                    // A full table frees what is over at most once a second.
                    if let Ok(sum) = result {
                        prop_assert!(room);
                        prop_assert_eq!(sum, expected);
                        model.insert(key, (sum, seconds + 30));
                    }
                }
                2 => {
                    if table.set(now, &key, Value::Integer(n as i64), None).is_ok() {
                        prop_assert!(room);
                        model.insert(key, (n as i64, seconds + 30));
                    }
                }
                3 => {
                    table.remove(&key);
                    model.remove(&key);
                }
                4 => {
                    table.remove_prefix(&key);
                    model.retain(|k, _| !k.starts_with(&key));
                }
                _ => { table.sweep(now); }
            }
            let mut all = BTreeMap::new();
            table.each(now, |key, value, _| { all.insert(key.to_owned(), value.clone()); });
            let expected: BTreeMap<_, _> = model.iter().map(|(k, m)| (k.clone(), Value::Integer(m.0))).collect();
            prop_assert_eq!(all, expected);
        }
        let kept = table.items.load(Ordering::Relaxed);
        prop_assert_eq!(table.remove_matching("*"), kept);
        prop_assert_eq!((table.items.load(Ordering::Relaxed), table.bytes.load(Ordering::Relaxed)), (0, 0));
    }
}
