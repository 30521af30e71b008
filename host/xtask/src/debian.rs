//! Debian packages: which are missing, and installing them.
//!
//! Only what is missing is installed, as root or by sudo. Where neither is to be had, the missing ones are named and the
//! caller decides.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::run;

/// A package and the file or program by which it is known to be there.
pub(crate) struct Package<'a> {
    /// Debian's name.
    pub(crate) name: &'a str,
    /// A program on PATH, or an absolute path.
    pub(crate) proof: &'a str,
}

/// What building anything needs.
const COMPILER: &[Package<'_>] = &[Package {
    name: "build-essential",
    proof: "g++",
}];

/// What the tests need beside the compiler.
pub(crate) const TESTS: &[Package<'_>] = &[
    Package {
        name: "build-essential",
        proof: "g++",
    },
    Package {
        name: "python3",
        proof: "python3",
    },
    Package {
        name: "python3-venv",
        proof: "/usr/share/python-wheels",
    },
    Package {
        name: "sip-tester",
        proof: "sipp",
    },
    Package {
        name: "sipsak",
        proof: "sipsak",
    },
    Package {
        name: "kamailio",
        proof: "kamailio",
    },
    Package {
        name: "tshark",
        proof: "tshark",
    },
    Package {
        name: "erlang-base",
        proof: "erl",
    },
    Package {
        name: "erlang-ssl",
        proof: "/usr/share/doc/erlang-ssl",
    },
    Package {
        name: "openssl",
        proof: "openssl",
    },
];

/// What the comparison needs beside the compiler.
pub(crate) const BENCH: &[Package<'_>] = &[
    Package {
        name: "kamailio",
        proof: "kamailio",
    },
    Package {
        name: "kamailio-lua-modules",
        proof: "/usr/share/doc/kamailio-lua-modules",
    },
    Package {
        name: "kamailio-erlang-modules",
        proof: "/usr/share/doc/kamailio-erlang-modules",
    },
    Package {
        name: "erlang-base",
        proof: "erl",
    },
    Package {
        name: "util-linux",
        proof: "taskset",
    },
];

/// Make sure that there is a C compiler and linker.
pub(crate) fn compiler() -> Result<()> {
    let missing = install(COMPILER)?;
    if !missing.is_empty() {
        bail!(
            "a C compiler and linker are needed: install build-essential (or what your system calls it)"
        );
    }
    Ok(())
}

/// Install those that are missing; an error names those that could not be had.
pub(crate) fn need(packages: &[Package<'_>]) -> Result<()> {
    let missing = install(packages)?;
    ensure!(
        missing.is_empty(),
        "could not be had from Debian (no apt-get, neither root nor sudo, or not in its archive): {}",
        missing.join(", ")
    );
    Ok(())
}

/// Install those that are missing; gives the names of those that could not be had.
pub(crate) fn install<'a>(packages: &[Package<'a>]) -> Result<Vec<&'a str>> {
    let missing = absent(packages);
    if missing.is_empty() {
        return Ok(missing);
    }
    if run::which("apt-get").is_none() {
        return Ok(missing);
    }
    let Some(root) = Root::get() else {
        return Ok(missing);
    };
    let services = Path::new("/run/systemd/system").exists() && missing.contains(&"kamailio");
    eprintln!("installing from Debian: {}", missing.join(" "));
    let apt = |args: &[&str]| {
        let mut command = root.command("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "-y"])
            .args(args);
        run::output(&mut command)
    };
    let install: Vec<&str> = ["install", "--no-install-recommends"]
        .into_iter()
        .chain(missing.iter().copied())
        .collect();
    // lists may be absent or too old to name files that are still there: one more try with new ones
    if let Err(first) = apt(&install) {
        eprintln!("{first:#}\nonce more, with new package lists");
        if let Err(second) = apt(&["update"]).and_then(|_| apt(&install)) {
            eprintln!("{second:#}");
        }
    }
    if services {
        // Debian starts it as a service on port 5060, where the example listens; the tests start their own
        run::within(
            root.command("systemctl")
                .args(["disable", "--now", "kamailio.service"]),
            std::time::Duration::from_secs(30),
        );
        eprintln!(
            "the kamailio service that came with the package is switched off: systemctl enable --now kamailio brings it back"
        );
    }
    Ok(absent(packages))
}

fn absent<'a>(packages: &[Package<'a>]) -> Vec<&'a str> {
    let there = |proof: &str| {
        if proof.starts_with('/') {
            Path::new(proof).exists()
        } else {
            run::which(proof).is_some()
        }
    };
    packages
        .iter()
        .filter(|package| !there(package.proof))
        .map(|package| package.name)
        .collect()
}

/// The right to install packages.
pub(crate) enum Root {
    /// We are root.
    Is,
    /// sudo does it without asking.
    Sudo,
}

impl Root {
    /// Root, or sudo that works without a terminal or from this one.
    pub(crate) fn get() -> Option<Root> {
        if run::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
            return Some(Root::Is);
        }
        run::which("sudo")?;
        let ask = std::env::var_os("CI").is_none();
        let mut check = Command::new("sudo");
        if !ask {
            check.arg("-n");
        }
        run::status(check.arg("true"))
            .ok()?
            .success()
            .then_some(Root::Sudo)
    }

    /// `program` with that right.
    pub(crate) fn command(&self, program: &str) -> Command {
        match self {
            Root::Is => Command::new(program),
            Root::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["DEBIAN_FRONTEND=noninteractive", program]);
                command
            }
        }
    }
}
