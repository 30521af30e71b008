//! What a real Erlang node printed while it spoke with Kamailio (../shared/data/erlang-transcripts): each term is read as text, written and
//! read as bytes, and printed as it was.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use switchhook_term::{decode, parse, to_bytes};
use switchhook_tests::shared_data;

#[test]
fn terms_of_the_transcripts_come_back() {
    let Some(folder) = shared_data("erlang-transcripts") else {
        return;
    };
    let (mut whole, mut left_out) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for line in text.lines().filter_map(|line| line.strip_prefix("=> ")) {
            let Ok(term) = parse(line) else {
                left_out.push(line.to_owned());
                continue;
            };
            assert_eq!(decode(&to_bytes(&term)).as_ref(), Ok(&term), "{line}");
            assert_eq!(term.to_string(), line);
            whole += 1;
        }
    }
    // pids, references and texts that were cut short have no text that can be read back
    for line in &left_out {
        let readable = !["<0.", "#Ref<", "#Port<", "...", "#Fun<", "<9"]
            .iter()
            .any(|mark| line.contains(mark));
        assert!(!readable, "{line}");
    }
    assert!(whole > 150, "{whole}");
}
