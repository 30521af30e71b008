//! Stories of the other routes: branch, onsend, reply, onreply and registrar, each with a guest of a few lines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use support::{Phone, Plan, Site, guest, text};
use switchhook_sip::message::{HeaderId, Message};
use switchhook_sip::registrar;

/// What these guests import; the data they name things by is at 1024 and 1032.
const IMPORTS: &str = r#"
    (import "switchhook:script/tm@0.1.0" "relay" (func $relay (param i32)))
    (import "switchhook:script/tm@0.1.0" "on-branch" (func $on_branch (param i32 i32 i32)))
    (import "switchhook:script/tm@0.1.0" "on-reply" (func $on_reply (param i32 i32 i32)))
    (import "switchhook:script/request@0.1.0" "header" (func $header (param i32 i32 i32)))
    (import "switchhook:script/reply@0.1.0" "status" (func $status (param i32)))
    (import "switchhook:script/transport@0.1.0" "set-next-hop" (func $set_next_hop (param i32 i32 i32 i32)))
"#;

const COMMON: &str = r#"
    (data (i32.const 1024) "name")
    (data (i32.const 1032) "X-Second")
    (func $drop_it (result i32)
        (drop (call $done))
        (i32.store8 (i32.const 20) (i32.const 1))
        (i32.const 16))
    (func $is_status (param $status i32) (result i32)
        (call $status (i32.const 128))
        (i32.eq (i32.load16_u (i32.const 130)) (local.get $status)))
"#;

fn site(exports: &[&str], routes: &str) -> Site {
    Site::running(
        Plan::default(),
        &guest(exports, IMPORTS, &format!("{COMMON}{routes}")),
    )
}

fn via_numbers(message: &Message) -> usize {
    message.values(HeaderId::Via).count()
}

#[test]
fn a_branch_route_sends_its_branch_elsewhere_or_drops_it() {
    let site = site(
        &["request-route", "branch-route"],
        r#"
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin
            (call $on_branch (i32.const 1024) (i32.const 4) (i32.const 128))
            (call $relay (i32.const 128))
            (call $done))
        (func (export "switchhook:script/branch-route@0.1.0#on-branch") (param i32 i32) (result i32)
            (call $header (i32.const 1032) (i32.const 8) (i32.const 128))
            (if (i32.eqz (i32.load8_u (i32.const 128))) (then (return (call $drop_it))))
            (call $set_next_hop (i32.const 1) (i32.load (i32.const 132)) (i32.load (i32.const 136)) (i32.const 160))
            (call $done))"#,
    );
    let (alice, carol) = (Phone::new("alice"), Phone::new("carol"));
    let second = format!("X-Second: {}\r\n", carol.uri());
    let bob = "sip:bob@127.0.0.1:9";
    alice.send(site.udp, &alice.request("MESSAGE", bob, "b1", &second));
    let message = carol.gets("MESSAGE");
    assert_eq!(message.request_uri(), bob.as_bytes(), "{}", text(&message));
    carol.answer(site.udp, &message, 200);
    alice.status(200);
    alice.send(site.udp, &alice.request("MESSAGE", bob, "b2", ""));
    alice.status(500);
    site.engine.stop();
}

#[test]
fn an_onsend_route_keeps_a_request_from_being_sent() {
    let site = site(
        &["request-route", "onsend-route"],
        r#"
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin
            (call $relay (i32.const 128))
            (call $done))
        (func (export "switchhook:script/onsend-route@0.1.0#on-send") (result i32)
            (call $header (i32.const 1032) (i32.const 8) (i32.const 128))
            (if (i32.load8_u (i32.const 128)) (then (return (call $drop_it))))
            (call $done))"#,
    );
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(
        site.udp,
        &alice.request("MESSAGE", &bob.uri(), "s1", "X-Second: x\r\n"),
    );
    alice.status(500);
    alice.send(site.udp, &alice.request("MESSAGE", &bob.uri(), "s2", ""));
    let message = bob.gets("MESSAGE");
    assert_eq!(message.call_id().unwrap(), b"s2");
    bob.answer(site.udp, &message, 200);
    alice.status(200);
    site.engine.stop();
}

#[test]
fn reply_routes_drop_what_they_may_and_pass_the_rest() {
    let site = site(
        &["request-route", "reply-route", "onreply-route"],
        r#"
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin
            (call $on_reply (i32.const 1024) (i32.const 4) (i32.const 128))
            (call $relay (i32.const 128))
            (call $done))
        ;; before its transaction sees it: 181 never comes that far
        (func (export "switchhook:script/reply-route@0.1.0#on-reply") (result i32)
            (if (call $is_status (i32.const 181)) (then (return (call $drop_it))))
            (call $done))
        ;; of the transaction: 182 goes no further, 486 can't be dropped
        (func (export "switchhook:script/onreply-route@0.1.0#on-reply") (param i32 i32) (result i32)
            (if (call $is_status (i32.const 182)) (then (return (call $drop_it))))
            (if (call $is_status (i32.const 486)) (then (return (call $drop_it))))
            (if (call $is_status (i32.const 183)) (then unreachable))
            (call $done))"#,
    );
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "r1", ""));
    alice.status(100);
    let invite = bob.gets("INVITE");
    for status in [180, 181, 182, 183, 486] {
        bob.answer(site.udp, &invite, status);
    }
    bob.gets("ACK");
    assert_eq!(via_numbers(&alice.status(180)), 1);
    alice.status(183);
    alice.status(486);
    site.counts("guest.traps", 1);
    site.engine.stop();
}

/// A contact that ends in a second, saved past the route.
fn registers_for_a_second(site: &Site, phone: &Phone, aor: &str) {
    let register = phone.request("REGISTER", "sip:example.test", aor, "Expires: 1\r\n");
    let register = Message::parse(register.into_bytes().into()).unwrap();
    let limits = registrar::Limits {
        min_expires: Duration::from_secs(1),
        ..registrar::Limits::default()
    };
    let source = site.source(phone.address);
    let now = Instant::now();
    site.services.locations["location"]
        .update(now, aor, |current| {
            let outcome = registrar::save(now, register.view(), &source, current, &limits);
            (outcome.bindings, ())
        })
        .unwrap();
}

#[test]
fn the_end_of_a_contact_is_told_to_the_script() {
    let mut plan = Plan::default();
    plan.limits.housekeeping = Duration::from_millis(20);
    let routes = r#"
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin (call $done))
        (func (export "switchhook:script/registrar-route@0.1.0#on-expired")
            (param i32) (result i32)
            unreachable)"#;
    let wasm = guest(
        &["request-route", "registrar-route"],
        IMPORTS,
        &format!("{COMMON}{routes}"),
    );
    let site = Site::running(plan, &wasm);
    let alice = Phone::new("alice");
    registers_for_a_second(&site, &alice, "sip:alice@example.test");
    // The route is there: it traps, which is counted.
    site.counts("registrar.expired", 1);
    site.counts("guest.traps", 1);
    site.engine.stop();
}

/// A site without power: all its phones' contacts end at once, and go batch after batch.
#[test]
fn contacts_that_end_together_do_not_wait_for_one_another() {
    const PHONES: usize = 20;
    let mut plan = Plan::default();
    plan.limits.housekeeping = Duration::from_secs(2);
    plan.limits.expired = 1;
    let routes = r#"
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
            call $begin (call $done))"#;
    let wasm = guest(&["request-route"], IMPORTS, &format!("{COMMON}{routes}"));
    let site = Site::running(plan, &wasm);
    let phone = Phone::new("alice");
    for user in 0..PHONES {
        registers_for_a_second(&site, &phone, &format!("sip:{user}@example.test"));
    }
    site.counts("registrar.expired", PHONES as u64);
    site.engine.stop();
}
