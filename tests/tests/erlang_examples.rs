//! The examples that speak Erlang, each beside a real node: what their READMEs show is typed, what they promise happens.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use std::time::Duration;

use switchhook_tests::erlang::{Erlang, PortMapper, compile, free_port, shell};
use switchhook_tests::{Daemon, Peer, Place, Setup, beside, guest, has, patience, phones};

const OURS: &str = "pbx@127.0.0.1";
const NODE: &str = "node1@127.0.0.1";
const NEXT: &str = "node2@127.0.0.1";

fn setup<'a>(place: &'a Place, mapper: &PortMapper, example: &str) -> Setup<'a> {
    Setup::example(place, &format!("examples/{example}/switchhook.toml"))
        .set(&format!("erlang.epmd=\"127.0.0.1:{}\"", mapper.port))
}

fn logged(daemon: &Daemon, text: &str) {
    let there = patience(Duration::from_secs(10), || {
        daemon.log().contains(text).then_some(())
    });
    assert!(there.is_some(), "{text} is logged:\n{}", daemon.log());
}

/// What a README shows of a shell: each command, and what is printed for it.
fn session(readme: &str) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = Vec::new();
    for line in readme.lines().filter(|line| !line.starts_with("```")) {
        match line.strip_prefix("(node1@127.0.0.1)") {
            Some(prompt) => {
                let (_, command) = prompt.split_once("> ").unwrap();
                shown.push((command.to_owned(), String::new()));
            }
            None if line.is_empty() => {}
            None => {
                if let Some((_, printed)) = shown.last_mut() {
                    printed.push_str(line.trim());
                }
            }
        }
    }
    shown
}

/// The blocks of Erlang in a text.
fn blocks(text: &str) -> String {
    let blocks = text.split("```erlang\n").skip(1);
    blocks
        .filter_map(|block| block.split_once("```"))
        .map(|(block, _)| block)
        .collect()
}

#[test]
fn the_talks_session_is_typed_into_a_shell() {
    let _beside = beside();
    if !has("erl") {
        return;
    }
    let place = Place::new();
    let mapper = PortMapper::start(free_port());
    let daemon = setup(&place, &mapper, "erlang-greetings")
        .set("log.level=\"debug\"")
        .start();
    let readme = include_str!("../../examples/erlang-greetings/README.md");
    let session = session(&blocks(readme));
    assert_eq!(session.len(), 9, "{session:?}");
    let arrived = "F=fun F() -> case process_info(self(), message_queue_len) of {_,0} -> timer:sleep(10), F(); _ -> ok end end, F().";
    let mut lines = Vec::new();
    for (command, _) in &session {
        if command == "flush()." {
            lines.push(arrived.to_owned());
        }
        lines.push(command.clone());
    }
    let shown = shell(mapper.port, NODE, "secret", &lines);
    // the shell breaks long lines as it likes
    let bare: String = shown.split_whitespace().collect();
    let mut rest = &bare[..];
    for (command, printed) in &session {
        let printed: String = printed.split_whitespace().collect();
        let at = rest.find(&printed);
        let at = at.unwrap_or_else(|| panic!("{command} shows {printed}:\n{shown}"));
        rest = &rest[at + printed.len()..];
    }
    let listed = r#"[{[{<<"NRSETS">>,1},{<<"RECORDS">>,[{<<"SET">>,{[{<<"ID">>,339},{<<"TARGETS">>,[{<<"DEST">>,{[{<<"#;
    assert!(rest.contains(listed), "{shown}");
    logged(
        &daemon,
        r#"$erl_xbuff(msg)={call_desc,"123123123",1,inbound}"#,
    );
    logged(&daemon, r#"Received message: {hello,"Kamailio"}"#);
    daemon.stop();
}

#[test]
fn a_route_calls_erlang_and_erlang_swaps_the_script() {
    let _beside = beside();
    if !has("erl") {
        return;
    }
    let place = Place::new();
    let mapper = PortMapper::start(free_port());
    let mut erlang = Erlang::start(mapper.port, NODE, "secret", &["-hidden"]);
    let daemon = setup(&place, &mapper, "erlang-greetings")
        .set("log.level=\"debug\"")
        .set("erlang.results=\"maps\"")
        .start();
    let up = format!("net_adm:ping('{OURS}')");
    assert_eq!(erlang.eval(&up), "pong");
    let alice = Peer::new(&place, 5080);
    let options = || {
        let request = alice.request("OPTIONS", "sip:example.test", "alice", "");
        alice.ask(&request, place.at(5060)).1
    };

    // RPC example/2, and a message to a name that somebody has
    assert_eq!(erlang.eval("register(example, self())"), "true");
    let answer = options();
    assert!(
        answer.starts_with("SIP/2.0 200 {\"one\",\"two\"}\r\n"),
        "{answer}"
    );
    logged(&daemon, r#"type(repl): tuple, format(repl): {"one","two"}"#);
    let told = erlang.eval("receive {options, Id} -> is_list(Id) after 5000 -> none end");
    assert_eq!(told, "true");

    // the same command in the other shape
    let listed = erlang.eval(&format!("rpc:call('{OURS}', dispatcher, list, [])"));
    assert!(
        listed.starts_with(
            r##"#{<<"NRSETS">> => 1,<<"RECORDS">> => [#{<<"SET">> => #{<<"ID">> => 339,"##
        ),
        "{listed}"
    );
    let wrong = erlang.eval(&format!("rpc:call('{OURS}', script, swap, [greetings, 5])"));
    assert!(wrong.starts_with("{badrpc,{'EXIT',{{fault,"), "{wrong}");

    // a router in C takes the script's place, and with it go its processes and commands
    let swap = |file: &str| {
        format!(
            "{{ok, W}} = file:read_file(\"{}\"), is_map(rpc:call('{OURS}', script, swap, [greetings, W]))",
            guest(file)
        )
    };
    let hello = format!("catch gen_server:call({{greetings, '{OURS}'}}, hi)");
    assert_eq!(erlang.eval(&hello), r#"{hello,"Erlang"}"#);
    assert_eq!(erlang.eval(&swap("options-c")), "true");
    assert!(options().contains("Allow: OPTIONS, MESSAGE"));
    let gone = erlang.eval(&hello);
    assert!(gone.starts_with("{'EXIT',{noproc,"), "{gone}");
    let undefined = erlang.eval(&format!("rpc:call('{OURS}', dispatcher, list, [])"));
    assert!(
        undefined.starts_with("{badrpc,{'EXIT',{undef,"),
        "{undefined}"
    );
    assert_eq!(erlang.eval(&swap("erlang-greetings")), "true");
    assert_eq!(erlang.eval(&hello), r#"{hello,"Erlang"}"#);
    daemon.stop();
}

#[test]
fn a_gen_server_gets_the_record_of_every_call() {
    let _beside = beside();
    if !has("erl") || !has("erlc") {
        return;
    }
    let place = Place::new();
    let mapper = PortMapper::start(free_port());
    let folder = compile(&place, "examples/erlang-cdr/cdr_server.erl");
    let node = |name: &str| {
        let mut erlang = Erlang::start(mapper.port, name, "secret", &["-hidden", "-pa", &folder]);
        assert_eq!(erlang.eval("element(1, cdr_server:start())"), "ok");
        erlang
    };
    let (mut first, mut second) = (node(NODE), node(NEXT));
    let daemon = setup(&place, &mapper, "erlang-cdr")
        .set("erlang.takeover=true")
        .set(&format!(
            "script.cdr.config.server=\"sip:{}\"",
            place.at(5070)
        ))
        .start();
    // whichever is connected first: this one is preferred
    logged(&daemon, &format!("active Erlang node node={NODE}"));
    logged(&daemon, &format!("Erlang node up node={NEXT}"));
    let (target, ip) = (place.at(5060).to_string(), place.ip().to_string());
    let calls = |scenario: &str, count: &str| {
        let run = phones(&[
            "-t",
            &target,
            "-s",
            scenario,
            "-n",
            count,
            "--bind",
            &ip,
            "--port",
            "bob=5070",
            "--timeout",
            "5s",
            "-q",
        ]);
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
    };
    // the casts are asynchronous: they are there when so many are
    let states = "lists:sort([S || {_, S, D} <- cdr_server:all(), is_integer(D)])";
    let kept = |erlang: &mut Erlang, expected: &str| {
        let there = patience(Duration::from_secs(10), || {
            (erlang.eval(states) == expected).then_some(())
        });
        assert!(there.is_some(), "{expected}, not {}", erlang.eval(states));
    };
    calls("call", "3");
    calls("busy", "2");
    kept(&mut first, "[answered,answered,answered,busy,busy]");
    let ids = "length(lists:usort([Id || {Id, _, _} <- cdr_server:all()]))";
    assert_eq!(first.eval(ids), "5");
    assert_eq!(second.eval("cdr_server:all()"), "[]");

    // the first node is lost: the second gets what follows
    first.signal("KILL");
    let left = format!("rpc:call('{OURS}', erlang, nodes, []) =:= ['{NEXT}']");
    let there = patience(Duration::from_secs(10), || {
        (second.eval(&left) == "true").then_some(())
    });
    assert!(there.is_some(), "the first node is lost");
    calls("call", "2");
    kept(&mut second, "[answered,answered]");
    daemon.stop();
}
