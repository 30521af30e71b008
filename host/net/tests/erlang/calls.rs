//! Calls of functions and servers, both ways.

use std::time::{Duration, Instant};

use switchhook_erlang::TermBytes;
use switchhook_erlang::node::{Process, RequestFault, SendFault};

use crate::otp::*;

#[test]
fn erlang_pings_calls_and_sends() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[]));
    let began = Instant::now();
    assert_eq!(erlang.eval(&format!("net_adm:ping('{OURS}')")), "pong");
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(
        erlang.eval("{nodes(), nodes(hidden)}"),
        format!("{{[],['{OURS}']}}")
    );
    ours.wait_up(THEIRS);
    let term = "[1, -1, 1 bsl 100, 1.5, [a|b], \"str\", <<1,2:3>>, #{k => v}, self(), make_ref(), 'é€', fun lists:map/2, hd(erlang:ports()), fun(X) -> X end]";
    for call in ["rpc:call", "erpc:call"] {
        let same = format!("T = {term}, T =:= {call}('{OURS}', m, echo, T)");
        assert_eq!(erlang.eval(&same), "true");
        let node = erlang.eval(&format!("{call}('{OURS}', erlang, node, [])"));
        assert_eq!(node, format!("'{OURS}'"));
    }
    assert_eq!(
        erlang.eval(&format!("rpc:multicall(['{OURS}'], m, echo, [5])")),
        "{[[5]],[]}"
    );
    assert_eq!(
        erlang.eval(&format!(
            "rpc:yield(rpc:async_call('{OURS}', m, echo, [x]))"
        )),
        "[x]"
    );
    assert_eq!(
        erlang.eval(&format!(
            "erpc:receive_response(erpc:send_request('{OURS}', m, echo, [x]))"
        )),
        "[x]"
    );
    let undefined = erlang.eval(&format!("rpc:call('{OURS}', no, such, [1])"));
    assert_eq!(undefined, "{badrpc,{'EXIT',{undef,[{no,such,[1],[]}]}}}");
    let raised = erlang.eval(&format!("erpc:call('{OURS}', no, such, [1])"));
    assert!(
        raised.starts_with("{caught,error,{exception,undef,[{no,such,[1]"),
        "{raised}"
    );
    let failed = erlang.eval(&format!("rpc:call('{OURS}', m, fail, [])"));
    assert!(failed.starts_with("{badrpc,{'EXIT',{oops"), "{failed}");
    let timeout = erlang.eval(&format!("rpc:call('{OURS}', m, never, [], 100)"));
    assert_eq!(timeout, "{badrpc,timeout}");
    // Old rex, both tags.
    for tag in ["R = make_ref()", "R = {make_ref(), node()}"] {
        let old = format!(
            "{tag}, {{rex, '{OURS}'}} ! {{'$gen_call', {{self(), R}}, {{call, m, echo, [1], self()}}}}, receive {{R, V}} -> V after 2000 -> late end"
        );
        assert_eq!(erlang.eval(&old), "[1]");
    }
    let big = format!(
        "X = binary:copy(<<\"0123456789abcdef\">>, 1024 * 1024), [X] =:= rpc:call('{OURS}', m, echo, [X])"
    );
    assert_eq!(erlang.eval(&big), "true");
    // Nothing but calls of erpc is run.
    let spawned = format!(
        "spawn_request('{OURS}', lists, seq, [1, 2], []), receive {{spawn_reply, _, error, E}} -> E after 2000 -> none end"
    );
    assert_eq!(erlang.eval(&spawned), "notsup");
}

#[test]
fn our_calls_end_whatever_happens_to_the_node() {
    let Some((mapper, erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    assert_eq!(ours.rpc("erlang", "node", b"\x83j", 2000), Ok(atom(THEIRS)));
    let sum = b"\x83l\0\0\0\x01k\0\x03\x01\x02\x03j";
    assert_eq!(
        ours.rpc("lists", "sum", sum, 2000),
        Ok(TermBytes::from_static(b"\x83a\x06"))
    );
    assert!(matches!(
        ours.rpc("no", "such", b"\x83j", 2000),
        Err(RequestFault::Failed(_))
    ));
    let print = b"\x83l\0\0\0\x01k\0\x02hij";
    assert_eq!(ours.rpc("io", "format", print, 2000), Ok(atom("ok")));
    let hour = b"\x83l\0\0\0\x01b\0\x36\xee\x80j";
    let began = Instant::now();
    assert_eq!(
        ours.rpc("timer", "sleep", hour, 300),
        Err(RequestFault::Timeout)
    );
    assert!(began.elapsed() < Duration::from_millis(800));
    // Killed in the middle of a call.
    let handle = ours.handle.clone();
    let call = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let call = handle.rpc(
            name(THEIRS),
            "timer".into(),
            "sleep".into(),
            TermBytes::from_static(hour),
            Duration::from_secs(30),
        );
        (runtime.block_on(call), Instant::now())
    });
    std::thread::sleep(Duration::from_millis(300));
    let killed = Instant::now();
    drop(erlang);
    let (result, ended) = call.join().unwrap();
    assert_eq!(result, Err(RequestFault::NotConnected));
    assert!(ended.duration_since(killed) < Duration::from_secs(1));
    let me = Process::Own;
    let sent = ours
        .handle
        .reg_send(&me, name(THEIRS), "me".into(), atom("x"));
    assert_eq!(sent, Err(SendFault::NotConnected));
    // It comes back with another creation: found again, and its old pids are gone.
    let mut again = Erlang::start(mapper.port, THEIRS, "secret", &["-hidden"]);
    ours.wait_up(THEIRS);
    assert_eq!(again.eval(&format!("net_adm:ping('{OURS}')")), "pong");
}
