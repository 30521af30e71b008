//! A process of a test: its output kept in a file, its end certain.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Try until `ready` gives something or the time is over.
pub fn patience<T>(limit: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running program. When it is dropped it is asked to end, and after five seconds made to; if the test failed, the end of its
/// log is shown.
pub struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Start `command` with both outputs in `log`.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Program {
        let file = File::create(&log).expect("a log file");
        let errors = file.try_clone().expect("a log file");
        command.stdout(file).stderr(errors);
        Program::start_piped(name, command.stdin(Stdio::null()), log)
    }

    /// Start `command` as it is; who starts it sees to its outputs.
    pub(crate) fn start_piped(name: &str, command: &mut Command, log: PathBuf) -> Program {
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Program {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Wait for its end; fails the test if that takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        match patience(limit, || self.ended()) {
            Some(status) => status,
            None => panic!("{} did not end within {limit:?}", self.name),
        }
    }

    /// Ask it to end.
    pub fn terminate(&mut self) {
        self.signal("TERM");
    }

    /// Send it a signal, by its id.
    pub fn signal(&mut self, name: &str) {
        if self.ended().is_none() {
            // the shell's own kill is everywhere; a library's would be unsafe code
            let script = format!("kill -{name} {}", self.child.id());
            let _ = Command::new("sh")
                .args(["-c", &script])
                .stderr(Stdio::null())
                .status();
        }
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap_or_default();
        line.split_whitespace()
            .next()
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.terminate();
        if patience(Duration::from_secs(5), || self.ended()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(60);
            eprintln!(
                "---- {} ({})\n{}",
                self.name,
                self.log.display(),
                lines.get(from..).unwrap_or_default().join("\n")
            );
        }
    }
}

/// Wait until somebody listens at `address` ("udp" or "tcp"), as the kernel's tables tell; nothing is sent.
pub(crate) fn await_listener(protocol: &str, address: SocketAddr) {
    let bound = || {
        let table =
            std::fs::read_to_string(Path::new("/proc/net").join(protocol)).unwrap_or_default();
        let SocketAddr::V4(address) = address else {
            return None;
        };
        let want = format!(
            "{:08X}:{:04X}",
            u32::from_ne_bytes(address.ip().octets()),
            address.port()
        );
        let state = if protocol == "tcp" { "0A" } else { "07" };
        table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .any(|words| {
                words.get(1).is_some_and(|local| *local == want)
                    && words.get(3).is_some_and(|now| *now == state)
            })
            .then_some(())
    };
    assert!(
        patience(Duration::from_secs(10), bound).is_some(),
        "nobody listens at {protocol}:{address}"
    );
}
