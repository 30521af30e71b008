//! `cargo xtask dist`: the daemon as packages ship it, optimised over all crates at once and by a profile of real traffic.
//!
//! Three steps: a daemon that counts which ways it goes (`-Cprofile-generate`), the comparison's load against it, and the daemon that is
//! built by these counts (`-Cprofile-use`). Both are built with the profile `dist`: the counts are kept by the names of functions, which
//! another profile would change. Scripts have no part in it: they are compiled when they are loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{debian, guests, run, workspace};

/// What the daemon is shown: the comparison's works, each for two seconds, a round of its bus with Kamailio nodes, and its Erlang node.
const LOAD: &str = "options message call register register-auth lookup stateless dmq erlang \
    --sides switchhook --rounds 1 --seconds 2 --no-clean-up --daemon";
/// The scripts of these.
const GUESTS: [&str; 3] = ["default", "trunk", "sink"];

/// Builds it and says where it is.
pub(crate) fn dist() -> Result<()> {
    debian::compiler()?;
    debian::need(debian::BENCH)?;
    let rustc = Rustc::asked()?;
    let profdata = rustc.profdata()?;
    let dir = workspace::target().join("dist");
    let (counts, merged) = (dir.join("counts"), dir.join("merged.profdata"));
    // Counts of another source would be merged with those of this one.
    if counts.exists() {
        fs::remove_dir_all(&counts)?;
    }
    fs::create_dir_all(&counts)?;
    guests::build(&GUESTS.map(str::to_owned))?;

    let counting = rustc.daemon(
        "counting",
        &format!("-Cprofile-generate={}", counts.display()),
    )?;
    let mut load = run::built("xtask-bench", "xtask-bench")?;
    load.args(LOAD.split_whitespace()).arg(&counting);
    run::run(load.current_dir(workspace::root()))?;
    let mut merge = Command::new(profdata);
    run::run(merge.args(["merge", "--output"]).arg(&merged).arg(&counts))?;

    let daemon = rustc.daemon("final", &format!("-Cprofile-use={}", merged.display()))?;
    let shipped = dir.join("switchhook");
    fs::copy(daemon, &shipped)?;
    println!("{}", workspace::short(&shipped));
    Ok(())
}

/// The compiler, as far as it matters here.
struct Rustc {
    /// The machine it builds for when nothing else is asked.
    host: String,
    /// The major version of its LLVM.
    llvm: String,
    sysroot: PathBuf,
}

impl Rustc {
    fn asked() -> Result<Rustc> {
        let rustc = || Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let told = run::output(rustc().current_dir(workspace::root()).arg("-vV"))?;
        let sysroot = run::output(
            rustc()
                .current_dir(workspace::root())
                .args(["--print", "sysroot"]),
        )?;
        let (host, llvm) = read(&told).context("rustc -vV names no host or no LLVM")?;
        Ok(Rustc {
            host,
            llvm,
            sysroot: sysroot.trim().into(),
        })
    }

    /// Builds the daemon with flags of its own, in a folder of its own, for the host by name: so the flags hold for the daemon alone, not for what
    /// runs while it is built.
    fn daemon(&self, step: &str, flags: &str) -> Result<PathBuf> {
        let target = workspace::target().join("dist").join(step);
        run::run(
            run::cargo()
                .args(["build", "--profile", "dist", "--package", "switchhook"])
                .args(["--bin", "switchhook", "--target", &self.host])
                .arg("--target-dir")
                .arg(&target)
                .env("RUSTFLAGS", flags),
        )?;
        Ok(target.join(&self.host).join("dist/switchhook"))
    }

    /// llvm-profdata of the compiler's LLVM: the counts' format changes with it.
    fn profdata(&self) -> Result<PathBuf> {
        let own = Path::new("lib/rustlib")
            .join(&self.host)
            .join("bin/llvm-profdata");
        let own = self.sysroot.join(own);
        if own.is_file() {
            return Ok(own);
        }
        let name = format!("llvm-{}", self.llvm);
        let program = format!("llvm-profdata-{}", self.llvm);
        let missing = debian::install(&[debian::Package {
            name: &name,
            proof: &program,
        }])?;
        ensure!(
            missing.is_empty(),
            "llvm-profdata of LLVM {} is needed: `rustup component add llvm-tools`, or Debian's {name}",
            self.llvm
        );
        run::which(&program).context("it was there a moment ago")
    }
}

/// Host and major version of LLVM in what `rustc -vV` tells.
fn read(told: &str) -> Option<(String, String)> {
    let value = |name| told.lines().find_map(|line| line.strip_prefix(name));
    let llvm = value("LLVM version: ")?.split('.').next()?;
    Some((value("host: ")?.to_owned(), llvm.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_tells_its_host_and_llvm() {
        let told = "rustc 1.95.0 (59807616e 2026-04-14)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let expected = ("x86_64-unknown-linux-gnu".to_owned(), "22".to_owned());
        assert_eq!(read(told), Some(expected));
        assert_eq!(read("rustc 1.95.0"), None);
    }
}
