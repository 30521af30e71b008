//! Twice the load that can be carried, for a minute: what still gets through, and how soon all is well again.
//!
//! One core of load cannot ask for twice what one core of Switchhook carries. So the server gets a quarter of its core: beside
//! it something spins there with three times its weight.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::process::{Child, Command};

use anyhow::Result;

use crate::load::{Caller, Figures, Pace, Second};
use crate::results::Line;
use crate::rounds::AT_ONCE;
use crate::servers::{Setup, Side, Stable};
use crate::works::Work;

const WORK: Work = Work::Call;
const SECONDS: f64 = 60.0;

/// How much the server steps back: weight 335 of the scheduler, to 1024 of what spins.
const BACK: u8 = 5;

/// How long half load is looked at, before the flood and after it.
const HALF_SECONDS: f64 = 20.0;

/// How many times the usual p99 at half load still counts as well.
const WELL: f64 = 3.0;

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for side in [Side::Switchhook, Side::Native] {
        lines.extend(of(stable, caller, side)?);
    }
    Ok(lines)
}

fn of(stable: &Stable, caller: &Caller, side: Side) -> Result<[Line; 4]> {
    let server = stable.start(&Setup {
        nice: BACK,
        ..super::setup(side, WORK, &[])
    })?;
    let _spin = Spin::start(&stable.cpus)?;
    let peak = caller
        .load(&server, WORK, Pace::Closed(AT_ONCE), 10.0, 2.0)?
        .figures
        .rate;
    let usual = caller.load(&server, WORK, Pace::Rate(peak / 2.0), HALF_SECONDS, 2.0)?;
    let well = well(&usual.figures);
    let over = caller.load(&server, WORK, Pace::Rate(2.0 * peak), SECONDS, 0.0)?;
    let after = caller.load(&server, WORK, Pace::Rate(peak / 2.0), HALF_SECONDS, 0.0)?;
    let figures = &over.figures;
    let asked = figures.offered as f64 / figures.seconds;
    let part = |value: f64| format!("{:.0} % of peak", value * 100.0);
    let name = side.title();
    Ok([
        Line::plain(
            format!("{name}: peak, then asked for, calls a second"),
            format!("{peak:.0}, {asked:.0}"),
        ),
        Line::at_least(
            format!("{name}: goodput in that minute"),
            figures.rate / peak,
            0.9,
            part,
        ),
        Line::plain(
            format!("{name}: calls that failed"),
            reasons(&figures.reasons),
        ),
        Line::at_most(
            format!("{name}: back to normal at half load"),
            back(&after.figures.series, well) as f64,
            5.0,
            |seconds| format!("{seconds:.0} s"),
        ),
    ])
}

/// `status-503 1000, timeout 20`: the most frequent first.
fn reasons(reasons: &BTreeMap<String, u64>) -> String {
    let mut reasons: Vec<_> = reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| Reverse(*count));
    let words = reasons.iter().map(|(why, count)| format!("{why} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

/// Something that takes what it can get of a processor. Ends when dropped.
struct Spin(Child);

impl Spin {
    fn start(cpus: &str) -> Result<Spin> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", cpus]);
        let child = command.arg(std::env::current_exe()?).arg("spin").spawn()?;
        Ok(Spin(child))
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        // it has nothing to finish, and has ended already or ends now
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The p99 of a second, microseconds, up to which all is well: what half load without a flood before it comes to in its worst second is no
/// trace of one.
fn well(usual: &Figures) -> f64 {
    let worst = usual.series.iter().map(|second| second.p99);
    worst.fold(usual.latency_us.p99 * WELL, f64::max)
}

/// Seconds until no call fails any more and p99 is no more than `well` microseconds.
fn back(series: &[Second], well: f64) -> u64 {
    let ill = series
        .iter()
        .rev()
        .find(|second| second.failed > 0 || second.p99 > well);
    ill.map_or(0, |last| last.second + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64, failed: u64, p99: f64) -> Second {
        Second {
            second,
            failed,
            p99,
            ..Second::default()
        }
    }

    #[test]
    fn a_hiccup_that_comes_without_a_flood_too_is_no_trace_of_one() {
        let mut usual = Figures {
            series: vec![second(0, 0, 900.0), second(1, 0, 2000.0)],
            ..Figures::default()
        };
        usual.latency_us.p99 = 1000.0;
        assert_eq!(well(&usual), 3000.0);
        usual.series.push(second(2, 0, 7000.0));
        assert_eq!(well(&usual), 7000.0);
    }

    #[test]
    fn the_last_ill_second_counts() {
        assert_eq!(back(&[second(0, 0, 900.0), second(1, 0, 800.0)], 1000.0), 0);
        let series = [
            second(0, 5, 9e6),
            second(1, 0, 90_000.0),
            second(2, 0, 900.0),
        ];
        assert_eq!(back(&series, 1000.0), 2);
    }
}
