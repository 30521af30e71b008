//! Real Erlang nodes and ours, as processes and threads of one story.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use switchhook_erlang::node::{Answer, Event, Limits, NodeConfig, RequestFault};
use switchhook_erlang::{Cookie, Flags, NodeName, TermBytes};
use switchhook_net::erlang::{Epmd, Settings, Started, start};

/// A term from Erlang's text, by hand: what the stories need.
pub(crate) fn atom(text: &str) -> TermBytes {
    let mut out = vec![131, b'w', text.len() as u8];
    out.extend(text.as_bytes());
    out.into()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// An EPMD of its own.
pub(crate) struct PortMapper {
    child: Child,
    pub(crate) port: u16,
}

impl PortMapper {
    pub(crate) fn start(port: u16) -> Self {
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
pub(crate) struct Erlang {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

pub(crate) const LOOP: &str = r#"
F = fun F() ->
  case io:get_line("") of
    eof -> halt(0);
    Line ->
      {ok, Tokens, _} = erl_scan:string(Line),
      {ok, Exprs} = erl_parse:parse_exprs(Tokens),
      R = try {value, V, _} = erl_eval:exprs(Exprs, []), V catch C:E -> {caught, C, E} end,
      io:format("=> ~0tp~n", [R]),
      F()
  end
end, F().
"#;

impl Erlang {
    pub(crate) fn start(mapper: u16, name: &str, cookie: &str, more: &[&str]) -> Self {
        // A long name has a dot in its host.
        let long = name
            .split_once('@')
            .is_some_and(|(_, host)| host.contains('.'));
        let kind = if long { "-name" } else { "-sname" };
        let mut child = Command::new("erl")
            .env("ERL_EPMD_PORT", mapper.to_string())
            .env("HOME", std::env::temp_dir())
            .args(["-noshell", kind, name, "-setcookie", cookie])
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

    /// A signal, by its process id.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    pub(crate) fn tell(&mut self, expression: &str) {
        writeln!(self.stdin, "{}.", expression.replace('\n', " ")).unwrap();
    }

    pub(crate) fn answer(&mut self) -> String {
        // Reports of errors come the same way.
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.expect("the Erlang node prints an answer");
            if let Some(answer) = line.strip_prefix("=> ") {
                return answer.to_owned();
            }
        }
    }

    pub(crate) fn eval(&mut self, expression: &str) -> String {
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

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(crate) const OURS: &str = "proxy@127.0.0.1";
pub(crate) const THEIRS: &str = "node1@127.0.0.1";

pub(crate) fn settings(mapper: u16, nodes: &[&str]) -> Settings {
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
pub(crate) struct Ours {
    pub(crate) address: SocketAddr,
    pub(crate) handle: switchhook_net::erlang::Handle,
    pub(crate) events: Receiver<Event>,
    runtime: tokio::runtime::Runtime,
}

impl Ours {
    pub(crate) fn start(settings: Settings) -> Self {
        let Started {
            handle,
            mut events,
            address,
            ..
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
            address,
            handle,
            events: received,
            runtime,
        }
    }

    /// Waits for an event; others are dropped.
    pub(crate) fn wait<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
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

    pub(crate) fn wait_up(&self, node: &str) {
        self.wait(&format!("{node} up"), |event| {
            matches!(event, Event::Up { node: up, .. } if up.as_str() == node).then_some(())
        });
    }

    pub(crate) fn rpc(
        &self,
        module: &str,
        function: &str,
        arguments: &[u8],
        timeout: u64,
    ) -> Result<TermBytes, RequestFault> {
        let call = self.handle.rpc(
            self.handle.snapshot().nodes[0].0.clone(),
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
pub(crate) fn erlang_is_here() -> bool {
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

pub(crate) fn stage() -> Option<(PortMapper, Erlang)> {
    if !erlang_is_here() {
        return None;
    }
    let mapper = PortMapper::start(free_port());
    let erlang = Erlang::start(mapper.port, THEIRS, "secret", &["-hidden"]);
    Some((mapper, erlang))
}
