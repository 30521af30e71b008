//! What Switchhook does at scale: memory, a million contacts, two lanes, too much load; and what Wasm takes of a message. Each part is a few figures beside what
//! they should be.

mod dmq;
mod erlang;
mod lanes;
mod memory;
mod million;
mod overload;
mod wasm;

use anyhow::Result;
use clap::ValueEnum;

use crate::load::Caller;
use crate::results::Line;
use crate::servers::{Setup, Side, Stable};
use crate::works::Work;

/// Sockets of each role of the phones at most.
pub(crate) const SOCKETS: u16 = 32;

/// A part, by its name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Bytes of a contact and of a transaction that has ended.
    Memory,
    /// A million contacts: registering, looking up, expiring.
    Million,
    /// One lane and two.
    Lanes,
    /// Twice the load that can be carried, for a minute.
    Overload,
    /// The bus: joining, and updates.
    Dmq,
    /// Wasm's share of a relayed MESSAGE.
    Wasm,
    /// The Erlang node: messages and calls.
    Erlang,
}

impl Part {
    /// Its name on the command line and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Memory => "memory",
            Part::Million => "million",
            Part::Lanes => "lanes",
            Part::Overload => "overload",
            Part::Dmq => "dmq",
            Part::Wasm => "wasm",
            Part::Erlang => "erlang",
        }
    }

    /// Measure it, so often what is measured in turns.
    pub(crate) fn measure(
        self,
        stable: &Stable,
        caller: &Caller,
        rounds: usize,
    ) -> Result<Vec<Line>> {
        match self {
            Part::Memory => memory::measure(stable, caller),
            Part::Million => million::measure(stable, caller),
            Part::Lanes => lanes::measure(stable, caller),
            Part::Overload => overload::measure(stable, caller),
            Part::Dmq => dmq::measure(stable, rounds),
            Part::Wasm => wasm::measure(stable),
            Part::Erlang => erlang::measure(stable, caller),
        }
    }
}

/// How a server is started for a work.
fn setup(side: Side, work: Work, sets: &[&str]) -> Setup {
    Setup {
        side,
        script: work.script(),
        users: 0,
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        nice: 0,
    }
}
