//! `switchhook phones` alone, without the daemon: builds in a minute.

use std::process::ExitCode;

use clap::Parser;
use switchhook_phones::Args;

#[derive(Parser)]
#[command(name = "phones", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    switchhook_phones::args::main(&Cli::parse().args)
}
