//! The node's sockets against a real Erlang node (`erl` of Debian's erlang-base, on PATH).
//!
//! Each story has an EPMD and nodes of its own, at ports of its own.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a story that can't go on ends"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use switchhook_erlang::node::{
    Answer, Event, Limits, NodeConfig, Process, RequestFault, SendFault,
};
use switchhook_erlang::{Cookie, Flags, NodeName, TermBytes, Who};
use switchhook_net::erlang::{Epmd, Settings, Started, start};

/// A term from Erlang's text, by hand: what the stories need.
fn atom(text: &str) -> TermBytes {
    let mut out = vec![131, b'w', text.len() as u8];
    out.extend(text.as_bytes());
    out.into()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// An EPMD of its own.
struct PortMapper {
    child: Child,
    port: u16,
}

impl PortMapper {
    fn start(port: u16) -> Self {
        let child = Command::new("epmd")
            .args([
                "-port",
                &port.to_string(),
                "-address",
                "127.0.0.1",
                "-relaxed_command_check",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "epmd does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }
}

impl Drop for PortMapper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An Erlang shell that evaluates what it is told and prints one line for it.
struct Erlang {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

const LOOP: &str = r#"
F = fun F() ->
  case io:get_line("") of
    eof -> halt(0);
    Line ->
      {ok, Tokens, _} = erl_scan:string(Line),
      {ok, Exprs} = erl_parse:parse_exprs(Tokens),
      R = try {value, V, _} = erl_eval:exprs(Exprs, []), V catch C:E -> {caught, C, E} end,
      io:format("~0tp~n", [R]),
      F()
  end
end, F().
"#;

impl Erlang {
    fn start(mapper: u16, name: &str, cookie: &str, more: &[&str]) -> Self {
        let mut child = Command::new("erl")
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("HOME", std::env::temp_dir())
            .args(["-noshell", "-name", name, "-setcookie", cookie])
            .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"])
            .args(more)
            .args(["-eval", LOOP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut erlang = Self {
            child,
            stdin,
            lines,
        };
        assert_eq!(erlang.eval("1 + 1"), "2");
        erlang
    }

    fn tell(&mut self, expression: &str) {
        writeln!(self.stdin, "{}.", expression.replace('\n', " ")).unwrap();
    }

    fn answer(&mut self) -> String {
        self.lines
            .recv_timeout(Duration::from_secs(20))
            .expect("the Erlang node prints an answer")
    }

    fn eval(&mut self, expression: &str) -> String {
        self.tell(expression);
        self.answer()
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

const OURS: &str = "proxy@127.0.0.1";
const THEIRS: &str = "node1@127.0.0.1";

fn settings(mapper: u16, nodes: &[&str]) -> Settings {
    Settings {
        node: NodeConfig {
            name: name(OURS),
            flags: Flags::OURS,
            cookie: Cookie::new("secret").unwrap(),
            cookies: Vec::new(),
            nodes: nodes.iter().map(|node| name(node)).collect(),
            takeover: true,
            retry: (Duration::from_millis(100), Duration::from_secs(1)),
            limits: Limits::default(),
        },
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        epmd: Epmd::At(SocketAddr::from(([127, 0, 0, 1], mapper))),
        addresses: Vec::new(),
        tls: None,
        connect: Duration::from_secs(5),
        events: 4096,
        commands: 4096,
    }
}

/// Our node, and a thread that does what a host would: answers calls and echoes messages.
struct Ours {
    handle: switchhook_net::erlang::Handle,
    events: Receiver<Event>,
    runtime: tokio::runtime::Runtime,
}

impl Ours {
    fn start(settings: Settings) -> Self {
        let Started {
            handle, mut events, ..
        } = start(settings, [1 << 40, 2, 3]).unwrap();
        let (sender, received) = channel();
        let answering = handle.clone();
        std::thread::spawn(move || {
            while let Some(event) = events.blocking_recv() {
                if let Event::Call {
                    id,
                    function,
                    arguments,
                    ..
                } = &event
                {
                    let answer = match function.as_str() {
                        "echo" => Answer::Value(arguments.clone()),
                        "fail" => Answer::Error(atom("oops")),
                        "never" => continue,
                        _ => Answer::Undefined,
                    };
                    answering.answer(*id, answer).unwrap();
                }
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        handle.register(vec![Arc::from("greetings")]).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            handle,
            events: received,
            runtime,
        }
    }

    /// Waits for an event; others are dropped.
    fn wait<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left);
            let event = event.unwrap_or_else(|_| panic!("no event: {what}"));
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    }

    fn wait_up(&self, node: &str) {
        self.wait(&format!("{node} up"), |event| {
            matches!(event, Event::Up { node: up, .. } if up.as_str() == node).then_some(())
        });
    }

    fn rpc(
        &self,
        module: &str,
        function: &str,
        arguments: &[u8],
        timeout: u64,
    ) -> Result<TermBytes, RequestFault> {
        let call = self.handle.rpc(
            name(THEIRS),
            module.into(),
            function.into(),
            TermBytes::copy_from_slice(arguments),
            Duration::from_millis(timeout),
        );
        self.runtime.block_on(call)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.handle.stop();
    }
}

/// Whether Erlang is installed; where CI runs, it has to be.
fn erlang_is_here() -> bool {
    let here = Command::new("erl")
        .arg("-version")
        .stderr(Stdio::null())
        .status()
        .is_ok();
    assert!(
        here || std::env::var_os("CI").is_none(),
        "erl is not installed"
    );
    if !here {
        eprintln!("skipped: erl is not installed");
    }
    here
}

fn stage() -> Option<(PortMapper, Erlang)> {
    if !erlang_is_here() {
        return None;
    }
    let mapper = PortMapper::start(free_port());
    let erlang = Erlang::start(mapper.port, THEIRS, "secret", &["-hidden"]);
    Some((mapper, erlang))
}

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
fn messages_monitors_links_and_exits_go_both_ways() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    erlang.tell(&format!(
        "{{greetings, '{OURS}'}} ! hello, register(me, self()), self()"
    ));
    let (from, message) = ours.wait("hello", |event| match event {
        Event::Message {
            from: Some(from),
            message,
            ..
        } => Some((from.clone(), message.clone())),
        _ => None,
    });
    erlang.answer();
    assert_eq!(message, atom("hello"));
    let me = Process::Named("greetings".into());
    ours.handle.send(&me, from.clone(), atom("hi")).unwrap();
    assert_eq!(erlang.eval("receive M -> M after 2000 -> none end"), "hi");
    ours.handle
        .reg_send(&me, name(THEIRS), "me".into(), atom("named"))
        .unwrap();
    assert_eq!(
        erlang.eval("receive M -> M after 2000 -> none end"),
        "named"
    );
    // A call into a route.
    erlang.tell(&format!(
        "gen_server:call({{greetings, '{OURS}'}}, question, 5000)"
    ));
    let (from_pid, tag, request) = ours.wait("call", |event| match event {
        Event::Message {
            gen_server: Some(switchhook_erlang::node::Gen::Call { from, tag, request }),
            ..
        } => Some((from.clone(), tag.clone(), request.clone())),
        _ => None,
    });
    assert_eq!(request, atom("question"));
    ours.handle
        .reply(&me, from_pid, tag, atom("answer"))
        .unwrap();
    assert_eq!(erlang.answer(), "answer");
    // Monitors: theirs of ours.
    let noproc = "receive {'DOWN', R, process, _, W} -> W after 2000 -> none end";
    assert_eq!(
        erlang.eval(&format!(
            "R = monitor(process, {{nobody, '{OURS}'}}), {noproc}"
        )),
        "noproc"
    );
    erlang.tell(&format!(
        "R = monitor(process, {{greetings, '{OURS}'}}), {{greetings, '{OURS}'}} ! watched, {noproc}"
    ));
    ours.wait("watched", |event| {
        matches!(event, Event::Message { message, .. } if *message == atom("watched")).then_some(())
    });
    ours.handle.register(vec![Arc::from("others")]).unwrap();
    assert_eq!(erlang.answer(), "normal");
    ours.handle.register(vec![Arc::from("greetings")]).unwrap();
    // Ours of theirs.
    let reference = ours
        .handle
        .monitor(&me, name(THEIRS), Who::Name("nobody".into()))
        .unwrap();
    let reason = ours.wait("down", |event| match event {
        Event::ProcessDown {
            reference: of,
            reason,
            ..
        } if *of == reference => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("noproc"));
    // A linked process that ends, and one that we unlinked from.
    erlang.tell(&format!("process_flag(trap_exit, true), Go = fun() -> P = self(), {{greetings, '{OURS}'}} ! P, receive stop -> exit(bye) end end, register(one, spawn(Go))"));
    erlang.answer();
    let one = ours.wait("a pid", |event| match event {
        Event::Message {
            from: Some(from), ..
        } => Some(from.clone()),
        _ => None,
    });
    ours.handle.link(&me, one.clone()).unwrap();
    ours.handle.send(&me, one.clone(), atom("stop")).unwrap();
    let reason = ours.wait("exit", |event| match event {
        Event::Exit { from, reason, .. } if *from == one => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("bye"));
    // Their exit signals, and ours.
    erlang.eval(&format!(
        "exit(rpc:call('{OURS}', erlang, whereis, [greetings]), why)"
    ));
    let reason = ours.wait("exit signal", |event| match event {
        Event::Exit { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("why"));
    let killed = format!(
        "P = rpc:call('{OURS}', erlang, whereis, [greetings]), R = monitor(process, P), exit(P, kill), {noproc}"
    );
    assert_eq!(erlang.eval(&killed), "killed");
    ours.handle.exit(&me, from, atom("go")).unwrap();
    assert_eq!(
        erlang.eval("receive {'EXIT', _, W} -> W after 2000 -> none end"),
        "go"
    );
    let link = format!(
        "P = rpc:call('{OURS}', erlang, whereis, [greetings]), link(P), unlink(P), link(P), exit(P, kill), receive {{'EXIT', P, W}} -> W after 2000 -> none end"
    );
    assert_eq!(erlang.eval(&link), "killed");
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
