//! A daemon of the built binary in a folder of its own, and the smallest guests for it.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

#[path = "../../../script/tests/support/guest.rs"]
mod small;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Long enough for a busy machine; no test waits so long unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a config and a guest.
pub struct Site {
    dir: TempDir,
}

/// What a site's config says unless a test adds to it: any free port, the socket in the folder.
const CONFIG: &str = r#"
[sip]
listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]
lanes = 1
drain = "2s"

[admin]
listen = "unix:admin.sock"

[cache]
dir = "cache"

[[script]]
name = "main"
path = "main.wasm"

[[htable]]
name = "blocked"
initial = { alice = 1, note = "a text" }
"#;

impl Site {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With more lines at the end of the config.
    pub fn with(more: &str) -> Self {
        let site = Self {
            dir: TempDir::new().unwrap(),
        };
        site.write("switchhook.toml", format!("{CONFIG}{more}"));
        site.write("main.wasm", router(1));
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    /// Changes some words of the config.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("switchhook.toml")).unwrap();
        assert!(text.contains(from), "{text}");
        self.write("switchhook.toml", text.replace(from, to));
    }

    /// Runs the command line in the folder to its end.
    pub fn switchhook(&self, args: &[&str]) -> Output {
        command(self).args(args).output().unwrap()
    }

    /// Runs it and gives what it prints; it must succeed.
    pub fn says(&self, args: &[&str]) -> String {
        let output = self.switchhook(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs it and gives its error; it must fail.
    pub fn refuses(&self, args: &[&str]) -> String {
        let output = self.switchhook(args);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{args:?}: {}",
            text(&output.stdout)
        );
        text(&output.stderr)
    }

    /// Starts a daemon and waits for `ready`.
    pub fn run(&self, args: &[&str]) -> Daemon<'_> {
        let log = fs::File::create(self.path("stderr")).unwrap();
        let mut child = command(self)
            .args(["run", "switchhook.toml"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| _ = sender.send(line))
        });
        let mut daemon = Daemon {
            site: self,
            child,
            greeting: Vec::new(),
        };
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) if line == "ready" => return daemon,
                Ok(line) => daemon.greeting.push(line),
                Err(_) => panic!(
                    "the daemon is not ready: {:?}\n{}",
                    daemon.greeting,
                    daemon.log()
                ),
            }
        }
    }
}

fn command(site: &Site) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook"));
    command
        .current_dir(site.dir.path())
        .env_remove("SWITCHHOOK_SOCKET")
        .env("XDG_RUNTIME_DIR", site.path("runtime"));
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running daemon; killed when dropped.
pub struct Daemon<'a> {
    site: &'a Site,
    child: Child,
    /// What it printed before `ready`.
    pub greeting: Vec<String>,
}

impl Daemon<'_> {
    pub fn log(&self) -> String {
        fs::read_to_string(self.site.path("stderr")).unwrap_or_default()
    }

    /// Waits until the log has that text.
    pub fn logs(&self, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(wanted) {
            assert!(
                Instant::now() < end,
                "`{wanted}` is not in the log:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < end,
                "the daemon does not end:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// An address it listens on, such as `udp:`.
    pub fn address(&self, transport: &str) -> String {
        let line = self
            .greeting
            .iter()
            .find_map(|line| line.strip_prefix("listening on ")?.strip_prefix(transport));
        line.unwrap_or_else(|| panic!("{:?}", self.greeting))
            .to_owned()
    }

    /// Calls a method and gives its result.
    pub fn rpc(&self, args: &[&str]) -> Value {
        let said = self
            .site
            .says(&[&["rpc", "--socket", "admin.sock"], args].concat());
        serde_json::from_str(&said).unwrap()
    }

    /// Calls a method that must fail.
    pub fn rpc_refuses(&self, args: &[&str]) -> String {
        self.site
            .refuses(&[&["rpc", "--socket", "admin.sock"], args].concat())
    }

    pub fn connect(&self) -> Admin {
        let stream = UnixStream::connect(self.site.path("admin.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Admin(BufReader::new(stream))
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A bare connection to the admin socket.
pub struct Admin(BufReader<UnixStream>);

impl Admin {
    pub fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Sends a text again and again until the daemon takes no more.
    pub fn floods(&mut self, text: &str) {
        let stream = self.0.get_mut();
        stream
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        while stream.write_all(text.as_bytes()).is_ok() {}
    }

    /// The next line, or `None` when the daemon has closed.
    pub fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.send(&format!(
            "{}\n",
            json!({ "jsonrpc": "2.0", "method": method, "params": params, "id": 1 })
        ));
        self.line().unwrap()
    }

    /// The same where the daemon may have refused the connection.
    pub fn asks_in_vain(&mut self) -> bool {
        let request = json!({ "jsonrpc": "2.0", "method": "core.version", "id": 1 });
        let sent = self
            .0
            .get_mut()
            .write_all(format!("{request}\n").as_bytes());
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        sent.is_err() || read.is_err() || !line.contains("result")
    }

    /// Everything until the daemon closes.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        _ = self.0.read_to_string(&mut rest);
        rest
    }
}

/// A guest that routes by deciding nothing. The number tells one module from another.
pub fn router(number: i32) -> Vec<u8> {
    guest("", number)
}

/// The same, but it asks for the log.
pub fn logging_router() -> Vec<u8> {
    guest(
        r#"(import "switchhook:script/log@0.1.0" "enabled" (func (param i32) (result i32)))"#,
        0,
    )
}

fn guest(imports: &str, number: i32) -> Vec<u8> {
    let route = format!(
        r#"(global i32 (i32.const {number}))
        (func (export "switchhook:script/request-route@0.1.0#on-request") (result i32) (call $done))"#
    );
    small::guest(&["request-route"], imports, &route)
}
