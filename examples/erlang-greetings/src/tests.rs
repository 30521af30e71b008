//! The talk's examples, with a site's fake node in place of the Erlang shell.

use switchhook_sdk::erlang::{Term, atom, parse, tuple};
use switchhook_sdk::testkit::{Site, To, request};

fn site() -> Site {
    let config = r#"{"sets": {"339": ["sip:172.16.24.2:5060", "sip:203.0.113.2:5060"]}}"#;
    Site::new(super::routes::Script, config).function("erlang", "list_to_tuple", |args| {
        let items = args.first().and_then(Term::as_list).into_iter().flatten();
        Ok(Term::Tuple(items.map(|item| item.into_owned()).collect()))
    })
}

#[test]
fn a_record_to_self_is_logged() {
    let site = site();
    let record = parse(r#"{call_desc,"123123123",1,inbound}"#).unwrap();
    let told = site.message("self", record);
    assert!(told.replies().is_empty(), "{told:?}");
    assert_eq!(
        site.log(),
        [r#"debug: $erl_xbuff(msg)={call_desc,"123123123",1,inbound}"#]
    );
}

#[test]
fn a_greeting_is_answered_each_time() {
    let site = site();
    for _ in 0..3 {
        let told = site.message("greetings", tuple![atom("hello"), "Kamailio"]);
        assert_eq!(told.replies(), [tuple![atom("hello"), "Erlang"]]);
    }
    assert_eq!(
        site.log()[0],
        r#"info: Received message: {hello,"Kamailio"}"#
    );
}

#[test]
fn a_gen_server_call_is_answered_too() {
    let told = site().call("greetings", atom("hi"));
    assert_eq!(told.replies(), [tuple![atom("hello"), "Erlang"]]);
    let told = site().cast("greetings", atom("hi"));
    assert!(
        told.error().is_some(),
        "nobody waits for an answer to a cast"
    );
}

#[test]
fn erlang_lists_the_sets_of_targets() {
    let list = site().command("dispatcher.list", "[]").unwrap();
    assert_eq!(
        list,
        r#"{"NRSETS":1,"RECORDS":[{"SET":{"ID":339,"TARGETS":["#.to_owned()
            + r#"{"DEST":{"URI":"sip:172.16.24.2:5060","FLAGS":"AX","PRIORITY":0}},"#
            + r#"{"DEST":{"URI":"sip:203.0.113.2:5060","FLAGS":"AX","PRIORITY":0}}]}}]}"#
    );
    let commands = site().commands();
    assert_eq!(
        commands,
        [("dispatcher.list".into(), "The sets of targets.".into())]
    );
}

#[test]
fn a_route_calls_list_to_tuple() {
    let site = site();
    let call = site.receive(request("OPTIONS", "sip:example.test"));
    assert_eq!(call.status(), Some(200));
    assert_eq!(
        call.log(),
        [r#"debug: type(repl): tuple, format(repl): {"one","two"}"#]
    );
    let sent = site.sent();
    assert_eq!(
        sent[0].to,
        To::Registered("example".into(), "node1@example.test".into())
    );
    assert_eq!(sent[0].message.as_tuple().unwrap()[0], atom("options"));
}

#[test]
fn without_a_node_the_caller_is_told() {
    let site = site().nodes(&[]);
    let call = site.receive(request("OPTIONS", "sip:example.test"));
    let answer = call.answer().unwrap();
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "the Erlang node is not connected")
    );
}
