//! Bodies as real nodes write them, and bodies that nobody should.

use std::time::Instant;

use super::*;
use proptest::prelude::*;

fn now() -> Now {
    Now {
        at: Instant::now(),
        unix_ms: 1_795_252_740_000,
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn writes_are_written_as_kamailio_writes_them() {
    let set = |key: &str, value| Action::Set {
        key: key.into(),
        value,
        ttl: None,
    };
    let cases = [
        (
            set("k1", Value::Integer(42)),
            r#"{"action":2,"htname":"ht","cname":"k1","type":0,"intval":42,"mode":1}"#,
        ),
        (
            set("k2", text("hello \"q\" \\ back é")),
            r#"{"action":2,"htname":"ht","cname":"k2","type":2,"strval":"hello \"q\" \\ back é","mode":1}"#,
        ),
        (
            Action::Expire {
                key: "k2".into(),
                ttl: Duration::from_secs(99),
            },
            r#"{"action":3,"htname":"ht","cname":"k2","type":0,"intval":99,"mode":0}"#,
        ),
        (
            Action::Delete { key: "k2".into() },
            r#"{"action":4,"htname":"ht","cname":"k2","mode":0}"#,
        ),
        (
            Action::DeletePattern {
                of: Of::Name,
                pattern: "aa.*".into(),
            },
            r#"{"action":5,"htname":"ht","type":2,"strval":"aa.*","mode":0}"#,
        ),
        (
            Action::DeletePrefix {
                of: Of::Value,
                prefix: "v".into(),
            },
            r#"{"action":6,"htname":"ht","type":2,"strval":"v","mode":1}"#,
        ),
    ];
    for (action, body) in cases {
        assert_eq!(write("ht", &action).unwrap(), body);
        let read = read(now(), body.as_bytes()).unwrap();
        assert_eq!(read, Message::Write("ht".into(), action));
    }
    let large = write("ht", &set("k", Value::Integer(1 << 40))).unwrap();
    assert!(large.contains(r#""type":2,"strval":"1099511627776""#));
    assert_eq!(write("ht", &set("k", text(&"x".repeat(MAX_BODY)))), None);
}

#[test]
fn what_is_asked_is_read() {
    assert_eq!(read(now(), b"{\"action\":1}").unwrap(), Message::Ask(None));
    let one = read(now(), br#"{"action":1,"htname":"ht"}"#).unwrap();
    assert_eq!(one, Message::Ask(Some("ht".into())));
    assert_eq!(ask(), "{\"action\":1}");
}

#[test]
fn cells_come_in_any_order_with_other_keys_and_those_that_are_over_do_not_come() {
    let body = br#"{"cells":[{"htname":"ht","cname":"c1","type":0,"intval":1,"expire":1795253154},
        {"expire":0,"last_modified":5,"strval":"x","type":2,"cname":"c2","htname":"ht"},
        {"htname":"ht","cname":"old","type":0,"intval":1,"expire":1795252740}]}"#;
    let Message::Cells(cells) = read(now(), body).unwrap() else {
        panic!("expected cells");
    };
    let item = |key: &str, value, ttl: Option<u64>| {
        let ttl = ttl.map(Duration::from_secs);
        (
            "ht".into(),
            Item {
                key: key.into(),
                value,
                ttl,
            },
        )
    };
    let expected = [
        item("c1", Value::Integer(1), Some(414)),
        item("c2", text("x"), None),
    ];
    assert_eq!(cells, expected);
}

#[test]
fn bodies_that_are_none_are_refused() {
    for body in [
        "",
        "hello",
        "{}",
        "[1,2]",
        "[]",
        "5",
        "null",
        r#"{"action":2,"htname":"#,
        r#"{"action":99,"htname":"ht"}"#,
        r#"{"action":2,"htname":5,"cname":"k","type":0,"intval":1,"mode":1}"#,
        r#"{"action":2,"htname":"ht","type":0,"intval":1,"mode":1}"#,
        r#"{"action":2,"cname":"k","type":0,"intval":1,"mode":1}"#,
        r#"{"action":2,"htname":"ht","cname":"k","type":2,"mode":1}"#,
        r#"{"action":5,"htname":"ht","type":2,"strval":"((","mode":0}"#,
        r#"{"cells":[{"htname":"ht","cname":"a","type":0,"intval":1},{"htname":"ht"}]}"#,
    ] {
        assert!(read(now(), body.as_bytes()).is_err(), "{body}");
    }
    let long = format!(
        r#"{{"action":5,"htname":"ht","strval":"{}","mode":0}}"#,
        "a".repeat(MAX_PATTERN + 1)
    );
    assert!(read(now(), long.as_bytes()).is_err());
}

proptest! {
    /// Whatever the items, each comes out of the bodies once, and no body is too long.
    #[test]
    fn cells_hold_every_item(items in prop::collection::vec((".{1,40}", prop_oneof![
        any::<i32>().prop_map(|n| Value::Integer(n.into())), ".{0,2000}".prop_map(|t| text(&t))], 0u64..1000), 0..80)) {
        let (now, mut body, mut bodies, mut expected) = (now(), cells(), Vec::new(), Vec::new());
        for (key, value, ttl) in items {
            let ttl = (ttl > 0).then(|| Duration::from_secs(ttl));
            let item = Item { key: key.as_str().into(), value, ttl };
            let mut added = add_cell(&mut body, now, "ht", &item);
            if added == Added::Full {
                bodies.extend(body.finish());
                added = add_cell(&mut body, now, "ht", &item);
            }
            prop_assert_eq!(added, Added::Yes);
            expected.push((Arc::from("ht"), item));
        }
        bodies.extend(body.finish());
        let mut got = Vec::new();
        for body in bodies {
            let whole = body.len() <= MAX_BODY && body.starts_with(HEAD.as_bytes());
            prop_assert!(whole, "a body as it should be");
            match read(now, &body) {
                Ok(Message::Cells(cells)) => got.extend(cells),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert_eq!(got, expected);
    }
}
