//! Every family of routes, every host call they make, in the test kit: the guest of tests/guests/routes run natively.

#[path = "../../tests/guests/routes/src/lib.rs"]
mod guest;

use guest::routes::Script;
use switchhook_sdk::htable::Value;
use switchhook_sdk::testkit::{Draft, Site, request};

const BOB: &str = "sip:bob@example.test";

fn site() -> Site {
    Site::new(Script, "{}")
        .table("expired")
        .contact(BOB, "sip:bob@192.0.2.7")
        .contact(BOB, "sip:bob@192.0.2.8")
}

fn invite() -> Draft {
    request("INVITE", BOB)
}

#[test]
fn a_branch_route_edits_its_branch_alone() {
    let call = site().receive(invite().header("X-Arm", "branch"));
    let stamps: Vec<_> = call.sent().iter().map(|b| b.header("X-Branch")).collect();
    assert_eq!(stamps, [Some("0"), Some("1")]);

    let call = site().receive(
        invite()
            .header("X-Arm", "branch")
            .header("X-Drop", "branch"),
    );
    assert!(call.sent().is_empty());
}

#[test]
fn an_onsend_route_looks_and_drops() {
    let call = site().receive(invite());
    assert_eq!(call.sent().len(), 2);
    assert!(
        call.log()
            .iter()
            .any(|line| line.starts_with("debug: INVITE goes to udp:"))
    );
    let call = site().receive(invite().header("X-Drop", "onsend"));
    assert!(call.sent().is_empty());
}

#[test]
fn reply_routes_see_and_change_replies() {
    let mut call = site().receive(invite().header("X-Arm", "onreply"));
    call.branch_replies(1, 180);
    let ringing = &call.answers()[0];
    assert_eq!(
        (ringing.status(), ringing.reason()),
        (183, "Ringing Somewhere")
    );
    assert_eq!(ringing.header("X-Reply-Route"), Some("180"));
    assert_eq!(ringing.header("X-Onreply-Route"), Some("1"));
    call.branch_replies(0, 200);
    assert_eq!(call.answer().unwrap().header("X-Onreply-Route"), Some("0"));

    let mut call = site().receive(
        invite()
            .header("X-Arm", "onreply")
            .header("X-Drop", "onreply"),
    );
    call.replies(180);
    assert!(
        call.answers().is_empty(),
        "a provisional reply can be dropped"
    );
    call.branch_replies(0, 200);
    assert_eq!(call.status(), Some(200), "a final one can't");
}

#[test]
fn a_failure_route_tries_on_or_answers() {
    let second = invite()
        .header("X-Arm", "failure")
        .header("X-Second", "sip:carol@192.0.2.9");
    let mut call = site().receive(second);
    call.branch_replies(0, 486);
    assert_eq!(call.relayed_to().len(), 2, "the other phone still rings");
    call.branch_replies(1, 480);
    assert_eq!(call.relayed_to(), ["sip:carol@192.0.2.9"]);
    call.replies(404);
    assert_eq!(call.status(), Some(404), "armed once is run once");

    let answer = invite()
        .header("X-Arm", "failure")
        .header("X-Answer", "302");
    let mut call = site().receive(answer);
    call.times_out();
    let answer = call.answer().unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.header("X-Was"), Some("408"));
    assert_eq!(answer.header("X-Timed-Out"), Some("true"));
    assert_eq!(
        answer.header("X-Seen"),
        Some("2"),
        "variables live as long as the transaction"
    );
}

#[test]
fn an_error_in_a_route_leaves_nobody_in_silence() {
    let call = site().receive(invite().header("X-Fail", "request"));
    assert_eq!(
        (call.status(), call.error()),
        (Some(500), Some("told to fail in request"))
    );
    assert!(call.sent().is_empty());

    let mut call = site().receive(
        invite()
            .header("X-Arm", "failure")
            .header("X-Fail", "failure"),
    );
    call.replies(486);
    assert_eq!(call.status(), Some(486), "the best reply goes out");

    let mut call = site().receive(invite());
    call.branch_replies_with(0, 180, &[("X-Drop", "reply")]);
    assert!(call.answers().is_empty());
    call.branch_replies_with(0, 200, &[("X-Fail", "reply")]);
    assert_eq!(call.status(), Some(200), "the reply goes on");
    assert_eq!(call.error(), Some("told to fail in reply"));

    assert!(
        site()
            .receive(invite().header("X-Drop", "request"))
            .dropped()
    );
}

#[test]
fn a_serial_fork_tries_one_after_the_other() {
    let fork = invite()
        .header("X-Fork", "sip:a@192.0.2.1, sip:b@192.0.2.2")
        .header("X-Order", "serial");
    let mut call = site().receive(fork);
    assert_eq!(call.relayed_to(), ["sip:a@192.0.2.1"]);
    call.replies(486);
    assert_eq!(call.relayed_to(), ["sip:b@192.0.2.2"]);
    call.replies(603);
    assert_eq!(call.status(), Some(603));
}

#[test]
fn an_expired_contact_is_told() {
    let site = site();
    site.expire(BOB).unwrap();
    assert_eq!(site.item("expired", BOB), Some(Value::Integer(2)));
    assert!(site.contacts(BOB).is_empty());
    assert_eq!(
        site.log()[0],
        "info: sip:bob@example.test is no longer at sip:bob@192.0.2.7"
    );
}

#[test]
fn a_swap_hands_state_over() {
    let count = |site: &Site| {
        let call = site.receive(request("OPTIONS", "sip:example.test"));
        call.answer().unwrap().header("X-Count").unwrap().to_owned()
    };
    let old = Site::new(Script, r#"{"start": 40}"#);
    assert_eq!(count(&old), "41");
    let new = old.swap(Script, "{}").unwrap();
    assert_eq!(count(&new), "42");

    let refused = old.swap(Script, r#"{"start": 1000001}"#).err();
    assert_eq!(
        refused.as_deref(),
        Some("start: expected at most a million")
    );
}
