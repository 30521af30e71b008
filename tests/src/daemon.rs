//! The daemon as a user starts it: a config file, `--set`, the line `ready`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::Place;
use crate::place::{root, target};
use crate::program::Program;
use crate::wire::Host;

/// How the daemon is to be started.
pub struct Setup<'a> {
    place: &'a Place,
    config: PathBuf,
    sets: Vec<String>,
    namespace: Option<String>,
}

/// A running daemon at port 5060 of its place, on UDP and TCP.
pub struct Daemon {
    program: Program,
    admin: PathBuf,
}

impl<'a> Setup<'a> {
    /// An example, as it is shipped but for where it listens: `examples/NAME/switchhook.toml`.
    pub fn example(place: &'a Place, file: &str) -> Setup<'a> {
        Setup::file(place, root().join(file))
    }

    /// examples/default as it is shipped: users must prove who they are.
    pub fn default(place: &'a Place) -> Setup<'a> {
        Setup::example(place, "examples/default/switchhook.toml")
    }

    /// examples/default without authentication.
    pub fn open(place: &'a Place) -> Setup<'a> {
        Setup::default(place).set("script.default.config.auth=false")
    }

    /// Some config file.
    pub fn file(place: &'a Place, config: PathBuf) -> Setup<'a> {
        let at = place.at(5060);
        Setup {
            place,
            config,
            sets: Vec::new(),
            namespace: None,
        }
        .set(&format!("sip.listen=[\"udp:{at}\", \"tcp:{at}\"]"))
        .set("sip.drain=\"1s\"")
        .set(&format!(
            "admin.listen=\"unix:{}\"",
            place.socket().display()
        ))
    }

    /// A config of the test's own, written into its folder. `GUESTS` stands for the folder of built guests.
    pub fn config(place: &'a Place, text: &str) -> Setup<'a> {
        let file = place.dir().join("switchhook.toml");
        std::fs::write(
            &file,
            text.replace("GUESTS", &guests().display().to_string()),
        )
        .expect("a config file");
        Setup::file(place, file)
    }

    /// On a host of its own, where it listens at port 5060 of that host's address.
    pub fn on(mut self, host: &Host) -> Setup<'a> {
        self.namespace = Some(host.namespace.clone());
        self.set(&format!("sip.listen=[\"udp:{}:5060\"]", host.ip))
    }

    /// One `--set KEY=VALUE`; later ones win.
    pub fn set(mut self, setting: &str) -> Setup<'a> {
        self.sets.push(setting.to_owned());
        self
    }

    /// Start it and wait for `ready`.
    pub fn start(self) -> Daemon {
        let program = binary();
        let log = self.place.dir().join("switchhook.log");
        let mut file = std::fs::File::create(&log).expect("a log file");
        let mut command = match &self.namespace {
            // It becomes the program: its process number is the program's.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .arg("run")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command.stderr(file.try_clone().expect("a log file"));
        for set in &self.sets {
            command.arg("--set").arg(set);
        }
        let mut program = Program::start_piped("switchhook", &mut command, log);
        let output = program.child().stdout.take().expect("a pipe");
        let (ready, wait) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // the test may be gone already, and the log with it
                let _ = writeln!(file, "{line}");
                if line == "ready" {
                    let _ = ready.send(());
                }
            }
        });
        // the first start compiles the guest
        if let Err(error) = wait.recv_timeout(Duration::from_secs(60)) {
            panic!(
                "no line `ready` from switchhook run {} ({error})",
                self.config.display()
            );
        }
        Daemon {
            program,
            admin: self.place.socket(),
        }
    }
}

impl Daemon {
    /// Its process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// `switchhook COMMAND...` over its admin socket; gives what it printed, or what it complained of.
    pub fn try_admin(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new(binary());
        command.args(args).arg("--socket").arg(&self.admin);
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the daemon's command line");
        if status.success() {
            Ok(String::from_utf8_lossy(&stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&stderr).into_owned())
        }
    }

    /// The same, which must go well.
    pub fn admin(&self, args: &[&str]) -> String {
        self.try_admin(args)
            .unwrap_or_else(|error| panic!("switchhook {}: {error}", args.join(" ")))
    }

    /// SIGTERM; it must end well by itself.
    pub fn stop(mut self) {
        self.program.terminate();
        let status = self.program.wait(Duration::from_secs(40));
        assert!(status.success(), "switchhook ended with {status}");
    }
}

/// Where guests are built.
fn guests() -> PathBuf {
    root().join("target/guests")
}

/// The built guest `name`, as a path for the daemon's command line.
pub fn guest(name: &str) -> String {
    guests().join(format!("{name}.wasm")).display().to_string()
}

/// `switchhook phones ARGS...`, to its end.
pub fn phones(args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("phones").args(args);
    command.output().expect("the emulated phones")
}

/// The daemon's program.
pub fn binary() -> PathBuf {
    let path = target().join("release/switchhook");
    assert!(
        path.is_file(),
        "{} is not built: cargo build --release --package switchhook",
        path.display()
    );
    path
}
