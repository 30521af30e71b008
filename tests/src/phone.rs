//! A real phone: pjsua2 in a process of its own (tests/phones/phone.py), without sound.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::Place;
use crate::place::{root, target};
use crate::program::Program;

/// A phone that tells what happens to it.
pub struct Phone {
    user: String,
    events: Receiver<String>,
    program: Program,
}

/// The Python that has pjsua2, where it is there; else the test should return, it has been noted.
fn python() -> PathBuf {
    std::env::var_os("SWITCHHOOK_PYTHON")
        .map_or_else(|| target().join("tools/venv/bin/python"), PathBuf::from)
}

impl Phone {
    /// Whether there is pjsua2; false means that the test should return, it has been noted.
    pub fn available() -> bool {
        crate::has(&python().display().to_string())
    }

    /// Switch a phone on at `port`: it registers through `proxy` by itself.
    pub fn new(
        place: &Place,
        user: &str,
        password: &str,
        port: u16,
        transport: &str,
        proxy: SocketAddr,
    ) -> Phone {
        let log = place.dir().join(format!("phone-{user}.log"));
        let mut file = std::fs::File::create(&log).expect("a log file");
        let mut command = Command::new(python());
        command
            .current_dir(place.dir())
            .arg(root().join("tests/phones/phone.py"));
        command.args([
            user,
            password,
            &proxy.to_string(),
            &place.at(port).to_string(),
            transport,
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file.try_clone().expect("a log file"));
        let mut program = Program::start_piped(&format!("phone of {user}"), &mut command, log);
        let output = program.child().stdout.take().expect("a pipe");
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // the test may have ended
                let _ = writeln!(file, "{line}");
                let _ = tell.send(line);
            }
        });
        Phone {
            user: user.to_owned(),
            events,
            program,
        }
    }

    /// Wait for an event that begins with `event`; gives the whole line.
    pub fn hears(&self, event: &str) -> String {
        let end = Instant::now() + Duration::from_secs(15);
        let mut others = Vec::new();
        loop {
            match self
                .events
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(line) if line.starts_with(event) => return line,
                Ok(line) => others.push(line),
                Err(error) => panic!(
                    "{} did not hear `{event}` ({error}), only {others:?}",
                    self.user
                ),
            }
        }
    }

    /// Call somebody.
    pub fn calls(&mut self, uri: &str) {
        self.order(&format!("call {uri}"));
    }

    /// End the call.
    pub fn hangs_up(&mut self) {
        self.order("hangup");
    }

    /// Send a text.
    pub fn writes(&mut self, uri: &str, text: &str) {
        self.order(&format!("message {uri} {text}"));
    }

    /// Take back the registration.
    pub fn unregisters(&mut self) {
        self.order("unregister");
    }

    fn order(&mut self, line: &str) {
        let input = self.program.child().stdin.as_mut().expect("a pipe");
        writeln!(input, "{line}").expect("a phone that listens");
    }
}
