//! The kernel gives datagrams to the lanes of their calls: sockets of lanes on loopback, and whatever may come to them.
//!
//! A message with a Call-ID in its usual form arrives at exactly the socket that [`Steer`] names; anything else arrives at one of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_net::{Event, Listeners, Net, NetLimits, Steer};
use switchhook_sip::message::Message;
use switchhook_tests::shared_data;
use tokio::time::timeout;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sockets of several lanes, read by hand.
struct Lanes {
    lanes: Vec<Net>,
    steer: Steer,
    address: SocketAddr,
    peers: Vec<UdpSocket>,
    sent: usize,
    events: VecDeque<Event>,
}

impl Lanes {
    fn new(host: &str, lanes: usize) -> Option<Lanes> {
        let listen = [format!("udp:{host}:0").parse().unwrap()];
        let listeners = Listeners::bind(&listen, lanes, &NetLimits::default()).ok()?;
        let peers = (0..16).map(|_| UdpSocket::bind(format!("{host}:0")));
        Some(Lanes {
            steer: listeners.steer().clone(),
            address: listeners.addresses()[0].address,
            lanes: listeners
                .split()
                .into_iter()
                .map(|part| Net::new(part).unwrap())
                .collect(),
            peers: peers.map(Result::unwrap).collect(),
            sent: 0,
            events: VecDeque::new(),
        })
    }

    /// The lane at which a datagram arrives; peers take turns.
    async fn arrival(&mut self, datagram: &[u8]) -> usize {
        self.sent += 1;
        let peer = &self.peers[self.sent % self.peers.len()];
        peer.send_to(datagram, self.address).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            for (number, lane) in self.lanes.iter_mut().enumerate() {
                lane.receive(&mut self.events);
                if let Some(event) = self.events.pop_front() {
                    let Event::Message { bytes, .. } = event else {
                        panic!("expected a message, came {event:?}");
                    };
                    assert_eq!(bytes, datagram);
                    return number;
                }
            }
            assert!(Instant::now() < deadline, "{datagram:?} did not arrive");
            let ready = std::future::poll_fn(|task| {
                let mut lanes = self.lanes.iter_mut();
                match lanes.any(|lane| lane.poll_ready(task).is_ready()) {
                    true => std::task::Poll::Ready(()),
                    false => std::task::Poll::Pending,
                }
            });
            let _ = timeout(PATIENCE, ready).await;
        }
    }

    /// Sends a message that the kernel must give to the lane of that Call-ID.
    async fn steered(&mut self, call_id: &str, datagram: &[u8]) -> usize {
        let lane = self.arrival(datagram).await;
        let text = String::from_utf8_lossy(datagram);
        assert_eq!(lane, self.steer.lane_of(call_id.as_bytes()), "{text}");
        lane
    }
}

fn story<F: Future<Output = ()>>(story: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, story);
}

/// A request with these header fields before its Call-ID.
fn options(before: &str, name: &str, call_id: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:a@example.test SIP/2.0\r\n{before}{name}{call_id}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// How far down the kernel looks for a Call-ID, less what a request line takes.
fn farthest() -> usize {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/optmem_max");
    let allowed = allowed
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok());
    match allowed {
        Some(bytes) if bytes < 128 << 10 => {
            eprintln!("net.core.optmem_max is {bytes}: no Call-ID further down is tried");
            380
        }
        _ => 1380,
    }
}

fn vias(count: usize) -> String {
    (0..count)
        .map(|n| format!("Via: SIP/2.0/UDP 192.0.2.{n}:5060;branch=z9hG4bK776asdhds{n}\r\n"))
        .collect()
}

/// Call-IDs as they are seen.
fn call_ids() -> Vec<String> {
    let mut all: Vec<String> = [
        "a", "ab", "abc", "abcd", "abcde", "!", "!!!!!", "~~~~~~~~", "1@2",
    ]
    .map(String::from)
    .into();
    for n in 0..200_u32 {
        let mixed = n.wrapping_mul(0x9e37_79b9);
        all.push(format!("{n}-4711@127.0.0.1"));
        all.push(format!("{mixed:08x}-1dd2-11b2-a35f-{mixed:012x}"));
        all.push(format!("{n}"));
        all.push(format!("{mixed:x}"));
        all.push(format!(
            "f81d4fae7dec11d0a76500a0c91e6bf6-{n}@a-rather-long-name.of-a-host.example.test"
        ));
    }
    for length in 0..48 {
        all.push("x".repeat(length + 1));
    }
    all.push("y".repeat(4000));
    all
}

#[test]
fn a_message_arrives_at_the_lane_of_its_call() {
    story(async {
        for (host, count) in [
            ("127.0.0.1", 2),
            ("127.0.0.1", 3),
            ("127.0.0.1", 5),
            ("[::1]", 4),
        ] {
            let Some(mut lanes) = Lanes::new(host, count) else {
                eprintln!("{host}: no such address family here, passed over");
                continue;
            };
            let mut shares = vec![0; count];
            for call_id in call_ids() {
                let plain = options(&vias(1), "Call-ID: ", &call_id);
                shares[lanes.steered(&call_id, &plain).await] += 1;
                let tight = options(&vias(2), "Call-ID:", &call_id);
                lanes.steered(&call_id, &tight).await;
            }
            let fair = shares.iter().sum::<usize>() / count;
            let all = shares
                .iter()
                .all(|share| (fair / 2..fair * 2).contains(share));
            assert!(all, "{shares:?}");
        }
    });
}

#[test]
fn a_call_id_is_found_wherever_it_stands() {
    story(async {
        let mut lanes = Lanes::new("127.0.0.1", 5).unwrap();
        // Each way that it can lie to the strides, and in each group of strides.
        for length in 0..farthest() {
            let subject = format!("Subject: {}\r\n", "s".repeat(length));
            let call_id = format!("{length}-4711@127.0.0.1");
            let message = options(&subject, "Call-ID: ", &call_id);
            lanes.steered(&call_id, &message).await;
        }
        for count in 0..farthest() / 66 {
            let call_id = format!("way-{count}");
            let message = options(&vias(count), "Call-ID: ", &call_id);
            lanes.steered(&call_id, &message).await;
        }
        // All that can be mistaken for the name, at each place.
        for length in 0..30 {
            let before = format!(
                "From: <sip:Call@Call-ID:5060>;tag={}\r\nX-Call-ID: other\r\nCalling: all-over\r\n",
                "t".repeat(length)
            );
            let call_id = format!("like-{length}");
            let far = format!("{before}Subject: {}\r\n", "s".repeat(150));
            let message = options(&far, "Call-ID: ", &call_id);
            lanes.steered(&call_id, &message).await;
            let info = format!(
                "Subject: {}\r\nCall-Info: <sip:x>\r\n{}",
                "s".repeat(length),
                vias(3)
            );
            let message = options(&info, "Call-ID: ", &call_id);
            lanes.steered(&call_id, &message).await;
        }
        // The last header field but one of the shortest.
        for length in 0..24 {
            let message = format!(
                "ACK sip:{} SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 ACK\r\n\r\n",
                "a".repeat(length + 1)
            );
            lanes.steered("a", message.as_bytes()).await;
        }
    });
}

#[test]
fn whatever_else_comes_arrives_somewhere() {
    story(async {
        let mut lanes = Lanes::new("127.0.0.1", 3).unwrap();
        let whole = options(&vias(3), "Call-ID: ", "1-4711@127.0.0.1");
        for length in 1..whole.len() {
            lanes.arrival(&whole[..length]).await;
        }
        for name in [
            "i: ",
            "i:",
            "CALL-ID: ",
            "call-id: ",
            "Call-ID : ",
            "Call-Id: ",
        ] {
            let mut seen = [false; 3];
            for n in 0..64 {
                let message = options(&vias(1), name, &format!("{n}@host"));
                seen[lanes.arrival(&message).await] = true;
            }
            assert_eq!(seen, [true; 3], "{name}: peers are spread over the lanes");
        }
        lanes
            .arrival(&options(&vias(1), "Call-ID: \r\n ", "folded"))
            .await;
        lanes.arrival(&options(&vias(1), "Call-ID:\t", "tab")).await;
        lanes
            .arrival(&options(&vias(60), "Call-ID: ", "far-down"))
            .await;
        lanes.arrival(&options("", "Call-ID: ", "nul\0\r\n")).await;
        lanes.arrival(b"x").await;
        lanes.arrival(&[0xff; 1200]).await;
        lanes.arrival(&[b'C'; 65_000]).await;
        lanes.arrival(&b"\r\nCall-ID:".repeat(200)).await;
        let mut noise = 1_u32;
        for length in 1..1500 {
            let mut datagram = vec![b'A'];
            datagram.extend((0..length).map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            }));
            lanes.arrival(&datagram).await;
        }
        // Keep-alives are no messages, and harm nothing.
        for datagram in [&b""[..], b"\r\n\r\n", b"\0"] {
            lanes.peers[0].send_to(datagram, lanes.address).unwrap();
        }
        lanes.steered("1-4711@127.0.0.1", &whole).await;
    });
}

#[test]
fn torture_messages_arrive_and_most_where_they_belong() {
    let dirs = ["rfc4475", "rfc5118"].map(shared_data);
    story(async {
        let mut lanes = Lanes::new("127.0.0.1", 4).unwrap();
        for dir in dirs.into_iter().flatten() {
            let (mut all, mut steered) = (0, 0);
            for entry in std::fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                // Those of RFC 5118 have names without an ending.
                if path.extension().is_some_and(|ending| ending != "dat") {
                    continue;
                }
                let datagram = std::fs::read(&path).unwrap();
                let lane = lanes.arrival(&datagram).await;
                let message = Message::parse(Bytes::from(datagram.clone()));
                let Some(call_id) = message.as_ref().ok().and_then(|m| m.call_id().ok()) else {
                    continue;
                };
                all += 1;
                let right = lane == lanes.steer.lane_of(call_id);
                steered += usize::from(right);
                let canonical = [b"\r\nCall-ID: ", call_id, b"\r\n"].concat();
                let canonical = datagram
                    .windows(canonical.len())
                    .any(|part| part == canonical);
                assert!(right || !canonical, "{}", path.display());
            }
            eprintln!("{}: {steered} of {all}", dir.display());
            assert!(all > 0 && steered * 10 >= all * 8, "{steered} of {all}");
        }
    });
}

#[test]
fn one_lane_needs_no_program() {
    story(async {
        let mut lane = Lanes::new("127.0.0.1", 1).unwrap();
        for call_id in call_ids() {
            lane.steered(&call_id, &options(&vias(1), "Call-ID: ", &call_id))
                .await;
        }
    });
}
