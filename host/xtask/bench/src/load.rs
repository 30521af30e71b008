//! Putting load on a server and reading what came of it: `switchhook phones`, or the flood of datagrams for the echo.
//!
//! Both are child processes on the load's processors. They print `begin` and `end` at the edges of what they measure, where the
//! server's account is read, and leave their figures in a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::servers::{PASSWORD, Server, Side};
use crate::works::Work;

/// How the load is driven.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// So many calls at once, each followed by the next.
    Closed(u32),
    /// So many calls a second, whatever comes of them.
    Rate(f64),
}

/// What the load tool writes; those of its figures that are used here.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Figures {
    /// Length of what was measured.
    pub(crate) seconds: f64,
    /// Calls begun in it.
    pub(crate) offered: u64,
    /// Calls that ended well in it.
    pub(crate) completed: u64,
    /// Calls that did not.
    pub(crate) failed: u64,
    /// Why.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Calls a second that ended well.
    pub(crate) rate: f64,
    /// Microseconds from the begin of a call to its end.
    pub(crate) latency_us: Latency,
    /// Requests that had to be sent again.
    pub(crate) retransmissions: u64,
    /// Processor time of the load tool itself.
    pub(crate) cpu_seconds: f64,
    /// Warm-up and drain too.
    pub(crate) all: Totals,
    /// Second by second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<Second>,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// Sums over the tool's whole run.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Totals {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

/// One second of the run.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Second {
    pub(crate) second: u64,
    pub(crate) offered: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    pub(crate) p99: f64,
}

/// Figures of the load with the server's bill for them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measured {
    /// Processor time of the server between `begin` and `end`, in seconds.
    pub(crate) cpu: f64,
    /// What the load saw.
    pub(crate) figures: Figures,
}

impl Measured {
    /// Processor microseconds of the server for one call.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.figures.completed as f64
    }

    /// The part of one processor that the server used.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu / self.figures.seconds
    }
}

/// Who makes load, and where.
#[derive(Clone)]
pub(crate) struct Caller {
    /// `switchhook phones`, or a program that takes the same arguments.
    pub(crate) phones: Vec<PathBuf>,
    /// The load's processors, as taskset takes them.
    pub(crate) cpus: String,
    /// Where bob's phones are, for servers that are told so.
    pub(crate) next: u16,
    /// For files.
    pub(crate) dir: PathBuf,
}

impl Caller {
    /// The same on other processors.
    pub(crate) fn on(&self, cpus: &str) -> Caller {
        Caller {
            cpus: cpus.to_owned(),
            ..self.clone()
        }
    }

    /// Load for `seconds` after `warmup` seconds.
    pub(crate) fn load(
        &self,
        server: &Server,
        work: Work,
        pace: Pace,
        seconds: f64,
        warmup: f64,
    ) -> Result<Measured> {
        if server.side == Side::Echo {
            let mut flood = self.pinned();
            flood
                .arg(std::env::current_exe()?)
                .args(["flood", &server.port.to_string()])
                .args([seconds.to_string(), warmup.to_string()])
                .arg(self.figures_file());
            return self.run(server, &mut flood);
        }
        let mut phones = self.phones(server, work);
        phones
            .args(["--users", &work.users().to_string()])
            .args(["--duration", &format!("{}ms", (seconds * 1e3) as u64)])
            .args(["--warmup", &format!("{}ms", (warmup * 1e3) as u64)])
            .args(work.arguments());
        match pace {
            Pace::Closed(calls) => phones.args(["--concurrency", &calls.to_string()]),
            Pace::Rate(rate) => phones.args(["--rate", &format!("{rate:.0}")]),
        };
        self.run(server, &mut phones)
    }

    /// The phones with what every use of them has.
    pub(crate) fn phones(&self, server: &Server, work: Work) -> Command {
        let mut command = self.pinned();
        command
            .args(&self.phones)
            .args(["--scenario", work.name(), "--quiet", "--announce"])
            .args(["--target", &format!("127.0.0.1:{}", server.port)])
            .args(["--password", PASSWORD, "--timeout", "8s"])
            .arg("--json")
            .arg(self.figures_file());
        if work != Work::Options {
            command.args(["--port", &format!("bob={}", self.next)]);
        }
        command
    }

    fn pinned(&self) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &self.cpus]);
        command
    }

    fn figures_file(&self) -> PathBuf {
        self.dir.join("figures.json")
    }

    /// Run it, read the server's account at its edges, then its figures. Calls that failed are figures too; a tool that could
    /// not do its work is an error.
    pub(crate) fn run(&self, server: &Server, command: &mut Command) -> Result<Measured> {
        let file = self.figures_file();
        // what is read below must be of this run
        let _ = fs::remove_file(&file);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run taskset (of Debian's util-linux)")?;
        let output = child.stdout.take().context("no standard output")?;
        let mut before = Duration::ZERO;
        let mut after = Duration::ZERO;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            match line.as_str() {
                "begin" => before = server.cpu()?,
                "end" => after = server.cpu()?,
                _ => {}
            }
        }
        let status = child.wait()?;
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{command:?} ended with {status} and left no figures"))?;
        let figures: Figures = serde_json::from_str(&text)
            .with_context(|| format!("the figures of {command:?} cannot be read"))?;
        ensure!(
            figures.completed > 0,
            "no call of {command:?} ended well: {:?}",
            figures.reasons
        );
        ensure!(
            after > before,
            "{command:?} did not say when it began and ended"
        );
        Ok(Measured {
            cpu: (after - before).as_secs_f64(),
            figures,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phones_figures_are_read() {
        let text = r#"{"scenario": "message", "seconds": 10.0, "offered": 180023, "completed": 180000, "failed": 23,
            "reasons": {"timeout": 20, "status-503": 3}, "rate": 18000.0, "latency_us": {"min": 1, "p50": 30, "p99": 90, "p999": 200},
            "all": {"completed": 190000, "failed": 23}, "series": [{"second": 0, "completed": 18000, "p99": 90}]}"#;
        let figures: Figures = serde_json::from_str(text).unwrap();
        assert_eq!(
            (figures.completed, figures.reasons["timeout"]),
            (180_000, 20)
        );
        let measured = Measured { cpu: 9.0, figures };
        assert_eq!((measured.cpu_us(), measured.busy()), (50.0, 0.9));
    }
}
