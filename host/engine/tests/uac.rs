//! Requests of our own through an engine, over real sockets on loopback: answered, challenged, unheard, refused, too many.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use support::{Phone, Plan, Site, TcpPhone, name_server, text};
use switchhook_engine::EngineLimits;
use switchhook_script::uac::{Credentials, Reply, Request};
use switchhook_script::{Body, ErrorCode, HeaderField, Refusal};
use switchhook_sip::digest::{Algorithm, Authority, Config, Realm, UserTable, Verdict};
use switchhook_sip::message::{HeaderId, Message, response};
use switchhook_sip::transaction::Timers;

fn request(method: &str, uri: &str) -> Request {
    Request {
        method: method.to_owned(),
        uri: uri.to_owned(),
        from: None,
        to: None,
        headers: Vec::new(),
        body: None,
        next_hop: None,
        local: None,
        timeout: None,
        credentials: None,
    }
}

/// Sends a request; its reply comes out of the channel.
fn ask(site: &Site, request: Request) -> std::sync::mpsc::Receiver<Reply> {
    let asked = site.services.uac.get().unwrap().ask(request).unwrap();
    let (reply, replied) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        if let Some(answer) = runtime.unwrap().block_on(asked) {
            let _ = reply.send(answer);
        }
    });
    replied
}

fn outcome(replied: &std::sync::mpsc::Receiver<Reply>) -> Reply {
    replied.recv_timeout(support::PATIENCE).expect("a reply")
}

/// Timers of which F is 640 ms.
fn quick() -> Plan {
    Plan {
        timers: Timers::new(
            Duration::from_millis(10),
            Duration::from_millis(80),
            Duration::from_millis(100),
        ),
        ..Plan::default()
    }
}

/// An address that nobody listens at.
fn nobody() -> std::net::SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn a_request_is_whole_repeated_and_answered() {
    let site = Site::new();
    let bob = Phone::new("bob");
    let mut options = request("OPTIONS", &bob.uri());
    options.headers.push(HeaderField {
        name: "X-Mark".into(),
        value: "one".to_owned(),
    });
    options.body = Some(Body {
        content_type: "text/plain".to_owned(),
        content: b"hello".to_vec(),
    });
    let replied = ask(&site, options);
    let first = bob.gets("OPTIONS");
    let again = bob.gets("OPTIONS");
    assert_eq!(
        text(&first),
        text(&again),
        "a copy, because nobody answered"
    );
    first.check().unwrap();
    assert_eq!(first.body(), b"hello");
    assert_eq!(first.max_forwards(), Some(Ok(70)));
    assert_eq!(first.cseq().unwrap().number, 1);
    assert_eq!(first.named(b"X-Mark").count(), 1);
    assert_eq!(
        first.from().unwrap().uri,
        format!("sip:{}", site.udp).as_bytes()
    );
    assert!(first.from_tag().is_some() && first.to_tag().is_none());
    assert_eq!(first.to().unwrap().uri, bob.uri().as_bytes());
    // A provisional reply is not told.
    bob.answer(site.udp, &first, 180);
    assert!(replied.recv_timeout(Duration::from_millis(50)).is_err());
    let ok = response(&first, 200, "Fine", Some("b"));
    let ok = ok.body(b"text/plain", b"world").unwrap().finish();
    bob.send(site.udp, std::str::from_utf8(&ok).unwrap());
    bob.send(site.udp, std::str::from_utf8(&ok).unwrap());
    let reply = outcome(&replied);
    assert_eq!(
        (reply.status, reply.reason.as_str(), reply.made_here),
        (200, "Fine", false)
    );
    let body = reply.body.unwrap();
    assert_eq!(
        (body.content_type.as_str(), body.content.as_slice()),
        ("text/plain", &b"world"[..])
    );
    assert!(reply.headers.iter().any(|header| header.name == "CSeq"));
    site.counts("uac.alive", 0);
    let stats = site.engine.stats();
    assert_eq!(stats.value("uac.sent"), 1);
    assert_eq!(
        stats.value("drop.stray_replies"),
        0,
        "a copy of the reply is absorbed"
    );
    site.engine.stop();
}

#[test]
fn a_challenge_is_answered_once() {
    let site = Site::new();
    let bob = Phone::new("bob");
    let now = Instant::now();
    let mut users = UserTable::default();
    users.insert_password("alice", "example.test", "secret");
    let config = Config {
        algorithms: vec![Algorithm::SHA256, Algorithm::MD5],
        ..Config::default()
    };
    let authority = Authority::new([7; 32], now, config);
    for (password, proxy, last) in [
        ("secret", false, 200),
        ("secret", true, 200),
        ("guess", true, 407),
    ] {
        let realm = match proxy {
            true => Realm::proxy("example.test"),
            false => Realm::www("example.test"),
        };
        let mut message = request("MESSAGE", &bob.uri());
        message.credentials = Some(Credentials {
            user: "alice".to_owned(),
            password: password.to_owned(),
        });
        let replied = ask(&site, message);
        let challenge = |request: &Message| {
            let status = if proxy { 407 } else { 401 };
            let mut reply = response(request, status, "Who?", Some("b"));
            for (name, value) in authority.challenge(now, realm, false) {
                reply = reply.header(name.as_bytes(), value.as_bytes()).unwrap();
            }
            bob.send(site.udp, std::str::from_utf8(&reply.finish()).unwrap());
        };
        let first = bob.gets("MESSAGE");
        challenge(&first);
        let second = bob.gets("MESSAGE");
        assert_eq!(second.call_id().unwrap(), first.call_id().unwrap());
        assert_eq!(second.from_tag(), first.from_tag());
        assert_eq!(second.cseq().unwrap().number, 2);
        let verdict = authority.check(now, realm, second.view(), &site.source(site.udp), &users);
        match verdict {
            Verdict::Accepted { .. } => bob.answer(site.udp, &second, 200),
            _ => challenge(&second),
        }
        assert_eq!(outcome(&replied).status, last, "{verdict:?}");
    }
    site.counts("uac.challenged", 3);
    // Without credentials the challenge is the reply.
    let replied = ask(&site, request("MESSAGE", &bob.uri()));
    let message = bob.gets("MESSAGE");
    bob.answer(site.udp, &message, 401);
    assert_eq!(outcome(&replied).status, 401);
    site.engine.stop();
}

#[test]
fn silence_is_a_408_made_here() {
    let site = Site::with(quick());
    let bob = Phone::new("bob");
    let mut message = request("MESSAGE", &bob.uri());
    let begun = Instant::now();
    let replied = ask(&site, message.clone());
    let reply = outcome(&replied);
    assert_eq!(
        (reply.status, reply.reason.as_str(), reply.made_here),
        (408, "Request Timeout", true)
    );
    assert!(begun.elapsed() >= Duration::from_millis(640), "Timer F");
    // A time of its own.
    message.timeout = Some(Duration::from_millis(100));
    let begun = Instant::now();
    assert_eq!(outcome(&ask(&site, message)).status, 408);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    site.counts("uac.timed_out", 2);
    // What comes after all is dropped.
    let late = bob.gets("MESSAGE");
    bob.answer(site.udp, &late, 200);
    site.counts("replies.received", 1);
    assert_eq!(site.engine.stats().value("drop.stray_replies"), 0);
    site.engine.stop();
}

#[test]
fn who_can_not_be_reached_is_a_503_made_here() {
    let site = Site::new();
    for uri in [
        format!("sip:bob@{}", nobody()),
        format!("sip:bob@{};transport=tcp", nobody()),
        "sip:bob@192.0.2.1;transport=tls".to_owned(),
        "sip:bob@nowhere.invalid".to_owned(),
    ] {
        let reply = outcome(&ask(&site, request("OPTIONS", &uri)));
        assert_eq!((reply.status, reply.made_here), (503, true), "{uri}");
    }
    site.counts("uac.unreachable", 4);
    site.engine.stop();
}

#[test]
fn the_next_address_is_tried() {
    let port = nobody().port();
    let plan = Plan {
        dns: name_server(&[[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 4]]),
        ..quick()
    };
    let site = Site::with(plan);
    // The first refuses, the second is silent, the third answers; in whatever order they are taken.
    let silent = Phone::at("silent", ([127, 0, 0, 3], port).into());
    let bob = Phone::at("bob", ([127, 0, 0, 4], port).into());
    let replied = ask(
        &site,
        request("OPTIONS", &format!("sip:central.example.test:{port}")),
    );
    let came = bob.gets("OPTIONS");
    bob.answer(site.udp, &came, 200);
    assert_eq!(outcome(&replied).status, 200);
    drop(silent);
    // A 503 is followed by the next one too, until none is left.
    let others: Vec<Phone> = [2, 3]
        .map(|n| Phone::at("other", ([127, 0, 0, n], port).into()))
        .into();
    let replied = ask(
        &site,
        request("OPTIONS", &format!("sip:central.example.test:{port}")),
    );
    std::thread::scope(|scope| {
        for phone in others.iter().chain([&bob]) {
            scope.spawn(|| {
                let came = phone.gets("OPTIONS");
                phone.answer(site.udp, &came, 503);
            });
        }
    });
    let reply = outcome(&replied);
    assert_eq!((reply.status, reply.made_here), (503, false));
    site.engine.stop();
}

#[test]
fn a_next_hop_a_route_and_a_listener_are_obeyed() {
    let site = Site::new();
    let (proxy, bob) = (Phone::new("proxy"), Phone::new("bob"));
    let mut by_hop = request("OPTIONS", "sip:bob@example.test");
    by_hop.next_hop = Some(proxy.uri());
    by_hop.from = Some("\"Us\" <sip:us@example.test>;tag=mine".to_owned());
    by_hop.local = Some(site.udp);
    let replied = ask(&site, by_hop);
    let came = proxy.gets("OPTIONS");
    assert_eq!(
        (came.request_uri(), came.from_tag()),
        (&b"sip:bob@example.test"[..], Some(&b"mine"[..]))
    );
    proxy.answer(site.udp, &came, 200);
    assert_eq!(outcome(&replied).status, 200);
    let mut by_route = request("OPTIONS", &bob.uri());
    by_route.headers.push(HeaderField {
        name: "Route".into(),
        value: format!("<sip:{};lr>", proxy.address),
    });
    let replied = ask(&site, by_route);
    let came = proxy.gets("OPTIONS");
    assert_eq!(came.values(HeaderId::Route).count(), 1);
    proxy.answer(site.udp, &came, 404);
    assert_eq!(outcome(&replied).status, 404);
    let mut from_nowhere = request("OPTIONS", &bob.uri());
    from_nowhere.local = Some(nobody());
    let refused = site.services.uac.get().unwrap().ask(from_nowhere);
    assert!(refused.is_err_and(|refusal| refusal.code == ErrorCode::Invalid));
    site.engine.stop();
}

#[test]
fn tcp_is_a_way_and_the_way_of_long_requests() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut long = request("MESSAGE", &format!("sip:bob@{at}"));
    long.headers.push(HeaderField {
        name: "X-Long".into(),
        value: "x".repeat(1400),
    });
    let short = request("MESSAGE", &format!("sip:bob@{at};transport=tcp"));
    let mut phone = None;
    for message in [short, long] {
        let replied = ask(&site, message);
        // One connection for both.
        let phone = phone.get_or_insert_with(|| TcpPhone::of(listener.accept().unwrap().0));
        let came = phone.receive();
        assert!(text(&came).contains("Via: SIP/2.0/TCP"), "{}", text(&came));
        let ok = response(&came, 200, "OK", Some("b")).finish();
        phone.send(std::str::from_utf8(&ok).unwrap());
        assert_eq!(outcome(&replied).status, 200);
    }
    // Where no connection is taken it goes by UDP after all.
    let bob = Phone::new("bob");
    let mut long = request("MESSAGE", &bob.uri());
    long.headers.push(HeaderField {
        name: "X-Long".into(),
        value: "x".repeat(1400),
    });
    let replied = ask(&site, long);
    let came = bob.gets("MESSAGE");
    assert!(came.bytes().len() > 1300);
    bob.answer(site.udp, &came, 200);
    assert_eq!(outcome(&replied).status, 200);
    site.engine.stop();
}

#[test]
fn too_many_are_refused_until_there_is_room() {
    let plan = Plan {
        limits: EngineLimits {
            own_requests: 2,
            ..EngineLimits::default()
        },
        ..quick()
    };
    let site = Site::with(plan);
    let bob = Phone::new("bob");
    let send = || -> Result<u64, Refusal> {
        let uac = site.services.uac.get().unwrap();
        uac.send(request("MESSAGE", &bob.uri()), None)
    };
    assert_eq!((send().unwrap(), send().unwrap()), (1, 2));
    let refusal = send().unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Limit);
    assert!(
        refusal.message.contains("sip.max-own-requests"),
        "{}",
        refusal.message
    );
    site.counts("uac.timed_out", 2);
    assert!(send().is_ok(), "there is room again");
    site.engine.stop();
}

#[test]
fn lanes_share_them_by_call_id() {
    let plan = Plan {
        lanes: 4,
        ..Plan::default()
    };
    let site = Site::with(plan);
    let bob = Phone::new("bob");
    let replied: Vec<_> = (0..64)
        .map(|_| ask(&site, request("OPTIONS", &bob.uri())))
        .collect();
    let mut seen = BTreeSet::new();
    while seen.len() < replied.len() {
        let came = bob.gets("OPTIONS");
        bob.answer(site.udp, &came, 200);
        seen.insert(came.call_id().unwrap().to_vec());
    }
    assert!(replied.iter().all(|replied| outcome(replied).status == 200));
    site.engine.stop();
}

#[test]
fn a_stop_ends_those_who_wait() {
    let site = Site::new();
    let bob = Phone::new("bob");
    let replied = ask(&site, request("OPTIONS", &bob.uri()));
    bob.gets("OPTIONS");
    site.engine.stop();
    assert!(
        replied.recv_timeout(support::PATIENCE).is_err(),
        "no reply, and no more waiting"
    );
}

#[test]
fn noise_in_replies_harms_nobody() {
    let site = Site::new();
    let bob = Phone::new("bob");
    let replied = ask(&site, request("OPTIONS", &bob.uri()));
    let came = bob.gets("OPTIONS");
    let via = String::from_utf8_lossy(came.header(HeaderId::Via).unwrap()).into_owned();
    let noise = format!("SIP/2.0 200 OK\r\nVia: {via}\r\nCSeq: x\r\nContent-Length: 0\r\n\r\n");
    bob.send(site.udp, &noise);
    let forged = text(&came).replace("z9hG4bKown.", "z9hG4bKown.1");
    let forged = Message::parse(Bytes::from(forged)).unwrap();
    bob.answer(site.udp, &forged, 200);
    site.counts("replies.received", 2);
    bob.answer(site.udp, &came, 486);
    assert_eq!(outcome(&replied).status, 486);
    site.engine.stop();
}
