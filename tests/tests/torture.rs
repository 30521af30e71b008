//! The torture messages of RFC 4475 and RFC 5118, sent to the daemon: what a proxy must take goes on with its bytes as they came,
//! each of the others meets the fate written here.
//!
//! The script relays everything that `check` does not refuse to one next hop. One lane, so that a plain request behind each
//! message tells when that message is done with.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use switchhook_tests::{Daemon, Peer, Place, Setup, beside, patience, shared_data, status};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes on: its own Via on top, `received` in the one below, Max-Forwards one less, all other bytes as they came.
    Relayed,
    /// It is refused.
    Answered(u16),
    /// Nothing goes anywhere.
    Dropped,
}
use Fate::{Answered, Dropped, Relayed};

/// RFC 4475: section, file, fate.
const RFC4475: [(&str, &str, Fate); 49] = [
    ("3.1.1.1", "wsinv", Relayed),
    ("3.1.1.2", "intmeth", Relayed),
    ("3.1.1.3", "esc01", Relayed),
    ("3.1.1.4", "escnull", Relayed),
    ("3.1.1.5", "esc02", Relayed),
    ("3.1.1.6", "lwsdisp", Relayed),
    ("3.1.1.7", "longreq", Relayed),
    // the second request in the datagram is behind the first one's Content-Length: it is no message
    ("3.1.1.8", "dblreq", Relayed),
    ("3.1.1.9", "semiuri", Relayed),
    ("3.1.1.10", "transports", Relayed),
    ("3.1.1.11", "mpart01", Relayed),
    // these are read, but their top Via is not ours: section 18.1.2 of RFC 3261 has a proxy drop them
    ("3.1.1.12", "unreason", Dropped),
    ("3.1.1.13", "noreason", Dropped),
    ("3.1.2.1", "badinv01", Answered(400)),
    ("3.1.2.2", "clerr", Answered(400)),
    ("3.1.2.3", "ncl", Answered(400)),
    ("3.1.2.4", "scalar02", Answered(400)),
    ("3.1.2.5", "scalarlg", Dropped),
    ("3.1.2.6", "quotbal", Answered(400)),
    ("3.1.2.7", "ltgtruri", Answered(400)),
    ("3.1.2.8", "lwsruri", Answered(400)),
    ("3.1.2.9", "lwsstart", Answered(400)),
    ("3.1.2.10", "trws", Answered(400)),
    ("3.1.2.11", "escruri", Answered(400)),
    // a proxy has no use for Date and need not refuse
    ("3.1.2.12", "baddate", Relayed),
    ("3.1.2.13", "regbadct", Answered(400)),
    ("3.1.2.14", "badaspec", Answered(400)),
    ("3.1.2.15", "baddn", Answered(400)),
    ("3.1.2.16", "badvers", Answered(505)),
    ("3.1.2.17", "mismatch01", Answered(400)),
    ("3.1.2.18", "mismatch02", Answered(501)),
    ("3.1.2.19", "bigcode", Dropped),
    ("3.2.1", "badbranch", Relayed),
    ("3.3.1", "insuf", Answered(400)),
    ("3.3.2", "unkscm", Answered(416)),
    ("3.3.3", "novelsc", Answered(416)),
    // an unknown scheme in To and Contact is the registrar's affair, not the proxy's
    ("3.3.4", "unksm2", Relayed),
    ("3.3.5", "bext01", Answered(420)),
    ("3.3.6", "invut", Relayed),
    ("3.3.7", "regaut01", Relayed),
    ("3.3.8", "multi01", Answered(400)),
    ("3.3.9", "mcl01", Answered(400)),
    // a response with a Via that is not ours
    ("3.3.10", "bcast", Dropped),
    ("3.3.11", "zeromf", Answered(483)),
    ("3.3.12", "cparam01", Relayed),
    ("3.3.13", "cparam02", Relayed),
    ("3.3.14", "regescrt", Relayed),
    ("3.3.15", "sdp01", Relayed),
    ("3.4.1", "inv2543", Relayed),
];

/// RFC 5118.
const RFC5118: [(&str, &str, Fate); 12] = [
    ("4.1", "ipv6-good", Relayed),
    ("4.2", "ipv6-bad", Answered(400)),
    ("4.3", "port-ambiguous", Relayed),
    ("4.4", "port-unambiguous", Relayed),
    ("4.5", "via-received-param-with-delim", Relayed),
    ("4.5", "via-received-param-no-delim", Relayed),
    ("4.6", "ipv6-in-sdp", Relayed),
    ("4.7", "mult-ip-in-header", Relayed),
    ("4.8", "mult-ip-in-sdp", Relayed),
    ("4.9", "ipv4-mapped-ipv6", Relayed),
    ("4.10", "ipv6-bug-abnf-3-colons", Relayed),
    ("4.10", "ipv6-correct-abnf-2-colons", Relayed),
];

/// Who sends, who is sent to, and the daemon between them.
struct Stage {
    place: Place,
    /// The sender's place: answers go to ports of its address.
    outside: Vec<Peer>,
    next_hop: Peer,
    daemon: Option<Daemon>,
    /// Which transactions this daemon has seen: the messages share branches.
    seen: HashSet<String>,
    count: u32,
}

impl Stage {
    fn new() -> Stage {
        let place = Place::new();
        let sender = Place::new();
        // where an answer without rport goes: the port of the Via, or its transport's own
        let outside = [5060, 5061, 5050]
            .map(|port| Peer::new(&sender, port))
            .into();
        let next_hop = Peer::new(&place, 5070);
        Stage {
            place,
            outside,
            next_hop,
            daemon: None,
            seen: HashSet::new(),
            count: 0,
        }
    }

    /// A daemon that does not take this message for another one's retransmission.
    fn daemon_for(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let via = text
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with('v'))
            .unwrap_or_default();
        let method = text.split(' ').next().unwrap_or_default();
        let fresh = self.seen.insert(format!("{via} {method}"));
        if fresh && self.daemon.is_some() {
            return;
        }
        if let Some(daemon) = self.daemon.take() {
            daemon.stop();
            while self
                .next_hop
                .receive_within(Duration::from_millis(1))
                .is_some()
            {}
            self.seen.clear();
        }
        let config = format!(
            "[[script]]\nname = \"relay\"\npath = \"GUESTS/relay.wasm\"\ngrants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\"]\n\
             config = {{ next-hop = \"sip:{}\" }}\n",
            self.next_hop.at()
        );
        self.daemon = Some(
            Setup::config(&self.place, &config)
                .set("sip.lanes=1")
                // all by UDP, so that the request behind a long one does not overtake it
                .set("sip.udp.max-request=0")
                .start(),
        );
    }

    /// Send a message and see what became of it.
    fn play(&mut self, name: &str, bytes: &[u8]) -> (Option<Vec<u8>>, Option<u16>) {
        self.daemon_for(bytes);
        let proxy = self.place.at(5060);
        self.outside[0].send(bytes, proxy);
        // what is sent behind it arrives behind it
        self.count += 1;
        let mark = format!("behind-{}-", self.count);
        let behind = self.outside[0]
            .request("OPTIONS", "sip:behind@example.test", "a", "")
            .replace("Call-ID: ", &format!("Call-ID: {mark}"));
        self.outside[0].send(behind.as_bytes(), proxy);
        let mut relayed = None;
        loop {
            let datagram = self.next_hop.receive();
            if contains(&datagram, mark.as_bytes()) {
                break;
            }
            // others are retransmissions of what came before
            if is_of(&datagram, name, bytes) {
                relayed.get_or_insert(datagram);
            }
        }
        let answered = patience(
            Duration::from_millis(if relayed.is_some() { 0 } else { 200 }),
            || {
                self.outside.iter().find_map(|peer| {
                    let answer = peer.receive_within(Duration::from_millis(1))?;
                    let answer = String::from_utf8_lossy(&answer).into_owned();
                    (status(&answer) >= 200).then(|| status(&answer))
                })
            },
        );
        (relayed, answered)
    }
}

/// Whether a datagram carries the Call-ID of this message.
fn is_of(datagram: &[u8], name: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let id = text
        .lines()
        .find(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("call-id") || line.starts_with("i:")
        })
        .and_then(|line| line.split_once(':'))
        .map(|(_, id)| id.trim().to_owned());
    contains(datagram, id.as_deref().unwrap_or(name).as_bytes())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty()
        && haystack
            .windows(needle.len())
            .any(|window| window == needle)
}

/// The relayed bytes without what a proxy must add or change: they must be those that came.
fn as_it_came(relayed: &[u8], proxy: &str, sender: &str) -> Vec<u8> {
    let mut bytes = relayed.to_vec();
    // our Via, a line of its own
    let start =
        find(&bytes, format!("Via: SIP/2.0/UDP {proxy};").as_bytes()).expect("the proxy's own Via");
    let end = start + find(&bytes[start..], b"\r\n").expect("the end of that line") + 2;
    bytes.drain(start..end);
    for added in [format!(";received={sender}"), "=5060".to_owned()] {
        // the second one is the value of an rport that asked for it
        let from = if added.starts_with('=') {
            find(&bytes, b";rport=5060").map(|at| at + 6)
        } else {
            find(&bytes, added.as_bytes())
        };
        if let Some(at) = from {
            bytes.drain(at..at + added.len());
        }
    }
    bytes
}

/// The message as it would go on: Max-Forwards one less, nothing behind its Content-Length, and no `received` in its top Via but the
/// proxy's own (RFC 3261 section 18.2.1).
fn with_one_hop_less(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let lower = bytes.to_ascii_lowercase();
    let head = find(&bytes, b"\r\n\r\n").expect("the end of the headers") + 4;
    if let Some(length) =
        find(&lower[..head], b"\r\ncontent-length").or_else(|| find(&lower[..head], b"\r\nl:"))
    {
        let (_, _, value) = number(&bytes, length);
        bytes.truncate(head + value);
    }
    if let Some(line) = find(&lower[..head], b"\r\nmax-forwards") {
        let (start, end, hops) = number(&bytes, line);
        bytes.splice(start..end, (hops - 1).to_string().into_bytes());
    }
    let via = find(&lower, b"\r\nvia:").map_or(0, |at| at + 2);
    let end = via + find(&bytes[via..], b"\r\n").unwrap_or(0);
    if let Some(start) = find(&bytes[via..end], b";received=").map(|at| via + at) {
        let length = bytes[start + 1..end]
            .iter()
            .position(|byte| *byte == b';')
            .map_or(end - start, |at| at + 1);
        bytes.drain(start..start + length);
    }
    bytes
}

/// The first number behind the colon that follows `from`: where it is and what it is.
fn number(bytes: &[u8], from: usize) -> (usize, usize, usize) {
    let colon = from + find(&bytes[from..], b":").expect("a colon");
    let start = colon
        + bytes[colon..]
            .iter()
            .position(u8::is_ascii_digit)
            .expect("a number");
    let end = start
        + bytes[start..]
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .expect("its end");
    (
        start,
        end,
        std::str::from_utf8(&bytes[start..end])
            .expect("digits")
            .parse()
            .expect("a number"),
    )
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn every_message_meets_its_fate(folder: &Path, ending: &str, table: &[(&str, &str, Fate)]) {
    let mut stage = Stage::new();
    let (proxy, sender) = (
        stage.place.at(5060).to_string(),
        stage.outside[0].at().ip().to_string(),
    );
    let mut wrong = Vec::new();
    for (section, name, fate) in table {
        let bytes =
            std::fs::read(folder.join(format!("{name}{ending}"))).expect("a message of the data");
        let (relayed, answered) = stage.play(name, &bytes);
        let was = match (&relayed, answered) {
            (Some(_), None) => Relayed,
            (None, Some(status)) => Answered(status),
            (None, None) => Dropped,
            (Some(_), Some(status)) => {
                wrong.push(format!(
                    "{section} {name}: relayed, and answered with {status}"
                ));
                continue;
            }
        };
        if was != *fate {
            wrong.push(format!("{section} {name}: {was:?}, expected {fate:?}"));
            continue;
        }
        if let Some(relayed) = relayed {
            let (now, then) = (
                as_it_came(&relayed, &proxy, &sender),
                with_one_hop_less(&bytes),
            );
            // a request without Max-Forwards gets one (RFC 3261 section 16.6)
            let now_without = String::from_utf8_lossy(&now).replacen("Max-Forwards: 70\r\n", "", 1);
            if now != then && now_without != String::from_utf8_lossy(&then) {
                let (now, then) = (
                    String::from_utf8_lossy(&now).into_owned(),
                    String::from_utf8_lossy(&then).into_owned(),
                );
                wrong.push(format!(
                    "{section} {name}: relayed with other bytes:\n{now}\n--- came as\n{then}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        table.len(),
        wrong.join("\n")
    );
    if let Some(daemon) = stage.daemon {
        daemon.stop();
    }
}

#[test]
fn every_message_of_rfc_4475_meets_its_fate() {
    let _beside = beside();
    if let Some(folder) = shared_data("rfc4475") {
        every_message_meets_its_fate(&folder, ".dat", &RFC4475);
    }
}

#[test]
fn every_message_of_rfc_5118_meets_its_fate() {
    let _beside = beside();
    if let Some(folder) = shared_data("rfc5118") {
        every_message_meets_its_fate(&folder, "", &RFC5118);
    }
}
