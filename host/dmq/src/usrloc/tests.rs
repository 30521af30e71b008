//! Bodies as real nodes write them, lives under clocks that differ.

use std::time::Instant;

use super::*;

const INSERT: &str = r#"{"action":1,"aor":"alice","ruid":"uloc-1-6b0161fb-69e0-2","c":"sip:alice@127.0.0.32:5090","received":"","sock":"udp:127.0.0.11:5060","path":"<sip:127.0.0.41;lr>","callid":"other2","user_agent":"ua \"x\"/2","instance":"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>","expires":1795253344,"cseq":1,"flags":0,"cflags":0,"q":500,"last_modified":1795252744,"methods":521,"reg_id":1,"server_id":1}"#;

fn at(unix: u64) -> Now {
    Now {
        at: Instant::now(),
        unix_ms: unix * 1000,
    }
}

fn contact(n: usize) -> Contact {
    let Ok(Message::One(_, contact)) = read(INSERT.as_bytes()) else {
        panic!("expected a contact");
    };
    Contact {
        aor: format!("user{n}"),
        ..*contact
    }
}

#[test]
fn a_contact_is_written_as_it_was_read() {
    let Ok(Message::One(Action::Save, contact)) = read(INSERT.as_bytes()) else {
        panic!("expected a contact");
    };
    assert_eq!((contact.q, contact.methods, contact.reg_id), (500, 521, 1));
    assert_eq!(write(Action::Save, &contact).unwrap(), INSERT);
    let removed = write(Action::Remove, &contact).unwrap();
    assert_eq!(
        read(removed.as_bytes()),
        Ok(Message::One(Action::Remove, contact))
    );
}

#[test]
fn keys_may_be_missing_or_more() {
    let body = r#"{"action":1,"aor":"zed2","c":"sip:z@127.0.0.31","ruid":"r-2","expires":1795253387,"xavps":{"a":[1]},"sockname":"x","received":null,"cflags":-1}"#;
    let Ok(Message::One(Action::Save, contact)) = read(body.as_bytes()) else {
        panic!("expected a contact");
    };
    assert_eq!(
        (contact.q, contact.methods, contact.cflags),
        (-1, ALL_METHODS, u32::MAX)
    );
    let removal = read(br#"{"action":2,"aor":"nobody","ruid":"none"}"#).unwrap();
    assert!(matches!(removal, Message::One(Action::Remove, _)));
    assert_eq!(read(b"{\"action\":3}"), Ok(Message::Ask));
}

#[test]
fn bodies_that_are_none_are_refused() {
    for body in [
        "",
        "zzz",
        "{}",
        "[]",
        r#"{"action":1}"#,
        r#"{"action":9}"#,
        r#"{"action":1,"aor":5}"#,
        r#"{"action":1,"aor":"a"}"#,
        r#"{"multi":[]}"#,
        r#"{"multi":{"1":{"action":1}}}"#,
        r#"{"action":2}"#,
        r#"{"action":1,"aor":"","c":"sip:x@y"}"#,
        r#"{"action":1,"aor":"a","c":"sip:x@y","expires":"soon"}"#,
    ] {
        assert!(read(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(read(b"{\"multi\":{}}"), Ok(Message::Many(Vec::new())));
}

#[test]
fn batches_hold_fifty_and_stay_short() {
    let (mut body, mut bodies) = (batch(), Vec::new());
    for n in 0..120 {
        if add(&mut body, &contact(n)) == Added::Full {
            bodies.extend(body.finish());
            assert_eq!(add(&mut body, &contact(n)), Added::Yes);
        }
    }
    bodies.extend(body.finish());
    let mut counts = Vec::new();
    for body in &bodies {
        assert!(body.len() <= MAX_BODY && body.starts_with(br#"{"multi":{"1":{"action":1,"aor":"#));
        let Ok(Message::Many(many)) = read(body) else {
            panic!("expected a batch");
        };
        counts.push(many.len());
    }
    assert_eq!(counts, [50, 50, 20]);
    let long = Contact {
        path: "x".repeat(MAX_BODY),
        ..contact(0)
    };
    assert_eq!(add(&mut body, &long), Added::Never);
}

#[test]
fn a_wrong_clock_gives_no_longer_life() {
    let contact = contact(0);
    let lives = |now: u64, behind| contact.left(at(now), behind).as_secs();
    assert_eq!(lives(1_795_252_744, 0), 600);
    assert_eq!(lives(1_795_252_844, 0), 500);
    assert_eq!(lives(1_795_253_344, 0), 0);
    // The sender is an hour ahead of us: what it grants still is 600 s.
    assert_eq!(lives(1_795_252_744 - 3600, 0), 600);
    // It is an hour behind, and we know.
    assert_eq!(lives(1_795_252_744 + 3600, 3600), 600);
    let ever = Contact {
        expires: 0,
        ..contact.clone()
    };
    assert_eq!(ever.left(at(5), 0), MAX_LIFE);
}

#[test]
fn older_ones_are_known() {
    let contact = contact(0);
    assert!(!contact.is_newer("other2", 2, 0) && contact.is_newer("other2", 0, u64::MAX));
    assert!(contact.is_newer("another", 9, 1_795_252_744));
    assert!(!contact.is_newer("another", 0, 1_795_252_745));
}

#[test]
fn a_socket_is_written_as_one() {
    for sock in [
        "udp:127.0.0.1:5060",
        "tcp:[::1]:5060",
        "udp:sip.example.test:5060",
    ] {
        assert!(is_socket(sock), "{sock}");
    }
    for sock in [
        "bogus::x:",
        "udp:127.0.0.1",
        "127.0.0.1:5060",
        "udp::5060",
        "x",
    ] {
        assert!(!is_socket(sock), "{sock}");
    }
}
