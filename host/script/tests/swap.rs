//! Exchanging a script's code: what goes on, what is handed over, and what a bad module can not do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::time::{Duration, Instant};

use support::{Book, finish, guest, invite, load, load_with, on_request, poll, run, settings};
use switchhook_script::{LoadError, Outcome};

/// Handles requests with drop instead of done.
fn drops() -> Vec<u8> {
    on_request(
        "",
        "(i32.store8 (i32.const 16) (i32.const 0)) (i32.store8 (i32.const 20) (i32.const 1)) (i32.const 16)",
    )
}

fn done() -> Vec<u8> {
    on_request("", "call $done")
}

#[test]
fn a_swap_exchanges_what_new_events_meet() {
    let (script, mut pool, _) = load(&done());
    assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Done));
    let pinned = pool.current().pin();
    let swapped = script.swap(&drops()).unwrap();
    assert!(swapped.new > swapped.old);
    assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Drop));
    // A transaction that began with the old generation stays with it.
    let (finished, _) = finish(pool.start(pinned.generation(), invite()));
    assert_eq!(pool.finish(finished).1, Ok(Outcome::Done));
    script.sweep(Instant::now());
    assert_eq!(script.generations().len(), 2);
    drop(pinned);
    script.sweep(Instant::now());
    assert_eq!(script.generations().len(), 1);
    assert_eq!(script.current().id(), swapped.new);
}

#[test]
fn at_the_deadline_a_pinned_generation_goes_all_the_same() {
    let mut settings = settings();
    settings.drain = Duration::from_secs(60);
    let (script, mut pool, _) = load_with(settings, &done());
    let pinned = pool.current().pin();
    script.swap(&drops()).unwrap();
    let now = Instant::now();
    script.sweep(now + Duration::from_secs(30));
    assert!(!pinned.generation().is_retired());
    script.sweep(now + Duration::from_secs(90));
    assert!(pinned.generation().is_retired());
    assert_eq!(script.generations().len(), 1);
    let (finished, _) = finish(pool.start(pinned.generation(), invite()));
    assert_eq!(
        pool.finish(finished).1,
        Ok(Outcome::Drop),
        "the current one takes its place"
    );
}

#[test]
fn a_bad_module_changes_nothing() {
    let mut settings = settings();
    settings.grants = Default::default();
    let (script, mut pool, _) = load_with(settings, &done());
    let before = script.current().id();
    let ungranted = on_request(
        r#"(import "switchhook:script/htable@0.1.0" "size" (func $size (param i32 i32 i32)))"#,
        "(call $size (i32.const 0) (i32.const 0) (i32.const 64)) call $done",
    );
    let error = script.swap(&ungranted).unwrap_err();
    assert!(matches!(error, LoadError::NotGranted { .. }), "{error}");
    let traps = guest(
        &["lifecycle", "request-route"],
        "",
        r#"(func (export "switchhook:script/lifecycle@0.1.0#init") (param i32 i32) (result i32) unreachable)
           (func (export "switchhook:script/lifecycle@0.1.0#export-state") (result i32) unreachable)
           (func (export "switchhook:script/lifecycle@0.1.0#import-state") (param i32 i32) (result i32) unreachable)
           (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32) call $done)"#,
    );
    let error = script.swap(&traps).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Lifecycle {
                function: "init",
                ..
            }
        ),
        "{error}"
    );
    let error = script.swap(b"nonsense").unwrap_err();
    assert!(matches!(error, LoadError::Invalid(_)), "{error}");
    assert_eq!(
        (script.current().id(), script.generations().len()),
        (before, 1)
    );
    assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Done));
}

/// Ok, with no handlers named but the request route.
const INIT: &str = "(i32.store8 (i32.const 64) (i32.const 0))
     (i32.store (i32.const 68) (i32.const 80))
     (i32.store (i32.const 72) (i32.const 1))
     (i32.store8 (i32.const 80) (i32.const 0))
     (i32.store (i32.const 84) (i32.const 0))
     (i32.store (i32.const 88) (i32.const 0))
     (i32.const 64)";

/// A guest that counts events at address 256, by this step, writes each count to the log as that many `x`, and hands
/// the count over.
fn stateful(step: u32, init: &str, import: &str) -> Vec<u8> {
    guest(
        &["lifecycle", "request-route"],
        r#"(import "switchhook:script/log@0.1.0" "write" (func $write (param i32 i32 i32)))"#,
        &format!(
            r#"(data (i32.const 1024) "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" "I say no")
            (func (export "switchhook:script/lifecycle@0.1.0#init") (param i32 i32) (result i32) {init})
            ;; option<list<u8>>: the four bytes at 256
            (func (export "switchhook:script/lifecycle@0.1.0#export-state") (result i32)
                (i32.store8 (i32.const 96) (i32.const 1))
                (i32.store (i32.const 100) (i32.const 256))
                (i32.store (i32.const 104) (i32.const 4))
                (i32.const 96))
            (func (export "switchhook:script/lifecycle@0.1.0#import-state") (param $at i32) (param $len i32) (result i32)
                (i32.store (i32.const 256) (i32.load (local.get $at)))
                {import})
            (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
                call $begin
                (i32.store (i32.const 256) (i32.add (i32.load (i32.const 256)) (i32.const {step})))
                (call $write (i32.const 2) (i32.const 1024) (i32.load (i32.const 256)))
                call $done)"#
        ),
    )
}

fn counts(book: &Book) -> Vec<usize> {
    let lines = book.lines();
    lines
        .iter()
        .map(|line| line.bytes().rev().take_while(|byte| *byte == b'x').count())
        .collect()
}

#[test]
fn state_is_handed_over_from_the_instance_that_worked() {
    let (script, mut pool, book) = load(&stateful(1, INIT, "call $ok"));
    for _ in 0..3 {
        run(&mut pool, invite()).1.unwrap();
    }
    script.swap(&stateful(10, INIT, "call $ok")).unwrap();
    run(&mut pool, invite()).1.unwrap();
    assert_eq!(counts(&book), [1, 2, 3, 13]);
    // Handed on even by a generation that never had an event.
    script.swap(&stateful(1, INIT, "call $ok")).unwrap();
    script.swap(&stateful(2, INIT, "call $ok")).unwrap();
    run(&mut pool, invite()).1.unwrap();
    assert_eq!(counts(&book), [15]);
}

#[test]
fn a_state_that_is_refused_refuses_the_swap() {
    let (script, mut pool, book) = load(&stateful(1, INIT, "call $ok"));
    run(&mut pool, invite()).1.unwrap();
    let no = "(i32.store8 (i32.const 96) (i32.const 1))
        (i32.store (i32.const 100) (i32.const 1064))
        (i32.store (i32.const 104) (i32.const 8))
        (i32.const 96)";
    let error = script.swap(&stateful(1, INIT, no)).unwrap_err().to_string();
    assert_eq!(error, "`import-state` refused: I say no");
    let error = script
        .swap(&stateful(1, INIT, "unreachable"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("import-state: the script trapped"),
        "{error}"
    );
    run(&mut pool, invite()).1.unwrap();
    assert_eq!(
        counts(&book),
        [1, 2],
        "the old generation goes on with its state"
    );
}

#[test]
fn an_event_at_work_ends_in_the_code_that_it_began_with() {
    let (script, mut pool, _) = load(&on_request(
        "",
        "(local.set $n (i32.const 8000000)) (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) call $done",
    ));
    let generation = pool.current().clone();
    let mut running = pool.start(&generation, invite());
    let first = poll(&mut running);
    script.swap(&drops()).unwrap();
    let finished = match first {
        std::task::Poll::Ready(finished) => finished,
        std::task::Poll::Pending => finish(running).0,
    };
    assert_eq!(pool.finish(finished).1, Ok(Outcome::Done));
    assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Drop));
}

#[test]
fn a_hundred_swaps_leave_nothing_behind() {
    let (script, mut pool, _) = load(&done());
    for round in 0..100 {
        let (wasm, expected) = if round % 2 == 0 {
            (drops(), Outcome::Drop)
        } else {
            (done(), Outcome::Done)
        };
        script.swap(&wasm).unwrap();
        assert_eq!(run(&mut pool, invite()).1, Ok(expected));
    }
    script.sweep(Instant::now());
    assert_eq!(script.generations().len(), 1);
    assert_eq!(script.current().instances(), 1);
}

#[test]
fn a_script_that_goes_lets_its_instances_go() {
    let (script, mut pool, _) = load(&done());
    run(&mut pool, invite()).1.unwrap();
    let generation = script.current();
    drop(pool);
    drop(script);
    assert_eq!(generation.instances(), 0);
}
