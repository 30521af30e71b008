//! Kamailio 5.6: configs of tests/kamailio, as another proxy of a call or in place of the daemon.

use std::net::SocketAddr;
use std::process::Command;

use crate::Place;
use crate::place::root;
use crate::program::{Program, await_listener};

/// A running Kamailio.
pub struct Kamailio {
    _program: Program,
}

impl Kamailio {
    /// A registrar and proxy for example.test at `at`, whose phones ring for `no_answer_ms`.
    pub fn registrar(place: &Place, at: SocketAddr, no_answer_ms: u32) -> Kamailio {
        Kamailio::start(
            place,
            "registrar",
            at,
            &format!("NO_ANSWER_MS={no_answer_ms}"),
        )
    }

    /// A proxy at `at` that sends all that is new to `next`.
    pub fn hop(place: &Place, at: SocketAddr, next: &str) -> Kamailio {
        Kamailio::start(place, "hop", at, &format!("NEXT=\"{next}\""))
    }

    fn start(place: &Place, config: &str, at: SocketAddr, define: &str) -> Kamailio {
        let name = format!("kamailio-{config}-{}", at.port());
        let dir = place.dir().join(&name);
        std::fs::create_dir_all(&dir).expect("a folder");
        let mut command = Command::new("/usr/sbin/kamailio");
        command
            .arg("-f")
            .arg(root().join("tests/kamailio").join(format!("{config}.cfg")));
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
            "-A",
            define,
        ]);
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
        Kamailio { _program: program }
    }
}
