//! `cargo xtask test`: install what is needed, then every check and test, in an order that finds cheap failures first.
//!
//! A step passes, fails, or is left out with its reason; the steps after a failure still run, so that one run tells all. Where CI
//! is "true" nothing may be left out, except tests of ../shared data where that folder is absent: they say so themselves.
//! Everything is built in the release profile and with the workspace's features, so that wasmtime is compiled once.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;

use crate::run::{EVERYTHING_IS_BUILT, cargo, run, watch, which};
use crate::{bindings, debian, fuzz, guests, schema, tools, workspace};

/// One selection for every build: another would be another set of features, and wasmtime compiled once more.
const EVERYTHING: &[&str] = &["--workspace", "--release", "--lib", "--bins", "--tests"];
/// How long the tests go on that take as long as they are told, in seconds.
const SOAK: u64 = 10;

/// What `cargo xtask test` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Only these steps, by name (others are left out).
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// How long the fuzz targets run, all together.
    #[arg(long, default_value_t = 60)]
    fuzz_seconds: u64,
}

/// What came of a step.
enum Outcome {
    Passed,
    Failed(String),
    LeftOut(String),
}

/// How many tests a step ran beside itself.
#[derive(Default)]
struct Counts {
    passed: AtomicUsize,
    failed: AtomicUsize,
}

struct Step {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

struct Suite<'a> {
    options: &'a Options,
    steps: Vec<Step>,
    counts: Counts,
}

/// Run them all; an error if any failed, or if under CI any was left out.
pub(crate) fn test(options: &Options) -> Result<()> {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let left_out = workspace::target().join("left-out.txt");
    fs::create_dir_all(workspace::target())?;
    fs::write(&left_out, "")?;
    let begin = Instant::now();
    let mut suite = Suite {
        options,
        steps: Vec::new(),
        counts: Counts::default(),
    };

    suite.step("debian", |_| install());
    suite.step("tools", |_| {
        tools::python()
            .and_then(|_| tools::componentize_qjs())
            .map(drop)
    });
    suite.step("fmt", |_| fmt());
    suite.step("guests", |_| guests::build(&[]).map(drop));
    suite.step("build", |_| {
        run(cargo().arg("build").args(EVERYTHING))?;
        EVERYTHING_IS_BUILT.store(true, Ordering::Relaxed);
        Ok(())
    });
    suite.step("bindings", |_| bindings::bindings(true));
    suite.step("schema", |_| schema::schema(true));
    suite.step("clippy", |_| {
        run(cargo()
            .args(["clippy", "--all-targets", "--workspace", "--release"])
            .args(["--", "-D", "warnings"]))
    });
    suite.step("docs", |_| {
        // naming the examples makes cargo resolve features as it did for clippy, whose work is then used again
        run(cargo()
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--quiet", "--workspace", "--no-deps", "--release"])
            .args(["--lib", "--bins", "--examples"]))
    });
    suite.step("tests", |counts| tests(counts, &left_out));
    suite.step("doc-tests", doc_tests);
    suite.step("soak", |_| soak(SOAK));
    // a seed of its own, so that a smoke is the same one each time
    suite.step("fuzz", |_| fuzz::fuzz(options.fuzz_seconds, None, 1));

    suite.close(ci, begin.elapsed(), &fs::read_to_string(&left_out)?)
}

/// The tests that take as long as they are told, each alone.
pub(crate) fn soak(seconds: u64) -> Result<()> {
    run(cargo()
        .env("SWITCHHOOK_SOAK", seconds.to_string())
        .args(["test", "--quiet"])
        .args(EVERYTHING)
        .args([
            "soak::",
            "--",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ]))
}

impl Suite<'_> {
    fn step(&mut self, name: &'static str, work: impl FnOnce(&Counts) -> Result<()>) {
        if !self.options.only.is_empty() && !self.options.only.iter().any(|only| only == name) {
            self.steps.push(Step {
                name,
                outcome: Outcome::LeftOut("not among --only".into()),
                took: Duration::ZERO,
            });
            return;
        }
        eprintln!("\n==> {name}");
        let begin = Instant::now();
        let outcome = match work(&self.counts) {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("{name}: {error:#}");
                Outcome::Failed(format!("{error:#}"))
            }
        };
        self.steps.push(Step {
            name,
            outcome,
            took: begin.elapsed(),
        });
    }

    /// The summary: what ran, what failed, what was left out and why.
    fn close(self, ci: bool, took: Duration, left_out: &str) -> Result<()> {
        let mut passed = self.counts.passed.load(Ordering::Relaxed);
        let mut failed = self.counts.failed.load(Ordering::Relaxed);
        println!("\nSummary");
        for step in &self.steps {
            let seconds = step.took.as_secs_f64();
            match &step.outcome {
                Outcome::Passed => {
                    passed += 1;
                    println!("  passed    {:10} {seconds:7.1} s", step.name);
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    println!(
                        "  FAILED    {:10} {seconds:7.1} s  {}",
                        step.name,
                        why.lines().next().unwrap_or_default()
                    );
                }
                Outcome::LeftOut(why) => {
                    failed += usize::from(ci);
                    println!("  left out  {:10}            {why}", step.name);
                }
            }
        }
        for line in left_out.lines() {
            println!("  left out  {line}");
            // tests leave out what is absent only outside CI; data that is not ours to bring is the exception
            failed += usize::from(ci && !line.contains("../shared"));
        }
        println!("  {:.1} minutes in all", took.as_secs_f64() / 60.0);
        println!("\n{passed} passed, {failed} failed");
        if failed > 0 {
            bail!("the tests failed");
        }
        Ok(())
    }
}

fn install() -> Result<()> {
    debian::need(debian::TESTS)
}

fn fmt() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    // crates that are no members of the workspace
    for guest in guests::all()?
        .iter()
        .filter(|guest| guest.is_rust() && guest.dir.starts_with(workspace::root().join("tests")))
    {
        run(cargo()
            .args(["fmt", "--check", "--manifest-path"])
            .arg(guest.dir.join("Cargo.toml")))?;
    }
    for manifest in fuzz::manifests()? {
        run(cargo()
            .args(["fmt", "--check", "--manifest-path"])
            .arg(manifest))?;
    }
    Ok(())
}

fn tests(counts: &Counts, left_out: &std::path::Path) -> Result<()> {
    let nextest = which("cargo-nextest").is_some();
    let mut command = cargo();
    if nextest {
        command.args(["nextest", "run", "--no-fail-fast", "--color=never"]);
    } else {
        command.args(["test", "--no-fail-fast", "--color=never"]);
    }
    command.args(EVERYTHING);
    command
        .env("SWITCHHOOK_LEFT_OUT", left_out)
        .env("SWITCHHOOK_PYTHON", tools::python()?);
    let status = watch(&mut command, |line| {
        if nextest {
            counts.nextest(line)
        } else {
            counts.cargo_test(line)
        }
    })?;
    ensure!(status.success(), "tests failed: see above");
    ensure!(counts.passed.load(Ordering::Relaxed) > 0, "no test was run");
    Ok(())
}

fn doc_tests(counts: &Counts) -> Result<()> {
    let mut command = cargo();
    command.args([
        "test",
        "--workspace",
        "--release",
        "--no-fail-fast",
        "--doc",
        "--color=never",
    ]);
    let status = watch(&mut command, |line| counts.cargo_test(line))?;
    ensure!(status.success(), "doc tests failed: see above");
    Ok(())
}

impl Counts {
    /// `Summary [ 1.2s] 20 tests run: 18 passed (1 slow), 2 failed, 3 skipped`
    fn nextest(&self, line: &str) {
        if let Some((_, results)) = line
            .trim_start()
            .strip_prefix("Summary [")
            .and_then(|rest| rest.split_once("run:"))
        {
            self.add(results.split(','));
        }
    }

    /// `test result: ok. 3 passed; 0 failed; 0 ignored; ...`
    fn cargo_test(&self, line: &str) {
        if let Some((_, results)) = line
            .strip_prefix("test result:")
            .and_then(|rest| rest.split_once(". "))
        {
            self.add(results.split(';'));
        }
    }

    fn add<'a>(&self, parts: impl Iterator<Item = &'a str>) {
        for part in parts {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (
                words.next().and_then(|word| word.parse().ok()),
                words.next(),
            ) else {
                continue;
            };
            match what {
                "passed" => self.passed.fetch_add(count, Ordering::Relaxed),
                "failed" | "timed" | "exec" => self.failed.fetch_add(count, Ordering::Relaxed),
                _ => 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(read: impl Fn(&Counts)) -> (usize, usize) {
        let counts = Counts::default();
        read(&counts);
        (counts.passed.into_inner(), counts.failed.into_inner())
    }

    #[test]
    fn both_runners_summaries_are_counted() {
        let nextest = "     Summary [  12.345s] 20 tests run: 17 passed (1 slow), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(counted(|counts| counts.nextest(nextest)), (17, 3));
        let test = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(counted(|counts| counts.cargo_test(test)), (3, 1));
    }
}
