//! docs/headers.md lists the numbers that `types.snapshot` gives scripts: it is written from [`HeaderId`], and no number that
//! it ever listed may come to mean another header. `BLESS=1 cargo test` writes new ones in.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its tests do")]

use std::fmt::Write;
use std::path::Path;

use switchhook_sip::message::HeaderId;

const INTRO: &str = "# Numbers of header fields

`request.read` and `reply.read` give four numbers for each header field; the upper eight bits of the first are its id
(`types.snapshot` in [wit/types.wit](../wit/types.wit)). 0 is any name that is not listed here. Compact forms have the
number of their long names. A header that is a list may hold several values in one field, parted by commas.

The numbers are part of the contract: new headers get new numbers at the end, none ever changes its meaning.
(`BLESS=1 cargo test -p switchhook-sip --test header_numbers` writes this file.)

| id | name | compact | list |
|---:|---|---|---|
";

fn table() -> String {
    let mut text = INTRO.to_owned();
    for id in HeaderId::all() {
        let compact = id
            .compact()
            .map_or(String::new(), |letter| format!("`{letter}`"));
        let list = if id.is_list() { "yes" } else { "" };
        writeln!(
            text,
            "| {} | {} | {compact} | {list} |",
            id as u8,
            id.name()
        )
        .unwrap();
    }
    text
}

#[test]
fn the_document_lists_the_numbers_and_none_has_changed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/headers.md");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    for row in committed
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id"))
    {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let number: u8 = cells[1].parse().unwrap();
        let now = HeaderId::of(cells[2].as_bytes()) as u8;
        assert_eq!(
            now, number,
            "{} had the number {number} and must keep it",
            cells[2]
        );
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, table()).unwrap();
    } else {
        assert_eq!(committed, table(), "docs/headers.md is behind");
    }
}
