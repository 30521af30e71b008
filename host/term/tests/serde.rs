//! Rust's types and Erlang's terms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchhook_term::serde::{as_atom, binary, from_term, to_map, to_proplist, to_term};
use switchhook_term::{Atom, Term, atom, list, map, tuple};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct CallDesc {
    callid: String,
    branch: u32,
    direction: Direction,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Direction {
    Inbound,
    Outbound,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Route {
    Reject(u16, String),
    Relay(Vec<String>),
    Fork { targets: Vec<String>, serial: bool },
    Drop,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "cdr")]
struct Record {
    #[serde(with = "as_atom")]
    kind: String,
    #[serde(with = "binary")]
    zone: String,
    #[serde(with = "binary")]
    raw: Vec<u8>,
    node: Atom,
    anything: Term,
    limit: Option<i64>,
    price: f64,
    at: ((u16, u8, u8), (u8, u8, u8)),
    extra: BTreeMap<String, u64>,
    big: u64,
}

fn call() -> CallDesc {
    CallDesc {
        callid: "123123123".into(),
        branch: 1,
        direction: Direction::Inbound,
    }
}

#[test]
fn a_struct_is_a_record() {
    let term = to_term(&call()).unwrap();
    assert_eq!(term.to_string(), r#"{call_desc,"123123123",1,inbound}"#);
    assert_eq!(from_term::<CallDesc>(&term).unwrap(), call());
}

#[test]
fn a_struct_is_a_map_or_a_proplist_too() {
    let map = to_map(&call()).unwrap();
    assert_eq!(
        map.to_string(),
        r#"#{branch => 1,callid => "123123123",direction => inbound}"#
    );
    let list = to_proplist(&call()).unwrap();
    assert_eq!(
        list.to_string(),
        r#"[{callid,"123123123"},{branch,1},{direction,inbound}]"#
    );
    let foreign = map! {
        Term::binary("callid") => Term::binary("123123123"), "branch" => 1, atom("direction") => "inbound"
    };
    for term in [map, list, foreign] {
        assert_eq!(from_term::<CallDesc>(&term).unwrap(), call());
    }
}

#[test]
fn enums_are_atoms_and_tagged_tuples() {
    for (route, text) in [
        (Route::Drop, "drop"),
        (Route::Reject(486, "Busy".into()), r#"{reject,486,"Busy"}"#),
        (Route::Relay(vec!["sip:a".into()]), r#"{relay,["sip:a"]}"#),
        (
            Route::Fork {
                targets: vec!["sip:a".into()],
                serial: true,
            },
            r#"{fork,["sip:a"],true}"#,
        ),
    ] {
        let term = to_term(&route).unwrap();
        assert_eq!(term.to_string(), text);
        assert_eq!(from_term::<Route>(&term).unwrap(), route);
        assert_eq!(from_term::<Route>(&to_map(&route).unwrap()).unwrap(), route);
    }
}

#[test]
fn every_kind_of_field() {
    let record = Record {
        kind: "answered".into(),
        zone: "UK National".into(),
        raw: vec![0, 255],
        node: Atom::from_static("n@h"),
        anything: tuple![1, list![2; 3]],
        limit: None,
        price: 0.013,
        at: ((2015, 5, 12), (14, 19, 6)),
        extra: [("a".to_owned(), 1)].into(),
        big: u64::MAX,
    };
    let term = to_term(&record).unwrap();
    assert_eq!(
        term.to_string(),
        r#"{cdr,answered,<<"UK National">>,<<0,255>>,n@h,{1,[2|3]},undefined,0.013,{{2015,5,12},{14,19,6}},#{"a" => 1},18446744073709551615}"#
    );
    assert_eq!(from_term::<Record>(&term).unwrap(), record);
}

#[test]
fn errors_name_the_field() {
    for (text, error) in [
        (
            r#"{call_desc,"1",one,inbound}"#,
            "branch: expected a number, got one",
        ),
        (
            r#"{call_desc,"1",1,sideways}"#,
            "direction: expected one of inbound, outbound, got sideways",
        ),
        (
            r#"{call_desc,"1",1}"#,
            r#"expected the record call_desc of 3, got {call_desc,"1",1}"#,
        ),
        (
            r#"{call,"1",1,inbound}"#,
            r#"expected the record call_desc of 3, got {call,"1",1,inbound}"#,
        ),
        (
            r#"#{callid => "1",direction => inbound}"#,
            "missing field `branch`",
        ),
        (
            "5",
            "expected the record call_desc, a map or a proplist, got 5",
        ),
    ] {
        let term: Term = text.parse().unwrap();
        assert_eq!(from_term::<CallDesc>(&term).unwrap_err().to_string(), error);
    }
    assert!(
        to_term(&f64::NAN)
            .unwrap_err()
            .to_string()
            .contains("no Erlang float")
    );
    let nested: Result<Vec<Route>, _> =
        from_term(&list![atom("drop"), tuple![atom("reject"), atom("x"), "y"]]);
    assert_eq!(
        nested.unwrap_err().to_string(),
        "1.reject.0: expected a number, got x"
    );
}
