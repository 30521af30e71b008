//! Bodies and names as real nodes write them.

use super::*;

const CREATED: &str = r#"{"action":1,"h_entry":3789,"h_id":1776,"init_ts":1795252576,"callid":"1-22185@127.0.0.20","from_uri":"sip:alice@dom.test","to_uri":"sip:bob@dom.test","req_uri":"sip:bob@127.0.0.21:5070","tag1":"22185a1","cseq1":"1","route_set1":"","contact1":"sip:alice@127.0.0.20:5080","vars":{"foo":"bar"},"profiles":"{\"profiles\":[{\"name\":\"inbound\",\"puid\":\"dlgp-1-6b016160-55a0-2\"}]}","state":1}"#;
const CONFIRMED: &str = r#"{"action":2,"h_entry":3789,"h_id":1776,"state":4,"start_ts":1795252577,"lifetime":3600,"tag1":"22185a1","tag2":"22183b1","cseq1":"1","cseq2":"0","route_set1":"","route_set2":"","contact1":"sip:alice@127.0.0.20:5080","contact2":"sip:bob@127.0.0.21:5070"}"#;

fn change(body: &str) -> Change {
    match read(body.as_bytes()) {
        Ok(Message::Change(change)) => change,
        other => panic!("expected a change, got {other:?}"),
    }
}

#[test]
fn a_call_is_followed_from_its_invite_to_its_end() {
    let Change::Save(mut dialog) = change(CREATED) else {
        panic!("expected a dialog");
    };
    assert_eq!(dialog.vars["foo"], "bar");
    assert_eq!(
        (dialog.caller.tag.as_str(), dialog.state),
        ("22185a1", State::Unconfirmed)
    );
    let confirmed = change(CONFIRMED);
    let Change::State(update) = &confirmed else {
        panic!("expected a state");
    };
    assert!(update.apply(&mut dialog));
    assert_eq!(
        (dialog.state, dialog.callee.tag.as_str()),
        (State::Confirmed, "22183b1")
    );
    assert_eq!(write(&confirmed).unwrap(), CONFIRMED);
    let ended = change(r#"{"action":2,"h_entry":3789,"h_id":1776,"state":5}"#);
    let Change::State(ended) = ended else {
        panic!("expected a state");
    };
    assert!(ended.apply(&mut dialog) && !update.apply(&mut dialog));
    assert_eq!(dialog.callee.tag, "22183b1");
    let again = write(&Change::Save(dialog.clone())).unwrap();
    assert_eq!(change(&again), Change::Save(dialog));
    let removed = write(&Change::Remove(ended.id)).unwrap();
    assert_eq!(
        removed,
        r#"{"action":3,"h_entry":3789,"h_id":1776,"state":5}"#
    );
}

#[test]
fn bodies_that_are_none_are_refused() {
    for body in [
        "",
        "zzz",
        "{}",
        "[]",
        r#"{"action":42}"#,
        r#"{"action":1,"callid":5}"#,
        r#"{"action":2,"h_entry":5,"h_id":77}"#,
        r#"{"action":2,"h_entry":5,"h_id":77,"state":9}"#,
        r#"{"action":3}"#,
        r#"{"action":1,"h_entry":-1,"h_id":1,"callid":"x"}"#,
    ] {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(read(b"{\"action\":4}"), Ok(Message::Ask));
}
