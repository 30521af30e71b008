//! Stories of guests that misbehave, wait or are exchanged while calls go on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, Instant};

use support::{Phone, Plan, Site, router};
use switchhook_sip::message::HeaderId;

#[test]
fn a_trap_answers_500_and_the_next_request_finds_a_new_instance() {
    let site = Site::new();
    let alice = Phone::new("alice");
    for n in 0..5 {
        alice.send(
            site.udp,
            &alice.request("TRAP", "sip:127.0.0.1", &format!("t{n}"), ""),
        );
        alice.status(500);
        alice.send(
            site.udp,
            &alice.request("OPTIONS", "sip:127.0.0.1", &format!("o{n}"), ""),
        );
        alice.status(200);
    }
    site.counts("guest.traps", 5);
    site.engine.stop();
}

#[test]
fn a_request_without_a_decision_is_answered_and_a_dropped_one_is_not() {
    let site = Site::new();
    let alice = Phone::new("alice");
    alice.send(
        site.udp,
        &alice.request("NOTHING", "sip:127.0.0.1", "n1", ""),
    );
    alice.status(500);
    site.counts("guest.undecided", 1);
    alice.send(site.udp, &alice.request("DROP", "sip:127.0.0.1", "n2", ""));
    alice.hears_nothing(Duration::from_millis(200));
    site.engine.stop();
}

#[test]
fn a_loop_is_ended_at_its_deadline_and_costs_other_calls_little() {
    let site = Site::new();
    let (alice, mallory) = (Phone::new("alice"), Phone::new("mallory"));
    let looping = mallory.request("LOOP", "sip:127.0.0.1", "l1", "");
    let begun = Instant::now();
    mallory.send(site.udp, &looping);
    mallory.send(site.udp, &looping);
    // Well within the loop's deadline, the lane answers others.
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "l2", ""),
    );
    alice.status(200);
    let answered = begun.elapsed();
    mallory.status(500);
    let ended = begun.elapsed();
    assert!(
        answered < ended,
        "the lane waited for the loop: {answered:?}, {ended:?}"
    );
    assert!(
        ended < Duration::from_secs(2),
        "the deadline is 50 ms: {ended:?}"
    );
    site.counts("guest.deadlines", 1);
    assert!(site.engine.stats().value("guest.background") > 0);
    site.counts("transactions.absorbed", 1);
    site.engine.stop();
}

#[test]
fn loops_beyond_the_background_bound_are_refused_not_queued() {
    let mut plan = Plan::default();
    plan.limits.background = 2;
    plan.script.limits.deadline = Duration::from_millis(500);
    let site = Site::with(plan);
    let mallory = Phone::new("mallory");
    for n in 0..4 {
        mallory.send(
            site.udp,
            &mallory.request("LOOP", "sip:127.0.0.1", &format!("b{n}"), ""),
        );
    }
    let mut statuses: Vec<u16> = (0..4).map(|_| mallory.receive().status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [500, 500, 503, 503]);
    site.engine.stop();
}

#[test]
fn requests_wait_for_an_instance_and_are_refused_when_too_many_do() {
    let mut plan = Plan::default();
    plan.limits.waiting = 1;
    plan.script.limits.instances = 1;
    plan.script.limits.deadline = Duration::from_millis(300);
    let site = Site::with(plan);
    let (alice, mallory) = (Phone::new("alice"), Phone::new("mallory"));
    mallory.send(
        site.udp,
        &mallory.request("LOOP", "sip:127.0.0.1", "w0", ""),
    );
    site.counts("guest.background", 1);
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "w1", ""),
    );
    site.counts("guest.waiting", 1);
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "w2", ""),
    );
    let refused = alice.status(503);
    assert!(refused.header(HeaderId::RetryAfter).is_some());
    mallory.status(500);
    alice.status(200);
    site.counts("guest.waiting", 0);
    site.engine.stop();
}

#[test]
fn a_swap_takes_the_next_request_and_leaves_the_running_call_its_code() {
    let site = Site::new();
    let (alice, bob, carol) = (Phone::new("alice"), Phone::new("bob"), Phone::new("carol"));
    let second = format!("X-Second: {}\r\n", carol.uri());
    alice.send(
        site.udp,
        &alice.request("INVITE", &bob.uri(), "s1", &second),
    );
    alice.status(100);
    let invite = bob.gets("INVITE");
    let swapped = site.engine.swap("test", &router(299)).unwrap();
    assert_ne!(swapped.old, swapped.new);
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "s2", ""),
    );
    alice.status(299);
    assert_eq!(
        site.engine.scripts()[0].generations().len(),
        2,
        "the call pins the old one"
    );
    bob.answer(site.udp, &invite, 486);
    bob.gets("ACK");
    let invite = carol.gets("INVITE");
    carol.answer(site.udp, &invite, 200);
    alice.status(200);
    assert!(site.engine.swap("test", b"nonsense").is_err());
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "s3", ""),
    );
    alice.status(299);
    site.engine.stop();
}

#[test]
fn when_there_are_too_many_transactions_a_request_is_refused() {
    let mut plan = Plan::default();
    plan.limits.transactions = 1;
    let site = Site::with(plan);
    let (alice, bob) = (Phone::new("alice"), Phone::new("bob"));
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "f1", ""));
    alice.status(100);
    bob.gets("INVITE");
    alice.send(site.udp, &alice.request("INVITE", &bob.uri(), "f2", ""));
    let refused = alice.status(503);
    assert!(refused.header(HeaderId::RetryAfter).is_some());
    // What needs no transaction is still served.
    alice.send(
        site.udp,
        &alice.request("OPTIONS", "sip:127.0.0.1", "f3", ""),
    );
    alice.status(200);
    site.engine.stop();
}
