//! Stories told to one lane's network over real sockets on loopback: datagrams, connections, and peers that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_net::{Event, Failure, Listeners, Net, NetLimits};
use switchhook_sip::flow::{Destination, Source, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

const OPTIONS: &str = "OPTIONS sip:a@example.test SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n";
/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// One lane that a test drives by hand.
struct Lane {
    net: Net,
    events: VecDeque<Event>,
    udp: SocketAddr,
    tcp: SocketAddr,
    counters: std::sync::Arc<switchhook_net::NetCounters>,
}

impl Lane {
    fn new(host: &str, limits: &NetLimits) -> Option<Lane> {
        let listen = [
            format!("udp:{host}:0").parse().unwrap(),
            format!("tcp:{host}:0").parse().unwrap(),
        ];
        let listeners = Listeners::bind(&listen, 1, limits).ok()?;
        let udp = listeners.addresses()[0].address;
        let tcp = listeners.addresses()[1].address;
        let part = listeners.split().pop().unwrap();
        let counters = part.counters();
        Some(Lane {
            net: Net::new(part).unwrap(),
            events: VecDeque::new(),
            udp,
            tcp,
            counters,
        })
    }

    async fn event(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            assert!(Instant::now() < deadline, "nothing came");
            let _ = timeout(PATIENCE, self.net.ready()).await;
            self.net.receive(&mut self.events);
            self.net.flush(&mut self.events);
        }
    }

    async fn message(&mut self) -> (Bytes, Source) {
        match self.event().await {
            Event::Message { bytes, source } => (bytes, source),
            Event::Failed { error, .. } => panic!("expected a message, came a failure: {error}"),
        }
    }

    async fn failure(&mut self) -> (Bytes, Failure) {
        match self.event().await {
            Event::Failed { bytes, error, .. } => (bytes, error),
            Event::Message { bytes, .. } => panic!("expected a failure, came {bytes:?}"),
        }
    }

    fn send(&mut self, destination: Destination, text: &str) {
        self.net
            .send(destination, Bytes::copy_from_slice(text.as_bytes()));
        self.net.flush(&mut self.events);
    }

    /// Works whatever comes until the peer's future is done.
    async fn until<T>(&mut self, peer: impl Future<Output = T>) -> T {
        tokio::pin!(peer);
        let work = async {
            loop {
                tokio::select! {
                    done = &mut peer => return done,
                    () = self.net.ready() => {
                        self.net.receive(&mut self.events);
                        self.net.flush(&mut self.events);
                    }
                }
            }
        };
        timeout(PATIENCE, work)
            .await
            .expect("the peer waits in vain")
    }
}

fn to(transport: Transport, remote: SocketAddr) -> Destination {
    Destination {
        transport,
        remote,
        local: None,
        flow: None,
    }
}

fn story<F: Future<Output = ()>>(story: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, story);
}

async fn expect_closed(peer: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, peer.read_to_end(&mut rest))
        .await
        .expect("the connection stays open");
}

#[test]
fn datagrams_come_and_go_over_both_families() {
    story(async {
        for host in ["127.0.0.1", "[::1]"] {
            let Some(mut lane) = Lane::new(host, &NetLimits::default()) else {
                eprintln!("{host}: no such address family here, passed over");
                continue;
            };
            let alice = UdpSocket::bind(format!("{host}:0")).await.unwrap();
            alice.send_to(b"\r\n\r\n", lane.udp).await.unwrap();
            for n in 0..100 {
                alice
                    .send_to(format!("hello {n}").as_bytes(), lane.udp)
                    .await
                    .unwrap();
            }
            for n in 0..100 {
                let (bytes, source) = lane.message().await;
                assert_eq!(bytes, format!("hello {n}"), "the keep-alive is no message");
                assert_eq!(source.remote, alice.local_addr().unwrap());
                assert_eq!(source.local, lane.udp);
                lane.send(source.back(), "answer");
            }
            let mut space = [0; 100];
            for _ in 0..100 {
                let (length, from) = timeout(PATIENCE, alice.recv_from(&mut space))
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!((&space[..length], from), (&b"answer"[..], lane.udp));
            }
        }
    });
}

#[test]
fn a_batch_for_several_peers_arrives_as_it_was_queued_whatever_the_kernel_takes_together() {
    story(async {
        for host in ["127.0.0.1", "[::1]"] {
            let Some(mut lane) = Lane::new(host, &NetLimits::default()) else {
                eprintln!("{host}: no such address family here, passed over");
                continue;
            };
            let peers = [
                UdpSocket::bind(format!("{host}:0")).await.unwrap(),
                UdpSocket::bind(format!("{host}:0")).await.unwrap(),
            ];
            let addresses = peers.each_ref().map(|peer| peer.local_addr().unwrap());
            let length = |n: usize| [500, 500, 400, 1300, 2, 2][n / 7 % 6];
            let text = |n: usize| format!("{n:>0$}", length(n));
            for n in 0..60 {
                let peer = addresses[n * n % 3 % 2];
                let bytes = Bytes::from(text(n));
                lane.net.send(to(Transport::Udp, peer), bytes);
            }
            lane.until(async {
                let mut space = [0; 2000];
                for n in 0..60 {
                    let length = peers[n * n % 3 % 2].recv(&mut space).await.unwrap();
                    assert_eq!(space[..length], *text(n).as_bytes());
                }
            })
            .await;
            assert!(lane.events.is_empty(), "none failed");
        }
    });
}

#[test]
fn a_datagram_over_the_limit_is_dropped_and_counted() {
    story(async {
        let limits = NetLimits {
            max_message: 1000,
            ..NetLimits::default()
        };
        let mut lane = Lane::new("127.0.0.1", &limits).unwrap();
        let alice = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        alice.send_to(&[b'x'; 1001], lane.udp).await.unwrap();
        alice.send_to(&[b'y'; 1000], lane.udp).await.unwrap();
        assert_eq!(lane.message().await.0, [b'y'; 1000][..]);
        assert_eq!(lane.counters.udp_oversize.value(), 1);
    });
}

#[test]
fn a_port_nobody_listens_on_is_told_with_the_message() {
    story(async {
        let mut lane = Lane::new("127.0.0.1", &NetLimits::default()).unwrap();
        let nobody = UdpSocket::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        lane.send(to(Transport::Udp, nobody), OPTIONS);
        let (bytes, _) = lane.failure().await;
        assert_eq!(bytes, OPTIONS);
    });
}

#[test]
fn a_connection_serves_both_ways_and_is_found_by_the_peers_address() {
    story(async {
        let mut lane = Lane::new("127.0.0.1", &NetLimits::default()).unwrap();
        let mut alice = TcpStream::connect(lane.tcp).await.unwrap();
        let (first, rest) = OPTIONS.split_at(20);
        alice.write_all(first.as_bytes()).await.unwrap();
        alice
            .write_all(format!("{rest}\r\n\r\n{OPTIONS}").as_bytes())
            .await
            .unwrap();
        let (bytes, source) = lane.message().await;
        assert_eq!(bytes, OPTIONS);
        lane.message().await;
        lane.send(source.back(), "one ");
        lane.send(to(Transport::Tcp, source.remote), "two");
        let mut answers = [0; 9];
        lane.until(alice.read_exact(&mut answers)).await.unwrap();
        assert_eq!(
            &answers, b"\r\none two",
            "keep-alive answered, then both messages on the same connection"
        );
        assert_eq!(lane.counters.connected.value(), 0);
    });
}

#[test]
fn a_connection_is_opened_once_for_what_goes_to_one_peer() {
    story(async {
        let mut lane = Lane::new("127.0.0.1", &NetLimits::default()).unwrap();
        let bob = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for text in ["one ", "two ", "three"] {
            lane.send(to(Transport::Tcp, bob.local_addr().unwrap()), text);
        }
        let (mut peer, _) = lane.until(bob.accept()).await.unwrap();
        let mut came = [0; 13];
        lane.until(peer.read_exact(&mut came)).await.unwrap();
        assert_eq!(&came, b"one two three");
        assert_eq!(lane.counters.connected.value(), 1);
    });
}

#[test]
fn a_peer_that_refuses_fails_all_that_waited() {
    story(async {
        let mut lane = Lane::new("127.0.0.1", &NetLimits::default()).unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        lane.send(to(Transport::Tcp, nobody), "one");
        lane.send(to(Transport::Tcp, nobody), "two");
        assert_eq!(lane.failure().await.0, "one");
        assert_eq!(lane.failure().await.0, "two");
        assert_eq!(lane.counters.connections.value(), 0);
    });
}

#[test]
fn a_connection_that_is_gone_is_told() {
    story(async {
        let mut lane = Lane::new("127.0.0.1", &NetLimits::default()).unwrap();
        let mut alice = TcpStream::connect(lane.tcp).await.unwrap();
        alice.write_all(OPTIONS.as_bytes()).await.unwrap();
        let (_, source) = lane.message().await;
        drop(alice);
        lane.until(tokio::time::sleep(Duration::from_millis(100)))
            .await;
        lane.send(source.back(), "INVITE sip:alice SIP/2.0");
        assert!(matches!(lane.failure().await.1, Failure::Gone));
    });
}

#[test]
fn garbage_and_endless_headers_close_their_connection_only() {
    story(async {
        let limits = NetLimits {
            max_message: 2000,
            ..NetLimits::default()
        };
        let mut lane = Lane::new("127.0.0.1", &limits).unwrap();
        let mut good = TcpStream::connect(lane.tcp).await.unwrap();
        let endless = format!("INVITE sip:a SIP/2.0\r\nX: {}", "x".repeat(5000));
        for bad in [
            b"\x00\x01\x02\x16\x03garbage\r\n\r\n".to_vec(),
            endless.into_bytes(),
        ] {
            let mut mallory = TcpStream::connect(lane.tcp).await.unwrap();
            mallory.write_all(&bad).await.unwrap();
            lane.until(expect_closed(&mut mallory)).await;
        }
        assert_eq!(lane.counters.broken.value(), 2);
        good.write_all(OPTIONS.as_bytes()).await.unwrap();
        assert_eq!(lane.message().await.0, OPTIONS);
    });
}

#[test]
fn slow_and_silent_peers_are_closed() {
    story(async {
        let limits = NetLimits {
            first_message: Duration::from_millis(200),
            whole_message: Duration::from_millis(150),
            idle: Duration::from_millis(400),
            ..NetLimits::default()
        };
        let mut lane = Lane::new("127.0.0.1", &limits).unwrap();
        // One says nothing at all, one sends a byte at a time, one falls silent after a good message.
        let mut mute = TcpStream::connect(lane.tcp).await.unwrap();
        lane.until(expect_closed(&mut mute)).await;
        assert_eq!(lane.counters.slow.value(), 1);

        let mut drip = TcpStream::connect(lane.tcp).await.unwrap();
        drip.write_all(OPTIONS.as_bytes()).await.unwrap();
        lane.message().await;
        let dripping = async {
            while drip.write_all(b"I").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        lane.until(dripping).await;
        assert_eq!(lane.counters.slow.value(), 2);

        let mut idle = TcpStream::connect(lane.tcp).await.unwrap();
        idle.write_all(OPTIONS.as_bytes()).await.unwrap();
        lane.message().await;
        lane.until(expect_closed(&mut idle)).await;
        assert_eq!(lane.counters.idle.value(), 1);
        assert_eq!(lane.counters.connections.value(), 0);
    });
}

#[test]
fn a_peer_that_does_not_read_is_closed_and_what_waited_fails() {
    story(async {
        let limits = NetLimits {
            write_queue: 3 << 20,
            stalled: Duration::from_millis(300),
            ..NetLimits::default()
        };
        let mut lane = Lane::new("127.0.0.1", &limits).unwrap();
        let mut alice = TcpStream::connect(lane.tcp).await.unwrap();
        alice.write_all(OPTIONS.as_bytes()).await.unwrap();
        let (_, source) = lane.message().await;
        let long = "x".repeat(64 << 10);
        // More than the kernel buffers, less than the queue holds: it stalls.
        let mut failed = 0;
        for _ in 0..10_000 {
            lane.send(source.back(), &long);
            lane.until(tokio::task::yield_now()).await;
            failed = lane.events.len();
            if failed > 0 {
                break;
            }
        }
        assert!(failed > 0, "the queue has no end");
        let counters = std::sync::Arc::clone(&lane.counters);
        lane.until(async {
            while counters.connections.value() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(lane.counters.stalled.value(), 1);
        assert_eq!(lane.counters.connections.value(), 0);
        // What found the queue full, then what waited in it.
        lane.failure().await;
        lane.failure().await;
    });
}

#[test]
fn a_connection_more_than_the_limit_is_closed_at_once() {
    story(async {
        let limits = NetLimits {
            connections: 3,
            connections_per_address: 2,
            ..NetLimits::default()
        };
        let mut lane = Lane::new("127.0.0.1", &limits).unwrap();
        let mut peers = Vec::new();
        for _ in 0..2 {
            let mut peer = TcpStream::connect(lane.tcp).await.unwrap();
            peer.write_all(OPTIONS.as_bytes()).await.unwrap();
            lane.message().await;
            peers.push(peer);
        }
        let mut third = TcpStream::connect(lane.tcp).await.unwrap();
        lane.until(expect_closed(&mut third)).await;
        assert_eq!(lane.counters.refused.value(), 1);
        drop(peers);
        lane.until(tokio::time::sleep(Duration::from_millis(50)))
            .await;
    });
}

#[test]
fn a_peer_that_closed_its_side_still_gets_its_answer() {
    story(async {
        let mut lane = Lane::new("127.0.0.1", &NetLimits::default()).unwrap();
        let tcp = lane.tcp;
        let asking = tokio::task::spawn_blocking(move || {
            let mut alice = std::net::TcpStream::connect(tcp).unwrap();
            alice.set_read_timeout(Some(PATIENCE)).unwrap();
            std::io::Write::write_all(&mut alice, OPTIONS.as_bytes()).unwrap();
            alice.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = [0; 14];
            alice.read_exact(&mut answer).unwrap();
            answer
        });
        let (_, source) = lane.message().await;
        lane.until(tokio::time::sleep(Duration::from_millis(50)))
            .await;
        lane.send(source.back(), "SIP/2.0 200 OK");
        assert_eq!(&lane.until(asking).await.unwrap(), b"SIP/2.0 200 OK");
    });
}
