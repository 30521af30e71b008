//! What is kept of the measurements: medians with their spread, as JSON, from which every report is made.
//!
//! A run of some parts replaces those parts in a file and leaves the others, so that docs/performance.json can be brought up to
//! date piece by piece; each part says on what and with which versions it was measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::load::Measured;
use crate::rounds::Course;
use crate::servers::Side;
use crate::stats::{Spread, ratio};
use crate::works::Work;

/// All parts that were measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Results {
    /// The comparison, work by work, by name.
    pub(crate) works: BTreeMap<String, Comparison>,
    /// Figures of the other parts: part, then figure.
    pub(crate) parts: BTreeMap<String, Part>,
}

/// Where and with what it was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    /// Processor, number of cores, kernel.
    pub(crate) machine: String,
    /// Programs and their versions.
    pub(crate) versions: String,
    /// How much was measured.
    pub(crate) plan: String,
    /// `YYYY-MM-DD`, UTC.
    pub(crate) date: String,
}

/// One work on all sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// Where and how.
    pub(crate) setting: Setting,
    /// Everyone who took part.
    pub(crate) sides: Vec<Bill>,
    /// What the kernel takes for the datagrams of one of it, microseconds; half of it for each echo.
    pub(crate) floor_us: Option<f64>,
}

/// One side of a work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bill {
    /// Whose.
    pub(crate) side: Side,
    /// Processor microseconds a transaction, as fast as it goes.
    pub(crate) cpu_us: Spread,
    /// The same with the clean-up of transactions.
    pub(crate) whole_us: Option<f64>,
    /// To Kamailio's native script, round by round.
    pub(crate) ratio: Option<Spread>,
    /// Transactions a second.
    pub(crate) rate: Spread,
    /// Microseconds, as fast as it goes.
    pub(crate) full: Percentiles,
    /// Microseconds, at half of the rate of Kamailio's native script.
    pub(crate) half: Option<Percentiles>,
    /// Processor microseconds a transaction at that rate.
    pub(crate) half_cpu_us: Option<Spread>,
    /// MiB before and after.
    pub(crate) memory_mib: (f64, f64),
    /// Calls that failed, of all rounds.
    pub(crate) failed: u64,
}

/// Medians of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// The figures of another part, each a line of its table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Where and how.
    pub(crate) setting: Setting,
    /// In the order of the table.
    pub(crate) lines: Vec<Line>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// What was measured.
    pub(crate) what: String,
    /// The value with its unit.
    pub(crate) value: String,
    /// The target, where there is one.
    pub(crate) target: Option<String>,
    /// Whether it holds.
    pub(crate) holds: Option<bool>,
}

impl Line {
    /// A figure without a target.
    pub(crate) fn plain(what: impl Into<String>, value: impl Into<String>) -> Line {
        Line {
            what: what.into(),
            value: value.into(),
            target: None,
            holds: None,
        }
    }

    /// A figure that is to be no more than `most`; `show` writes both.
    pub(crate) fn at_most(
        what: impl Into<String>,
        value: f64,
        most: f64,
        show: impl Fn(f64) -> String,
    ) -> Line {
        Line {
            what: what.into(),
            value: show(value),
            target: Some(format!("<= {}", show(most))),
            holds: Some(value <= most),
        }
    }

    /// A figure that is to be no less than `least`.
    pub(crate) fn at_least(
        what: impl Into<String>,
        value: f64,
        least: f64,
        show: impl Fn(f64) -> String,
    ) -> Line {
        Line {
            what: what.into(),
            value: show(value),
            target: Some(format!(">= {}", show(least))),
            holds: Some(value >= least),
        }
    }
}

impl Comparison {
    /// From what was measured.
    pub(crate) fn of(work: Work, courses: &[Course], setting: Setting) -> Comparison {
        let cpu = |course: &Course| course.full.iter().map(Measured::cpu_us).collect::<Vec<_>>();
        let native = courses
            .iter()
            .find(|course| course.side == Side::Native)
            .map(cpu);
        let echo = courses
            .iter()
            .find(|course| course.side == Side::Echo)
            .map(cpu);
        Comparison {
            setting,
            sides: courses
                .iter()
                .filter(|course| course.side != Side::Echo)
                .filter_map(|course| Bill::of(course, native.as_deref()))
                .collect(),
            floor_us: echo
                .and_then(Spread::of)
                .map(|echo| echo.median * work.echoes()),
        }
    }

    /// The bill of one side.
    pub(crate) fn bill(&self, side: Side) -> Option<&Bill> {
        self.sides.iter().find(|bill| bill.side == side)
    }

    /// Switchhook's part of what Kamailio's native script takes, clean-up on the bill where it was measured: what the target
    /// is about.
    pub(crate) fn verdict(&self) -> Option<f64> {
        let (ours, native) = (self.bill(Side::Switchhook)?, self.bill(Side::Native)?);
        let whole = ours
            .whole_us
            .zip(native.whole_us)
            .map(|(ours, native)| ours / native);
        let window = ours.ratio.map(|ratio| ratio.median);
        // the worse of the two
        match (whole, window) {
            (Some(whole), Some(window)) => Some(whole.max(window)),
            (whole, window) => whole.or(window),
        }
    }
}

impl Bill {
    fn of(course: &Course, native: Option<&[f64]>) -> Option<Bill> {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let cpu: Vec<f64> = course.full.iter().map(Measured::cpu_us).collect();
        let cpu_us = Spread::of(cpu.iter().copied())?;
        Some(Bill {
            side: course.side,
            cpu_us,
            whole_us: course.clean_up_us.map(|clean_up| cpu_us.median + clean_up),
            ratio: native.and_then(|native| ratio(&cpu, native)),
            rate: Spread::of(course.full.iter().map(|round| round.figures.rate))?,
            full: Percentiles::of(&course.full)?,
            half: Percentiles::of(&course.half),
            half_cpu_us: Spread::of(course.half.iter().map(Measured::cpu_us)),
            memory_mib: (mib(course.memory_before), mib(course.memory_after)),
            failed: course
                .full
                .iter()
                .chain(&course.half)
                .map(|round| round.figures.failed)
                .sum(),
        })
    }
}

impl Percentiles {
    fn of(rounds: &[Measured]) -> Option<Percentiles> {
        let median = |pick: fn(&Measured) -> f64| Some(Spread::of(rounds.iter().map(pick))?.median);
        Some(Percentiles {
            p50: median(|round| round.figures.latency_us.p50)?,
            p99: median(|round| round.figures.latency_us.p99)?,
            p999: median(|round| round.figures.latency_us.p999)?,
        })
    }
}

impl Results {
    /// Those of a file; none where it is not there.
    pub(crate) fn read(file: &Path) -> Result<Results> {
        let Ok(text) = fs::read_to_string(file) else {
            return Ok(Results::default());
        };
        serde_json::from_str(&text).with_context(|| format!("{} cannot be read", file.display()))
    }

    /// Write them.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// These in place of what was there of the same works and parts.
    pub(crate) fn renew(mut self, newer: Results) -> Results {
        self.works.extend(newer.works);
        self.parts.extend(newer.parts);
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::load::{Figures, Latency};

    fn round(cpu_us: f64, p99: f64) -> Measured {
        Measured {
            cpu: cpu_us * 1000.0 / 1e6,
            figures: Figures {
                seconds: 1.0,
                completed: 1000,
                rate: 1000.0,
                latency_us: Latency {
                    p50: 10.0,
                    p99,
                    p999: 300.0,
                },
                ..Figures::default()
            },
        }
    }

    fn course(side: Side, cpu_us: [f64; 3], clean_up_us: Option<f64>) -> Course {
        Course {
            side,
            full: cpu_us.map(|us| round(us, 100.0)).to_vec(),
            half: vec![round(50.0, 80.0)],
            clean_up_us,
            memory_before: 1 << 20,
            memory_after: 3 << 20,
        }
    }

    /// A comparison in which we take 0.4 while it lasts and 0.5 with clean-up.
    pub(crate) fn comparison() -> Comparison {
        let courses = [
            course(Side::Native, [50.0, 100.0, 51.0], Some(9.0)),
            course(Side::Switchhook, [20.0, 40.0, 20.4], Some(9.6)),
            course(Side::Echo, [4.0, 4.0, 8.0], None),
        ];
        Comparison::of(Work::Message, &courses, Setting::default())
    }

    #[test]
    fn the_worse_of_the_two_ratios_is_the_verdict() {
        let comparison = comparison();
        let ours = comparison.bill(Side::Switchhook).unwrap();
        assert_eq!(
            (ours.cpu_us.median, ours.ratio.unwrap().median),
            (20.4, 0.4)
        );
        assert_eq!(comparison.verdict(), Some(0.5));
        assert_eq!(comparison.floor_us, Some(8.0), "two echoes");
        assert_eq!(ours.memory_mib, (1.0, 3.0));
    }

    #[test]
    fn a_later_run_replaces_its_own_parts_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.json");
        assert_eq!(Results::read(&file).unwrap(), Results::default());

        let mut first = Results::default();
        first.works.insert("message".into(), comparison());
        first.parts.insert("memory".into(), Part::default());
        first.write(&file).unwrap();
        let mut second = Results::default();
        let lines = vec![Line::at_most("a contact", 400.0, 500.0, |v| {
            format!("{v} B")
        })];
        second.parts.insert(
            "memory".into(),
            Part {
                lines,
                ..Part::default()
            },
        );
        let both = Results::read(&file).unwrap().renew(second);
        assert_eq!(both.works.len(), 1);
        let line = &both.parts["memory"].lines[0];
        assert_eq!(
            (line.holds, line.target.as_deref()),
            (Some(true), Some("<= 500 B"))
        );
    }
}
