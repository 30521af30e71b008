//! `switchhook`: the daemon and its command line.
//!
//! From top to bottom: [`cli`] the words, [`command`] what each does, [`config`] the settings, [`daemon`] what
//! runs, [`admin`] commands for a running
//! daemon, [`log`] its lines. Routing is not here: it is `switchhook_engine`'s.

mod admin;
mod cli;
mod command;
mod config;
mod daemon;
mod dirs;
mod erlang;
mod log;

use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

/// What a transaction allocates lives longer than a batch of messages, and what one lane hands over another frees: glibc's allocator takes a
/// tenth more of a relayed message for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match command::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            match error.downcast_ref::<config::Problems>() {
                Some(problems) => eprintln!("{}", problems.report(std::io::stderr().is_terminal())),
                None => eprintln!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}
