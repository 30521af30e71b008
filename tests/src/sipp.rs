//! SIPp: our scenarios, and the counters it keeps.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Place;
use crate::place::root;
use crate::program::{Program, await_listener};

/// One side of calls: a scenario of tests/scenarios, played from a port.
pub struct Party<'a> {
    place: &'a Place,
    scenario: &'a str,
    port: u16,
    transport: &'a str,
    calls: u32,
    rate: u32,
    limit: Duration,
}

/// A party that is playing.
pub struct Playing {
    program: Program,
    stats: PathBuf,
    limit: Duration,
    ended: bool,
}

/// What SIPp counted, summed over the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Calls that went through the scenario to its end.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Requests and final answers that this side sent again.
    pub retransmissions: u64,
    /// Seconds of the run.
    pub seconds: usize,
    /// Seconds in which this side sent anything again.
    pub restless: usize,
    /// Messages that belonged to no call.
    pub strays: u64,
}

impl<'a> Party<'a> {
    /// One call by UDP.
    pub fn new(place: &'a Place, scenario: &'a str, port: u16) -> Party<'a> {
        Party {
            place,
            scenario,
            port,
            transport: "udp",
            calls: 1,
            rate: 10,
            limit: Duration::from_secs(30),
        }
    }

    /// "udp" or "tcp" (one connection for all calls).
    pub fn by(mut self, transport: &'a str) -> Party<'a> {
        self.transport = transport;
        self
    }

    /// So many calls, so many a second.
    pub fn calls(mut self, calls: u32, rate: u32) -> Party<'a> {
        self.calls = calls;
        self.rate = rate;
        self.limit = Duration::from_secs(30 + u64::from(calls / rate.max(1)));
        self
    }

    /// The contact that reaches this party.
    pub fn contact(&self, user: &str) -> String {
        format!(
            "sip:{user}@{};transport={}",
            self.place.at(self.port),
            self.transport
        )
    }

    /// Wait for calls.
    pub fn waits(&self) -> Playing {
        let playing = self.play(&[]);
        await_listener(self.transport, self.place.at(self.port));
        playing
    }

    /// Call `user` at the proxy.
    pub fn calls_user(&self, user: &str, proxy: SocketAddr) -> Playing {
        self.play(&[&proxy.to_string(), "-s", user])
    }

    fn play(&self, args: &[&str]) -> Playing {
        let name = format!("{}-{}", self.scenario, self.port);
        let dir = self.place.dir();
        let stats = dir.join(format!("{name}.csv"));
        let mut command = Command::new("sipp");
        command.current_dir(dir).args(args);
        command.arg("-sf").arg(
            root()
                .join("tests/scenarios")
                .join(format!("{}.xml", self.scenario)),
        );
        command.args([
            "-i",
            &self.place.ip().to_string(),
            "-p",
            &self.port.to_string(),
        ]);
        command.args(["-t", if self.transport == "tcp" { "t1" } else { "u1" }]);
        command.args([
            "-m",
            &self.calls.to_string(),
            "-r",
            &self.rate.to_string(),
            "-l",
            &(self.rate * 10).to_string(),
        ]);
        command.args([
            "-nostdin",
            "-buff_size",
            "1048576",
            "-timeout",
            &self.limit.as_secs().to_string(),
            "-timeout_error",
        ]);
        command
            .args(["-trace_stat", "-fd", "1", "-stf"])
            .arg(&stats);
        command
            .args(["-trace_err", "-error_file"])
            .arg(dir.join(format!("{name}.errors")));
        // SIPp draws its screen on standard output: what matters is in the files
        let program = Program::start(
            &format!("sipp {name}"),
            &mut command,
            dir.join(format!("{name}.screen")),
        );
        Playing {
            program,
            stats,
            limit: self.limit,
            ended: false,
        }
    }
}

impl Playing {
    /// Wait for the end of all calls; every one must have succeeded.
    pub fn done(&mut self) -> Stats {
        let status = self.program.wait(self.limit + Duration::from_secs(10));
        self.ended = true;
        let stats = self.stats();
        assert!(
            status.success() && stats.failed == 0,
            "sipp ended with {status}, {stats:?}\n{}",
            self.errors()
        );
        stats
    }

    /// What it has counted so far: something is there from its first second on.
    pub fn stats(&self) -> Stats {
        let text = std::fs::read_to_string(&self.stats).unwrap_or_default();
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default();
        let (mut seconds, mut restless) = (0, 0);
        let again = names
            .split(';')
            .position(|name| name == "Retransmissions(P)");
        for line in lines.clone() {
            seconds += 1;
            let sent = again.and_then(|again| line.split(';').nth(again));
            // a column that is not there must not read as rest
            restless += usize::from(sent != Some("0"));
        }
        let values = lines.next_back().unwrap_or_default();
        let table: HashMap<&str, &str> = names.split(';').zip(values.split(';')).collect();
        let count = |name: &str| {
            // a column that is not there must not read as "none failed"
            let value = table
                .get(name)
                .unwrap_or_else(|| panic!("SIPp counts no {name}: {names}"));
            value.parse().unwrap_or(0)
        };
        Stats {
            successful: count("SuccessfulCall(C)"),
            failed: count("FailedCall(C)"),
            retransmissions: count("Retransmissions(C)"),
            seconds,
            restless,
            strays: count("OutOfCallMsgs(C)") + count("DeadCallMsgs(C)"),
        }
    }

    /// The process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    fn errors(&self) -> String {
        let text = std::fs::read(self.stats.with_extension("errors")).unwrap_or_default();
        String::from_utf8_lossy(&text).chars().take(4000).collect()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.ended {
            eprintln!("{}", self.errors());
        }
    }
}
