//! The Erlang node: messages and calls from an Erlang node into the host, beside the same into another Erlang node, and the messages
//! beside Kamailio's erlang module.
//!
//! Starts a port mapper and all receivers on the server's processor, a generator (erlang/erlang_bench.erl) on the other; it does what
//! it is told, so that all are measured in turns. Kamailio answers nothing: its counter is read until all have come. It is measured
//! twice, with the memory manager that it has where nobody chooses one, and with its fastest.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::load::Caller;
use crate::results::Line;
use crate::servers::{Stable, free_port};
use crate::stats::{Spread, ratio};
use crate::{account, sys};

const HOST: &str = "switchhook@127.0.0.1";
const PEER: &str = "peer@127.0.0.1";
const ROUNDS: usize = 5;
/// Rounds of calls, which are short: what disturbs one does not disturb the next.
const CALL_ROUNDS: usize = 25;
const MESSAGES: u32 = 100_000;
/// So many fit into Kamailio's memory, and into nobody's patience more.
const TO_KAMAILIO: u32 = 5_000;
const CALLS: u32 = 200;
const PROCESSES: u32 = 32;
const EACH: u32 = 100;
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let site = Site::new(stable)?;
    let peer = site.peer()?;
    let host = site.host(stable)?;
    let kamailios = [
        site.kamailio("kamailio", &[])?,
        site.kamailio("quick", &["-x", "fm", "-X", "fm"])?,
    ];
    let mut generator = Generator::start(&site, &caller.cpus)?;
    for node in [HOST, PEER, "kamailio@127.0.0.1", "quick@127.0.0.1"] {
        generator.order(&format!("connect {node}"))?;
    }
    let mut lines = vec![Line::plain(
        "the Erlang nodes beside it",
        generator.otp.clone(),
    )];
    lines.extend(messages(&mut generator, &host, &peer, &kamailios)?);
    lines.extend(calls(&mut generator)?);
    Ok(lines)
}

/// What one of many messages took: processor microseconds of who took it, and microseconds by the clock.
#[derive(Debug, Clone, Copy)]
struct Taken {
    cpu: f64,
    clock: f64,
}

fn messages(
    generator: &mut Generator,
    host: &Running,
    peer: &Running,
    kamailios: &[Kamailio; 2],
) -> Result<Vec<Line>> {
    let mut all: [Vec<Taken>; 4] = Default::default();
    for round in 0..=ROUNDS {
        let [one, two] = kamailios;
        let taken = [
            host.taking(MESSAGES, || {
                generator.order(&format!("host {HOST} {MESSAGES}"))
            })?,
            peer.taking(MESSAGES, || {
                generator.order(&format!("peer {PEER} {MESSAGES}"))
            })?,
            one.taking(generator)?,
            two.taking(generator)?,
        ];
        // the first is for warming up
        if round > 0 {
            for (all, taken) in all.iter_mut().zip(taken) {
                all.push(taken);
            }
        }
    }
    let [host, peer, default, quick] = all;
    let of = |taken: &[Taken], pick: fn(&Taken) -> f64| taken.iter().map(pick).collect::<Vec<_>>();
    let cpu = |taken: &[Taken]| median(of(taken, |taken| taken.cpu));
    let rate = |taken: &[Taken]| median(of(taken, |taken| 1e6 / taken.clock));
    let times = |other: &[Taken]| {
        let ratio = ratio(&of(other, |taken| taken.cpu), &of(&host, |taken| taken.cpu));
        ratio
            .map(|ratio| ratio.median)
            .context("nothing was measured")
    };
    let us = |value: f64| format!("{value:.1} us");
    let show = |value: f64| format!("{value:.1} times ours");
    Ok(vec![
        // 100,000 a second on one processor
        Line::at_most(
            "a message of 50 nodes into a script, CPU",
            cpu(&host)?,
            10.0,
            us,
        ),
        Line::plain("the same in Kamailio, CPU", us(cpu(&default)?)),
        Line::at_least("Kamailio takes", times(&default)?, 5.0, show),
        Line::plain("the same in Kamailio -x fm -X fm, CPU", us(cpu(&quick)?)),
        Line::at_least("Kamailio -x fm -X fm takes", times(&quick)?, 5.0, show),
        Line::plain(
            "messages a second by the clock: a script, an Erlang process, Kamailio, Kamailio -x fm -X fm",
            format!(
                "{:.0}, {:.0}, {:.0}, {:.0}",
                rate(&host)?,
                rate(&peer)?,
                rate(&default)?,
                rate(&quick)?
            ),
        ),
    ])
}

fn calls(generator: &mut Generator) -> Result<Vec<Line>> {
    let sides = [format!("{HOST} core"), format!("{PEER} erlang_bench")];
    let mut single: [Vec<f64>; 2] = Default::default();
    let mut crowd: [Vec<f64>; 2] = Default::default();
    for round in 0..=CALL_ROUNDS {
        // who is first is the other one each time
        for turn in [round % 2, (round + 1) % 2] {
            let (Some(side), Some(single), Some(crowd)) =
                (sides.get(turn), single.get_mut(turn), crowd.get_mut(turn))
            else {
                continue;
            };
            let one = generator.order(&format!("calls {side} {CALLS}"))?;
            let many = generator.order(&format!("crowd {side} {PROCESSES} {EACH}"))?;
            if round > 0 {
                single.push(one / f64::from(CALLS));
                crowd.push(f64::from(PROCESSES * EACH) * 1e6 / many);
            }
        }
    }
    let ([host, peer], [host_rate, peer_rate]) = (single, crowd);
    let times = |of: &[f64], to: &[f64]| {
        let ratio = ratio(of, to).map(|ratio| ratio.median);
        ratio.context("nothing was measured")
    };
    let show = |value: f64| format!("{value:.2} times");
    let (latency, throughput) = (times(&host, &peer)?, times(&host_rate, &peer_rate)?);
    Ok(vec![
        Line::plain(
            "rpc:call one after the other, into Switchhook and into an Erlang node",
            format!("{:.1} us, {:.1} us", median(host)?, median(peer)?),
        ),
        Line::at_most(
            "rpc:call one after the other, the ratio",
            latency,
            1.1,
            show,
        ),
        Line::plain(
            format!("rpc:call a second, from {PROCESSES} processes, into each"),
            format!("{:.0}, {:.0}", median(host_rate)?, median(peer_rate)?),
        ),
        Line::at_least("rpc:call a second, the ratio", throughput, 1.0, show),
    ])
}

fn median(values: Vec<f64>) -> Result<f64> {
    let spread = Spread::of(values).context("nothing was measured")?;
    Ok(spread.median)
}

/// What all of them share. The port mapper ends with it.
struct Site {
    dir: PathBuf,
    files: PathBuf,
    cpus: String,
    mapper: u16,
    _epmd: Running,
}

impl Site {
    fn new(stable: &Stable) -> Result<Site> {
        let files = stable.root.join("host/xtask/bench/erlang");
        let mut compiler = Command::new("erlc");
        compiler
            .arg("-o")
            .args([&stable.dir, &files.join("erlang_bench.erl")]);
        let status = compiler
            .status()
            .context("erlc is of Debian's erlang-base")?;
        ensure!(status.success(), "erlc ended with {status}");
        let mapper = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &mapper.to_string(), "-address", "127.0.0.1"]);
        let epmd = Running::start(&mut epmd, &stable.dir.join("epmd.log"))?;
        until("epmd", || TcpStream::connect(("127.0.0.1", mapper)).is_ok())?;
        Ok(Site {
            dir: stable.dir.clone(),
            files,
            cpus: stable.cpus.clone(),
            mapper,
            _epmd: epmd,
        })
    }

    fn command(&self, cpus: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", cpus]).arg(program);
        command.env("ERL_EPMD_PORT", self.mapper.to_string());
        command
    }

    fn node(&self, cpus: &str, name: &str) -> Command {
        let mut command = self.command(cpus, "erl");
        command
            .args(["-noshell", "-hidden", "-name", name, "-setcookie", "bench"])
            .arg("-pa")
            .arg(&self.dir)
            .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
        command
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("log")
    }

    fn peer(&self) -> Result<Running> {
        let mut command = self.node(&self.cpus, PEER);
        command.args(["-s", "erlang_bench", "peer"]);
        Running::ready(&mut command, &self.log("peer"))
    }

    fn host(&self, stable: &Stable) -> Result<Running> {
        let mut command = self.command(&self.cpus, &stable.daemon);
        command.arg("run").arg(self.files.join("sink.toml"));
        let sets = [
            format!("erlang.epmd=\"127.0.0.1:{}\"", self.mapper),
            format!("admin.listen=\"unix:{}\"", self.dir.join("admin").display()),
        ];
        for set in sets {
            command.args(["--set", &set]);
        }
        Running::ready(&mut command, &self.log("host"))
    }

    fn kamailio(&self, name: &str, memory: &[&str]) -> Result<Kamailio> {
        let control = self.dir.join(format!("{name}-control"));
        let mut command = self.command(&self.cpus, "kamailio");
        command.arg("-f").arg(self.files.join("kamailio.cfg"));
        command
            .args(["-DD", "-E", "-m", "512", "-M", "256"])
            .args(memory);
        command.args(["-l", &format!("udp:127.0.0.1:{}", free_port()?)]);
        command.args(["-A", &format!("CNODE=\"{name}\"")]);
        command.args(["-A", &format!("CTL=\"unix:{}\"", control.display())]);
        command.arg("-Y").arg(&self.dir).arg("-w").arg(&self.dir);
        command
            .arg("-P")
            .arg(self.dir.join(name).with_extension("pid"));
        let kamailio = Kamailio {
            running: Running::start(&mut command, &self.log(name))?,
            name: name.to_owned(),
            control,
        };
        until("kamailio (of Debian's kamailio-erlang-modules)", || {
            kamailio.count().is_ok()
        })?;
        Ok(kamailio)
    }
}

fn until(what: &str, mut there: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !there() {
        ensure!(Instant::now() < end, "{what} does not come up");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A process that ends when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        sys::terminate(self.0.id());
        // One that can't be waited for is gone.
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(command: &mut Command, log: &Path) -> Result<Running> {
        let log = File::create(log)?;
        command.stdin(Stdio::null());
        let started = command.stdout(log.try_clone()?).stderr(log).spawn();
        Ok(Running(
            started.with_context(|| format!("cannot run {command:?}"))?,
        ))
    }

    /// Waits until it prints `ready`.
    fn ready(command: &mut Command, log: &Path) -> Result<Running> {
        let log = File::create(log)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let started = command.stderr(log).spawn();
        let mut running = Running(started.with_context(|| format!("cannot run {command:?}"))?);
        let output = running.0.stdout.take().context("no standard output")?;
        let (told, ready) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line == "ready" {
                    // whoever waited may have given up
                    let _ = told.send(());
                }
            }
        });
        let waited = ready.recv_timeout(PATIENCE);
        waited.with_context(|| format!("{command:?} does not get ready"))?;
        Ok(running)
    }

    /// What each of so many messages takes while that is done, which tells how long it took, in microseconds.
    fn taking(&self, count: u32, act: impl FnOnce() -> Result<f64>) -> Result<Taken> {
        let processes = account::processes(self.0.id());
        let before = account::cpu(&processes)?;
        let clock = act()?;
        let cpu = account::cpu(&processes)? - before;
        Ok(Taken {
            cpu: cpu.as_secs_f64() * 1e6 / f64::from(count),
            clock: clock / f64::from(count),
        })
    }
}

struct Kamailio {
    running: Running,
    name: String,
    control: PathBuf,
}

impl Kamailio {
    /// How many messages have come.
    fn count(&self) -> Result<u64> {
        let out = Command::new("kamcmd")
            .arg("-s")
            .arg(format!("unix:{}", self.control.display()))
            .args(["htable.get", "count", "messages"])
            .output()?;
        let text = String::from_utf8_lossy(&out.stdout);
        let number = text.split_once("value:").map(|(_, rest)| rest.trim_start());
        let number = number.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        // before the first there is no item
        let none = format!("{text}{}", String::from_utf8_lossy(&out.stderr));
        number
            .or(none.contains("doesn't exist").then_some(0))
            .with_context(|| format!("kamcmd says {none}"))
    }

    fn taking(&self, generator: &mut Generator) -> Result<Taken> {
        let wanted = self.count()? + u64::from(TO_KAMAILIO);
        self.running.taking(TO_KAMAILIO, || {
            let began = Instant::now();
            generator.order(&format!("send {}@127.0.0.1 {TO_KAMAILIO}", self.name))?;
            until("the last message", || {
                self.count().is_ok_and(|count| count >= wanted)
            })?;
            Ok(began.elapsed().as_secs_f64() * 1e6)
        })
    }
}

/// The Erlang node that sends and calls.
struct Generator {
    _running: Running,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    otp: String,
}

impl Generator {
    fn start(site: &Site, cpus: &str) -> Result<Generator> {
        let mut command = site.node(cpus, "generator@127.0.0.1");
        command.args(["-run", "erlang_bench", "main"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut running = Running(command.spawn().context("cannot run erl")?);
        let orders = running.0.stdin.take().context("no standard input")?;
        let answers = running.0.stdout.take().context("no standard output")?;
        let mut generator = Generator {
            _running: running,
            orders,
            answers: BufReader::new(answers),
            otp: String::new(),
        };
        generator.otp = generator.line()?;
        Ok(generator)
    }

    /// Has something done; how long it took, in microseconds.
    fn order(&mut self, order: &str) -> Result<f64> {
        writeln!(self.orders, "{order}")?;
        let answer = self.line()?;
        answer
            .parse()
            .with_context(|| format!("to {order} the generator said {answer:?}"))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
