//! Everything that real nodes of 5.6.3 and 6.1.4 were seen to send is read, and written again as they wrote it.
//!
//! The captures are ../shared/data/dmq-captures; without them the test says so and passes.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use switchhook_dmq::envelope::Request;
use switchhook_dmq::{Now, dialog, htable, list, usrloc};
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;

fn captures() -> Option<PathBuf> {
    let shared = std::env::var_os("SWITCHHOOK_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let dir = shared.join("data/dmq-captures");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("left out: ../shared/data/dmq-captures is not there");
    None
}

/// Sender and bytes of each datagram of a capture's text, in which a character is a byte.
fn datagrams(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for part in text.split("=== +").skip(1) {
        let Some((head, body)) = part.split_once('\n') else {
            continue;
        };
        let (Some(from), Some(length)) = (head.split(' ').nth(1), head.rsplit_once("len=")) else {
            continue;
        };
        let bytes: Option<Vec<u8>> = body
            .chars()
            .map(|c| u8::try_from(u32::from(c)).ok())
            .collect();
        let (Some(mut bytes), Ok(length)) = (bytes, length.1.trim().parse::<usize>()) else {
            continue;
        };
        if bytes.len() >= length {
            bytes.truncate(length);
            all.push((from.to_owned(), bytes));
        }
    }
    all
}

/// Whether a contact's body has the keys that we write, and no others.
fn is_plain(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("\"sock\"") && !text.contains("\"xavps\"")
}

fn same_json(written: Option<String>, body: &[u8]) {
    let written: serde_json::Value = serde_json::from_str(&written.expect("a body")).expect("JSON");
    let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(written, body);
}

#[test]
fn what_real_nodes_send_is_read_and_written_again() {
    let Some(dir) = captures() else {
        return;
    };
    let now = Now {
        at: Instant::now(),
        unix_ms: 1_795_252_740_000,
    };
    let mut read = [0usize; 4];
    for file in std::fs::read_dir(dir).expect("a folder") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for (from, bytes) in datagrams(&text) {
            if !bytes.starts_with(b"KDMQ ") || !from.contains(':') {
                continue;
            }
            let message = Message::parse(bytes.into()).expect("a message");
            let via = message.via().expect("a Via");
            let tcp = via.known_transport() == Some(Transport::Tcp);
            let source = Source {
                transport: if tcp { Transport::Tcp } else { Transport::Udp },
                remote: from.parse().expect("an address"),
                local: "127.0.0.1:5060".parse().expect("an address"),
                flow: FlowId::new(0),
            };
            // Some tests of the time spoke in the name of others.
            let Ok(request) = Request::read(&message, &source) else {
                continue;
            };
            let body = request.body;
            match request.channel {
                "notification_peer" => {
                    let list = list::read(body);
                    assert!(list.skipped == 0 && !list.nodes.is_empty(), "{list:?}");
                    read[0] += 1;
                }
                htable::CHANNEL => {
                    match htable::read(now, body).expect("a message of the channel") {
                        htable::Message::Write(table, action) => {
                            same_json(htable::write(&table, &action), body)
                        }
                        htable::Message::Ask(_) | htable::Message::Cells(_) => {}
                    }
                    read[1] += 1;
                }
                usrloc::CHANNEL => {
                    match usrloc::read(body).expect("a message of the channel") {
                        // 6.1 writes `xavps` too; a contact that came by a replicated REGISTER has no socket.
                        usrloc::Message::One(action, contact) if is_plain(body) => {
                            same_json(usrloc::write(action, &contact), body);
                        }
                        _ => {}
                    }
                    read[2] += 1;
                }
                dialog::CHANNEL => {
                    dialog::read(body).expect("a message of the channel");
                    read[3] += 1;
                }
                _ => {}
            }
        }
    }
    let [lists, items, contacts, dialogs] = read;
    assert!(
        lists > 100 && items > 40 && contacts > 50 && dialogs > 60,
        "{read:?}"
    );
}
