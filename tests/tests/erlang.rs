//! The daemon as an Erlang programmer meets it: a hidden node that answers every usual call.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use std::time::{Duration, Instant};

use switchhook_tests::erlang::{Erlang, PortMapper, free_port};
use switchhook_tests::{Place, Setup, beside, guest, has};

const OURS: &str = "proxy@127.0.0.1";

/// A port mapper and a node; none where Erlang is not installed.
fn otp() -> Option<(PortMapper, Erlang)> {
    if !has("erl") {
        return None;
    }
    let mapper = PortMapper::start(free_port());
    let erlang = Erlang::start(mapper.port, "node1@127.0.0.1", "secret", &["-hidden"]);
    Some((mapper, erlang))
}

fn joined<'a>(setup: Setup<'a>, mapper: &PortMapper) -> Setup<'a> {
    setup
        .set(&format!("erlang.name=\"{OURS}\""))
        .set("erlang.cookie=\"secret\"")
        .set(&format!("erlang.epmd=\"127.0.0.1:{}\"", mapper.port))
}

#[test]
fn erlang_runs_the_hosts_commands() {
    let _beside = beside();
    let Some((mapper, mut erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let daemon = joined(Setup::open(&place), &mapper).start();
    let began = Instant::now();
    assert_eq!(erlang.eval(&format!("net_adm:ping('{OURS}')")), "pong");
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(
        erlang.eval("{nodes(), nodes(hidden)}"),
        format!("{{[],['{OURS}']}}")
    );
    let version = erlang.eval(&format!("rpc:call('{OURS}', core, version, [])"));
    assert!(version.starts_with("[{[{<<\"contract\">>"), "{version}");
    for same in [
        "erpc:call('NODE', core, version, [])",
        "rpc:yield(rpc:async_call('NODE', core, version, []))",
        "erpc:receive_response(erpc:send_request('NODE', core, version, []))",
        "element(1, {hd(element(1, rpc:multicall(['NODE'], core, version, [])))})",
    ] {
        assert_eq!(erlang.eval(&same.replace("NODE", OURS)), version, "{same}");
    }
    let repeated = format!(
        "[V] = lists:usort([rpc:call('{OURS}', core, methods, []) || _ <- lists:seq(1, 1000)]), length(V) > 5"
    );
    assert_eq!(erlang.eval(&repeated), "true");
    let scripts = erlang.eval(&format!("rpc:call('{OURS}', script, list, [])"));
    assert!(scripts.starts_with("[{[{<<\""), "{scripts}");
    assert_eq!(
        erlang.eval(&format!("rpc:call('{OURS}', no, such, [1])")),
        "{badrpc,{'EXIT',{undef,[{no,such,[1],[]}]}}}"
    );
    let wrong = erlang.eval(&format!("rpc:call('{OURS}', script, swap, [5])"));
    assert!(
        wrong.starts_with("{[{code,400},{<<\"error\">>,<<\""),
        "{wrong}"
    );
    let tuple = erlang.eval(&format!("rpc:call('{OURS}', script, swap, [{{a}}])"));
    assert!(
        tuple.contains("argument 1: a tuple can't be converted"),
        "{tuple}"
    );
    daemon.stop();
}

#[test]
fn erlang_swaps_a_script_with_its_bytes() {
    let _beside = beside();
    let Some((mapper, mut erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let daemon = joined(Setup::open(&place), &mapper)
        .set("erlang.results=\"maps\"")
        .start();
    let path = guest("default");
    let generation = format!(
        "[#{{<<\"generation\">> := G, <<\"name\">> := N}} | _] = rpc:call('{OURS}', script, list, []), {{N, G}}"
    );
    assert_eq!(erlang.eval(&generation), "{<<\"default\">>,1}");
    let swap = format!(
        "{{ok, W}} = file:read_file(\"{path}\"), rpc:call('{OURS}', script, swap, [default, W])"
    );
    let swapped = erlang.eval(&swap);
    assert!(swapped.contains("<<\"new\">> => 2"), "{swapped}");
    assert_eq!(erlang.eval(&generation), "{<<\"default\">>,2}");
    let raised = erlang.eval(&format!(
        "erpc:call('{OURS}', script, swap, [default, <<\"no module\">>])"
    ));
    assert!(
        raised.starts_with("{caught,error,{exception,{fault,"),
        "{raised}"
    );
    daemon.stop();
}
