//! Wasm's share of a relayed MESSAGE: into the guest, its host calls, its own work, and out again. A micro-benchmark of host/script takes it,
//! with the benchmark's own script and with the checks that examples/default makes; this reads what it came to.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::results::Line;
use crate::servers::Stable;

/// The benchmark's name in host/script/benches/example.rs.
const NAME: &str = "wasm share of a relayed MESSAGE";

/// What criterion keeps of a benchmark, as far as we read it.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

/// In nanoseconds.
#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

pub(super) fn measure(stable: &Stable) -> Result<Vec<Line>> {
    let home = stable.dir.join("criterion");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .current_dir(&stable.root)
        .env("CRITERION_HOME", &home)
        .args(["bench", "--workspace", "--profile", "release"])
        .args(["--bench", "example", "--", NAME]);
    let status = cargo.status().context("cargo cannot be run")?;
    ensure!(status.success(), "cargo bench: {status}");
    let file = home.join(NAME).join("new/estimates.json");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let estimates: Estimates = serde_json::from_str(&text)?;
    Ok(vec![Line::at_most(
        "entry, host calls and guest, of a MESSAGE relayed",
        estimates.median.point_estimate / 1000.0,
        3.0,
        |us| format!("{us:.2} us"),
    )])
}
