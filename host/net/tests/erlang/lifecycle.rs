//! Nodes that come, go, hang and lie about who they are.

use std::time::{Duration, Instant};

use switchhook_erlang::Cookie;
use switchhook_erlang::node::{Event, Process, SendFault};

use crate::otp::*;

const OTHER: &str = "node2@127.0.0.1";

fn active(event: &Event) -> Option<Option<String>> {
    match event {
        Event::Active { node } => Some(node.as_ref().map(ToString::to_string)),
        _ => None,
    }
}

#[test]
fn the_next_node_takes_over_within_a_second() {
    let Some((mapper, first)) = stage() else {
        return;
    };
    let second = Erlang::start(mapper.port, OTHER, "secret", &["-hidden"]);
    let ours = Ours::start(settings(mapper.port, &[THEIRS, OTHER]));
    while ours.handle.snapshot().nodes.len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(ours.handle.snapshot().active, Some(name(THEIRS)));
    let killed = Instant::now();
    drop(first);
    ours.wait("takeover", |event| {
        active(event).filter(|node| node.as_deref() == Some(OTHER))
    });
    assert!(killed.elapsed() < Duration::from_secs(1));
    let me = Process::Own;
    assert_eq!(
        ours.handle
            .reg_send(&me, name(OTHER), "x".into(), atom("m")),
        Ok(())
    );
    let back = Erlang::start(mapper.port, THEIRS, "secret", &["-hidden"]);
    ours.wait("the preferred one", |event| {
        active(event).filter(|node| node.as_deref() == Some(THEIRS))
    });
    drop((back, second));
    ours.wait("nobody", |event| active(event).filter(Option::is_none));
    let sent = ours
        .handle
        .reg_send(&me, name(OTHER), "x".into(), atom("m"));
    assert_eq!(sent, Err(SendFault::NotConnected));
}

#[test]
fn a_wrong_cookie_is_refused_both_ways_and_a_cookie_can_be_a_nodes_own() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let mut wrong = settings(mapper.port, &[THEIRS]);
    wrong.node.cookie = Cookie::new("another").unwrap();
    let ours = Ours::start(wrong.clone());
    let reason = ours.wait("refused", |event| match event {
        Event::Failed { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    assert!(!reason.is_empty());
    assert_eq!(erlang.eval(&format!("net_adm:ping('{OURS}')")), "pang");
    drop(ours);
    wrong
        .node
        .cookies
        .push((name(THEIRS), Cookie::new("secret").unwrap()));
    let ours = Ours::start(wrong);
    ours.wait_up(THEIRS);
}

#[test]
fn a_name_that_is_taken_is_got_when_it_is_free() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let first = Ours::start(settings(mapper.port, &[]));
    let second = Ours::start(settings(mapper.port, &[THEIRS]));
    second.wait_up(THEIRS);
    let port = |ours: &Ours| ours.address.port();
    let registered = "{ok, L} = net_adm:names(), proplists:get_value(\"proxy\", L)";
    assert_eq!(erlang.eval(registered), port(&first).to_string());
    let wanted = port(&second).to_string();
    drop(first);
    let until = Instant::now() + Duration::from_secs(20);
    while erlang.eval(registered) != wanted {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn links_live_on_while_the_port_mapper_starts_again() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    let port = mapper.port;
    drop(mapper);
    assert_eq!(ours.rpc("erlang", "node", b"\x83j", 2000), Ok(atom(THEIRS)));
    let _mapper = PortMapper::start(port);
    let until = Instant::now() + Duration::from_secs(20);
    let registered = "element(2, net_adm:names())";
    while !erlang.eval(registered).contains("proxy") {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(ours.rpc("erlang", "node", b"\x83j", 2000), Ok(atom(THEIRS)));
}

#[test]
fn a_hung_node_is_noticed_in_time_and_an_idle_one_is_kept() {
    if !erlang_is_here() {
        return;
    }
    let mapper = PortMapper::start(free_port());
    let ticks = ["-hidden", "-kernel", "net_ticktime", "4"];
    let erlang = Erlang::start(mapper.port, THEIRS, "secret", &ticks);
    let mut settings = settings(mapper.port, &[THEIRS]);
    settings.node.limits.tick_time = Duration::from_secs(4);
    let ours = Ours::start(settings);
    ours.wait_up(THEIRS);
    std::thread::sleep(Duration::from_secs(20));
    assert!(
        ours.events
            .try_recv()
            .is_ok_and(|event| matches!(event, Event::Active { .. }))
    );
    assert!(ours.events.try_recv().is_err(), "an idle link is kept");
    let stopped = Instant::now();
    erlang.signal("STOP");
    let reason = ours.wait("down", |event| match event {
        Event::Down { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    let took = stopped.elapsed();
    erlang.signal("CONT");
    assert_eq!(reason, "silent for 4 s");
    // The last tick came up to a second before.
    assert!((2.9..5.1).contains(&took.as_secs_f32()), "{took:?}");
}

#[test]
fn a_node_that_does_not_read_costs_the_others_nothing() {
    let Some((mapper, mut hung)) = stage() else {
        return;
    };
    let mut other = Erlang::start(mapper.port, OTHER, "secret", &["-hidden"]);
    let mut settings = settings(mapper.port, &[THEIRS, OTHER]);
    settings.node.limits.queue = 1 << 20;
    let ours = Ours::start(settings);
    while ours.handle.snapshot().nodes.len() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    hung.tell(&format!(
        "Count = fun C(N) -> receive stop -> N; _ -> C(N + 1) end end, register(me, self()), \
         {{greetings, '{OURS}'}} ! {{call, 1}}, Count(0)"
    ));
    assert_eq!(ours.next_call(), 1);
    hung.signal("STOP");
    let me = Process::Own;
    let mut message = vec![131, b'm', 0, 0, 0x40, 0];
    message.resize(6 + 0x4000, 7);
    let message = switchhook_erlang::TermBytes::from(message);
    let mut sent = 0;
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match ours
            .handle
            .reg_send(&me, name(THEIRS), "me".into(), message.clone())
        {
            Ok(()) => sent += 1,
            Err(fault) => assert_eq!(fault, SendFault::Busy),
        }
        // The other's answer: by now the message lies in the queue, or the picture says that it is full.
        assert_eq!(
            ours.rpc_at(OTHER, "erlang", "node", b"\x83j", 5000),
            Ok(atom(OTHER))
        );
        if ours.handle.snapshot().nodes.iter().any(|(_, busy)| *busy) {
            break;
        }
        assert!(Instant::now() < until, "never busy after {sent}");
    }
    assert!(sent < 4096, "{sent} of 16 KiB each");
    assert_eq!(other.eval(&format!("net_adm:ping('{OURS}')")), "pong");
    hung.signal("CONT");
    let began = Instant::now();
    ours.wait("ready", |event| {
        matches!(event, Event::Ready { .. }).then_some(())
    });
    // Long before the next tick.
    assert!(began.elapsed() < Duration::from_secs(5));
    ours.handle
        .reg_send(&me, name(THEIRS), "me".into(), atom("stop"))
        .unwrap();
    let got: usize = hung.answer().parse().unwrap();
    // The one that found the queue full.
    assert_eq!(got, sent - 1);
}

/// Acceptance test 27, as long as a test may take; the soak has it for ten minutes.
#[test]
fn bursts_keep_their_order_both_ways() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    const COUNT: u32 = 50_000;
    let term = "{call, N, [{from, \"alice\"}, {to, <<\"bob\">>}, {at, {2026, 11, 21}}, #{status => 200, reason => ok}, [1, 2, 3, 4], {a, b, c, d, e, f, g, h}, 1.5, undefined, [x, y, z]]}";
    erlang.tell(&format!(
        "register(me, self()), [{{greetings, '{OURS}'}} ! {term} || N <- lists:seq(1, {COUNT})], \
         Check = fun C(N) when N > {COUNT} -> all; C(N) -> receive N -> C(N + 1); X -> {{wrong, N, X}} after 20000 -> {{none, N}} end end, Check(1)"
    ));
    let me = Process::Named("greetings".into());
    let began = Instant::now();
    for expected in 1..=COUNT {
        assert_eq!(ours.next_call(), expected);
    }
    eprintln!("{COUNT} messages in {:?}", began.elapsed());
    for number in 1..=COUNT {
        let mut term = vec![131, b'b'];
        term.extend(number.to_be_bytes());
        let term = switchhook_erlang::TermBytes::from(term);
        while ours
            .handle
            .reg_send(&me, name(THEIRS), "me".into(), term.clone())
            .is_err()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(erlang.answer(), "all");
}

/// Who takes events slowly holds up the reading of sockets; as soon as there is room again it goes on, not when the peer's system
/// asks next, which it does less and less often.
#[test]
fn reading_goes_on_as_soon_as_events_are_taken() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let mut settings = settings(mapper.port, &[THEIRS]);
    settings.events = 64;
    let ours = Ours::start(settings);
    ours.wait_up(THEIRS);
    // more than sockets hold
    const COUNT: u32 = 4_000;
    erlang.tell(&format!(
        "B = <<0:(8 * 16384)>>, [{{greetings, '{OURS}'}} ! {{call, N, B}} || N <- lists:seq(1, {COUNT})], sent"
    ));
    assert_eq!(ours.next_call(), 1);
    let began = Instant::now();
    for expected in 2..=COUNT {
        assert_eq!(ours.next_call(), expected);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(erlang.answer(), "sent");
}
