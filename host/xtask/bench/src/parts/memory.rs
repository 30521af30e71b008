//! Memory of a contact and of a transaction that has ended: what the server grows by, divided by how many there are.

use std::thread;

use anyhow::Result;

use crate::load::Caller;
use crate::results::Line;
use crate::rounds::CLEANED_UP;
use crate::servers::{Server, Side, Stable};
use crate::works::Work;

/// Contacts, each of a user of its own.
const CONTACTS: u32 = 100_000;

/// Transactions: few enough that Kamailio, which forgets them after 5 s, has them all at the end.
const TRANSACTIONS: u32 = 40_000;

/// Calls, or users, before the measured ones.
const WARM: u32 = 1000;

pub(super) fn measure(stable: &Stable, caller: &Caller) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (side, most) in [(Side::Switchhook, Some(500.0)), (Side::Native, None)] {
        let server = stable.start(&super::setup(side, Work::Register, &[]))?;
        // as many requests, but of few users: what a REGISTER needs for a while is there before contacts are counted
        load(&server, caller, Work::Register, CONTACTS, WARM)?;
        thread::sleep(CLEANED_UP);
        let bytes = growth(&server, caller, Work::Register, CONTACTS, CONTACTS)?;
        let what = format!("a contact of {CONTACTS}, {}", side.title());
        lines.push(line(what, bytes, most));
    }
    for (side, most) in [(Side::Switchhook, Some(2000.0)), (Side::Native, None)] {
        let server = stable.start(&super::setup(side, Work::Message, &[]))?;
        load(&server, caller, Work::Message, WARM, 1)?;
        let bytes = growth(&server, caller, Work::Message, TRANSACTIONS, 1)?;
        let what = format!("a transaction that has ended, {}", side.title());
        lines.push(line(what, bytes, most));
    }
    Ok(lines)
}

/// Bytes by which the server grows for one of so many calls.
fn growth(server: &Server, caller: &Caller, work: Work, count: u32, users: u32) -> Result<f64> {
    let before = server.memory();
    let done = load(server, caller, work, count, users)?;
    Ok((server.memory() as f64 - before as f64) / done as f64)
}

/// So many calls of so many users; how many were done.
fn load(server: &Server, caller: &Caller, work: Work, count: u32, users: u32) -> Result<u64> {
    let mut phones = caller.phones(server, work);
    phones
        .args(["--count", &count.to_string()])
        .args(["--users", &users.to_string()])
        .args(["--concurrency", "64"])
        .args(work.arguments());
    Ok(caller.run(server, &mut phones)?.figures.all.completed)
}

fn line(what: String, bytes: f64, most: Option<f64>) -> Line {
    let show = |bytes: f64| format!("{bytes:.0} B");
    match most {
        Some(most) => Line::at_most(what, bytes, most, show),
        None => Line::plain(what, show(bytes)),
    }
}
