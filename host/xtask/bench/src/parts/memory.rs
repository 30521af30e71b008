//! Memory of a contact and of a transaction that has ended: what the server grows by, divided by how many there are.

use anyhow::Result;

use crate::load::Caller;
use crate::results::Line;
use crate::servers::{Server, Side, Stable};
use crate::works::Work;

/// Contacts, each of a user of its own.
const CONTACTS: u32 = 100_000;

/// Transactions: few enough that Kamailio, which forgets them after 5 s, has them all at the end.
const TRANSACTIONS: u32 = 40_000;

/// Those before the measured ones, so that what is needed once is there.
const WARM: u32 = 1000;

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (side, most) in [(Side::Switchhook, Some(500.0)), (Side::Native, None)] {
        let server = stable.start(&super::setup(side, Work::Register, &[]))?;
        let bytes = growth(&server, caller, Work::Register, CONTACTS)?;
        lines.push(line(
            format!("a contact of {CONTACTS}, {}", side.title()),
            bytes,
            most,
        ));
    }
    for (side, most) in [(Side::Switchhook, Some(2000.0)), (Side::Native, None)] {
        let server = stable.start(&super::setup(side, Work::Message, &[]))?;
        let bytes = growth(&server, caller, Work::Message, TRANSACTIONS)?;
        lines.push(line(
            format!("a transaction that has ended, {}", side.title()),
            bytes,
            most,
        ));
    }
    Ok(lines)
}

/// Bytes by which the server grows for one of so many calls.
fn growth(server: &Server, caller: &Caller, work: Work, count: u32) -> Result<f64> {
    let load = |count: u32| {
        let mut phones = caller.phones(server, work);
        let users = if work == Work::Register { count } else { 1 };
        phones
            .args(["--count", &count.to_string(), "--users", &users.to_string()])
            .args(["--concurrency", "64"])
            .args(work.arguments());
        caller.run(server, &mut phones)
    };
    load(WARM)?;
    let before = server.memory();
    let done = load(count)?.figures.all.completed;
    Ok((server.memory() as f64 - before as f64) / done as f64)
}

fn line(what: String, bytes: f64, most: Option<f64>) -> Line {
    let show = |bytes: f64| format!("{bytes:.0} B");
    match most {
        Some(most) => Line::at_most(what, bytes, most, show),
        None => Line::plain(what, show(bytes)),
    }
}
