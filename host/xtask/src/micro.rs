//! The criterion benches of every crate that has some, then one table of what they measured.

use std::fs;
use std::sync::Mutex;

use anyhow::{Result, ensure};

use crate::run::{cargo, watch};
use crate::workspace;

/// Run them; `filter` is criterion's.
pub(crate) fn micro(filter: Option<&str>) -> Result<()> {
    let names = benches()?;
    ensure!(!names.is_empty(), "no crate has a benches folder");
    let table = Mutex::new(Vec::new());
    let last = Mutex::new(String::new());
    for name in &names {
        // of the whole workspace, so that features are those of the tests and wasmtime is not compiled again
        let mut command = cargo();
        command
            .args(["bench", "--workspace", "--profile", "release", "--bench"])
            .args([name, "--"])
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
        ensure!(status.success(), "the benchmark {name} ended with {status}");
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

/// Names of the benchmarks of the crates in host/.
fn benches() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace::root().join("host"))? {
        let Ok(files) = fs::read_dir(entry?.path().join("benches")) else {
            continue;
        };
        for file in files {
            let path = file?.path();
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
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
