//! Guests that misbehave: each is stopped at its limit, the error says which, and the next event is as if nothing had been.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::time::{Duration, Instant};

use support::{finish, guest, invite, load, load_with, on_request, poll, run, settings};
use switchhook_script::{GuestError, Limit, Outcome};

const LOG: &str = r#"(import "switchhook:script/log@0.1.0" "enabled" (func $enabled (param i32) (result i32)))
    (import "switchhook:script/log@0.1.0" "write" (func $write (param i32 i32 i32)))"#;

/// The first event does `body`, all later ones are done at once.
fn misbehaves_once(imports: &str, body: &str) -> Vec<u8> {
    // A fresh instance has its memory as it was: what happened is in a table of the host.
    let imports = format!(
        r#"{imports}
        (import "switchhook:script/htable@0.1.0" "add"
            (func $add (param i32 i32 i32 i32 i64 i32)))"#
    );
    on_request(
        &imports,
        &format!(
            "(call $add (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 1) (i32.const 64))
             (if (i64.eq (i64.load (i32.const 72)) (i64.const 1)) (then {body}))
             call $done"
        ),
    )
}

/// Runs the misbehaving event and checks that the next one is well; gives the error.
fn error_of(wasm: &[u8]) -> GuestError {
    let (script, mut pool, _) = load(wasm);
    let (event, outcome) = run(&mut pool, invite());
    assert!(event.request.is_some(), "the event comes back");
    let error = outcome.unwrap_err();
    assert_eq!(pool.idle(), 0, "the instance is thrown away");
    assert_eq!(script.current().instances(), 0);
    let (_, outcome) = run(&mut pool, invite());
    assert_eq!(outcome, Ok(Outcome::Done));
    error
}

#[test]
fn a_loop_leaves_the_lane_at_once_and_is_trapped_at_its_deadline() {
    let mut settings = settings();
    settings.limits.deadline = Duration::from_secs(1);
    let wasm = misbehaves_once("", "(loop $again br $again)");
    let (_script, mut pool, _) = load_with(settings, &wasm);
    let generation = pool.current().clone();
    let mut running = pool.start(&generation, invite());
    let began = Instant::now();
    assert!(poll(&mut running).is_pending());
    assert!(running.is_busy(), "it computes, it does not wait");
    // Two ticks on an idle machine; this one may be busy.
    let held = began.elapsed();
    assert!(
        held < Duration::from_millis(500),
        "held the lane for {held:?}"
    );
    let (finished, polls) = finish(running);
    let error = pool.finish(finished).1.unwrap_err();
    let deadline = Duration::from_secs(1);
    assert!(
        matches!(error, GuestError::Deadline { deadline: reached, .. } if reached == deadline),
        "{error:?}"
    );
    assert!(error.to_string().contains("limits.deadline"), "{error}");
    assert!(polls >= 2, "{polls} polls");
    assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Done));
}

#[test]
fn endless_recursion_ends_at_the_stack() {
    let wasm = guest(
        &["request-route"],
        "",
        r#"(func $down (param i32) (result i32) (i32.add (call $down (local.get 0)) (i32.const 1)))
           (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
               (call $down (i32.const 1)))"#,
    );
    let (_script, mut pool, _) = load(&wasm);
    let error = run(&mut pool, invite()).1.unwrap_err();
    let GuestError::Limit {
        limit: Limit::Stack(512_000..=600_000),
        trace,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(trace.frames().len() > 10, "{error}");
    assert!(error.to_string().contains("limits.stack"), "{error}");
}

#[test]
fn endless_allocation_ends_at_the_memory() {
    let error = error_of(&misbehaves_once(
        "",
        "(loop $again (drop (memory.grow (i32.const 16))) br $again)",
    ));
    let GuestError::Limit {
        limit: Limit::Memory(limit),
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(limit, 16 << 20);
}

#[test]
fn a_trap_tells_where() {
    let wasm = guest(
        &["request-route"],
        "",
        r#"(func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
           (func $route (export "switchhook:script/request-route@0.1.0#on-request") (result i32)
               (call $divide (i32.const 0)))"#,
    );
    let (_script, mut pool, _) = load(&wasm);
    let error = run(&mut pool, invite()).1.unwrap_err();
    let GuestError::Trap { message, trace } = &error else {
        panic!("{error:?}")
    };
    assert!(message.contains("divide by zero"), "{message}");
    assert!(trace.frames()[0].contains("divide"), "{error}");
    assert!(error.to_string().contains("\n    at "), "{error}");
}

#[test]
fn a_million_host_calls_end_at_the_limit() {
    let error = error_of(&misbehaves_once(
        LOG,
        "(local.set $n (i32.const 1000000))
         (loop $again
            (drop (call $enabled (i32.const 0)))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
    ));
    assert!(
        matches!(
            error,
            GuestError::Limit {
                limit: Limit::HostCalls(10_000),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn bytes_are_counted_before_they_are_copied() {
    // One string of a megabyte, five times: the limit is four.
    let wasm = misbehaves_once(
        LOG,
        "(drop (memory.grow (i32.const 32)))
         (call $write (i32.const 0) (i32.const 0) (i32.const 1000000))
         (call $write (i32.const 0) (i32.const 0) (i32.const 1000000))
         (call $write (i32.const 0) (i32.const 0) (i32.const 1000000))
         (call $write (i32.const 0) (i32.const 0) (i32.const 1000000))
         (call $write (i32.const 0) (i32.const 0) (i32.const 1000000))",
    );
    let error = error_of(&wasm);
    assert!(
        matches!(
            error,
            GuestError::Limit {
                limit: Limit::Bytes(4_194_304),
                ..
            }
        ),
        "{error:?}"
    );
    // One string beyond the limit: wasmtime refuses to lift it at all.
    let wasm = misbehaves_once(
        LOG,
        "(drop (memory.grow (i32.const 128)))
         (call $write (i32.const 0) (i32.const 0) (i32.const 5000000))",
    );
    let error = error_of(&wasm);
    assert!(
        matches!(
            error,
            GuestError::Limit {
                limit: Limit::Bytes(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_short_list_that_names_one_long_string_many_times_is_no_way_around() {
    // Sixty-four header fields whose values are all the same 100,000 bytes.
    let error = error_of(&misbehaves_once(
        r#"(import "switchhook:script/tm@0.1.0" "reply"
            (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
        "(drop (memory.grow (i32.const 32)))
         (loop $fill
            (i32.store offset=131076 (i32.mul (local.get $n) (i32.const 16)) (i32.const 1))
            (i32.store offset=131084 (i32.mul (local.get $n) (i32.const 16)) (i32.const 100000))
            (br_if $fill (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 64))))
         (call $reply (i32.const 200) (i32.const 0) (i32.const 0)
            (i32.const 131072) (i32.const 64)
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 128))",
    ));
    assert!(
        matches!(
            error,
            GuestError::Limit {
                limit: Limit::Bytes(_),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn instances_are_limited_and_the_event_can_wait() {
    let mut settings = settings();
    settings.limits.instances = 1;
    let (script, mut pool, _) = load_with(
        settings,
        &on_request("", "(loop $again br $again) call $done"),
    );
    let generation = pool.current().clone();
    let mut first = pool.start(&generation, invite());
    assert!(poll(&mut first).is_pending());
    let (finished, _) = finish(pool.start(&generation, invite()));
    let error = pool.finish(finished).1.unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(error.to_string().contains("limits.instances"), "{error}");
    drop(first);
    assert_eq!(
        script.current().instances(),
        0,
        "an event that is given up gives its instance back"
    );
}

#[test]
fn events_that_lead_to_one_another_have_an_end() {
    let (_script, mut pool, _) = load(&on_request("", "call $done"));
    let mut event = invite();
    event.depth = 5;
    let error = run(&mut pool, event).1.unwrap_err();
    assert!(
        matches!(
            error,
            GuestError::Limit {
                limit: Limit::Depth(4),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn memory_returns_after_a_trap() {
    let mut settings = settings();
    settings.limits.memory = 64 << 20;
    // 48 MiB, every page of it written, and then a trap.
    let (_script, mut pool, _) = load_with(
        settings,
        &on_request(
            "",
            "(drop (memory.grow (i32.const 768)))
             (memory.fill (i32.const 131072) (i32.const 1) (i32.const 50331648))
             unreachable",
        ),
    );
    let before = resident();
    for _ in 0..20 {
        assert!(run(&mut pool, invite()).1.is_err());
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 40 << 20, "{} MiB stayed", grown >> 20);
}

/// This process's resident bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn limits_that_make_no_sense_are_told() {
    let wasm = on_request("", "call $done");
    let mut wrong = settings();
    wrong.limits.memory = 10;
    let error = switchhook_script::Script::load(
        wrong,
        std::sync::Arc::new(support::Book::default()),
        &wasm,
    );
    let error = error.err().unwrap().to_string();
    assert!(
        error.contains("memory: expected 64 KiB to 4 GiB, got 10 bytes"),
        "{error}"
    );
}
