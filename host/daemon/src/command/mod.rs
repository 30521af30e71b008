//! What each command does.

mod check;
mod remote;
mod run;

use crate::cli::Command;
use anyhow::Result;
use std::io::{self, Write};
use std::process::ExitCode;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(settings) => run::run(&settings)?,
        Command::Check(settings) => check::check(&settings)?,
        Command::Swap {
            script,
            file,
            daemon,
        } => remote::swap(&daemon, &script, &file)?,
        Command::Scripts { daemon } => remote::scripts(&daemon)?,
        Command::Rpc {
            method,
            args,
            all,
            compact,
            daemon,
        } => match method {
            Some(method) => remote::rpc(&daemon, &method, &args, all, compact)?,
            None => remote::methods(&daemon)?,
        },
        // it has exit codes of its own
        Command::Phones(args) => return Ok(switchhook_phones::args::main(&args)),
        Command::Schema => print(&crate::config::schema())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes to the standard output. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
