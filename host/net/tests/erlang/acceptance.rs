//! What no other story has of the twenty-nine things that a node must be able to do; docs/erlang.md says which story has which.

use std::time::{Duration, Instant};

use switchhook_erlang::node::{Event, Process};
use switchhook_erlang::{TermBytes, Who};

use crate::otp::*;

/// 2: a node that we dial lists us as hidden.
#[test]
fn a_node_that_we_dial_lists_us_as_hidden() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    assert_eq!(
        erlang.eval("{nodes(), nodes(hidden)}"),
        format!("{{[],['{OURS}']}}")
    );
}

/// 11: while 16 MB go there and back again and again, ticks go on: a link that is silent for five seconds would be down.
#[test]
fn great_terms_do_not_hold_up_ticks() {
    if !erlang_is_here() {
        return;
    }
    let mapper = PortMapper::start(free_port());
    let ticks = ["-hidden", "-kernel", "net_ticktime", "4"];
    let mut erlang = Erlang::start(mapper.port, THEIRS, "secret", &ticks);
    let mut settings = settings(mapper.port, &[THEIRS]);
    settings.node.limits.tick_time = Duration::from_secs(4);
    let ours = Ours::start(settings);
    ours.wait_up(THEIRS);
    let echo = format!(
        "X = binary:copy(<<\"0123456789abcdef\">>, 1024 * 1024), Until = erlang:monotonic_time(millisecond) + 7000, \
         F = fun F() -> [X] = rpc:call('{OURS}', m, echo, [X]), erlang:monotonic_time(millisecond) > Until orelse F() end, F()"
    );
    assert_eq!(erlang.eval(&echo), "true");
    let lost = ours
        .events
        .try_iter()
        .find(|event| matches!(event, Event::Down { .. }));
    assert!(lost.is_none(), "{lost:?}");
}

/// 13: what comes while a call of ours waits is all there, in order.
#[test]
fn a_burst_during_a_call_is_not_lost() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    const COUNT: u32 = 20_000;
    assert_eq!(erlang.eval("register(go, self())"), "true");
    erlang.tell(&format!(
        "receive go -> [{{greetings, '{OURS}'}} ! {{N}} || N <- lists:seq(1, {COUNT})] end, sent"
    ));
    // the call waits for a second; the burst begins when it is under way
    let handle = ours.handle.clone();
    let call = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let second = TermBytes::from_static(b"\x83l\0\0\0\x01b\0\0\x03\xe8j");
        let call = handle.rpc(
            name(THEIRS),
            "timer".into(),
            "sleep".into(),
            second,
            Duration::from_secs(20),
        );
        let go = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let me = Process::Own;
            handle
                .reg_send(&me, name(THEIRS), "go".into(), atom("go"))
                .unwrap();
        };
        runtime.block_on(async { tokio::join!(call, go) }).0
    });
    for expected in 1..=COUNT {
        let message = ours.wait("a message", |event| match event {
            Event::Message { message, .. } => Some(message.clone()),
            _ => None,
        });
        let number = match &message[3..] {
            [b'a', small] => u32::from(*small),
            [b'b', a, b, c, d] => u32::from_be_bytes([*a, *b, *c, *d]),
            other => panic!("{other:?}"),
        };
        assert_eq!(number, expected);
    }
    assert_eq!(call.join().unwrap(), Ok(atom("ok")));
    assert_eq!(erlang.answer(), "sent");
}

/// 16, 22, 23: a node that is killed and started again is told once each, with a reason; who watched learns it; pids of its life before are
/// nobody's.
#[test]
fn a_node_that_comes_back_is_another() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    erlang.eval(&format!("{{greetings, '{OURS}'}} ! hello"));
    let me = Process::Named("greetings".into());
    let old = ours.wait("hello", |event| match event {
        Event::Message { from, .. } => from.clone(),
        _ => None,
    });
    ours.handle.link(&me, old.clone()).unwrap();
    let watch = ours
        .handle
        .monitor(&me, name(THEIRS), Who::Name("init".into()))
        .unwrap();
    // both are there when this is answered
    assert_eq!(ours.rpc("erlang", "node", b"\x83j", 2000), Ok(atom(THEIRS)));
    drop(erlang);
    let again = Erlang::start(mapper.port, THEIRS, "secret", &["-hidden"]);
    let (mut told, mut downs, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    while told.last() != Some(&"up") {
        match ours.next() {
            Event::Down { reason, .. } => {
                assert!(!reason.to_string().is_empty());
                told.push("down");
            }
            Event::Up { .. } => told.push("up"),
            Event::ProcessDown {
                reference, reason, ..
            } => downs.push((reference, reason)),
            Event::Exit { from, reason, .. } => exits.push((from, reason)),
            _ => {}
        }
    }
    assert_eq!(told, ["down", "up"]);
    assert_eq!(downs, [(watch, atom("noconnection"))]);
    assert_eq!(exits, [(old.clone(), atom("noconnection"))]);
    let watch = ours
        .handle
        .monitor(&me, name(THEIRS), Who::Pid(old))
        .unwrap();
    let reason = ours.wait("nobody", |event| match event {
        Event::ProcessDown {
            reference, reason, ..
        } if *reference == watch => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("noproc"));
    drop(again);
}

/// 19: both dial at the same moment, again and again: one connection is left, and it works. Whose it is is told by the names.
#[test]
fn of_two_connections_made_at_once_one_is_left() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    for own in [OURS, "alpha@127.0.0.1"] {
        let mut settings = settings(mapper.port, &[]);
        settings.node.name = name(own);
        let ours = Ours::start(settings);
        let until = Instant::now() + Duration::from_secs(60);
        for _ in 0..10 {
            erlang.tell(&format!("net_adm:ping('{own}')"));
            let dialled = ours.connect(THEIRS);
            // one of the two may be told that the other goes first
            let pinged = erlang.answer();
            assert!(dialled.is_ok() || pinged == "pong", "{own}: {dialled:?}");
            let ours_there = || ours.handle.snapshot().nodes.len();
            // A call may still meet the one that goes, and is told so.
            let works = || ours.rpc("erlang", "node", b"\x83j", 5000) == Ok(atom(THEIRS));
            while !works()
                || ours_there() != 1
                || erlang.eval("nodes(hidden)") != format!("['{own}']")
            {
                assert!(Instant::now() < until);
                std::thread::sleep(Duration::from_millis(5));
            }
            ours.handle.disconnect(name(THEIRS)).unwrap();
            while !ours.handle.snapshot().nodes.is_empty() || erlang.eval("nodes(hidden)") != "[]" {
                assert!(Instant::now() < until);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
