//! The reports for people: tables for the terminal and the measured part of docs/performance.md.

use std::fmt::Write;

use crate::results::{Bill, Comparison, Results, Setting};
use crate::servers::Side;
use crate::works::Work;

/// The lines between which docs/performance.md is written anew.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Everything that was measured, in the order of the works, as Markdown tables; readable on a terminal too.
pub(crate) fn tables(results: &Results, works: &[Work]) -> String {
    let measured: Vec<(Work, &Comparison)> = works
        .iter()
        .filter_map(|work| Some((*work, results.works.get(work.name())?)))
        .collect();
    let mut text = String::new();
    if !measured.is_empty() {
        text += "### CPU per transaction\n\n";
        text += &cpu(&measured);
        text += "\n### Latency and memory\n\n";
        text += &latency(&measured);
    }
    for (name, part) in &results.parts {
        let _ = write!(text, "\n### {}\n\n", title(name));
        let rows = part.lines.iter().map(|line| {
            vec![
                line.what.clone(),
                line.value.clone(),
                line.target.clone().unwrap_or_default(),
                match line.holds {
                    Some(true) => "yes".to_owned(),
                    Some(false) => "**no**".to_owned(),
                    None => String::new(),
                },
            ]
        });
        text += &table(&["What", "Measured", "Target", "Holds"], rows);
    }
    text += "\n### Where and how\n\n";
    for setting in settings(results) {
        let Setting {
            machine,
            versions,
            plan,
            date,
        } = &setting.1;
        let _ = writeln!(
            text,
            "- {}: {date}, {machine}; {versions}; {plan}",
            setting.0.join(", ")
        );
    }
    text
}

/// Which parts were measured in which setting; a setting is told once.
fn settings(results: &Results) -> Vec<(Vec<&str>, Setting)> {
    let works = results
        .works
        .iter()
        .map(|(name, work)| (name, &work.setting));
    let parts = results
        .parts
        .iter()
        .map(|(name, part)| (name, &part.setting));
    let mut told: Vec<(Vec<&str>, Setting)> = Vec::new();
    for (name, setting) in works.chain(parts) {
        match told.iter_mut().find(|(_, known)| known == setting) {
            Some((names, _)) => names.push(name),
            None => told.push((vec![name], setting.clone())),
        }
    }
    told
}

fn cpu(measured: &[(Work, &Comparison)]) -> String {
    let rows = measured.iter().map(|(work, comparison)| {
        let of = |side: Side| comparison.bill(side);
        let ours = of(Side::Switchhook);
        let native = of(Side::Native);
        let floor = comparison
            .floor_us
            .zip(native)
            .map(|(floor, native)| format!("{:.2}", floor / native.cpu_us.median));
        let verdict = comparison.verdict();
        vec![
            work.title().to_owned(),
            native.map(us).unwrap_or_default(),
            of(Side::Lua).map(us).unwrap_or_default(),
            ours.map(us).unwrap_or_default(),
            ours.and_then(|bill| bill.ratio)
                .map(|ratio| {
                    format!(
                        "{:.2} ({:.2} - {:.2})",
                        ratio.median, ratio.least, ratio.most
                    )
                })
                .unwrap_or_default(),
            verdict
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default(),
            format!("{:.2}", work.target()),
            match verdict {
                Some(ratio) if ratio <= work.target() => "yes".to_owned(),
                Some(_) => "**no**".to_owned(),
                None => String::new(),
            },
            floor.unwrap_or_default(),
        ]
    });
    table(
        &[
            "Work",
            "Kamailio, us",
            "its Lua, us",
            "Switchhook, us",
            "ratio (least - most)",
            "with clean-up",
            "target",
            "holds",
            "kernel",
        ],
        rows,
    )
}

/// `20.4 (25.0)`: in the measured time, and with clean-up.
fn us(bill: &Bill) -> String {
    let mut text = format!("{:.1}", bill.cpu_us.median);
    if let Some(whole) = bill.whole_us {
        let _ = write!(text, " ({whole:.1})");
    }
    text
}

fn latency(measured: &[(Work, &Comparison)]) -> String {
    let rows = measured.iter().flat_map(|(work, comparison)| {
        comparison.sides.iter().map(|bill| {
            let (before, after) = bill.memory_mib;
            let three = |p: crate::results::Percentiles| {
                format!("{:.0} / {:.0} / {:.0}", p.p50, p.p99, p.p999)
            };
            vec![
                work.title().to_owned(),
                bill.side.title().to_owned(),
                format!("{:.0}", bill.rate.median),
                three(bill.full),
                bill.half.map(three).unwrap_or_default(),
                bill.half_cpu_us
                    .map(|cpu| format!("{:.1}", cpu.median))
                    .unwrap_or_default(),
                format!("{before:.0} - {after:.0}"),
                bill.failed.to_string(),
            ]
        })
    });
    table(
        &[
            "Work",
            "Server",
            "rate/s",
            "p50 / p99 / p99.9 us",
            "the same at half load",
            "CPU us there",
            "MiB",
            "failed",
        ],
        rows,
    )
}

/// A part's name as a heading.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A Markdown table with columns as wide as their widest cell.
fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .chain([head])
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let mut text = String::from("|");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, " {cell:width$} |");
        }
        text + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let body: String = rows.iter().map(|row| line(row)).collect();
    line(&heads) + &line(&rule) + &body
}

/// `document` with `measured` in place of what stands between its two marks; none where it has no marks.
pub(crate) fn renew(document: &str, measured: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::comparison;

    #[test]
    fn a_table_tells_who_takes_what_and_whether_the_target_holds() {
        let mut results = Results::default();
        results.works.insert("message".into(), comparison());
        let text = tables(&results, &[Work::Options, Work::Message]);
        let row = text
            .lines()
            .find(|line| line.contains("MESSAGE relayed"))
            .unwrap();
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(
            cells,
            [
                "MESSAGE relayed, stateful",
                "51.0 (60.0)",
                "",
                "20.4 (30.0)",
                "0.40 (0.40 - 0.40)",
                "0.50",
                "0.40",
                "**no**",
                "0.16"
            ]
        );
        assert!(
            !text.contains("OPTIONS"),
            "what was not measured has no row"
        );
        assert!(text.contains("| 10 / 100 / 300 "), "{text}");
    }

    #[test]
    fn only_the_measured_part_of_a_document_is_written_anew() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nprose\n");
        let renewed = renew(&document, "new\n").unwrap();
        assert_eq!(
            renewed,
            format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nprose\n")
        );
        assert_eq!(renew("no marks", "new"), None);
    }
}
