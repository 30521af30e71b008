use switchhook_sdk::testkit::{Draft, Site, request};
use switchhook_sdk::transport::Transport;

use super::routes::Script;

fn registrar() -> Site {
    Site::new(
        Script,
        r#"{"central": "sip:192.0.2.20:5060", "trusted": ["192.0.2.20"]}"#,
    )
}

fn central() -> Site {
    Site::new(Script, r#"{"trusted": ["192.0.2.30"]}"#).table("kusrloc")
}

fn register(expires: &str) -> Draft {
    request("REGISTER", "sip:example.test")
        .to("sip:alice@example.test")
        .header("Contact", "<sip:alice@192.0.2.1>")
        .header("Expires", expires)
}

fn news(aor: &str, expires: &str) -> Draft {
    request("KUSRLOC", "sip:store@192.0.2.20")
        .header("Expires", expires)
        .body("text/kusrloc", aor)
        .source(Transport::Udp, ([192, 0, 2, 30], 5060).into())
}

#[test]
fn a_registrar_tells_the_central_server() {
    let site = registrar();
    assert_eq!(site.receive(register("600")).status(), Some(200));
    let sent = site.own_requests();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].method.as_str(), sent[0].uri.as_str()),
        ("KUSRLOC", "sip:store@192.0.2.20:5060")
    );
    assert_eq!(sent[0].content, b"alice@example.test");
    assert_eq!(sent[0].headers, [("Expires".to_owned(), "600".to_owned())]);
    site.own_reply(sent[0].number, 200).unwrap();
    assert_eq!(site.log(), [""; 0]);
    site.own_reply(sent[0].number, 408).unwrap();
    assert_eq!(
        site.log(),
        ["warn: the central server does not know of alice@example.test: 408 Request Timeout"]
    );
    site.receive(register("0"));
    assert_eq!(
        site.own_requests()[1].headers,
        [("Expires".to_owned(), "0".to_owned())]
    );
    // A question is no news.
    site.receive(request("REGISTER", "sip:example.test").without("Contact"));
    assert_eq!(site.own_requests().len(), 2);
}

#[test]
fn a_registrar_sends_calls_for_others_through_the_central_server() {
    let site = registrar().contact("sip:bob@example.test", "sip:bob@192.0.2.7");
    let call = site.receive(request("INVITE", "sip:bob@example.test"));
    assert_eq!(call.relayed_to(), ["sip:bob@192.0.2.7"]);
    let call = site.receive(request("INVITE", "sip:alice@example.test"));
    assert_eq!(call.sent()[0].next_hop(), Some("sip:192.0.2.20:5060"));
    let from_there = request("INVITE", "sip:alice@example.test")
        .source(Transport::Udp, ([192, 0, 2, 20], 5060).into());
    assert_eq!(site.receive(from_there).status(), Some(404));
    assert_eq!(
        site.receive(news("alice@example.test", "60")).status(),
        Some(403)
    );
}

#[test]
fn the_central_server_knows_registrars() {
    let site = central();
    assert_eq!(
        site.receive(news("alice@example.test", "600")).status(),
        Some(200)
    );
    let call = site.receive(request("INVITE", "sip:alice@example.test"));
    assert_eq!(
        call.sent()[0].next_hop(),
        Some("sip:192.0.2.30:5060;transport=udp")
    );
    assert_eq!(
        site.receive(request("INVITE", "sip:bob@example.test"))
            .status(),
        Some(404)
    );
    assert_eq!(site.receive(register("60")).status(), Some(403));
    let stranger =
        news("bob@example.test", "600").source(Transport::Udp, ([192, 0, 2, 66], 5060).into());
    assert_eq!(site.receive(stranger).status(), Some(403));
    assert_eq!(site.receive(news("nobody", "600")).status(), Some(400));
    site.receive(news("alice@example.test", "0"));
    assert!(site.item("kusrloc", "alice@example.test").is_none());
}

#[test]
fn who_moved_on_is_not_taken_back() {
    let site = central();
    site.receive(news("alice@example.test", "600"));
    let elsewhere =
        news("alice@example.test", "0").source(Transport::Udp, ([192, 0, 2, 30], 5062).into());
    assert_eq!(site.receive(elsewhere).status(), Some(200));
    assert!(site.item("kusrloc", "alice@example.test").is_some());
}
