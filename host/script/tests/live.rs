//! The effects that act: registrations, tables, challenges.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use support::live;
use switchhook_script::wit::{Kind, Routed, Saved, Value, Verdict};
use switchhook_script::{Effects, ErrorCode};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{Edits, Message, Uri};

fn source(transport: Transport, remote: &str) -> Source {
    Source {
        transport,
        remote: remote.parse().unwrap(),
        ..support::source()
    }
}

fn register(contact: &str) -> Message {
    let text = format!(
        "REGISTER sip:example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKreg\r\n\
         Max-Forwards: 70\r\n\
         To: <sip:bob@example.test>\r\n\
         From: <sip:bob@example.test>;tag=1\r\n\
         Call-ID: {}@192.0.2.1\r\n\
         CSeq: 1 REGISTER\r\n\
         Contact: {contact}\r\n\
         Content-Length: 0\r\n\r\n",
        contact.len()
    );
    Message::parse(text.into()).unwrap()
}

fn bob() -> Uri<'static> {
    Uri::parse(b"sip:bob@example.test").unwrap()
}

#[test]
fn what_registers_is_found_preferred_first() {
    let live = live();
    let near = source(Transport::Udp, "192.0.2.1:5060");
    for contact in [
        "<sip:bob@192.0.2.1>;q=0.3",
        "<sip:bob@192.0.2.1:5070>;q=0.9",
    ] {
        let result = live
            .save("location", register(contact).view(), &near, false)
            .unwrap();
        assert_eq!((result.saved, result.answer.status), (Saved::Updated, 200));
        assert!(
            result
                .answer
                .headers
                .iter()
                .any(|field| field.name == "Contact")
        );
    }
    let targets = live.lookup("location", &bob()).unwrap();
    let uris: Vec<_> = targets
        .iter()
        .map(|target| (&*target.uri, target.q))
        .collect();
    assert_eq!(
        uris,
        [("sip:bob@192.0.2.1:5070", 900), ("sip:bob@192.0.2.1", 300)]
    );
    assert!(
        targets
            .iter()
            .all(|target| target.next_hop.is_none() && target.flow.is_none())
    );
    let bindings = live.bindings("location", &bob()).unwrap();
    assert_eq!(bindings.len(), 2);
    assert_eq!(
        (&*bindings[0].aor, bindings[0].cseq),
        ("sip:bob@example.test", 1)
    );
    assert!(live.registered("location", &bob()).unwrap());
    assert_eq!(live.unregister("location", &bob()).unwrap(), 2);
    assert!(!live.registered("location", &bob()).unwrap());
}

#[test]
fn a_contact_behind_a_nat_is_reached_where_it_came_from() {
    let live = live();
    let outside = source(Transport::Tcp, "203.0.113.9:40000");
    let contact = "<sip:bob@192.168.1.7:5060;transport=tcp>";
    live.save("location", register(contact).view(), &outside, false)
        .unwrap();
    let targets = live.lookup("location", &bob()).unwrap();
    assert_eq!(
        targets[0].next_hop.as_deref(),
        Some("sip:203.0.113.9:40000;transport=tcp")
    );
    assert_eq!(
        targets[0].flow, None,
        "no outbound: the connection may be opened again"
    );
}

#[test]
fn an_outbound_contact_is_reached_by_its_flow() {
    let live = live();
    let outside = source(Transport::Tcp, "203.0.113.9:40000");
    let contact = "<sip:bob@192.168.1.7;ob>;reg-id=1;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"";
    live.save("location", register(contact).view(), &outside, false)
        .unwrap();
    let targets = live.lookup("location", &bob()).unwrap();
    assert_eq!(targets[0].flow, Some(FlowId::new(1)));
}

#[test]
fn tables_hold_values_and_say_when_they_are_full_or_missing() {
    let live = live();
    live.htable_set("calls", "alice", Value::Text("busy".into()), 0)
        .unwrap();
    assert!(
        matches!(live.htable_get("calls", "alice"), Ok(Some(Value::Text(text))) if text == "busy")
    );
    assert_eq!(live.htable_add("calls", "count", 2).unwrap(), 2);
    assert_eq!(live.htable_add("calls", "count", 3).unwrap(), 5);
    assert_eq!(live.htable_size("calls").unwrap(), 2);
    let full = live.htable_add("calls", "third", 1).unwrap_err();
    assert_eq!(full.code, ErrorCode::Limit);
    let wrong = live.htable_add("calls", "alice", 1).unwrap_err();
    assert_eq!(wrong.code, ErrorCode::Invalid);
    assert!(live.htable_expire("calls", "alice", 60).unwrap());
    assert!(live.htable_remove("calls", "alice").unwrap());
    assert_eq!(live.htable_remove_prefix("calls", "co").unwrap(), 1);
    let missing = live.htable_get("cals", "alice").unwrap_err();
    assert_eq!(missing.code, ErrorCode::NotFound);
    assert!(
        missing.message.contains("[[htable]] name = \"cals\""),
        "{}",
        missing.message
    );
    let missing = live.lookup("locations", &bob()).unwrap_err();
    assert!(
        missing
            .message
            .contains("[[location]] name = \"locations\""),
        "{}",
        missing.message
    );
}

#[test]
fn a_request_without_credentials_is_challenged() {
    let live = live();
    let request = register("<sip:bob@192.0.2.1>");
    let checked = live.check_credentials(
        Kind::Www,
        "example.test",
        request.view(),
        &support::source(),
    );
    assert!(matches!(checked.verdict, Verdict::Missing) && checked.position.is_none());
    let fields = live.challenge(Kind::Proxy, "example.test", true).unwrap();
    assert!(
        fields[0].value.contains("algorithm=SHA-256") && fields[0].value.contains("stale=true")
    );
    assert!(
        fields
            .iter()
            .all(|field| field.name == "Proxy-Authenticate")
    );
}

#[test]
fn what_is_ours_is_known_and_what_must_be_refused() {
    let live = live();
    assert!(live.is_myself(&bob()));
    assert!(live.is_myself(&Uri::parse(b"sip:127.0.0.1:5060").unwrap()));
    assert!(!live.is_myself(&Uri::parse(b"sip:elsewhere.test").unwrap()));
    let spent = support::INVITE.replace("Max-Forwards: 70", "Max-Forwards: 0");
    let spent = Message::parse(spent.into()).unwrap();
    assert_eq!(live.refusal(&spent).unwrap().status, 483);
    let request = Message::parse(support::INVITE.into()).unwrap();
    assert!(live.refusal(&request).is_none());
    let found = live.loose_route(&request, &mut Edits::default()).unwrap();
    assert!(matches!(found.routed, Routed::None) && found.params.is_none());
}
