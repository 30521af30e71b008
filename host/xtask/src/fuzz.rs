//! The fuzz targets beside the crates: host/*/fuzz, each with fuzz_targets/ and a kept corpus/.
//!
//! They need only the stable toolchain. What is fuzzed is safe Rust, where the address sanitizer has nothing to find: without it
//! a target runs ten times as many inputs, in a twentieth of the memory, so that growth shows. New inputs found are kept
//! outside the repository; the committed corpus is what a run starts from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{cargo, run};
use crate::workspace;

/// As cargo-fuzz builds: coverage for libFuzzer, arithmetic and debug checks on; but no address sanitizer.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks -Cdebuginfo=line-tables-only";
const HOST: &str = "x86_64-unknown-linux-gnu";

struct Target {
    fuzz_crate: PathBuf,
    name: String,
}

/// Fuzz for `seconds` in all. Seed 0 is another one each time.
pub(crate) fn fuzz(seconds: u64, only: Option<&str>, seed: u32) -> Result<()> {
    let targets: Vec<Target> = all()?
        .into_iter()
        .filter(|target| only.is_none_or(|name| target.name == name))
        .collect();
    ensure!(
        !targets.is_empty(),
        "there is no fuzz target {}",
        only.unwrap_or("at all")
    );
    let out = workspace::target().join("fuzz");
    for fuzz_crate in targets
        .iter()
        .map(|target| &target.fuzz_crate)
        .collect::<std::collections::BTreeSet<_>>()
    {
        let mut build = cargo();
        build
            .current_dir(fuzz_crate)
            .args([
                "build",
                "--quiet",
                "--release",
                "--bins",
                "--target",
                HOST,
                "--target-dir",
            ])
            .arg(&out);
        run(build
            .env("RUSTFLAGS", FLAGS)
            .env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    }
    let each = (seconds / targets.len() as u64).max(1);
    for target in &targets {
        one(target, &out, each, seed)?;
    }
    eprintln!(
        "fuzzed {} targets for {each} s each: nothing found",
        targets.len()
    );
    Ok(())
}

/// The manifests of the fuzz crates, which are no members of the workspace.
pub(crate) fn manifests() -> Result<Vec<PathBuf>> {
    let mut manifests: Vec<PathBuf> = all()?
        .into_iter()
        .map(|target| target.fuzz_crate.join("Cargo.toml"))
        .collect();
    manifests.dedup();
    Ok(manifests)
}

fn one(target: &Target, out: &Path, seconds: u64, seed: u32) -> Result<()> {
    let found = out.join("corpus").join(&target.name);
    fs::create_dir_all(&found)?;
    let artifacts = out.join("artifacts").join(&target.name);
    fs::create_dir_all(&artifacts)?;
    let kept = target.fuzz_crate.join("corpus").join(&target.name);
    let log = out.join(format!("{}.log", target.name));
    eprintln!("fuzzing {} for {seconds} s", target.name);
    let mut command = Command::new(out.join(HOST).join("release").join(&target.name));
    // the first folder takes new inputs, the others are only read
    command.arg(&found);
    if kept.is_dir() {
        command.arg(kept);
    }
    command.args([
        format!("-max_total_time={seconds}"),
        format!("-seed={seed}"),
        "-timeout=30".into(),
        "-rss_limit_mb=512".into(),
        "-print_final_stats=1".into(),
    ]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.stderr(fs::File::create(&log)?);
    let done = run(&mut command);
    let text = fs::read(&log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    if done.is_err() {
        let tail: Vec<&str> = text.lines().rev().take(60).collect();
        eprintln!("{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    } else if let Some(units) = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
    {
        eprintln!("  {} inputs tried", units.trim());
    }
    done.with_context(|| {
        format!(
            "fuzz target {}: the input is in {}",
            target.name,
            artifacts.display()
        )
    })
}

fn all() -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(workspace::root().join("host"))? {
        let fuzz_crate = entry?.path().join("fuzz");
        let Ok(sources) = fs::read_dir(fuzz_crate.join("fuzz_targets")) else {
            continue;
        };
        for source in sources {
            let source = source?.path();
            if let (Some("rs"), Some(name)) = (
                source.extension().and_then(|kind| kind.to_str()),
                source.file_stem(),
            ) {
                targets.push(Target {
                    fuzz_crate: fuzz_crate.clone(),
                    name: name.to_string_lossy().into_owned(),
                });
            }
        }
    }
    targets.sort_by(|a, b| (&a.fuzz_crate, &a.name).cmp(&(&b.fuzz_crate, &b.name)));
    Ok(targets)
}
