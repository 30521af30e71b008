//! The command line, for every program that offers it.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::options::Options;
use crate::pace::{End, Load};
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{RunError, run};
use crate::scenario::{Dial, Scenario, duration};

/// Emulated phones: register, call, message; verify every message and measure.
///
/// Both ends of every call are this process. What arrives is compared with what was sent; a call that differs, or is late, has
/// failed, with a reason.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Exit status: 0 all calls were good, 1 a call failed or there was none, 2 the run could not be made."
)]
pub struct Args {
    /// What the phones do: a built-in scenario (see --list) or a TOML file.
    #[arg(long, short, value_name = "NAME|FILE", default_value = "options")]
    pub scenario: String,
    /// The server, `host:port`; several are taken in turn.
    #[arg(long, short, value_name = "ADDRESS", required_unless_present_any = ["list", "show"])]
    pub target: Vec<String>,
    /// Closed loop: so many calls at once, a new one as soon as one has ended. 1 unless --rate is given.
    #[arg(long, short, value_name = "N", conflicts_with = "rate")]
    pub concurrency: Option<usize>,
    /// Open loop: so many calls a second, whatever becomes of them.
    #[arg(long, short, value_name = "CALLS")]
    pub rate: Option<f64>,
    /// How long calls are begun: `10`, `10s`, `500ms`, `1m`.
    #[arg(long, short, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How many calls are begun. 1 unless --duration is given.
    #[arg(long, short = 'n', value_name = "N")]
    pub count: Option<u64>,
    /// Time at the beginning that is not measured.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0")]
    pub warmup: Duration,
    /// Phones of each role; `alice` becomes `alice-0`, `alice-1` ... Calls take them in turn.
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub users: usize,
    /// UDP sockets of each role on each source address; phones take them in turn.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub sockets: usize,
    /// A source address; several are taken in turn.
    #[arg(long, value_name = "IP")]
    pub bind: Vec<IpAddr>,
    /// The first port of a role, such as `bob=5070`.
    #[arg(long, value_name = "ROLE=PORT", value_parser = port)]
    pub port: Vec<(String, u16)>,
    /// The domain of the phones' addresses of record.
    #[arg(long, value_name = "NAME", default_value = "example.test")]
    pub domain: String,
    /// What request URIs name: a phone's own address, or its user at the domain. The scenario says it unless you do.
    #[arg(long, value_enum)]
    pub dial: Option<Dial>,
    /// Answer challenges with this password; `{user}` stands for the user's name.
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Do not register phones that are called at their address of record: they are registered already.
    #[arg(long)]
    pub no_register: bool,
    /// How long a step may take.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "32s")]
    pub timeout: Duration,
    /// The most calls at once in open loop; one more fails.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub max_calls: usize,
    /// The processor to stay on.
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Write the report as JSON; `-` is the standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the report into an SVG file.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print the lines `begin` and `end` at the edges of the measured window.
    #[arg(long)]
    pub announce: bool,
    /// No progress bar and no table.
    #[arg(long, short)]
    pub quiet: bool,
    /// List the built-in scenarios.
    #[arg(long)]
    pub list: bool,
    /// Print a built-in scenario's file.
    #[arg(long, value_name = "NAME")]
    pub show: Option<String>,
}

/// Does what the command line says.
pub fn main(args: &Args) -> ExitCode {
    match act(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let colour = io::stderr().is_terminal();
            match error {
                RunError::Scenario(error) => eprintln!("{}", error.report(colour)),
                error => eprintln!("error: {error}"),
            }
            ExitCode::from(2)
        }
    }
}

fn act(args: &Args) -> Result<bool, RunError> {
    if args.list {
        let mut text = String::new();
        for (name, about) in Scenario::built_in() {
            text.push_str(&format!("{name:14} {about}\n"));
        }
        return print(&text).map(|()| true);
    }
    if let Some(name) = &args.show {
        return print(&Scenario::find(name)?.text).map(|()| true);
    }
    let scenario = Scenario::find(&args.scenario)?;
    let options = options(args)?;
    let progress = Progress::new(&options, args.announce, !args.quiet);
    let mut progress = progress.map_err(|error| RunError::System {
        what: "can't watch for signals",
        error,
    })?;
    let report = run(&scenario, &options, &mut progress)?;
    progress.done();
    write(args, &report)?;
    Ok(report.is_good())
}

fn options(args: &Args) -> Result<Options, RunError> {
    let targets = args.target.iter().map(|target| address(target));
    Ok(Options {
        targets: targets.collect::<Result<_, _>>()?,
        load: match args.rate {
            Some(rate) => Load::Open(rate),
            None => Load::Closed(args.concurrency.unwrap_or(1)),
        },
        end: End {
            duration: args.duration,
            count: args.count.or(args.duration.is_none().then_some(1)),
        },
        warmup: args.warmup,
        users: args.users,
        sockets: args.sockets,
        bind: args.bind.clone(),
        ports: args.port.clone(),
        domain: args.domain.clone(),
        dial: args.dial,
        password: args.password.clone(),
        register: !args.no_register,
        timeout: args.timeout,
        most: args.max_calls,
        cpu: args.cpu,
    })
}

fn address(target: &str) -> Result<SocketAddr, RunError> {
    let wrong = |why: &str| RunError::Options(format!("target `{target}`: {why}"));
    let mut found = target
        .to_socket_addrs()
        .map_err(|error| wrong(&error.to_string()))?;
    found.next().ok_or_else(|| wrong("no address"))
}

fn port(text: &str) -> Result<(String, u16), String> {
    text.split_once('=')
        .and_then(|(role, port)| Some((role.to_owned(), port.parse().ok()?)))
        .ok_or_else(|| "expected a role and a port, such as `bob=5070`".to_owned())
}

fn write(args: &Args, report: &Report) -> Result<(), RunError> {
    let to_stdout = args.json.as_deref() == Some(Path::new("-"));
    match &args.json {
        Some(_) if to_stdout => print(&report.to_json())?,
        Some(file) => save(file, &report.to_json())?,
        None => {}
    }
    if let Some(file) = &args.svg {
        let drawn = report.to_svg();
        let drawn = drawn.map_err(|error| RunError::Options(format!("can't draw: {error}")))?;
        save(file, &drawn)?;
    }
    if !args.quiet && !to_stdout {
        print(&report.to_table())?;
    }
    Ok(())
}

fn save(file: &Path, text: &str) -> Result<(), RunError> {
    std::fs::write(file, text)
        .map_err(|error| RunError::Options(format!("can't write {}: {error}", file.display())))
}

/// A reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), RunError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(RunError::System {
            what: "can't print",
            error,
        }),
        _ => Ok(()),
    }
}
