//! What guests meet through the host's side of the contract, told by guests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::task::Poll;

use support::{Book, INVITE, current, guest, invite, load, on_request, poll, run};
use switchhook_script::{
    Answer, Decision, Event, GuestError, HeaderField, Order, Outcome, Route, Target,
    TransactionView,
};

/// Writes a string that a host call left at 64 (pointer) and 68 (length) to the log.
const SAY: &str = "(call $write (i32.const 2) (i32.load (i32.const 64)) (i32.load (i32.const 68)))";
/// The same for an option or an error: there is one byte before.
const SAY_SOME: &str =
    "(call $write (i32.const 2) (i32.load (i32.const 68)) (i32.load (i32.const 72)))";
/// An error's code and message: the code is at 68.
const SAY_ERROR: &str = "(call $write (i32.load8_u (i32.const 68)) (i32.load (i32.const 72)) (i32.load (i32.const 76)))";

const WRITE: &str =
    r#"(import "switchhook:script/log@0.1.0" "write" (func $write (param i32 i32 i32)))"#;

fn said(book: &Book) -> Vec<String> {
    book.lines()
}

#[test]
fn the_log_says_who_speaks() {
    let imports = format!(
        r#"{WRITE} (import "switchhook:script/request@0.1.0" "method" (func $method (param i32)))"#
    );
    let (_script, mut pool, book) = load(&on_request(
        &imports,
        &format!("(call $method (i32.const 64)) {SAY} call $done"),
    ));
    run(&mut pool, invite()).1.unwrap();
    assert_eq!(
        said(&book),
        ["test/request-route a84b4c76e66710@192.0.2.1: INVITE"]
    );
}

#[test]
fn a_line_of_the_log_is_cut_at_4096_bytes() {
    let (_script, mut pool, book) = load(&on_request(
        WRITE,
        "(memory.fill (i32.const 1024) (i32.const 120) (i32.const 5000))
             (call $write (i32.const 2) (i32.const 1024) (i32.const 5000)) call $done",
    ));
    run(&mut pool, invite()).1.unwrap();
    let line = said(&book).remove(0);
    assert_eq!(line.split_once(": ").unwrap().1.len(), 4096);
}

#[test]
fn headers_are_read_in_any_case_and_form() {
    let imports = format!(
        r#"{WRITE} (import "switchhook:script/request@0.1.0" "header" (func $header (param i32 i32 i32)))
        (data (i32.const 1024) "x-mINE" "f")"#
    );
    let body = format!(
        "(call $header (i32.const 1024) (i32.const 6) (i32.const 64)) {SAY_SOME}
         (call $header (i32.const 1030) (i32.const 1) (i32.const 64)) {SAY_SOME} call $done"
    );
    let (_script, mut pool, book) = load(&on_request(&imports, &body));
    run(&mut pool, invite()).1.unwrap();
    let values: Vec<_> = said(&book)
        .iter()
        .map(|line| line.split_once(": ").unwrap().1.to_owned())
        .collect();
    assert_eq!(
        values,
        ["a value", "Alice <sip:alice@example.test>;tag=1928301774"]
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_read_as_latin_1() {
    let imports = format!(
        r#"{WRITE} (import "switchhook:script/request@0.1.0" "header" (func $header (param i32 i32 i32)))
        (data (i32.const 1024) "Subject")"#
    );
    let body = format!(
        "(call $header (i32.const 1024) (i32.const 7) (i32.const 64)) {SAY_SOME} call $done"
    );
    let (_script, mut pool, book) = load(&on_request(&imports, &body));
    let text = INVITE
        .replacen("User-Agent: Phone/1.0", "Subject: caf\u{1}", 1)
        .into_bytes();
    let latin: Vec<u8> = text
        .into_iter()
        .map(|byte| if byte == 1 { 0xe9 } else { byte })
        .collect();
    let message = switchhook_sip::message::Message::parse(latin.into()).unwrap();
    let request = switchhook_script::Current::new(message.into(), support::source());
    run(&mut pool, Event::new(Route::Request, Some(request), None))
        .1
        .unwrap();
    assert!(said(&book)[0].ends_with(": caf\u{e9}"));
}

#[test]
fn a_relay_and_its_settings_come_out_in_order() {
    let imports = r#"
        (import "switchhook:script/tm@0.1.0" "relay" (func $relay (param i32)))
        (import "switchhook:script/tm@0.1.0" "set-timeouts" (func $timeouts (param i32 i32 i32)))
        (import "switchhook:script/tm@0.1.0" "on-failure" (func $failure (param i32 i32 i32)))
        (import "switchhook:script/rr@0.1.0" "record-route" (func $rr (param i32 i32 i32)))
        (import "switchhook:script/request@0.1.0" "set-uri" (func $uri (param i32 i32 i32)))
        (data (i32.const 1024) "busy" ";ftag=a" "sip:carol@192.0.2.7")"#;
    let wasm = guest(
        &["request-route", "failure-route"],
        imports,
        r#"(func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
               (call $rr (i32.const 1028) (i32.const 7) (i32.const 64))
               (call $failure (i32.const 1024) (i32.const 4) (i32.const 64))
               (call $timeouts (i32.const 2000) (i32.const 30000) (i32.const 64))
               (call $uri (i32.const 1035) (i32.const 19) (i32.const 64))
               (call $relay (i32.const 64))
               call $done)
           (func (export "switchhook:script/failure-route@0.1.0#on-failure") (param i32 i32) (result i32) call $done)"#,
    );
    let (_script, mut pool, _) = load(&wasm);
    let (event, outcome) = run(&mut pool, invite());
    assert_eq!(outcome, Ok(Outcome::Done));
    assert_eq!(
        event.decisions,
        [
            Decision::RecordRoute("ftag=a".into()),
            Decision::OnFailure(Some("busy".into())),
            Decision::Timeouts {
                any_reply: 2000,
                final_reply: 30_000
            },
            Decision::Relay {
                targets: Vec::new(),
                order: Order::Parallel
            },
        ]
    );
    assert_eq!(
        event.request.unwrap().view().request_uri(),
        b"sip:carol@192.0.2.7"
    );
}

#[test]
fn a_lookups_targets_are_what_a_relay_takes() {
    let (_script, mut pool, _) = load(&on_request(
        r#"(import "switchhook:script/tm@0.1.0" "relay" (func $relay (param i32)))"#,
        "(call $relay (i32.const 64)) call $done",
    ));
    let mut event = invite();
    let target = Target {
        uri: "sip:bob@192.0.2.4".into(),
        next_hop: None,
        path: Vec::new(),
        q: 1000,
        flow: None,
    };
    event.targets = vec![target.clone()];
    let (event, _) = run(&mut pool, event);
    assert_eq!(
        event.decisions,
        [Decision::Relay {
            targets: vec![target],
            order: Order::Parallel
        }]
    );
    assert!(event.targets.is_empty());
}

#[test]
fn an_answer_is_checked_before_it_is_decided() {
    // reply(status, reason: 1024..+len, one header at 1100)
    let reply = |status: u32, reason: u32, header: &str| {
        let imports = format!(
            r#"{WRITE} (import "switchhook:script/tm@0.1.0" "reply"
                (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
            (data (i32.const 1024) "No\0d\0aWay") (data (i32.const 1040) "X-Why" "{header}")"#
        );
        let body = format!(
            "(i32.store (i32.const 1100) (i32.const 1040)) (i32.store (i32.const 1104) (i32.const 5))
             (i32.store (i32.const 1108) (i32.const 1045)) (i32.store (i32.const 1112) (i32.const 4))
             (call $reply (i32.const {status}) (i32.const 1024) (i32.const {reason})
                (i32.const 1100) (i32.const 1)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
             (if (i32.load8_u (i32.const 64)) (then {SAY_ERROR})) call $done"
        );
        let (_script, mut pool, book) = load(&on_request(&imports, &body));
        let (event, _) = run(&mut pool, invite());
        (event.decisions, said(&book))
    };
    let (decided, said) = reply(404, 2, "none");
    let headers = vec![HeaderField {
        name: "X-Why".into(),
        value: "none".into(),
    }];
    assert_eq!(
        decided,
        [Decision::Respond(Answer {
            status: 404,
            reason: "No".into(),
            headers,
            body: None
        })]
    );
    assert!(said.is_empty());
    for (status, reason, header, expected) in [
        (
            100,
            2,
            "none",
            "tm.reply: expected a status of 101 to 699, got 100",
        ),
        (
            700,
            2,
            "none",
            "tm.reply: expected a status of 101 to 699, got 700",
        ),
        (
            404,
            7,
            "none",
            "tm.reply: the reason phrase has a line end or another control character",
        ),
        (
            404,
            2,
            "a\\0ab",
            "tm.reply: X-Why has a line end or another control character",
        ),
    ] {
        let (decided, said) = reply(status, reason, header);
        assert!(decided.is_empty());
        assert!(said[0].ends_with(expected), "{said:?}");
    }
}

#[test]
fn what_makes_no_sense_here_is_refused_with_where_it_does() {
    let imports = format!(
        r#"{WRITE} (import "switchhook:script/tm@0.1.0" "relay" (func $relay (param i32)))
        (import "switchhook:script/tm@0.1.0" "on-branch" (func $on-branch (param i32 i32 i32)))
        (import "switchhook:script/reply@0.1.0" "set-status" (func $status (param i32 i32 i32 i32)))
        (import "switchhook:script/request@0.1.0" "set-uri" (func $uri (param i32 i32 i32)))
        (data (i32.const 1024) "nowhere" "sip:a@b")"#
    );
    let wasm = guest(
        &["request-route", "onsend-route"],
        &imports,
        &format!(
            r#"(func (export "switchhook:script/request-route@0.1.0#on-request") (result i32) call $begin
                   (call $on-branch (i32.const 1024) (i32.const 7) (i32.const 64)) {SAY_ERROR}
                   (call $status (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 64)) {SAY_ERROR}
                   (call $uri (i32.const 1024) (i32.const 7) (i32.const 64)) {SAY_ERROR}
                   call $done)
               (func (export "switchhook:script/onsend-route@0.1.0#on-send") (result i32) call $begin
                   (call $relay (i32.const 64)) {SAY_ERROR}
                   (call $uri (i32.const 1031) (i32.const 7) (i32.const 64)) {SAY_ERROR}
                   call $done)"#
        ),
    );
    let (_script, mut pool, book) = load(&wasm);
    let texts = |book: &Book| -> Vec<String> {
        said(book)
            .iter()
            .map(|line| line.split_once("192.0.2.1: ").unwrap().1.to_owned())
            .collect()
    };
    let (event, _) = run(&mut pool, invite());
    assert!(event.decisions.is_empty() && event.request.unwrap().edits.is_empty());
    let told = texts(&book);
    assert_eq!(
        told[0],
        "tm.on-branch: the script has no branch-route `nowhere`"
    );
    assert_eq!(
        told[1],
        "reply.set-status: this is request-route, it works in reply and onreply routes"
    );
    assert!(told[2].contains("nowhere"), "{told:?}");
    run(
        &mut pool,
        Event::new(Route::Onsend, Some(current(INVITE)), None),
    )
    .1
    .unwrap();
    assert_eq!(
        texts(&book),
        [
            "tm.relay: this is onsend-route, it works in request and failure routes",
            "request.set-uri: this is onsend-route, it works in request, branch and failure routes",
        ]
    );
}

#[test]
fn named_routes_get_their_names_and_what_the_transaction_knows() {
    let imports = format!(
        r#"{WRITE} (import "switchhook:script/tm@0.1.0" "status" (func $status (param i32)))
        (import "switchhook:script/tm@0.1.0" "branch" (func $branch (param i32)))"#
    );
    let wasm = guest(
        &["onreply-route"],
        &imports,
        r#"(func (export "switchhook:script/onreply-route@0.1.0#on-reply") (param $at i32) (param $len i32) (result i32)
               (call $write (i32.const 2) (local.get $at) (local.get $len))
               (call $status (i32.const 64))
               (call $branch (i32.const 72))
               (if (i32.ne (i32.load16_u (i32.const 66)) (i32.const 180)) (then unreachable))
               (if (i32.ne (i32.load (i32.const 76)) (i32.const 3)) (then unreachable))
               call $done)"#,
    );
    let (_script, mut pool, book) = load(&wasm);
    let reply = "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n";
    let route = Route::OnReply {
        name: "early".into(),
        index: 3,
    };
    let mut event = Event::new(route, Some(current(INVITE)), Some(current(reply)));
    event.transaction = TransactionView {
        status: Some(180),
        ..TransactionView::default()
    };
    assert_eq!(run(&mut pool, event).1, Ok(Outcome::Done));
    assert_eq!(said(&book), ["test/onreply-route x: early"]);
}

#[test]
fn an_error_text_leaves_the_instance_in_use() {
    let (script, mut pool, _) = load(&on_request(
        r#"(data (i32.const 1024) "not today")"#,
        "(i32.store8 (i32.const 16) (i32.const 1))
         (i32.store (i32.const 20) (i32.const 1024))
         (i32.store (i32.const 24) (i32.const 9))
         (i32.const 16)",
    ));
    let (_, outcome) = run(&mut pool, invite());
    assert_eq!(outcome, Err(GuestError::Returned("not today".into())));
    assert_eq!((pool.idle(), script.current().instances()), (1, 1));
}

#[test]
fn a_route_that_is_not_there_is_told() {
    let (_script, mut pool, _) = load(&on_request("", "call $done"));
    let route = Route::Failure {
        name: "busy".into(),
    };
    assert!(!pool.current().handles(&route));
    let (_, outcome) = run(&mut pool, Event::new(route, Some(current(INVITE)), None));
    let error = outcome.unwrap_err();
    assert_eq!(error.to_string(), "the script has no failure-route `busy`");
    assert_eq!(pool.idle(), 1);
}

#[test]
fn many_events_run_side_by_side_in_their_own_instances() {
    // Each guest works for some milliseconds: they take turns.
    let (script, mut pool, _) = load(&on_request(
        "",
        "(local.set $n (i32.const 20000000))
         (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
         call $done",
    ));
    let generation = pool.current().clone();
    let mut running: Vec<_> = (0..4).map(|_| pool.start(&generation, invite())).collect();
    let mut done = 0;
    while !running.is_empty() {
        running.retain_mut(|one| match poll(one) {
            Poll::Ready(finished) => {
                assert_eq!(pool.finish(finished).1, Ok(Outcome::Done));
                done += 1;
                false
            }
            Poll::Pending => true,
        });
    }
    assert_eq!(done, 4);
    assert!(script.current().instances() <= 4 && pool.idle() == script.current().instances());
}
