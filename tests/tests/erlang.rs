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
use switchhook_tests::{Daemon, Peer, Place, Setup, answer, beside, guest, has, patience};

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
    let ping = format!("timer:tc(net_adm, ping, ['{OURS}'])");
    let pings = (0..5).map(|_| {
        let timed = erlang.eval(&ping);
        let taken = timed
            .strip_prefix('{')
            .and_then(|timed| timed.strip_suffix(",pong}"));
        taken
            .unwrap_or_else(|| panic!("{timed}"))
            .parse::<u64>()
            .unwrap()
    });
    // the first one connects; a busy machine may be slow now and then
    assert!(pings.min() < Some(100_000));
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

/// Whatever an Erlang programmer may put into the arguments: it is understood, or the error says what is not.
#[test]
fn arguments_are_understood_or_named() {
    let _beside = beside();
    let Some((mapper, mut erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let daemon = joined(Setup::open(&place), &mapper).start();
    // the same table however its name is written
    let dump = |arguments: &str| format!("rpc:call('{OURS}', ul, dump, {arguments})");
    let location = erlang.eval(&dump("[\"location\"]"));
    for same in [
        "[<<\"location\">>]",
        "[location]",
        "[unicode:characters_to_binary(\"location\")]",
    ] {
        assert_eq!(erlang.eval(&dump(same)), location, "{same}");
    }
    // no tables: a number, a digit, nothing, a list of numbers that Erlang prints as a text; and no arguments
    for (arguments, code, told) in [
        ("[5]", 400, "5"),
        ("[\"1\"]", 500, "`1`"),
        ("[[]]", 500, "``"),
        ("\"1\"", 400, "49"),
        (
            "[<<1:3>>]",
            400,
            "argument 1: a bit string can't be converted",
        ),
        ("[1 bsl 70]", 400, "argument 1: an integer beyond 64 bits"),
        ("[a|b]", 400, "a list of arguments"),
    ] {
        let fault = erlang.eval(&dump(arguments));
        let begins = format!("{{[{{code,{code}}},{{<<\"error\">>,<<\"");
        assert!(
            fault.starts_with(&begins) && fault.contains(told),
            "{arguments}: {fault}"
        );
    }
    daemon.stop();
}

/// Each name is a node with connections of its own; what is behind them is the same.
#[test]
fn a_host_can_have_several_names_and_give_maps() {
    let _beside = beside();
    let Some((mapper, mut erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let more = "proxy1@127.0.0.1";
    let daemon = joined(Setup::open(&place), &mapper)
        .set(&format!("erlang.more-names=[\"{more}\"]"))
        .set("erlang.results=\"maps\"")
        .start();
    for node in [OURS, more] {
        assert_eq!(erlang.eval(&format!("net_adm:ping('{node}')")), "pong");
        let version = format!("rpc:call('{node}', core, version, [])");
        let name = erlang.eval(&format!("maps:get(<<\"name\">>, {version})"));
        assert_eq!(name, "<<\"switchhook\">>");
        let fault = erlang.eval(&format!("rpc:call('{node}', script, swap, [5])"));
        assert!(fault.starts_with("{badrpc,{'EXIT',{{fault,"), "{fault}");
    }
    assert_eq!(
        erlang.eval("lists:sort(nodes(hidden))"),
        format!("['{more}','{OURS}']")
    );
    daemon.stop();
}

/// The second script and the third have processes, commands and events as the first one has.
#[test]
fn every_script_is_part_of_the_node() {
    let _beside = beside();
    let Some((mapper, mut erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let config = r#"
[[script]]
name = "router"
path = "GUESTS/options-c.wasm"
grants = ["request", "tm"]

[[script]]
name = "greetings"
path = "GUESTS/erlang-greetings.wasm"
grants = ["log", "vars", "request", "tm", "htable", "erlang", "rpc"]
config = { sets = { "7" = ["sip:192.0.2.7"] } }

[[script]]
name = "routing"
path = "GUESTS/erlang-routing.wasm"
grants = ["log", "request", "transport", "tm", "rr", "erlang"]
config = { router = "router", patience = 200, fallback = "sip:192.0.2.10" }
"#;
    let mut daemon = joined(Setup::config(&place, config), &mapper).start();
    let greet = format!("catch gen_server:call({{greetings, '{OURS}'}}, hi)");
    assert_eq!(erlang.eval(&greet), "{hello,\"Erlang\"}");
    let list = format!("rpc:call('{OURS}', dispatcher, list, [])");
    let listed = erlang.eval(&list);
    assert!(listed.contains("{<<\"ID\">>,7}"), "{listed}");
    assert!(
        daemon
            .admin(&["rpc", "dispatcher.list"])
            .contains("sip:192.0.2.7")
    );
    let logged = |daemon: &Daemon, text: &str| {
        let there = patience(Duration::from_secs(10), || {
            daemon.log().contains(text).then_some(())
        });
        assert!(there.is_some(), "{text} is logged");
    };
    logged(&daemon, "node1@127.0.0.1 may route script=routing");
    // a swap of the second takes its process and its command away, and brings them back
    daemon.admin(&["swap", "greetings", &guest("options-c")]);
    let gone = erlang.eval(&greet);
    assert!(gone.starts_with("{'EXIT',{noproc,"), "{gone}");
    let undefined = erlang.eval(&list);
    assert!(
        undefined.starts_with("{badrpc,{'EXIT',{undef,"),
        "{undefined}"
    );
    daemon.admin(&["swap", "greetings", &guest("erlang-greetings")]);
    assert_eq!(erlang.eval(&greet), "{hello,\"Erlang\"}");
    erlang.signal("KILL");
    logged(&daemon, "node1@127.0.0.1 is gone");
    assert!(daemon.program().ended().is_none());
    daemon.stop();
}

/// The host is killed while it has a call of Erlang's: the caller learns it at once.
#[test]
fn erlang_learns_at_once_that_the_host_is_killed() {
    let _beside = beside();
    let Some((mapper, mut erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let mut daemon = joined(Setup::open(&place), &mapper).start();
    assert_eq!(erlang.eval(&format!("net_adm:ping('{OURS}')")), "pong");
    // calls one after the other: one is under way whenever the host ends
    erlang.tell(&format!(
        "F = fun F() -> case rpc:call('{OURS}', core, methods, []) of {{badrpc, R}} -> {{R, erlang:system_time(millisecond)}}; _ -> F() end end, F()"
    ));
    std::thread::sleep(Duration::from_millis(200));
    daemon.program().signal("KILL");
    let killed = std::time::SystemTime::now();
    let told = erlang.answer();
    let told = told
        .strip_prefix("{nodedown,")
        .unwrap_or_else(|| panic!("{told}"));
    let at: u128 = told.trim_end_matches('}').parse().unwrap();
    let killed = killed
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    assert!(at < killed + 1000, "after {} ms", at.saturating_sub(killed));
}

/// A node that reads nothing: the script that asks it is told so, memory stays, and nothing else is held up.
#[test]
fn a_script_learns_that_a_node_reads_too_slowly() {
    let _beside = beside();
    let Some((mapper, erlang)) = otp() else {
        return;
    };
    let place = Place::new();
    let mut daemon = joined(
        Setup::example(&place, "examples/erlang-routing/switchhook.toml"),
        &mapper,
    )
    .set("erlang.nodes=[\"node1@127.0.0.1\"]")
    .set("erlang.send-queue=\"256KiB\"")
    .set("script.routing.config.patience=5")
    .set(&format!(
        "script.routing.config.fallback=\"sip:{}\"",
        place.at(5099)
    ))
    .start();
    let mut other = Erlang::start(mapper.port, "node2@127.0.0.1", "secret", &["-hidden"]);
    let up = patience(Duration::from_secs(10), || {
        daemon.log().contains("active Erlang node").then_some(())
    });
    assert!(up.is_some());
    erlang.signal("STOP");
    // the fallback is busy
    let (bob, proxy) = (Peer::new(&place, 5099), place.at(5060));
    std::thread::spawn(move || {
        while let Some(request) = bob.receive_within(Duration::from_secs(30)) {
            let request = String::from_utf8_lossy(&request).into_owned();
            if request.starts_with("INVITE") {
                bob.send(&answer(&request, "486 Busy Here", "b", ""), proxy);
            }
        }
    });
    // the question has the call's Call-ID, and this one is long
    let alice = Peer::new(&place, 5080);
    let long = "x".repeat(20_000);
    let call = || {
        let invite = alice.request("INVITE", "sip:bob@example.test", "alice", "");
        let invite = invite.replace("Call-ID: ", &format!("Call-ID: {long}"));
        assert_eq!(alice.ask(&invite, proxy).0, 486);
    };
    let begin = Instant::now();
    let told = "the router is not followed: too much waits already";
    while !daemon.log().contains(told) {
        call();
        assert!(begin.elapsed() < Duration::from_secs(40), "never told");
    }
    let full = daemon.program().memory();
    (0..100).for_each(|_| call());
    let grown = daemon.program().memory().saturating_sub(full);
    // what a transaction keeps of its request
    assert!(grown < 32 << 20, "{} KiB more", grown >> 10);
    assert_eq!(other.eval(&format!("net_adm:ping('{OURS}')")), "pong");
    let says = |line: &str| {
        patience(Duration::from_secs(20), || {
            daemon.log().contains(line).then_some(())
        })
    };
    assert!(says("node1@127.0.0.1 takes no more questions").is_some());
    erlang.signal("CONT");
    assert!(says("node1@127.0.0.1 takes questions again").is_some());
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

/// docs/erlang.md says which test shows what: each one that it names is there.
#[test]
fn the_tests_that_the_document_names_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("docs/erlang.md")).unwrap();
    let mut sources = String::new();
    for folder in ["tests/tests", "host/net/tests/erlang", "host/term/tests"] {
        for file in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "rs") {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let rows = document.lines().filter_map(|line| {
        let (number, tests) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((number.parse::<u32>().ok()?, tests.rsplit_once(" | ")?.1))
    });
    let mut numbers = Vec::new();
    for (number, tests) in rows {
        numbers.push(number);
        for name in tests.split('`').skip(1).step_by(2) {
            let test = format!("#[test]\nfn {name}()");
            let long = format!("cargo xtask soak\"]\nfn {name}()");
            assert!(
                sources.contains(&test) || sources.contains(&long),
                "{number}: {name}"
            );
        }
    }
    assert_eq!(numbers, (1..=29).collect::<Vec<_>>());
}
