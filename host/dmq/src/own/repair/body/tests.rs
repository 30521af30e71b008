//! What is written is read again, and bodies keep their size.

use super::*;
use proptest::prelude::*;

const AT: Stamp = match Stamp::new(1_795_252_740_123, 4) {
    Some(at) => at,
    None => panic!("a stamp"),
};

fn version() -> impl Strategy<Value = Version> {
    let node = (0u64..20).prop_map(NodeId::new);
    (1u64..1 << 48, any::<u16>(), node).prop_map(|(ms, count, node)| Version {
        stamp: Stamp::new(ms, count).unwrap(),
        node,
    })
}

fn value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        any::<i64>().prop_map(|number| Some(Value::Integer(number))),
        any::<String>().prop_map(|text| Some(Value::Text(text.into()))),
        any::<Vec<u8>>().prop_map(|bytes| Some(Value::Bytes(bytes.into()))),
    ]
}

/// Any record that may be sent, with a life that a clock can tell.
fn record(now: Instant) -> impl Strategy<Value = Record> {
    let part = (version(), any::<u64>(), any::<u64>());
    let parts = prop::collection::vec(part, 0..4);
    let life = (1u64..10_000_000, 0u64..10_000_000);
    (version(), version(), value(), prop::option::of(life), parts).prop_map(
        move |(base, touch, value, life, parts)| {
            let parts: Vec<Part> = parts
                .into_iter()
                .map(|(start, up, down)| Part { start, up, down })
                .collect();
            let gone = value.is_none() && parts.iter().all(|part| part.start <= base);
            let ms = Duration::from_millis;
            let (end, life) = match life {
                _ if gone => (Some(now + ms(5_000)), Duration::ZERO),
                None => (None, Duration::ZERO),
                Some((left, more)) => (Some(now + ms(left)), ms(left + more)),
            };
            Record::told(base, touch, value, (end, life), parts)
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(records in prop::collection::vec((any::<String>(), record(Instant::now())), 1..30)) {
        // The same instant that the lives were made of is not known here: any will do, it is taken off and added.
        let now = Instant::now();
        let mut put = Put::new(1 << 20, 1 << 20);
        for (at, (key, record)) in (0u16..).zip(&records) {
            prop_assert_eq!(put.add(now, SetId(at % 3), ["a", "\"b", "c"][usize::from(at % 3)], key, record), Room::Taken);
        }
        let bytes = put.finish(AT, Some("a"));
        let body = Body::parse(&bytes).unwrap();
        prop_assert_eq!(body.at().unwrap(), AT);
        prop_assert_eq!(&body.done, &["a"]);
        let nodes = body.nodes().unwrap();
        let read = body.put.iter().flat_map(|(_, entries)| entries);
        for ((key, record), entry) in records.iter().zip(read) {
            let came = entry.record(now, &nodes).unwrap();
            prop_assert_eq!(&*entry.0, key);
            prop_assert_eq!(came.print(), record.print());
            prop_assert_eq!(came.set_value(), record.set_value());
            prop_assert_eq!(came.parts(), record.parts());
            prop_assert_eq!((came.base(), came.touch(), came.life()), (record.base(), record.touch(), record.life()));
            let (came, sent) = (came.end(), record.end());
            prop_assert_eq!(came.is_some(), sent.is_some());
            if let (Some(came), Some(sent)) = (came, sent) {
                let longer = came.max(sent) - came.min(sent);
                prop_assert!(longer <= Duration::from_millis(1) || sent <= now, "{longer:?}");
            }
        }
    }

    #[test]
    fn bodies_keep_their_size(limit in 600usize..3_000, lengths in prop::collection::vec(0usize..1_000, 1..40)) {
        let now = Instant::now();
        let (most, mut put, mut bodies, mut dropped) = (900, Put::new(limit, 900), Vec::new(), 0);
        for (at, length) in lengths.iter().enumerate() {
            let mut record = Record::default();
            let version = Version { stamp: AT, node: NodeId::new(at as u64) };
            record.set(version, now, Value::Text("x".repeat(*length).into()), Duration::ZERO);
            let key = format!("key{at}");
            match put.add(now, SetId(0), "ht", &key, &record) {
                Room::Taken => {}
                Room::TooLarge => dropped += 1,
                Room::Full => {
                    bodies.push(std::mem::replace(&mut put, Put::new(limit, most)).finish(AT, None));
                    let again = put.add(now, SetId(0), "ht", &key, &record);
                    dropped += usize::from(again == Room::TooLarge);
                }
            }
        }
        bodies.push(put.finish(AT, None));
        let mut read = 0;
        for body in &bodies {
            prop_assert!(body.len() <= most, "{}", body.len());
            read += Body::parse(body).unwrap().put.iter().map(|(_, entries)| entries.len()).sum::<usize>();
        }
        prop_assert_eq!(read + dropped, lengths.len());
        let too_long = lengths.iter().filter(|length| **length > 700).count();
        prop_assert!(dropped <= too_long, "{dropped} of {too_long}");
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
        drop(Body::parse(&bytes).map(drop));
        let good = body(AT, "leaf", &("ht", [(1u64, 2u64)], [(3u64, 4u64)]));
        let cut = cut.min(good.len() - 1);
        prop_assert!(Body::parse(&good[..cut]).is_err());
    }
}

#[test]
fn a_life_is_told_as_what_is_left_and_never_longer_than_it_was() {
    let now = Instant::now();
    let body = br#"{"v":1,"put":[["ht",[["k",5,0,0,90000,60000,"x"],["gone",5,0,0,99999999,0,null],["ever",5,0,0,0,0,null]]]],"nodes":["00000000000000aa"],"at":[5,0]}"#;
    let body = Body::parse(body).unwrap();
    let nodes = body.nodes().unwrap();
    let ends = body.put[0]
        .1
        .iter()
        .map(|entry| entry.record(now, &nodes).unwrap().end().unwrap() - now);
    let ends: Vec<u64> = ends.map(|end| end.as_secs()).collect();
    assert_eq!(ends, [60, 3600, 3600]);
}
