//! The benchmarks: every crate that has some, then one table of what they measured.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Result, ensure};

use crate::run::{cargo, watch};
use crate::workspace;

/// Run them; `filter` is criterion's.
pub(crate) fn bench(filter: Option<&str>) -> Result<()> {
    let crates = crates()?;
    ensure!(!crates.is_empty(), "no crate has a benches folder");
    let table = Mutex::new(Vec::new());
    let last = Mutex::new(String::new());
    for name in &crates {
        let mut command = cargo();
        command
            .args([
                "bench",
                "--package",
                name,
                "--benches",
                "--profile",
                "release",
                "--",
            ])
            .args(filter);
        let status = watch(&mut command, |line| {
            let (Ok(mut table), Ok(mut last)) = (table.lock(), last.lock()) else {
                return;
            };
            match line.split_once("time:") {
                // criterion puts a long name on the line before
                Some((name, time)) => {
                    let name = if name.trim().is_empty() {
                        last.trim()
                    } else {
                        name.trim()
                    };
                    if let Some(middle) = middle(time) {
                        table.push((name.to_owned(), middle));
                    }
                }
                None => line.clone_into(&mut last),
            }
        })?;
        ensure!(
            status.success(),
            "the benchmarks of {name} ended with {status}"
        );
    }
    let table = table.into_inner().unwrap_or_default();
    let width = table.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    println!();
    for (name, time) in table {
        println!("{name:width$}  {time}");
    }
    Ok(())
}

/// `[1.0 us 1.1 us 1.2 us]` -> `1.1 us`: the estimate between its bounds.
fn middle(bounds: &str) -> Option<String> {
    let words: Vec<&str> = bounds
        .trim()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .split_whitespace()
        .collect();
    match words.as_slice() {
        [_, _, value, unit, _, _] => Some(format!("{value} {unit}")),
        _ => None,
    }
}

/// Names of the packages in host/ that have benchmarks.
fn crates() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace::root().join("host"))? {
        let dir = entry?.path();
        if dir.join("benches").is_dir() {
            names.extend(package(&dir.join("Cargo.toml")));
        }
    }
    names.sort();
    Ok(names)
}

/// The first `name = "..."` of a manifest: its package's.
pub(crate) fn package(manifest: &Path) -> Option<String> {
    let text = fs::read_to_string(manifest).ok()?;
    let line = text.lines().find(|line| line.starts_with("name = "))?;
    line.split('"').nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_the_middle_of_the_bounds() {
        assert_eq!(middle(" [1.0 us 1.1 us 1.2 us]").as_deref(), Some("1.1 us"));
        assert_eq!(middle("nothing"), None);
    }
}
