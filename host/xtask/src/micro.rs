//! The criterion benches of every crate that has some, then one table of what they measured; ARCHITECTURE.md's budget of time is kept
//! from it.

use std::fs;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail, ensure};

use crate::run::{cargo, watch};
use crate::workspace;

/// The lines of ARCHITECTURE.md between which `--write` renews figures.
const BEGIN: &str = "<!-- budget: begin -->";
const END: &str = "<!-- budget: end -->";
/// Stands for a bench in the row of all pieces that a relayed message is made of.
const SUM: &str = "sum";

/// Run them: `[FILTER] [--write]`, the filter is criterion's.
pub(crate) fn micro(args: &[String]) -> Result<()> {
    let (options, filters): (Vec<&str>, Vec<&str>) = args
        .iter()
        .map(String::as_str)
        .partition(|arg| arg.starts_with("--"));
    let write = match options.as_slice() {
        [] => false,
        ["--write"] => true,
        other => bail!("`bench micro` knows --write, not {}", other.join(" ")),
    };
    let filter = match filters.as_slice() {
        [] => None,
        [one] => Some(*one),
        more => bail!("one filter at a time, not {}", more.join(" ")),
    };
    let measured = run(filter)?;
    let width = measured.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0);
    println!();
    for (name, time) in &measured {
        println!("{name:width$}  {time}");
    }
    if write {
        let document = workspace::root().join("ARCHITECTURE.md");
        let text = fs::read_to_string(&document)?;
        fs::write(&document, budget(&text, &measured)?)?;
        println!("\nwritten: {}", document.display());
    }
    Ok(())
}

/// Names of benches and their times, with units.
fn run(filter: Option<&str>) -> Result<Vec<(String, String)>> {
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
    Ok(table.into_inner().unwrap_or_default())
}

/// The document with the figures of its budget (`| piece | us | how often in a relayed message | bench |`) renewed, as far as they were
/// measured, and with the row whose bench is `sum`.
fn budget(document: &str, measured: &[(String, String)]) -> Result<String> {
    let marks = format!("ARCHITECTURE.md has lost {BEGIN} or {END}");
    let (before, rest) = document.split_once(BEGIN).context(marks.clone())?;
    let (table, after) = rest.split_once(END).context(marks)?;
    let mut rows = Vec::new();
    let mut sum = 0.0;
    for row in table.lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, piece, us, times, bench, _] = cells.as_slice() else {
            rows.push(row.to_owned());
            continue;
        };
        let new = match measured.iter().find(|(name, _)| name == bench) {
            Some((_, time)) => Some(format!("{:.2}", microseconds(time)?)),
            None => (*bench == SUM).then(|| format!("{sum:.1}")),
        };
        let us = new.as_deref().unwrap_or(us);
        if let (Ok(us), Ok(times)) = (us.parse::<f64>(), times.parse::<f64>()) {
            sum += us * times;
        }
        rows.push(match new {
            Some(us) => format!("| {piece} | {us} | {times} | {bench} |"),
            None => row.to_owned(),
        });
    }
    Ok(format!("{before}{BEGIN}{}\n{END}{after}", rows.join("\n")))
}

/// `350.2 ns` -> 0.35.
fn microseconds(time: &str) -> Result<f64> {
    let (value, unit) = time.split_once(' ').context("no unit")?;
    let value: f64 = value.parse()?;
    Ok(match unit {
        "ps" => value / 1e6,
        "ns" => value / 1e3,
        "µs" | "us" => value,
        "ms" => value * 1e3,
        "s" => value * 1e6,
        other => bail!("criterion's unit {other} is new here"),
    })
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
    fn the_budget_keeps_what_was_not_measured_and_adds_up() {
        let document = "# A\n<!-- budget: begin -->\n| Piece | us | Times | Bench |\n|---|---|---|---|\n| index | 9 | 2 | message/index |\n\
             | render | 0.05 |  | message/render |\n| send | 1.5 | 1 | kernel/out |\n| all | 99 |  | sum |\n<!-- budget: end -->\nmore\n";
        let measured = [("message/index".to_owned(), "351.20 ns".to_owned())];
        assert_eq!(
            budget(document, &measured).unwrap(),
            document
                .replace("| 9 |", "| 0.35 |")
                .replace("| 99 |", "| 2.2 |")
        );
        assert!(budget("# A", &measured).is_err());
    }

    #[test]
    fn the_estimate_is_the_middle_of_the_bounds() {
        assert_eq!(middle(" [1.0 us 1.1 us 1.2 us]").as_deref(), Some("1.1 us"));
        assert_eq!(middle("nothing"), None);
    }
}
