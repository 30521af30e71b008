//! Starting and ending what is measured: Switchhook, Kamailio with a native script and with Lua, the raw echo.
//!
//! Each is a child process bound to its processors from its first instruction on (taskset), listens on one UDP port of
//! 127.0.0.1, is waited for until it does, and is ended by its process number.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::works::Script;
use crate::{account, sys};

/// The longest that a start or an end may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Transactions at once: as many as the fastest work leaves behind in the 32 s of RFC 3261's Timer J.
const TRANSACTIONS: u32 = 4_000_000;

/// MiB of memory that Kamailio may use; it takes them when it needs them.
const SHARED: &str = "8192";

/// The password of every user, a user's name in the braces; see `switchhook phones --password`.
pub(crate) const PASSWORD: &str = "{user}-secret";

/// Who is measured.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    /// Kamailio with a script in its own language.
    Native,
    /// Kamailio with the same script in Lua.
    Lua,
    /// Switchhook with the same script in Rust, compiled to Wasm.
    Switchhook,
    /// Every datagram sent back as it came: what the kernel costs.
    Echo,
}

impl Side {
    /// As it stands in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Side::Native => "Kamailio, native script",
            Side::Lua => "Kamailio, Lua script",
            Side::Switchhook => "Switchhook, Wasm script",
            Side::Echo => "raw UDP echo",
        }
    }
}

/// What is needed to start any of them.
#[derive(Clone)]
pub(crate) struct Stable {
    /// The daemon's program.
    pub(crate) daemon: PathBuf,
    /// The workspace's root, where scripts and configs are.
    pub(crate) root: PathBuf,
    /// Where logs, sockets and made files go.
    pub(crate) dir: PathBuf,
    /// The server's processors, as taskset takes them.
    pub(crate) cpus: String,
    /// Where the trunk leads.
    pub(crate) next: u16,
}

/// How one of them is to be started.
pub(crate) struct Setup {
    /// Which.
    pub(crate) side: Side,
    /// By what it routes.
    pub(crate) script: Script,
    /// Users who can prove who they are.
    pub(crate) users: u32,
    /// Settings of Switchhook beside those that every run has, `KEY=VALUE`.
    pub(crate) sets: Vec<String>,
    /// How much it steps back behind others on its processor, 0 to 19.
    pub(crate) nice: u8,
}

/// One that runs. Ends when dropped.
pub(crate) struct Server {
    /// Which.
    pub(crate) side: Side,
    /// Where it listens.
    pub(crate) port: u16,
    /// All its processes.
    pub(crate) processes: Vec<u32>,
    child: Child,
}

impl Server {
    /// Processor time that it has used so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        account::cpu(&self.processes)
    }

    /// Bytes of memory that it holds.
    pub(crate) fn memory(&self) -> u64 {
        account::memory(&self.processes)
    }

    /// Lets it stand still, so that it takes nothing of the processor from another.
    pub(crate) fn pause(&self) {
        self.processes.iter().copied().for_each(sys::pause);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.processes.iter().copied().for_each(sys::resume);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that stands still would not hear that it is to end.
        self.resume();
        sys::terminate(self.child.id());
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // it does not listen to SIGTERM, nor do its children
        for pid in &self.processes {
            eprintln!("process {pid} of {} does not end", self.side.title());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stable {
    /// The same on other processors.
    pub(crate) fn on(&self, cpus: &str) -> Stable {
        Stable {
            cpus: cpus.to_owned(),
            ..self.clone()
        }
    }

    /// The folder of a server.
    fn folder(&self, side: Side, port: u16) -> PathBuf {
        self.dir.join(format!("{side:?}-{port}").to_lowercase())
    }

    /// The admin socket of a daemon.
    pub(crate) fn admin(&self, server: &Server) -> PathBuf {
        self.folder(server.side, server.port).join("admin")
    }

    /// Start one and wait until it takes requests.
    pub(crate) fn start(&self, setup: &Setup) -> Result<Server> {
        let port = free_port()?;
        let dir = self.folder(setup.side, port);
        fs::create_dir_all(&dir)?;
        let mut command = Command::new("nice");
        command.args(["-n", &setup.nice.to_string(), "taskset"]);
        command.args(["--cpu-list", &self.cpus]);
        match setup.side {
            Side::Switchhook => self.switchhook(&mut command, setup, port, &dir)?,
            Side::Native | Side::Lua => self.kamailio(&mut command, setup, port, &dir)?,
            Side::Echo => {
                command.arg(std::env::current_exe()?);
                command.args(["echo", &port.to_string()]);
            }
        }
        let log = dir.join("log");
        let out = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(out.try_clone()?);
        let child = command
            .spawn()
            .context("cannot run nice and taskset (of Debian's coreutils and util-linux)")?;
        let mut server = Server {
            side: setup.side,
            port,
            processes: Vec::new(),
            child,
        };
        server
            .wait(out)
            .with_context(|| format!("{} does not start; {}", setup.side.title(), tail(&log)))?;
        server.processes = account::processes(server.child.id());
        Ok(server)
    }

    fn switchhook(
        &self,
        command: &mut Command,
        setup: &Setup,
        port: u16,
        dir: &Path,
    ) -> Result<()> {
        let (config, sets) = match setup.script {
            Script::Default { auth } => {
                let users = dir.join("users.toml");
                fs::write(&users, user_file(setup.users))?;
                let sets = vec![
                    format!("script.default.config.auth={auth}"),
                    format!("auth.users=\"{}\"", users.display()),
                    // Kamailio offers one algorithm, and so do we
                    "auth.algorithms=[\"MD5\"]".to_owned(),
                ];
                ("examples/default/switchhook.toml", sets)
            }
            Script::Trunk { stateless } => {
                let sets = vec![
                    format!("script.trunk.config.port={}", self.next),
                    format!("script.trunk.config.stateless={stateless}"),
                ];
                ("host/xtask/bench/switchhook/trunk.toml", sets)
            }
        };
        command
            .arg(&self.daemon)
            .arg("run")
            .arg(self.root.join(config));
        let always = [
            format!("sip.listen=[\"udp:127.0.0.1:{port}\"]"),
            "sip.lanes=1".to_owned(),
            format!("sip.max-transactions={TRANSACTIONS}"),
            "sip.drain=\"1s\"".to_owned(),
            format!("admin.listen=\"unix:{}\"", dir.join("admin").display()),
            "log.level=\"warn\"".to_owned(),
        ];
        for set in always.iter().chain(&sets).chain(&setup.sets) {
            command.args(["--set", set]);
        }
        Ok(())
    }

    fn kamailio(&self, command: &mut Command, setup: &Setup, port: u16, dir: &Path) -> Result<()> {
        let configs = self.root.join("host/xtask/bench/kamailio");
        let (host, next) = ("\"127.0.0.1\"", format!("\"{}\"", self.next));
        let secret = format!("\"{}\"", PASSWORD.trim_start_matches("{user}"));
        let (name, auth, stateless) = match setup.script {
            Script::Default { auth } => ("default", auth, false),
            Script::Trunk { stateless } => ("trunk", false, stateless),
        };
        command
            .arg("kamailio")
            .arg("-f")
            .arg(configs.join(format!("{name}.cfg")));
        command.args([
            "-DD", "-E", "-x", "fm", "-X", "fm", "-m", SHARED, "-M", "64",
        ]);
        command.args(["-l", &format!("udp:127.0.0.1:{port}")]);
        command.arg("-Y").arg(dir).arg("-w").arg(dir);
        command.arg("-P").arg(dir.join("pid"));
        command.args([
            "-A",
            &format!("HOST={host}"),
            "-A",
            &format!("PORT={next}"),
            "-A",
            &format!("SECRET={secret}"),
        ]);
        command.args(["-A", &format!("USERS={}", setup.users)]);
        if auth {
            command.args(["-A", "WITH_AUTH"]);
        }
        if stateless {
            command.args(["-A", "STATELESS"]);
        }
        if setup.side == Side::Lua {
            let main = dir.join("main.lua");
            let mut file = File::create(&main)?;
            writeln!(
                file,
                "AUTH, STATELESS, USERS, SECRET, HOST, PORT = {auth}, {stateless}, {}, {secret}, {host}, {next}",
                setup.users
            )?;
            for part in ["blocks", name] {
                writeln!(file, "dofile(\"{}/{part}.lua\")", configs.display())?;
            }
            command.args(["-A", &format!("LUA=\"{}\"", main.display())]);
        }
        Ok(())
    }
}

impl Server {
    /// Until it is ready, or has ended, or too much time has passed; what it prints goes into its log.
    fn wait(&mut self, mut log: File) -> Result<()> {
        let output = self.child.stdout.take().context("no standard output")?;
        let (told, ready) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // whoever waited may have given up
                let _ = writeln!(log, "{line}");
                if line == "ready" {
                    let _ = told.send(());
                }
            }
        });
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            let is_ready = match self.side {
                Side::Switchhook => ready.try_recv().is_ok(),
                // its workers come after its sockets
                Side::Native | Side::Lua => {
                    listens(self.port)? && account::processes(self.child.id()).len() > 2
                }
                Side::Echo => listens(self.port)?,
            };
            if is_ready {
                if self.side != Side::Switchhook {
                    thread::sleep(Duration::from_millis(500));
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("it is not ready after {PATIENCE:?}");
    }
}

/// Whether someone listens on a UDP port of this machine.
pub(crate) fn listens(port: u16) -> Result<bool> {
    let sockets = fs::read_to_string("/proc/net/udp")?;
    let wanted = format!("0100007F:{port:04X}");
    Ok(sockets
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(&wanted)))
}

/// A UDP port that nobody has just now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// As many UDP ports in a row that nobody has just now, below those that the system gives out by itself; the first of them.
pub(crate) fn free_ports(count: u16) -> Result<u16> {
    (10_000..30_000)
        .step_by(usize::from(count))
        .find(|first| {
            (*first..first + count).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
        })
        .context("no ports are free")
}

/// The users file of Switchhook: the names that the phones have, with their passwords.
fn user_file(users: u32) -> String {
    (0..users)
        .map(|k| format!("bob-{k}"))
        .map(|name| {
            let password = PASSWORD.replace("{user}", &name);
            format!(
                "[[user]]\nname = \"{name}\"\nrealm = \"example.test\"\npassword = \"{password}\"\n"
            )
        })
        .collect()
}

/// The end of a log, for an error.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(8)..)
        .unwrap_or_default();
    format!("its log {} ends with:\n{}", log.display(), last.join("\n"))
}

/// The version in the first line that a program prints about itself.
pub(crate) fn version(program: impl AsRef<std::ffi::OsStr>, flag: &str) -> Result<String> {
    let program = program.as_ref();
    let out = Command::new(program)
        .arg(flag)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let number = text
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    ensure!(number.is_some(), "{} tells no version", program.display());
    Ok(number.unwrap_or_default().to_owned())
}
