//! Thousands of schedules by seed: writes on both sides of a bad network that splits, nodes killed in mid-sync; after it heals,
//! all nodes are equal within ten seconds, and counters are exact.
//!
//! A failure prints its seed: `SWITCHHOOK_SIM_SEED=n cargo test -p switchhook-dmq --test own schedule` runs that one.
//! `SWITCHHOOK_SIM_RUNS` runs more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use switchhook_dmq::own::repair::{Config, SetId};
use switchhook_dmq::own::version::Value;

use crate::net::{Dice, Net, Weather};

const HT: SetId = SetId(0);
const COUNTERS: SetId = SetId(1);
const SHORT: SetId = SetId(2);
const HOUR: i64 = 3_600_000;

/// All nodes are to be equal so long after healing.
const WITHIN: u64 = 10_000;
/// How much longer than its life a value may be seen: messages on their way in a bad network.
const LATE: u64 = 12_000;

#[derive(Default)]
struct Wrote {
    /// Added by each life of each node.
    added: BTreeMap<(usize, u64, String), i64>,
    /// All that was ever set.
    values: BTreeMap<String, BTreeSet<i64>>,
    /// When a short-lived value's life ended by its writer.
    ends: BTreeMap<String, u64>,
    kills: bool,
}

fn schedule(seed: u64) {
    let mut dice = Dice::new(seed ^ 0xabcd);
    let count = 2 + dice.index(4);
    let skews: Vec<i64> = (0..count)
        .map(|_| match dice.below(4) {
            0 => HOUR,
            1 => -HOUR,
            _ => i64::try_from(dice.below(50)).unwrap(),
        })
        .collect();
    let weather = Weather {
        loss: [0, 5, 30][dice.index(3)],
        twice: dice.below(20),
        delay: (1 + dice.below(20), dice.below(80)),
    };
    let config = Config {
        // Small bodies and a short log, so that a small table has many messages and queues run over.
        max_body: [2_000, 28_000][dice.index(2)],
        log: [30, 65_536][dice.index(2)],
        ..Config::default()
    };
    let mut net = Net::new(seed, &skews, weather, config);
    let mut wrote = Wrote::default();

    // A table of one node that the others pull while all the rest happens.
    let owner = dice.index(count);
    for n in 0..dice.below(400) {
        set(
            &mut net,
            &mut wrote,
            owner,
            format!("old{n}"),
            i64::try_from(n).unwrap(),
        );
    }
    let healed = 3_000 + dice.below(9_000);
    let (kills, splits) = (dice.percent(50), dice.percent(70));
    while net.ms < healed {
        match dice.below(60) {
            0 if splits => {
                for side in &mut net.side {
                    *side = u8::try_from(dice.below(2)).unwrap();
                }
            }
            1 => net.side.fill(0),
            2 if kills && dice.percent(30) => {
                net.kill(dice.index(count));
                wrote.kills = true;
            }
            3 => {
                let now = net.now(0).at;
                net.nodes[dice.index(count)].memory.sweep(now);
            }
            _ => write(&mut net, &mut wrote, &mut dice),
        }
        let pause = net.ms + dice.below(120);
        net.run_until(pause.min(healed));
    }
    net.side.fill(0);
    // The network stays as bad as it was; only the split is over.
    let mut equal_at = None;
    while net.ms < healed + WITHIN && equal_at.is_none() {
        let next = net.ms + 250;
        net.run_until(next);
        equal_at = net.agree().then_some(net.ms);
    }
    assert!(
        equal_at.is_some(),
        "seed {seed}: not equal {WITHIN} ms after healing: {count} nodes, {weather:?}, {config:?}\n{}",
        net.disagreement()
    );
    check(seed, &net, &wrote);
    // It stays so.
    let end = net.ms + 3_000;
    net.run_until(end);
    assert!(
        net.agree(),
        "seed {seed}: equal, then not: {}",
        net.disagreement()
    );
    check(seed, &net, &wrote);
}

fn set(net: &mut Net, wrote: &mut Wrote, at: usize, key: String, value: i64) {
    let now = net.now(at);
    let node = &mut net.nodes[at];
    node.memory
        .set(now, HT, &key, Value::Integer(value), Duration::ZERO);
    node.mesh.changed(HT, &key);
    wrote.values.entry(key).or_default().insert(value);
}

fn write(net: &mut Net, wrote: &mut Wrote, dice: &mut Dice) {
    let at = dice.index(net.nodes.len());
    let now = net.now(at);
    let key = format!("k{}", dice.below(40));
    let value = i64::try_from(dice.below(1_000_000)).unwrap();
    match dice.below(10) {
        0..4 => set(net, wrote, at, key, value),
        4 => {
            let node = &mut net.nodes[at];
            node.memory.remove(now, HT, &key);
            node.mesh.changed(HT, &key);
        }
        5..8 => {
            let key = format!("c{}", dice.below(5));
            let delta = i64::try_from(dice.below(20)).unwrap() - 5;
            let node = &mut net.nodes[at];
            node.memory.add(now, COUNTERS, &key, delta).unwrap();
            node.mesh.changed(COUNTERS, &key);
            *wrote.added.entry((at, node.lives, key)).or_default() += delta;
        }
        8 => {
            let (key, life) = (format!("s{}", dice.below(20)), 500 + dice.below(4_000));
            let node = &mut net.nodes[at];
            let (text, life) = (Value::Text("short".into()), Duration::from_millis(life));
            node.memory.set(now, SHORT, &key, text, life);
            node.mesh.changed(SHORT, &key);
            let end = net.ms + u64::try_from(life.as_millis()).unwrap();
            let ends = wrote.ends.entry(key).or_default();
            *ends = end.max(*ends);
        }
        _ => {
            for n in 0..30 {
                set(net, wrote, at, format!("burst{n}"), value);
            }
        }
    }
}

fn check(seed: u64, net: &Net, wrote: &Wrote) {
    let at = net.now(0).at;
    let memory = &net.nodes[0].memory;
    counters(seed, net, wrote);
    for (key, values) in &wrote.values {
        match memory.get(at, HT, key) {
            Some(Value::Integer(value)) => {
                assert!(
                    values.contains(&value),
                    "seed {seed}: {key} has {value}, which nobody wrote"
                );
            }
            None => {}
            other => panic!("seed {seed}: {key} has {other:?}"),
        }
    }
    for (key, end) in &wrote.ends {
        if net.ms > end + LATE {
            assert_eq!(
                memory.get(at, SHORT, key),
                None,
                "seed {seed}: {key} outlived its end {end}"
            );
        }
    }
    if !wrote.kills {
        for key in wrote.values.keys().filter(|key| key.starts_with("old")) {
            assert!(
                memory.get(at, HT, key).is_some(),
                "seed {seed}: {key} is lost"
            );
        }
    }
}

/// The sum of all that was added. What a life added that was killed may be lost with it, as a whole or its last part.
fn counters(seed: u64, net: &Net, wrote: &Wrote) {
    let at = net.now(0).at;
    let keys: BTreeSet<&String> = wrote.added.keys().map(|(.., key)| key).collect();
    for key in keys {
        let added = wrote.added.iter().filter(|((.., is), _)| is == key);
        let (alive, dead): (Vec<_>, Vec<_>) =
            added.partition(|((node, life, _), _)| net.nodes[*node].lives == *life);
        let sum: i64 = alive.iter().map(|(_, sum)| **sum).sum();
        let value = match net.nodes[0].memory.get(at, COUNTERS, key) {
            Some(Value::Integer(value)) => value,
            other => {
                assert!(
                    alive.is_empty() && other.is_none(),
                    "seed {seed}: {key} has {other:?}"
                );
                continue;
            }
        };
        if dead.is_empty() {
            assert_eq!(value, sum, "seed {seed}: {key} is not exact");
        }
    }
}

#[test]
fn all_schedules_converge() {
    if let Ok(seed) = std::env::var("SWITCHHOOK_SIM_SEED") {
        return schedule(seed.parse().expect("a number"));
    }
    let runs = std::env::var("SWITCHHOOK_SIM_RUNS").map_or(2_000, |n| n.parse().expect("a number"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (first..runs).step_by(usize::try_from(threads).unwrap()) {
                    // The seed is in every message; said here too for a panic of the code itself.
                    let ran = std::panic::catch_unwind(|| schedule(seed));
                    if let Err(panic) = ran {
                        eprintln!("failed: SWITCHHOOK_SIM_SEED={seed}");
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}
