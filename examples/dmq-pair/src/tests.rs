use switchhook_sdk::prelude::*;
use switchhook_sdk::testkit::{Site, request};
use switchhook_sdk::transport::Transport;

use super::routes::Script;

const KAMAILIO: &str = "sip:192.0.2.9:5060";

fn site() -> Site {
    Site::new(Script, "{}")
        .table("news")
        .table("bulletins")
        .member(KAMAILIO)
}

#[test]
fn news_are_noted_and_what_is_no_text_is_not() {
    let site = site();
    let answer = site.bus_message("news", KAMAILIO, "text/plain", b"hello");
    let answer = answer.unwrap();
    assert_eq!((answer.status, &*answer.reason), (202, "Noted"));
    assert_eq!(answer.body.unwrap().content, b"thank you");
    assert_eq!(
        site.item("news", KAMAILIO),
        Some(htable::Value::Text("hello".to_owned()))
    );
    let answer = site.bus_message("news", KAMAILIO, "text/plain", b"\xff");
    assert_eq!(answer.unwrap().status, 415);
    let answer = site.bus_message("weather", KAMAILIO, "text/plain", b"rain");
    assert_eq!(answer.unwrap().status, 404);
}

#[test]
fn news_go_to_all_or_to_one() {
    let site = site();
    assert_eq!(site.command("news.tell", r#"["a"]"#).unwrap(), "1");
    let one = format!(r#"["{KAMAILIO}", "b"]"#);
    assert_eq!(site.command("news.tell_one", &one).unwrap(), "2");
    let unknown = r#"["sip:192.0.2.1:5060", "c"]"#;
    assert_eq!(
        site.command("news.tell_one", unknown).unwrap_err().code,
        404
    );
    let sent = site.bus_sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(
        (sent[0].to.as_deref(), &*sent[0].content),
        (None, &b"a"[..])
    );
    assert_eq!(sent[1].to.as_deref(), Some(KAMAILIO));
    let answered = dmq::Event::Answered {
        number: 2,
        node: KAMAILIO.to_owned(),
        status: 404,
    };
    site.bus_befalls(&answered).unwrap();
    assert_eq!(
        site.log(),
        ["info: message 2: sip:192.0.2.9:5060 answers 404"]
    );
    assert_eq!(site.command("news.all_here", "[]").unwrap(), "true");
}

#[test]
fn members_come_and_go() {
    let site = site();
    let node = || KAMAILIO.to_owned();
    for event in [
        dmq::Event::PeerUp { node: node() },
        dmq::Event::PeerDisabled { node: node() },
        dmq::Event::PeerDown { node: node() },
    ] {
        site.bus_befalls(&event).unwrap();
    }
    assert_eq!(site.log().len(), 3);
}

#[test]
fn a_bulletin_is_kept_here_and_copied_once() {
    let site = site();
    let message =
        request("MESSAGE", "sip:bulletin@example.test").body("text/plain", "closed on Friday");
    let call = site.receive(message.clone());
    assert_eq!(call.status(), Some(200));
    let [copy] = call.copies() else {
        panic!("{call:?}");
    };
    assert_eq!(copy.next_hop(), Some(KAMAILIO));
    assert_eq!(copy.uri(), "sip:bulletin@example.test");
    assert_eq!(copy.body(), b"closed on Friday");
    let from_node = message.source(Transport::Udp, ([192, 0, 2, 9], 5060).into());
    let call = site.receive(from_node);
    assert_eq!((call.status(), call.copies().len()), (Some(200), 0));
}

#[test]
fn phones_register_and_call() {
    let site = site();
    let register = request("REGISTER", "sip:example.test").to("sip:bob@example.test");
    let register = register.header("Contact", "<sip:bob@192.0.2.7>");
    assert_eq!(site.receive(register).status(), Some(200));
    let call = site.receive(request("INVITE", "sip:bob@example.test"));
    assert_eq!(call.relayed_to(), ["sip:bob@192.0.2.7"]);
    let call = site.receive(request("INVITE", "sip:nobody@example.test"));
    assert_eq!(call.status(), Some(404));
}
