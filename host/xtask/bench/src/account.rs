//! What a running server has cost: processor time from the scheduler's account, memory from its page tables.
//!
//! A server is a process with its children and all their threads. Processor time is the first number of
//! `/proc/PID/task/TID/schedstat`, nanoseconds on a processor in user and kernel mode; what the kernel does on loopback for a
//! datagram that is sent is counted with its sender, on every side of the comparison alike.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The process `root` and its children, recursively.
pub(crate) fn processes(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        at += 1;
        for task in tasks(pid) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{task}/children"));
            found.extend(
                children
                    .unwrap_or_default()
                    .split_whitespace()
                    .filter_map(|word| word.parse::<u32>().ok()),
            );
        }
    }
    found
}

fn tasks(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Processor time that the processes have used since they began.
pub(crate) fn cpu(processes: &[u32]) -> Result<Duration> {
    let mut nanos = 0;
    for pid in processes {
        for task in tasks(*pid) {
            let path = format!("/proc/{pid}/task/{task}/schedstat");
            // a thread may end between the listing and here
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            nanos += on_cpu(&text).with_context(|| format!("{path} reads {text:?}"))?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// `ON-CPU WAITING TIMESLICES` -> nanoseconds on a processor.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// Bytes of memory that the processes hold, pages that they share counted once.
pub(crate) fn memory(processes: &[u32]) -> u64 {
    processes
        .iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok())
        .filter_map(|text| pss(&text))
        .sum()
}

/// `Pss:   1234 kB` -> bytes.
fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_lines_are_read() {
        assert_eq!(on_cpu("543077946 104294 37\n"), Some(543_077_946));
        assert_eq!(
            pss("55d0-7ff Rollup\nRss: 9 kB\nPss:     1234 kB\nPss_Anon: 7 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(pss(""), None);
    }

    #[test]
    fn this_process_is_seen_at_work() {
        let own = processes(std::process::id());
        let before = cpu(&own).unwrap();
        let mut sum = 0_u64;
        while cpu(&own).unwrap() < before + Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(memory(&own) > 4096);
    }
}
