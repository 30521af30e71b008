//! Random schedules: callers and callees with transactions of their own, a proxy with a moody script in the middle, and a network
//! that loses, doubles and reorders. Whatever happens, each request ends exactly once at its caller, and nothing is left.
//!
//! A run is made from its seed alone; a failure names it.

mod callees;
mod callers;
mod network;
mod outputs;
mod rng;
mod script;
mod world;

use network::Net;
use world::World;

const SEEDS: u64 = 4_000;

#[test]
fn a_perfect_network() {
    run_all(0..SEEDS, Net { loss: 0, double: 0 });
}

#[test]
fn a_network_that_loses() {
    run_all(
        10_000..10_000 + SEEDS,
        Net {
            loss: 20,
            double: 0,
        },
    );
}

#[test]
fn a_network_that_loses_doubles_and_reorders() {
    run_all(
        20_000..20_000 + SEEDS,
        Net {
            loss: 15,
            double: 25,
        },
    );
}

/// Runs each seed and names the one that fails.
fn run_all(seeds: std::ops::Range<u64>, net: Net) {
    for seed in seeds {
        let run = std::panic::catch_unwind(|| World::new(seed, net).run());
        assert!(run.is_ok(), "seed {seed} failed, with {net:?}");
    }
}
