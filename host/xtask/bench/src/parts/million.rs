//! A million contacts: what it costs to register them, to look one of them up, and to let them all expire.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::load::Caller;
use crate::results::Line;
use crate::servers::{Server, Side, Stable};
use crate::works::Work;

/// Contacts, each of a user of its own.
const CONTACTS: u32 = 1_000_000;

/// Look-ups that are measured.
const LOOKUPS: u32 = 100_000;

/// How long a contact lives, in seconds: longer than it takes to register them and look them up.
const LIFE: u64 = 240;

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let life = format!("registrar.max-expires=\"{LIFE}s\"");
    let default = format!("registrar.default-expires=\"{LIFE}s\"");
    let sets = [life.as_str(), default.as_str()];
    let server = stable.start(&super::setup(Side::Switchhook, Work::Lookup, &sets))?;
    let empty = server.memory();
    let began = Instant::now();
    let registered = load(caller, &server, Work::Register, CONTACTS, &[])?;
    let bytes = (server.memory() - empty) as f64 / f64::from(CONTACTS);
    let held = contacts(stable, &server)?;
    ensure!(
        held == u64::from(CONTACTS),
        "{held} contacts are held, not {CONTACTS}"
    );
    let found = load(
        caller,
        &server,
        Work::Lookup,
        LOOKUPS,
        &["--dial", "aor", "--no-register"],
    )?;

    // they end as they came, one after the other, over as long a time
    let due = Duration::from_secs(LIFE) + Duration::from_secs(5);
    thread::sleep(Duration::from_secs(LIFE).saturating_sub(began.elapsed()));
    let before = server.cpu()?;
    while contacts(stable, &server)? > 0 {
        ensure!(
            began.elapsed() < due * 2,
            "{} contacts have not expired",
            contacts(stable, &server)?
        );
        thread::sleep(Duration::from_secs(2));
    }
    let expiry = (server.cpu()? - before).as_secs_f64() * 1e6 / f64::from(CONTACTS);
    let us = |value: f64| format!("{value:.1} us");
    Ok(vec![
        Line::plain("REGISTER, of a million users", us(registered)),
        Line::at_most("a contact of a million", bytes, 500.0, |v| {
            format!("{v:.0} B")
        }),
        Line::plain("lookup + relay among a million", us(found)),
        Line::plain("expiry of a contact, idling included", us(expiry)),
    ])
}

/// Processor microseconds a call.
fn load(caller: &Caller, server: &Server, work: Work, count: u32, more: &[&str]) -> Result<f64> {
    let mut phones = caller.phones(server, work);
    phones
        .args([
            "--count",
            &count.to_string(),
            "--users",
            &CONTACTS.to_string(),
        ])
        .args(["--concurrency", "64"])
        .args(more);
    Ok(caller.run(server, &mut phones)?.cpu_us())
}

/// Contacts that the daemon holds.
fn contacts(stable: &Stable, server: &Server) -> Result<u64> {
    let out = Command::new(&stable.daemon)
        .args(["rpc", "stats.get", "--socket"])
        .arg(stable.admin(server))
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let stats: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("stats.get says {text}"))?;
    stats
        .get("location.location.contacts")
        .and_then(serde_json::Value::as_u64)
        .with_context(|| format!("no location.location.contacts in {text}"))
}
