//! One lane beside two. Load and server share processors here, so throughput says nothing; what is compared is processor time: two
//! lanes carry `2 x (time a call of one lane / time a call of two)` times what one carries, as long as nothing else limits
//! them.
//!
//! Each lane has the same to put up with: one shares one processor with its load, two share two with twice that load. A lane that has a processor to itself would be
//! compared with two that have not, and one that is always busy with two that sleep and wake between batches.

use anyhow::{Context, Result};

use crate::load::{Caller, Measured};
use crate::results::Line;
use crate::servers::{Side, Stable};
use crate::stats::Spread;
use crate::works::Work;

const ROUNDS: usize = 5;
/// The processors of one lane and of two.
const CPUS: [&str; 2] = ["1", "0,1"];
/// Calls at once, of one lane and of two.
const CALLS: [&str; 2] = ["32", "64"];

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let many = super::SOCKETS.to_string();
    for work in [Work::Options, Work::Message, Work::Call] {
        let mut times = Vec::new();
        let [first, second] = CPUS;
        let start = |cpus, lanes| {
            stable
                .on(cpus)
                .start(&super::setup(Side::Switchhook, work, &[lanes]))
        };
        let servers = [start(first, "sip.lanes=1")?, start(second, "sip.lanes=2")?];
        for _ in 0..ROUNDS {
            for ((server, cpus), calls) in servers.iter().zip(CPUS).zip(CALLS) {
                let caller = caller.on(cpus);
                let mut phones = caller.phones(server, work);
                phones
                    .args(["--users", &many, "--sockets", &many, "--concurrency", calls])
                    .args(["--duration", "4s", "--warmup", "1s"])
                    .args(work.arguments());
                times.push(caller.run(server, &mut phones)?);
            }
        }
        let time = |first: usize| {
            let rounds = times.iter().skip(first).step_by(2);
            Some(Spread::of(rounds.map(Measured::cpu_us))?.median)
        };
        let (one, two) = time(0).zip(time(1)).context("nothing was measured")?;
        lines.push(Line::plain(
            format!("{}, one lane and two", work.title()),
            format!("{one:.1} us, {two:.1} us"),
        ));
        lines.push(Line::at_least(
            format!("{}, two lanes carry", work.title()),
            2.0 * one / two,
            1.8,
            |times| format!("{times:.2} times one"),
        ));
    }
    Ok(lines)
}
