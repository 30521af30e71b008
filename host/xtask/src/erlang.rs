//! `cargo xtask bench erlang`: messages and calls from an Erlang node into the host, beside the same into another Erlang node.
//!
//! Starts a port mapper, two nodes and the daemon (and Kamailio with its erlang module, where it is installed) on loopback; the
//! generator (bench/erlang/erlang_bench.erl) measures both in turns. Receivers share one processor, the generator has another.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{guests, run, workspace};

const HOST: &str = "switchhook@127.0.0.1";
const PEER: &str = "peer@127.0.0.1";
const KAMAILIO: &str = "kamailio@127.0.0.1";
/// Where the section of docs/erlang.md begins and ends.
const BEGIN: &str = "<!-- cargo xtask bench erlang -->\n";
const END: &str = "<!-- end -->\n";

/// A program that ends with its value.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // who has ended already can't be killed
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `--daemon PATH` instead of building one, `--write` to keep the figures in docs/erlang.md.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    let mut daemon = None;
    let mut write = false;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--write" => write = true,
            "--daemon" => daemon = Some(PathBuf::from(args.next().context("--daemon PATH")?)),
            other => bail!("`bench erlang` takes --daemon PATH and --write, not {other}"),
        }
    }
    for program in ["erl", "erlc", "epmd", "taskset"] {
        ensure!(
            run::which(program).is_some(),
            "{program} is not installed: cargo xtask tools"
        );
    }
    guests::build(&["sink".to_owned()])?;
    let daemon = match daemon {
        Some(daemon) => daemon,
        None => run::built("switchhook", "switchhook")?.get_program().into(),
    };
    let files = workspace::root().join("host/xtask/bench/erlang");
    let out = workspace::target().join("bench-erlang");
    fs::create_dir_all(&out)?;
    run::run(
        Command::new("erlc")
            .arg("-o")
            .args([&out, &files.join("erlang_bench.erl")]),
    )?;

    let mapper = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut epmd = Command::new("epmd");
    epmd.args(["-port", &mapper.to_string(), "-address", "127.0.0.1"]);
    let _epmd = Started(epmd.stdout(Stdio::null()).spawn()?);
    let until = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", mapper)).is_err() {
        ensure!(Instant::now() < until, "epmd does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut peer = node(mapper, "1", PEER, &out);
    let _peer = ready(peer.args(["-s", "erlang_bench", "peer"]))?;
    let mut host = Command::new("taskset");
    host.args(["-c", "1"])
        .arg(daemon)
        .arg("run")
        .arg(files.join("sink.toml"));
    host.args(["--set", &format!("erlang.epmd=\"127.0.0.1:{mapper}\"")]);
    host.args([
        "--set",
        &format!("admin.listen=\"unix:{}\"", out.join("admin").display()),
    ]);
    let _host = ready(&mut host)?;
    let mut names = vec![HOST, PEER];
    let kamailio = kamailio(mapper, &files, &out)?;
    names.extend(kamailio.as_ref().map(|_| KAMAILIO));
    let mut generator = node(mapper, "0", "generator@127.0.0.1", &out);
    generator.args(["-run", "erlang_bench", "main"]).args(names);
    let told = run::output(&mut generator)?;
    let section = section(&told)?;
    println!("{section}");
    fs::write(out.join("result.json"), json(&told))?;
    println!("{}", out.join("result.json").display());
    if write {
        keep(&section)?;
    }
    Ok(())
}

/// `erl` on a processor of its own.
fn node(mapper: u16, processor: &str, name: &str, modules: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["-c", processor, "erl", "-noshell", "-hidden"])
        .args(["-name", name, "-setcookie", "bench", "-pa"])
        .arg(modules)
        .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"])
        .env("ERL_EPMD_PORT", mapper.to_string());
    command
}

/// Starts what prints `ready` when it is.
fn ready(command: &mut Command) -> Result<Started> {
    let mut started = Started(command.stdout(Stdio::piped()).spawn()?);
    let output = started.0.stdout.take().context("a pipe")?;
    let (sender, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line == "ready" {
                // whoever waits may have given up
                let _ = sender.send(());
            }
        }
    });
    is_ready
        .recv_timeout(Duration::from_secs(60))
        .with_context(|| format!("{command:?} does not get ready"))?;
    Ok(started)
}

/// Kamailio with its erlang module, where both are installed.
fn kamailio(mapper: u16, files: &Path, out: &Path) -> Result<Option<Started>> {
    let Some(program) = run::which("kamailio") else {
        return Ok(None);
    };
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let text = fs::read_to_string(files.join("kamailio.cfg"))?;
    let file = out.join("kamailio.cfg");
    fs::write(&file, text.replace("SIP_PORT", &port.to_string()))?;
    let mut command = Command::new(program);
    command.args(["-c", "-f"]).arg(&file);
    if !run::within(&mut command, Duration::from_secs(10)) {
        return Ok(None); // its erlang module is another package
    }
    let mut command = Command::new("taskset");
    command
        .args(["-c", "1", "kamailio", "-DD", "-E", "-f"])
        .arg(&file)
        .env("ERL_EPMD_PORT", mapper.to_string());
    let log = fs::File::create(out.join("kamailio.log"))?;
    command.stdout(log.try_clone()?).stderr(log);
    Ok(Some(Started(command.spawn()?)))
}

/// The rows that the generator printed.
fn rows(told: &str) -> impl Iterator<Item = [&str; 4]> {
    told.lines().filter_map(|line| {
        let mut columns = line.strip_prefix("row ")?.split('|');
        Some([(); 4].map(|()| columns.next().unwrap_or_default()))
    })
}

fn kamailio_rate(told: &str) -> Option<&str> {
    told.lines().find_map(|line| line.strip_prefix("kamailio "))
}

fn section(told: &str) -> Result<String> {
    let mut text = String::from("| | Switchhook | Erlang node | ratio |\n|---|---:|---:|---:|\n");
    let mut count = 0;
    for [what, host, peer, ratio] in rows(told) {
        text.push_str(&format!("| {what} | {host} | {peer} | {ratio} |\n"));
        count += 1;
    }
    ensure!(count == 3, "the generator printed\n{told}");
    match kamailio_rate(told) {
        Some("silent") => {
            text.push_str("\nKamailio's `erlang` module did not take the messages.\n")
        }
        Some(rate) => text.push_str(&format!(
            "\nKamailio's `erlang` module took {rate} of the same messages a second.\n"
        )),
        None => {}
    }
    Ok(text)
}

fn json(told: &str) -> String {
    let rows = rows(told).map(|[what, host, peer, ratio]| {
        format!("{{\"what\": \"{what}\", \"switchhook\": {host}, \"erlang\": {peer}, \"ratio\": {ratio}}}")
    });
    let rows: Vec<String> = rows.collect();
    let kamailio = kamailio_rate(told).filter(|rate| *rate != "silent");
    format!(
        "{{\"rows\": [{}], \"kamailio_messages\": {}}}\n",
        rows.join(", "),
        kamailio.unwrap_or("null")
    )
}

/// Puts the section into docs/erlang.md.
fn keep(section: &str) -> Result<()> {
    let path = workspace::root().join("docs/erlang.md");
    let text = fs::read_to_string(&path)?;
    let (before, rest) = text.split_once(BEGIN).context("where the section begins")?;
    let (_, after) = rest.split_once(END).context("where the section ends")?;
    fs::write(&path, format!("{before}{BEGIN}{section}{END}{after}"))?;
    Ok(())
}
