//! Where and with what it is measured: a number without these means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use crate::results::Setting;
use crate::rounds::Plan;
use crate::servers::version;

/// This machine, these programs, this plan, today.
pub(crate) fn setting(daemon: &Path, plan: Plan) -> Result<Setting> {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = thread::available_parallelism()?;
    let date = Command::new("date").args(["--utc", "+%Y-%m-%d"]).output()?;
    // others at work on the machine disturb: the reader must know how many
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    // no version of kernel's vendor: the first words say all that matters
    let kernel: String = kernel.trim().chars().take_while(|c| *c != '-').collect();
    Ok(Setting {
        machine: format!(
            "{} ({cores} cores), Linux {kernel}, load average {load} before we began",
            model(&processor).unwrap_or("unknown processor")
        ),
        versions: format!(
            "Kamailio {} -x fm -X fm, Switchhook {}",
            version("kamailio", "-v")
                .context("install Debian's kamailio and kamailio-lua-modules")?,
            version(daemon, "--version")?
        ),
        plan: format!(
            "{} rounds of {} s after {} s of warm-up",
            plan.rounds, plan.seconds, plan.warmup
        ),
        date: String::from_utf8_lossy(&date.stdout).trim().to_owned(),
    })
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_s_name_is_found() {
        assert_eq!(
            model("processor\t: 0\nmodel name\t: Fast One\n"),
            Some("Fast One")
        );
        assert_eq!(model(""), None);
    }
}
