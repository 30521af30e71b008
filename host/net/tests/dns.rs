//! Stories of asking a name server that this test plays itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use switchhook_net::Dns;
use switchhook_net::resolver::{Kind, Record, Resolver, Unresolved};

/// A name server: answers for `example.test`, knows nothing else, and is silent about `silent.test`.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn new() -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut space = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut space) {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&space[..length]) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Server { address, asked }
    }

    fn resolver(&self, dns: &Dns) -> Resolver {
        let dns = Dns {
            servers: vec![self.address],
            ..dns.clone()
        };
        Resolver::new(&dns).unwrap()
    }
}

/// RFC 1035: header, the question as it came, and what we know of it.
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let mut end = 12;
    let mut name = String::new();
    while query[end] != 0 {
        let length = usize::from(query[end]);
        name += std::str::from_utf8(&query[end + 1..end + 1 + length]).unwrap();
        name.push('.');
        end += length + 1;
    }
    let question = &query[12..end + 5];
    let kind = u16::from_be_bytes([query[end + 1], query[end + 2]]);
    let name = name.to_ascii_lowercase();
    if name == "silent.test." {
        return None;
    }
    let data: Option<Vec<u8>> = match (name.as_str(), kind) {
        ("example.test.", 1) => Some(vec![192, 0, 2, 7]),
        ("_sip._udp.example.test.", 33) => {
            let mut data = vec![0, 10, 0, 60, 0x13, 0xce];
            data.extend(b"\x05proxy\x07example\x04test\x00");
            Some(data)
        }
        ("example.test.", 35) => {
            let mut data = vec![0, 50, 0, 51];
            for text in ["s", "SIP+D2U", ""] {
                data.push(text.len() as u8);
                data.extend(text.as_bytes());
            }
            data.extend(b"\x04_sip\x04_udp\x07example\x04test\x00");
            Some(data)
        }
        _ => None,
    };
    let known = name.ends_with("example.test.");
    let mut out = query[..2].to_vec();
    out.extend([0x85, if known { 0x80 } else { 0x83 }]);
    out.extend([0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    out.extend(question);
    if let Some(data) = data {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn story<F: Future<Output = ()>>(story: F) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(story);
}

#[test]
fn addresses_services_and_rules_are_read() {
    story(async {
        let resolver = Server::new().resolver(&Dns::default());
        let addresses = resolver.ask("example.test", Kind::Addresses).await.unwrap();
        let expected: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(addresses, [Record::Address(expected)]);
        let services = resolver
            .ask("_sip._udp.example.test", Kind::Srv)
            .await
            .unwrap();
        assert_eq!(
            services,
            [Record::Srv {
                priority: 10,
                weight: 60,
                port: 5070,
                target: "proxy.example.test".into(),
            }]
        );
        let rules = resolver.ask("example.test.", Kind::Naptr).await.unwrap();
        assert_eq!(
            rules,
            [Record::Naptr {
                order: 50,
                preference: 51,
                flags: b"s".to_vec(),
                service: b"SIP+D2U".to_vec(),
                replacement: "_sip._udp.example.test".into(),
            }]
        );
    });
}

#[test]
fn what_does_not_exist_is_an_empty_answer() {
    story(async {
        let resolver = Server::new().resolver(&Dns::default());
        for (name, kind) in [
            ("nobody.invalid.test", Kind::Addresses),
            ("_sip._tcp.example.test", Kind::Srv),
        ] {
            assert!(resolver.ask(name, kind).await.unwrap().is_empty(), "{name}");
        }
    });
}

#[test]
fn an_answer_is_kept_for_its_life() {
    story(async {
        let server = Server::new();
        let resolver = server.resolver(&Dns::default());
        let ask = || resolver.ask("_sip._udp.example.test", Kind::Srv);
        ask().await.unwrap();
        let asked = server.asked.load(Ordering::Relaxed);
        for _ in 0..10 {
            assert_eq!(ask().await.unwrap().len(), 1);
        }
        assert_eq!(server.asked.load(Ordering::Relaxed), asked);
    });
}

#[test]
fn silence_ends_in_time_and_one_question_too_many_is_refused_at_once() {
    story(async {
        let resolver = Server::new().resolver(&Dns {
            timeout: Duration::from_millis(100),
            attempts: 1,
            concurrent: 1,
            ..Dns::default()
        });
        let begun = Instant::now();
        let (silent, busy) = tokio::join!(
            resolver.ask("silent.test", Kind::Srv),
            resolver.ask("example.test", Kind::Addresses)
        );
        assert!(silent.is_err());
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert!(matches!(busy, Err(Unresolved::Busy)));
        // The place is free again.
        assert!(resolver.ask("example.test", Kind::Addresses).await.is_ok());
    });
}
