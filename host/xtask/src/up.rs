//! `cargo xtask up`: from a clone to a running example.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Result;

use crate::{debian, guests, run, workspace};

/// Build guests and the host, then become `switchhook run examples/default/switchhook.toml`.
pub(crate) fn up(args: &[String]) -> Result<()> {
    debian::compiler()?;
    guests::build(&["default".to_owned()])?;
    eprintln!("building the host (the first time takes some minutes)");
    run::run(run::cargo().args(["build", "--release", "--package", "switchhook"]))?;

    eprintln!();
    eprintln!("Two phones that you can register by way of it, at the domain example.test:");
    eprintln!(
        "  alice, password alice-secret, and bob, password bob-secret; then let one call the other."
    );
    eprintln!(
        "Without passwords: cargo xtask up -- --set script.default.config.auth=false. Ctrl-C ends it."
    );
    eprintln!();
    let mut daemon = Command::new(workspace::daemon());
    daemon
        .current_dir(workspace::root())
        .args(["run", "examples/default/switchhook.toml"])
        .args(args);
    Err(anyhow::Error::new(daemon.exec()).context(format!("cannot run {}", run::line(&daemon))))
}
