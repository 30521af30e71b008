//! Real Erlang nodes: EPMD and `erl` of Debian's erlang-base, each with ports of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::Place;
use crate::place::root;

/// A port of 127.0.0.1 that is free now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// Compiles a module of the repository; gives the folder to find it in (`-pa`).
pub fn compile(place: &Place, source: &str) -> String {
    let compiled = Command::new("erlc")
        .arg("-o")
        .args([place.dir(), &root().join(source)])
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "{source}");
    place.dir().display().to_string()
}

/// A shell as a person has it: types the lines, each when the one before is done, and gives all that it showed.
pub fn shell(mapper: u16, name: &str, cookie: &str, lines: &[String]) -> String {
    let mut child = node(mapper, name, cookie)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in lines {
        writeln!(stdin, "{line}").unwrap();
    }
    writeln!(stdin, "halt().").unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (sender, shown) = channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let text = shown.recv_timeout(Duration::from_secs(30));
    let _ = child.kill();
    let _ = child.wait();
    text.expect("the shell ends")
}

/// `erl` with a name, a cookie and a port mapper.
fn node(mapper: u16, name: &str, cookie: &str) -> Command {
    // A long name has a dot in its host.
    let long = name
        .split_once('@')
        .is_some_and(|(_, host)| host.contains('.'));
    let mut command = Command::new("erl");
    command
        .env("ERL_EPMD_PORT", mapper.to_string())
        .env("HOME", std::env::temp_dir())
        .args([if long { "-name" } else { "-sname" }, name])
        .args(["-setcookie", cookie])
        .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
    command
}

/// An EPMD of its own.
pub struct PortMapper {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl PortMapper {
    /// Starts one on 127.0.0.1.
    pub fn start(port: u16) -> Self {
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
pub struct Erlang {
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
      io:format("=> ~0tp~n", [R]),
      F()
  end
end, F().
"#;

impl Erlang {
    /// Starts a node; `mapper` is the port of its EPMD.
    pub fn start(mapper: u16, name: &str, cookie: &str, more: &[&str]) -> Self {
        let mut child = node(mapper, name, cookie)
            .arg("-noshell")
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
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id)
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Has it evaluate an expression, without waiting.
    pub fn tell(&mut self, expression: &str) {
        writeln!(self.stdin, "{}.", expression.replace('\n', " ")).unwrap();
    }

    /// The value of what it was told, as `~0tp` prints it.
    pub fn answer(&mut self) -> String {
        // Reports of errors come the same way.
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.expect("the Erlang node prints an answer");
            if let Some(answer) = line.strip_prefix("=> ") {
                return answer.to_owned();
            }
        }
    }

    /// Both.
    pub fn eval(&mut self, expression: &str) -> String {
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
