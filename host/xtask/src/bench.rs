//! `cargo xtask bench`: what the comparison with Kamailio needs, then the comparison, which is a program of its own (bench/). `bench micro`
//! measures pieces of the code.

use std::path::PathBuf;

use anyhow::Result;

use crate::{debian, guests, micro, run, workspace};

/// Guests that are measured.
const GUESTS: [&str; 3] = ["default", "trunk", "sink"];

/// The criterion benches for `micro`; else install, build and compare, with `args` for the comparison.
pub(crate) fn bench(args: &[String]) -> Result<()> {
    if let [first, args @ ..] = args
        && first == "micro"
    {
        return micro::micro(args);
    }
    let mut comparison = run::built("xtask-bench", "xtask-bench")?;
    comparison.args(args).current_dir(workspace::root());
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return run::run(&mut comparison);
    }
    debian::need(debian::BENCH)?;
    guests::build(&GUESTS.map(str::to_owned))?;
    if !args.iter().any(|arg| arg.starts_with("--daemon")) {
        let daemon = run::built("switchhook", "switchhook")?;
        comparison
            .arg("--daemon")
            .arg(PathBuf::from(daemon.get_program()));
    }
    run::run(&mut comparison)
}
