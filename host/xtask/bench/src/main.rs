//! `cargo xtask bench`: Switchhook beside Kamailio, work by work, and what Switchhook does at scale.
//!
//! Owns: the scripts and configs of both sides (kamailio/, trunk/, switchhook/, erlang/, sink/), starting and ending them, the rounds, the accounts,
//! the statistics and the reports. Never does: SIP (the load is `switchhook phones`), builds (that is xtask's work).

mod account;
mod echo;
mod load;
mod parts;
mod plot;
mod results;
mod rounds;
mod servers;
mod setting;
mod stats;
mod sys;
mod table;
mod works;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::load::Caller;
use crate::parts::Part;
use crate::results::{Comparison, Results};
use crate::rounds::Plan;
use crate::servers::{Side, Stable};
use crate::works::Work;

/// Switchhook beside Kamailio: CPU per transaction, latency, memory.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", version)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    helper: Option<Helper>,
    #[command(flatten)]
    options: Options,
}

/// What must be a process of its own.
#[derive(Subcommand)]
enum Helper {
    /// Send every datagram back.
    #[command(hide = true)]
    Echo { port: u16 },
    /// Do nothing, as fast as it goes.
    #[command(hide = true)]
    Spin,
    /// Flood the echo.
    #[command(hide = true)]
    Flood {
        port: u16,
        seconds: f64,
        warmup: f64,
        figures: PathBuf,
    },
}

#[derive(clap::Args)]
struct Options {
    /// Only these works (options message call register register-auth lookup stateless) and parts (memory million lanes
    /// overload dmq wasm erlang); all, where none is named.
    #[arg(value_parser = Task::named)]
    tasks: Vec<Task>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds of load before each measurement.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Measurements of each server, in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Do not wait until all transactions are cleaned up, nor put that on the bill.
    #[arg(long)]
    no_clean_up: bool,
    /// Only these servers.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "native,lua,switchhook,echo"
    )]
    sides: Vec<Side>,
    /// The server's processor.
    #[arg(long, default_value = "1")]
    server_cpu: String,
    /// The load's processor.
    #[arg(long, default_value = "0")]
    load_cpu: String,
    /// Write the results into docs/performance.{md,json,svg}.
    #[arg(long)]
    write: bool,
    /// The daemon to measure.
    #[arg(long, default_value = "target/release/switchhook")]
    daemon: PathBuf,
    /// The load: a program that takes the arguments of `switchhook phones`. Without it that of the daemon.
    #[arg(long)]
    phones: Option<PathBuf>,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy)]
enum Task {
    Work(Work),
    Part(Part),
}

impl Task {
    fn named(name: &str) -> Result<Task, String> {
        Work::from_str(name, false)
            .map(Task::Work)
            .or_else(|_| Part::from_str(name, false).map(Task::Part))
    }

    fn all() -> Vec<Task> {
        let works = Work::value_variants().iter().copied().map(Task::Work);
        works
            .chain(Part::value_variants().iter().copied().map(Task::Part))
            .collect()
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.helper {
        Some(Helper::Echo { port }) => echo::serve(port),
        Some(Helper::Flood {
            port,
            seconds,
            warmup,
            figures,
        }) => echo::flood(port, seconds, warmup, &figures),
        Some(Helper::Spin) => loop {
            std::hint::spin_loop();
        },
        None => bench(&cli.options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Result<()> {
    let root = root();
    let dir = tempfile::Builder::new()
        .prefix("switchhook-bench-")
        .tempdir()?;
    let daemon = std::path::absolute(root.join(&options.daemon))?;
    let next = servers::free_ports(parts::SOCKETS)?;
    let stable = Stable {
        root: root.to_owned(),
        dir: dir.path().to_owned(),
        cpus: options.server_cpu.clone(),
        next,
        daemon: daemon.clone(),
    };
    let caller = Caller {
        phones: match &options.phones {
            Some(program) => vec![program.clone()],
            None => vec![daemon.clone(), "phones".into()],
        },
        cpus: options.load_cpu.clone(),
        next,
        dir: dir.path().to_owned(),
    };
    let plan = Plan {
        seconds: options.seconds,
        warmup: options.warmup,
        rounds: options.rounds,
        clean_up: !options.no_clean_up,
    };
    let setting = setting::setting(&daemon, plan)?;
    let tasks = match options.tasks.as_slice() {
        [] => Task::all(),
        some => some.to_vec(),
    };
    let mut results = Results::default();
    for task in tasks {
        match task {
            Task::Work(work) => {
                let courses = rounds::compare(&stable, &caller, work, &options.sides, plan)
                    .with_context(|| format!("the work {}", work.name()))?;
                let comparison = Comparison::of(work, &courses, setting.clone());
                results.works.insert(work.name().to_owned(), comparison);
            }
            Task::Part(part) => {
                let lines = part
                    .measure(&stable, &caller, plan.rounds)
                    .with_context(|| format!("the part {}", part.name()))?;
                let setting = setting.clone();
                let name = part.name().to_owned();
                results.parts.insert(name, results::Part { setting, lines });
            }
        }
        // what has been measured stays, whatever becomes of the rest
        keep(root, &results, options.write)?;
    }
    println!("\n{}", table::tables(&results, Work::value_variants()));
    eprintln!("written: target/bench/results.json and results.svg");
    if options.write {
        eprintln!("written: docs/performance.md, .json and .svg");
    }
    Ok(())
}

/// Write what was measured below target/, and into the documentation where that is asked.
fn keep(root: &Path, results: &Results, write: bool) -> Result<()> {
    let works = Work::value_variants();
    let out = root.join("target/bench");
    fs::create_dir_all(&out)?;
    results.write(&out.join("results.json"))?;
    plot::draw(results, works, &out.join("results.svg"))?;
    if write {
        let docs = root.join("docs");
        let document = docs.join("performance.md");
        let all = Results::read(&docs.join("performance.json"))?.renew(results.clone());
        let text = fs::read_to_string(&document)
            .with_context(|| format!("cannot read {}", document.display()))?;
        let renewed = table::renew(&text, table::tables(&all, works).trim_end())
            .with_context(|| format!("{} has lost its marks", document.display()))?;
        all.write(&docs.join("performance.json"))?;
        plot::draw(&all, works, &docs.join("performance.svg"))?;
        fs::write(&document, renewed)?;
    }
    Ok(())
}

/// The workspace's root folder.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).unwrap_or(here)
}
