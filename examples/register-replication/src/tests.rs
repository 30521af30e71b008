use switchhook_sdk::testkit::{Draft, Site, request};
use switchhook_sdk::transport::Transport;

use super::routes::Script;

const PAIR: &str = "sip:192.0.2.20:5060";

fn site() -> Site {
    Site::new(Script, &format!(r#"{{"pair": "{PAIR}"}}"#))
}

fn register(contact: &str) -> Draft {
    request("REGISTER", "sip:example.test")
        .to("sip:alice@example.test")
        .header("Contact", contact)
}

#[test]
fn a_phones_register_is_saved_then_passed_on() {
    let call = site().receive(register("<sip:alice@192.0.2.1:5060>"));
    assert_eq!(call.status(), Some(200));
    let [copy] = call.copies() else {
        panic!("{call:?}");
    };
    assert_eq!(
        (copy.next_hop(), &*copy.uri()),
        (Some(PAIR), "sip:example.test")
    );
    assert_eq!(
        copy.header("P-RCV-ADDR"),
        Some("sip:192.0.2.1:5060;transport=udp")
    );
    assert_eq!(copy.header("P-Local-Sock"), Some("udp:127.0.0.1:5060"));
    assert_eq!(copy.header("P-SRC-NAT"), None);
}

#[test]
fn a_phone_behind_nat_is_where_its_register_came_from() {
    let behind_nat = register("<sip:alice@10.0.0.7:5060>").header("P-RCV-ADDR", "sip:192.0.2.66");
    let call = site().receive(behind_nat);
    let copy = &call.copies()[0];
    assert_eq!(copy.header("P-SRC-NAT"), Some("yes"));
    assert_eq!(
        copy.header("P-RCV-ADDR"),
        Some("sip:192.0.2.1:5060;transport=udp")
    );
}

#[test]
fn the_others_register_is_saved_and_goes_no_further() {
    let site = site();
    let copy = register("<sip:alice@10.0.0.7:5060>")
        .header("P-RCV-ADDR", "sip:198.51.100.3:1024;transport=udp")
        .source(Transport::Udp, ([192, 0, 2, 20], 5060).into());
    let call = site.receive(copy);
    assert_eq!((call.status(), call.copies().len()), (Some(200), 0));
    assert_eq!(
        site.contacts("sip:alice@example.test"),
        ["sip:alice@10.0.0.7:5060"]
    );
}

#[test]
fn a_refused_one_and_a_question_are_not_passed_on() {
    let question = request("REGISTER", "sip:example.test").to("sip:alice@example.test");
    let call = site().receive(question.without("Contact"));
    assert_eq!((call.status(), call.copies().len()), (Some(200), 0));
    let closed = Site::new(
        Script,
        &format!(r#"{{"pair": "{PAIR}", "realm": "example.test"}}"#),
    );
    let call = closed.receive(register("<sip:alice@192.0.2.1>"));
    assert_eq!((call.status(), call.copies().len()), (Some(401), 0));
    let call = closed.receive(register("<sip:alice@192.0.2.1>").authenticated("bob"));
    assert_eq!((call.status(), call.copies().len()), (Some(403), 0));
    let call = closed.receive(register("<sip:alice@192.0.2.1>").authenticated("alice"));
    assert_eq!((call.status(), call.copies().len()), (Some(200), 1));
}

#[test]
fn calls_find_phones_of_either_server() {
    let site = site().contact("sip:bob@example.test", "sip:bob@192.0.2.7");
    let call = site.receive(request("INVITE", "sip:bob@example.test"));
    assert_eq!(call.relayed_to(), ["sip:bob@192.0.2.7"]);
    let bye = request("BYE", "sip:bob@192.0.2.7").in_dialog();
    assert_eq!(site.receive(bye).relayed_to(), ["sip:bob@192.0.2.7"]);
}
