//! `cargo xtask`: everything a person or CI does with the whole workspace.
//!
//! Owns: the wasm toolchain where none is installed, guests, tools that the tests need, the order of the checks, generated
//! files. Never does: work that belongs to a crate (the daemon's command line builds and swaps scripts for users).
//! It has few dependencies, so that `cargo xtask up` on a fresh machine starts at once; what is slow to build (the bindings
//! generator) is a crate of its own that only `bindings` and `test` run.

mod bench;
mod bindings;
mod debian;
mod dist;
mod fuzz;
mod guests;
mod micro;
mod run;
mod schema;
mod suite;
mod tools;
mod up;
mod wasm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set-up, tests, benchmarks and generated files of Switchhook.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build host and guests, then run examples/default in the foreground.
    Up {
        /// Passed on to `switchhook run`, for example `-- --set sip.lanes=1`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Install what the tests need, then run every check and every test.
    Test(suite::Options),
    /// Build the guests (examples and test fixtures) into target/guests.
    Guests {
        /// Only these, by folder name.
        names: Vec<String>,
    },
    /// Regenerate the committed guest bindings from wit/.
    Bindings {
        /// Change nothing; fail where a committed file differs.
        #[arg(long)]
        check: bool,
    },
    /// Regenerate the committed JSON schema of switchhook.toml.
    Schema {
        /// Change nothing; fail where the committed file differs.
        #[arg(long)]
        check: bool,
    },
    /// Measure Switchhook beside Kamailio (`bench -- --help` tells how); `bench micro [FILTER] [--write]` runs the criterion benches.
    Bench {
        /// Works and options of the comparison.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build the daemon as packages ship it: optimised over all crates, by a profile of the comparison's load. Takes half an hour on two cores.
    Dist,
    /// Build and run the fuzz targets.
    Fuzz {
        /// How long to fuzz, shared evenly by the targets.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this target.
        target: Option<String>,
    },
    /// The tests that take long: ten thousand Erlang messages a second both ways, nothing lost, memory flat.
    Soak {
        /// How long each of them goes on.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// Install the tools of the tests (PyPI, npm) under target/tools and the Debian packages, and do nothing else.
    Tools,
}

fn main() -> ExitCode {
    match task(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn task(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Up { args } => up::up(&args),
        Task::Test(options) => suite::test(&options),
        Task::Guests { names } => guests::build(&names).map(drop),
        Task::Bindings { check } => bindings::bindings(check),
        Task::Schema { check } => schema::schema(check),
        Task::Bench { args } => bench::bench(&args),
        Task::Dist => dist::dist(),
        Task::Fuzz { seconds, target } => fuzz::fuzz(seconds, target.as_deref(), 0),
        Task::Soak { seconds } => suite::soak(seconds),
        Task::Tools => {
            debian::need(debian::TESTS)?;
            tools::python()?;
            tools::componentize_qjs().map(drop)
        }
    }
}
