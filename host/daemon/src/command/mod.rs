//! What each command does.

mod check;
mod remote;
mod run;

use crate::cli::Command;
use anyhow::Result;
use std::io::{self, Write};

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Run(settings) => run::run(&settings),
        Command::Check(settings) => check::check(&settings),
        Command::Swap {
            script,
            file,
            daemon,
        } => remote::swap(&daemon, &script, &file),
        Command::Scripts { daemon } => remote::scripts(&daemon),
        Command::Rpc {
            method,
            args,
            all,
            compact,
            daemon,
        } => match method {
            Some(method) => remote::rpc(&daemon, &method, &args, all, compact),
            None => remote::methods(&daemon),
        },
        Command::Schema => print(&crate::config::schema()),
    }
}

/// Writes to the standard output. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
