//! Kamailio 5.6: configs of tests/kamailio, as another proxy of a call or in place of the daemon.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Place;
use crate::place::root;
use crate::program::{Program, await_listener};

/// A running Kamailio.
pub struct Kamailio {
    program: Program,
    at: SocketAddr,
    control: Option<String>,
}

impl Kamailio {
    /// A registrar and proxy for example.test at `at`, whose phones ring for `no_answer_ms`.
    pub fn registrar(place: &Place, at: SocketAddr, no_answer_ms: u32) -> Kamailio {
        Kamailio::start(
            place,
            &ours("registrar"),
            at,
            &[format!("NO_ANSWER_MS={no_answer_ms}")],
        )
    }

    /// A member of a DMQ bus at `at`, which joins through `peer`.
    pub fn member(place: &Place, at: SocketAddr, peer: SocketAddr) -> Kamailio {
        Kamailio::member_by(place, at, peer, "")
    }

    /// The same by TCP.
    pub fn tcp_member(place: &Place, at: SocketAddr, peer: SocketAddr) -> Kamailio {
        Kamailio::member_by(place, at, peer, ";transport=tcp")
    }

    /// A member of a DMQ bus by a config of an example, which joins through `peer`.
    pub fn of_example(place: &Place, config: &str, at: SocketAddr, peer: SocketAddr) -> Kamailio {
        let defines = member(at, peer, "");
        Kamailio::controlled(place, &root().join(config), at, &defines)
    }

    /// One of a pair of registrars at `at`, whose other is at `pair`.
    pub fn pair(place: &Place, at: SocketAddr, pair: SocketAddr) -> Kamailio {
        let defines = [
            format!("PAIR=\"sip:{pair}\""),
            format!("PAIR_IP=\"{}\"", pair.ip()),
            format!("PAIR_PORT={}", pair.port()),
        ];
        Kamailio::controlled(place, &ours("pair"), at, &defines)
    }

    /// The KUSRLOC recipe at `at`: a central server, which asks for a password where one is given, and a registrar that tells `central`.
    pub fn kusrloc(
        place: &Place,
        at: SocketAddr,
        central: SocketAddr,
        password: Option<&str>,
    ) -> Kamailio {
        let mut defines = vec![format!("CENTRAL=\"sip:store@{central}\"")];
        defines.extend(password.map(|password| format!("PASSWORD=\"{password}\"")));
        Kamailio::controlled(place, &ours("kusrloc"), at, &defines)
    }

    fn member_by(place: &Place, at: SocketAddr, peer: SocketAddr, by: &str) -> Kamailio {
        Kamailio::controlled(place, &ours("dmq"), at, &member(at, peer, by))
    }

    fn controlled(place: &Place, config: &Path, at: SocketAddr, defines: &[String]) -> Kamailio {
        // The kernel allows no long names of sockets.
        let socket =
            std::env::temp_dir().join(format!("switchhook-{}-{}.ctl", place.ip(), at.port()));
        let control = format!("unix:{}", socket.display());
        let mut defines = defines.to_vec();
        defines.push(format!("CTL=\"{control}\""));
        let mut kamailio = Kamailio::start(place, config, at, &defines);
        kamailio.control = Some(control);
        kamailio
    }

    /// A member that tracks calls and joins through `peer`, whose dialogs it takes requests of.
    pub fn calls(place: &Place, at: SocketAddr, peer: SocketAddr, entries: u32) -> Kamailio {
        let mut defines = member(at, peer, "").to_vec();
        defines.push(format!("ALIAS={peer}"));
        defines.push(format!("SIZE={entries}"));
        Kamailio::controlled(place, &ours("calls"), at, &defines)
    }

    /// Where it is.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Kills it, and those that it started: they would go on answering.
    pub fn kill(mut self) {
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // The fields behind the name, which may have spaces in it: state, parent ...
            let parent = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            if parent == Some(self.program.id().to_string().as_str()) {
                let child = process.file_name().to_string_lossy().into_owned();
                // One of them may have ended with another.
                let kill = format!("kill -KILL {child}");
                let mut shell = Command::new("sh");
                let killed = shell.args(["-c", &kill]).stderr(Stdio::null()).status();
                killed.expect("a shell");
            }
        }
        self.program.signal("KILL");
    }

    /// `kamcmd COMMAND...`; gives what it printed.
    pub fn rpc(&self, args: &[&str]) -> String {
        let control = self.control.as_deref().expect("a member of a bus");
        let output = Command::new("kamcmd")
            .args(["-s", control])
            .args(args)
            .output();
        let output = output.expect("kamcmd comes with kamailio");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A proxy at `at` that sends all that is new to `next`.
    pub fn hop(place: &Place, at: SocketAddr, next: &str) -> Kamailio {
        Kamailio::start(place, &ours("hop"), at, &[format!("NEXT=\"{next}\"")])
    }

    fn start(place: &Place, config: &Path, at: SocketAddr, defines: &[String]) -> Kamailio {
        let stem = config.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("kamailio-{stem}-{}", at.port());
        let dir = place.dir().join(&name);
        std::fs::create_dir_all(&dir).expect("a folder");
        let mut command = Command::new("/usr/sbin/kamailio");
        command.arg("-f").arg(config);
        command.args([
            "-DD",
            "-E",
            "-m",
            "64",
            "-M",
            "4",
            "-l",
            &format!("udp:{at}"),
            "-l",
            &format!("tcp:{at}"),
        ]);
        for define in defines {
            command.args(["-A", define]);
        }
        command
            .arg("-Y")
            .arg(&dir)
            .arg("-w")
            .arg(&dir)
            .arg("-P")
            .arg(dir.join("pid"));
        let program = Program::start(&name, &mut command, place.dir().join(format!("{name}.log")));
        await_listener("udp", at);
        await_listener("tcp", at);
        Kamailio {
            program,
            at,
            control: None,
        }
    }
}

/// A config of the tests.
fn ours(name: &str) -> PathBuf {
    root().join("tests/kamailio").join(format!("{name}.cfg"))
}

/// What a member of a bus is told.
fn member(at: SocketAddr, peer: SocketAddr, by: &str) -> [String; 2] {
    [
        format!("SERVER=\"sip:{at}{by}\""),
        format!("NOTIFY=\"sip:{peer}{by}\""),
    ]
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if let Some(path) = self
            .control
            .as_deref()
            .and_then(|control| control.strip_prefix("unix:"))
        {
            // It is there only if Kamailio was killed.
            let _ = std::fs::remove_file(path);
        }
    }
}
