//! Emulated phones: a load and verification tool for SIP servers, `switchhook phones`.
//!
//! Thousands of phones in one process, on one thread: they register, call each other, hold, transfer, hang up and message as a
//! [`Scenario`] says, in closed or open loop. Both ends of each call are here, so every message that arrives is compared with
//! the one that was sent; a call has a verdict, and a failed one a [`Reason`].
//!
//! From top to bottom: [`args`] the command line, `run` a whole run, `scenario` what the phones do, `drive` the loop, `engine` the phones,
//! `line` their sockets, `wire` and `template` messages, `report` what came of it. Reads messages and answers challenges with code of
//! its own, apart from the server's that it tests.

pub mod args;
mod digest;
mod drive;
mod engine;
mod ids;
mod line;
mod options;
mod pace;
mod progress;
mod report;
mod run;
mod scenario;
mod stats;
mod template;
mod verdict;
mod wire;

pub use args::Args;
pub use options::Options;
pub use pace::{End, Load};
pub use report::{
    Example, FailureFigures, Latency, Point, Report, RequestFigures, SecondFigures, Whole,
};
pub use run::RunError;
pub use scenario::{Dial, Scenario, ScenarioError};
pub use verdict::Reason;

/// Runs a scenario to its end, without telling anyone how it goes.
pub fn run(scenario: &Scenario, options: &Options) -> Result<Report, RunError> {
    run::run(scenario, options, &mut run::Nobody)
}
