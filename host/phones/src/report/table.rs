//! The report for people.

use std::fmt::Write;

use super::{Latency, Report};

impl Report {
    /// A few lines and a table of latencies.
    pub fn to_table(&self) -> String {
        let mut out = String::new();
        // writing into a String does not fail
        let _ = self.table(&mut out);
        out
    }

    fn table(&self, out: &mut String) -> std::fmt::Result {
        let load = match (self.concurrency, self.rate_asked) {
            (Some(most), _) => format!("{most} at once"),
            (_, Some(rate)) => format!("{rate} a second asked for"),
            _ => String::new(),
        };
        writeln!(
            out,
            "{} to {}, {load}",
            self.scenario,
            self.targets.join(", ")
        )?;
        writeln!(
            out,
            "  calls      {} good, {} failed of {} in {:.2} s: {:.1} a second",
            self.completed, self.failed, self.offered, self.seconds, self.rate
        )?;
        writeln!(
            out,
            "  messages   {} sent, {} received; again: {} sent, {} received; strays: {}",
            self.messages_sent,
            self.messages_received,
            self.retransmissions,
            self.retransmissions_received,
            self.strays
        )?;
        let share = 100.0 * self.cpu_seconds / self.seconds.max(1e-9);
        writeln!(
            out,
            "  this tool  {:.2} s of processor time, {share:.0} %",
            self.cpu_seconds
        )?;
        if self.refused > 0 {
            writeln!(out, "  refused    {} datagrams by the system", self.refused)?;
        }
        self.latencies(out)?;
        for failure in &self.failures {
            writeln!(
                out,
                "\n{} x {} at step {}",
                failure.count, failure.reason, failure.step
            )?;
            writeln!(out, "  {}", failure.example.detail)?;
            if !failure.example.call_id.is_empty() {
                writeln!(out, "  such as the call {}", failure.example.call_id)?;
            }
        }
        Ok(())
    }

    fn latencies(&self, out: &mut String) -> std::fmt::Result {
        let mut rows = vec![("whole call", self.completed, &self.latency_us)];
        if self.requests.len() > 1 {
            let requests = self.requests.iter();
            rows.extend(
                requests.map(|request| (request.name.as_str(), request.count, &request.latency_us)),
            );
        }
        let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let pad = "";
        writeln!(
            out,
            "\n  {pad:width$} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "count", "min", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for (name, count, latency) in rows {
            let Latency {
                min,
                p50,
                p90,
                p99,
                p999,
                max,
                ..
            } = latency;
            write!(out, "  {name:width$} {count:>9}")?;
            for value in [min, p50, p90, p99, p999, max] {
                write!(out, " {:>9}", time(*value))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Whole microseconds, milliseconds or seconds, for an axis.
pub(super) fn round(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} us"),
        1000..1_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

/// Microseconds, as people read them.
fn time(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} us"),
        1000..1_000_000 => format!("{:.2} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}
