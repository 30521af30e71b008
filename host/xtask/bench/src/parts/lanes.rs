//! One lane beside two. Where load and server share the processors, throughput says nothing, so what is compared is processor
//! time: two lanes carry `2 x (time a call of one lane / time a call of two)` times what one carries, as long as nothing
//! else limits them.

use anyhow::{Context, Result};

use crate::load::{Caller, Measured};
use crate::results::Line;
use crate::servers::{Side, Stable};
use crate::stats::Spread;
use crate::works::Work;

const ROUNDS: usize = 3;

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let many = super::SOCKETS.to_string();
    let all = "0,1";
    let stable = stable.on(all);
    let caller = caller.on(all);
    for work in [Work::Options, Work::Message, Work::Call] {
        let mut times = Vec::new();
        let one = stable.start(&super::setup(Side::Switchhook, work, &["sip.lanes=1"]))?;
        let two = stable.start(&super::setup(Side::Switchhook, work, &["sip.lanes=2"]))?;
        for _ in 0..ROUNDS {
            for server in [&one, &two] {
                let mut phones = caller.phones(server, work);
                // many sources, or the kernel gives all to one lane
                phones
                    .args(["--users", &many, "--sockets", &many, "--concurrency", "64"])
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
