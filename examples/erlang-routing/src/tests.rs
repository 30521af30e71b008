//! A router that answers, one that is slow, one that crashes, one that talks nonsense, and none.

use switchhook_sdk::erlang::{Event, RpcError, Term, atom, parse};
use switchhook_sdk::testkit::{Call, Site, request};

const CONFIG: &str = r#"{"router": "router", "patience": 200, "fallback": "sip:192.0.2.10:5060"}"#;

/// A call where the router comes to that.
fn call(answer: Result<&str, RpcError>) -> Call {
    let answer = answer.map(|text| parse(text).unwrap());
    let site =
        Site::new(super::routes::Script, CONFIG).function("gen_server", "call", move |args| {
            let [router, question, timeout] = args else {
                panic!("{args:?}")
            };
            assert!(router.is_atom("router") && *timeout == 200.into());
            let [question] = question.as_record("route").unwrap() else {
                panic!("{question}")
            };
            let question = question.as_map().unwrap();
            assert_eq!(question.field("called"), Some(&Term::binary("bob")));
            assert_eq!(question.field("caller"), Some(&Term::binary("alice")));
            answer.clone()
        });
    site.receive(request("INVITE", "sip:bob@example.test").from("sip:alice@example.test"))
}

fn fell_back(call: &Call) -> bool {
    call.relayed_to() == ["sip:bob@example.test"]
        && call.sent()[0].next_hop() == Some("sip:192.0.2.10:5060")
        && call.log().join("").contains("the router is not followed")
}

#[test]
fn the_router_decides() {
    let relayed = call(Ok(r#"{relay,["sip:b1@192.0.2.1",<<"sip:b2@192.0.2.2">>]}"#));
    assert_eq!(
        relayed.relayed_to(),
        ["sip:b1@192.0.2.1", "sip:b2@192.0.2.2"]
    );

    let mut hunted = call(Ok(r#"{hunt,["sip:b1@192.0.2.1","sip:b2@192.0.2.2"]}"#));
    assert_eq!(hunted.relayed_to(), ["sip:b1@192.0.2.1"]);
    hunted.replies(486);
    assert_eq!(hunted.relayed_to(), ["sip:b2@192.0.2.2"]);

    let rejected = call(Ok(r#"{reject,603,"Decline"}"#));
    assert_eq!(rejected.status(), Some(603));
}

#[test]
fn a_router_that_is_slow_gone_or_wrong_is_not_waited_for() {
    for answer in [
        Err(RpcError::Timeout),
        Err(RpcError::NoConnection),
        Err(RpcError::Raised(atom("noproc"))),
        Ok("{relay,[]}"),
        Ok("{reject,200,\"OK\"}"),
        Ok("[]"),
        Ok("{relay,nowhere}"),
    ] {
        let call = call(answer.clone());
        assert!(fell_back(&call), "{answer:?}: {call:?}");
    }
}

#[test]
fn nodes_that_come_and_go_are_logged() {
    let site = Site::new(super::routes::Script, CONFIG);
    let node = || "node1@127.0.0.1".to_owned();
    site.befalls(&Event::NodeUp { node: node() }).unwrap();
    site.befalls(&Event::NodeBusy { node: node() }).unwrap();
    site.befalls(&Event::NodeReady { node: node() }).unwrap();
    let reason = "connection closed".to_owned();
    site.befalls(&Event::NodeDown {
        node: node(),
        reason,
    })
    .unwrap();
    assert_eq!(
        site.log(),
        [
            "info: node1@127.0.0.1 may route",
            "warn: node1@127.0.0.1 takes no more questions",
            "info: node1@127.0.0.1 takes questions again",
            "warn: node1@127.0.0.1 is gone: connection closed"
        ]
    );
}
