//! Calls that end in each way, and the records that a fake node gets of them.

use std::cell::Cell;
use std::rc::Rc;

use switchhook_sdk::erlang::{Term, parse};
use switchhook_sdk::testkit::{Draft, Site, To, request};

const CONFIG: &str = r#"{
    "server": "sip:192.0.2.10:5060", "collector": "cdr_server", "price": 0.013,
    "zones": {"44": "UK National", "4420": "UK London", "1": "North America"}
}"#;

/// A site, and the seconds past 14:19:06 that its Erlang node's clock shows.
fn site() -> (Site, Rc<Cell<i64>>) {
    let clock = Rc::new(Cell::new(0));
    let shown = Rc::clone(&clock);
    let site = Site::new(super::routes::Script, CONFIG)
        .table("calls")
        .function("calendar", "universal_time", move |_| {
            let second = 6 + shown.get();
            let text = format!(
                "{{{{2015,5,12}},{{14,{},{}}}}}",
                19 + second / 60,
                second % 60
            );
            Ok(parse(&text).unwrap_or(Term::NIL))
        });
    (site, clock)
}

fn invite() -> Draft {
    request("INVITE", "sip:442071234807@example.test").from("sip:442071234806@example.test")
}

fn records(site: &Site) -> Vec<String> {
    let sent = site.sent();
    assert!(sent.iter().all(|sent| {
        sent.to == To::Registered("cdr_server".into(), "node1@example.test".into())
    }));
    sent.iter().map(|sent| sent.message.to_string()).collect()
}

#[test]
fn an_answered_call_is_told_when_it_ends() {
    let (site, clock) = site();
    let mut call = site.receive(invite());
    call.replies(180);
    call.replies(200);
    assert_eq!(call.status(), Some(200));
    assert!(site.sent().is_empty(), "it is not over");

    clock.set(69);
    let bye = || request("BYE", "sip:442071234807@192.0.2.7").in_dialog();
    site.receive(bye());
    site.receive(bye()); // the other side hung up at the same time
    let records = records(&site);
    assert_eq!(records.len(), 1);
    let (before, rest) = records[0].split_once("{call_desc,").unwrap();
    let (_, after) = rest.split_once(",0,outbound}").unwrap();
    assert_eq!(before, "{'$gen_cast',{create,{cdr,");
    let (before_pid, rest) = after.split_once("#Pid<").unwrap();
    assert_eq!(
        before_pid,
        concat!(
            r#",{service_desc,subscriber,1,2,buy},"442071234806","442071234807","#,
            r#""UK London",{{2015,5,12},{14,19,6}}},answered,"#
        )
    );
    assert!(rest.ends_with(">,0.013,69}}"), "{rest}");
}

#[test]
fn a_call_that_is_busy_or_fails_is_told_at_once() {
    let (site, _) = site();
    for (status, state) in [(486, "busy"), (503, "failed")] {
        let mut call = site.receive(invite());
        call.replies(status);
        assert_eq!(call.status(), Some(status));
        let records = records(&site);
        let record = records.last().unwrap();
        assert!(record.contains(&format!("}},{state},#Pid<")), "{record}");
        assert!(record.ends_with(",0.0,0}}"), "{record}");
    }
}

#[test]
fn without_a_node_calls_go_on_and_the_record_is_logged() {
    let (site, _) = site();
    let site = site.nodes(&[]);
    let mut call = site.receive(invite());
    call.replies(200);
    site.receive(request("BYE", "sip:442071234807@192.0.2.7").in_dialog());
    let log = site.log().join("\n");
    assert!(
        log.contains("call record not sent: no Erlang node is connected: {create,{cdr,"),
        "{log}"
    );
    assert!(log.contains("undefined},answered,"), "{log}");
}
