//! Lookups against zones in memory.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::IpAddr;

/// A zone file: name and kind to records.
#[derive(Default)]
struct Zone(HashMap<(String, Kind), Answers>);

impl Zone {
    fn naptr(mut self, name: &str, records: &[(u16, u16, &str, &str, &str)]) -> Self {
        let records = records
            .iter()
            .map(|(order, preference, flags, service, to)| Naptr {
                order: *order,
                preference: *preference,
                flags: (*flags).into(),
                service: (*service).into(),
                replacement: (*to).into(),
            });
        let records = Answers::Naptr(records.collect());
        self.0.insert((name.into(), Kind::Naptr), records);
        self
    }

    fn srv(mut self, name: &str, records: &[(u16, u16, u16, &str)]) -> Self {
        let records = records.iter().map(|(priority, weight, port, target)| Srv {
            priority: *priority,
            weight: *weight,
            port: *port,
            target: (*target).into(),
        });
        let records = Answers::Srv(records.collect());
        self.0.insert((name.into(), Kind::Srv), records);
        self
    }

    fn address(mut self, name: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        self.0
            .insert((name.into(), Kind::Address), Answers::Addresses(addresses));
        self
    }

    /// What was asked, and the hops as text.
    fn resolve(&self, mut lookup: Lookup) -> (Vec<String>, Vec<String>) {
        let mut asked = Vec::new();
        loop {
            match lookup.next() {
                Step::Ask(question) => {
                    asked.push(format!("{:?} {}", question.kind, question.name));
                    let key = (question.name, question.kind);
                    let answers = self.0.get(&key).cloned().unwrap_or(Answers::Nothing);
                    lookup.answer(answers);
                }
                Step::Done(hops) => {
                    let hops = hops
                        .iter()
                        .map(|hop| format!("{} {}", hop.transport, hop.address));
                    return (asked, hops.collect());
                }
            }
        }
    }
}

const ALL: Supported = Supported {
    udp: true,
    tcp: true,
    tls: true,
    ws: true,
    wss: true,
    ipv4: true,
    ipv6: true,
};

fn lookup(uri: &str, supported: Supported) -> Result<Lookup, NoRoute> {
    Lookup::new(&Uri::parse(uri.as_bytes()).unwrap(), supported, 7)
}

#[test]
fn numeric_hosts_need_no_dns() {
    for (uri, hop) in [
        ("sip:192.0.2.1", "UDP 192.0.2.1:5060"),
        ("sip:a@192.0.2.1:5070;transport=tcp", "TCP 192.0.2.1:5070"),
        ("sips:[2001:db8::1]", "TLS [2001:db8::1]:5061"),
        ("sips:192.0.2.1;transport=tcp", "TLS 192.0.2.1:5061"),
        ("sip:192.0.2.1;transport=ws", "WS 192.0.2.1:80"),
        ("sip:example.test;maddr=192.0.2.7", "UDP 192.0.2.7:5060"),
    ] {
        let (asked, hops) = Zone::default().resolve(lookup(uri, ALL).unwrap());
        assert!(asked.is_empty());
        assert_eq!(hops, [hop], "{uri}");
    }
}

#[test]
fn what_cannot_be_sent_is_told_at_once() {
    let plain = Supported::default();
    for (uri, reason) in [
        ("tel:+1234", "URI: expected sip: or sips: with a host"),
        (
            "sips:example.test",
            "transport: expected one that is enabled here, got `sips`",
        ),
        (
            "sip:example.test;transport=sctp",
            "transport: expected one that is enabled here, got `sctp`",
        ),
        (
            "sip:example.test;transport=tls",
            "transport: expected one that is enabled here, got `TLS`",
        ),
        (
            "sips:example.test;transport=udp",
            "transport: expected one that is enabled here, got `udp`",
        ),
    ] {
        assert_eq!(lookup(uri, plain).unwrap_err().to_string(), reason, "{uri}");
    }
    let only4 = Supported { ipv6: false, ..ALL };
    assert!(matches!(
        lookup("sip:[2001:db8::1]", only4),
        Err(NoRoute::Family(_))
    ));
}

/// The example of RFC 3263 4.1 and 4.2.
#[test]
fn services_by_naptr_then_servers_by_srv() {
    let zone = Zone::default()
        .naptr(
            "example.com",
            &[
                (90, 50, "s", "SIP+D2T", "_sip._tcp.example.com."),
                (100, 50, "s", "SIP+D2U", "_sip._udp.example.com."),
                (50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com."),
                (10, 50, "u", "E2U+sip", ""),
            ],
        )
        .srv(
            "_sip._tcp.example.com",
            &[
                (0, 1, 5060, "server1.example.com"),
                (1, 2, 5060, "server2.example.com"),
            ],
        )
        .srv(
            "_sip._udp.example.com",
            &[(0, 1, 5060, "server1.example.com")],
        )
        .address("server1.example.com", &["192.0.2.1", "2001:db8::1"])
        .address("server2.example.com", &["192.0.2.2"]);
    let (asked, hops) = zone.resolve(lookup("sip:example.com", Supported::default()).unwrap());
    assert_eq!(
        hops,
        [
            "TCP 192.0.2.1:5060",
            "TCP [2001:db8::1]:5060",
            "TCP 192.0.2.2:5060",
            "UDP 192.0.2.1:5060",
            "UDP [2001:db8::1]:5060"
        ]
    );
    assert_eq!(
        asked,
        [
            "Naptr example.com",
            "Srv _sip._tcp.example.com",
            "Address server1.example.com",
            "Address server2.example.com",
            "Srv _sip._udp.example.com",
            "Address server1.example.com"
        ]
    );
    let (asked, hops) = zone.resolve(lookup("sips:example.com", ALL).unwrap());
    assert_eq!(asked, ["Naptr example.com", "Srv _sips._tcp.example.com"]);
    assert!(hops.is_empty(), "no other service is secure");
}

#[test]
fn without_naptr_each_transport_is_asked_for_until_one_is_there() {
    let zone = Zone::default()
        .srv("_sip._tcp.x", &[(0, 0, 5080, "a.x")])
        .address("a.x", &["192.0.2.1"]);
    let (asked, hops) = zone.resolve(lookup("sip:X.", ALL).unwrap());
    assert_eq!(
        asked,
        [
            "Naptr x",
            "Srv _sip._udp.x",
            "Srv _sip._tcp.x",
            "Address a.x"
        ]
    );
    assert_eq!(hops, ["TCP 192.0.2.1:5080"]);

    let plain = Zone::default().address("x", &["192.0.2.9"]);
    let (asked, hops) = plain.resolve(lookup("sip:x", Supported::default()).unwrap());
    assert_eq!(
        asked,
        ["Naptr x", "Srv _sip._udp.x", "Srv _sip._tcp.x", "Address x"]
    );
    assert_eq!(hops, ["UDP 192.0.2.9:5060"]);
    let (asked, hops) = plain.resolve(lookup("sip:x:5090", ALL).unwrap());
    assert_eq!(
        (asked, hops),
        (vec!["Address x".into()], vec!["UDP 192.0.2.9:5090".into()])
    );
    let (asked, hops) = plain.resolve(lookup("sip:x;transport=tcp", ALL).unwrap());
    assert_eq!(asked, ["Srv _sip._tcp.x", "Address x"]);
    assert_eq!(hops, ["TCP 192.0.2.9:5060"]);
    let (asked, _) = plain.resolve(lookup("sip:x;transport=ws", ALL).unwrap());
    assert_eq!(asked, ["Address x"]);
}

#[test]
fn a_dot_says_that_there_is_no_such_service() {
    let zone = Zone::default()
        .srv("_sip._tcp.x", &[(0, 0, 0, ".")])
        .address("x", &["192.0.2.9"]);
    let (asked, hops) = zone.resolve(lookup("sip:x;transport=tcp", ALL).unwrap());
    assert_eq!((asked.len(), hops.len()), (1, 0));
}

#[test]
fn replies_to_a_name_go_by_srv_or_port() {
    let zone = Zone::default()
        .srv("_sip._udp.x", &[(0, 0, 5099, "a.x")])
        .address("a.x", &["192.0.2.1"])
        .address("x", &["192.0.2.2"]);
    let reply = |port| Lookup::reply(Transport::Udp, b"x", port, ALL, 1);
    assert_eq!(zone.resolve(reply(None)).1, ["UDP 192.0.2.1:5099"]);
    assert_eq!(zone.resolve(reply(Some(5070))).1, ["UDP 192.0.2.2:5070"]);
}

#[test]
fn weight_decides_how_often_a_server_comes_first() {
    let zone = Zone::default()
        .srv(
            "_sip._tcp.x",
            &[
                (1, 30, 1, "a.x"),
                (1, 10, 1, "b.x"),
                (1, 0, 1, "c.x"),
                (2, 100, 1, "d.x"),
            ],
        )
        .address("a.x", &["192.0.2.1"])
        .address("b.x", &["192.0.2.2"])
        .address("c.x", &["192.0.2.3"])
        .address("d.x", &["192.0.2.4"]);
    let uri = Uri::parse(b"sip:x;transport=tcp").unwrap();
    let mut first = HashMap::<String, u32>::new();
    for random in 0..4000 {
        let (_, hops) = zone.resolve(Lookup::new(&uri, ALL, random).unwrap());
        assert_eq!(hops.len(), 4);
        assert_eq!(hops[3], "TCP 192.0.2.4:1", "another priority");
        *first.entry(hops[0].clone()).or_default() += 1;
    }
    let share = |host: &str| {
        first
            .get(&format!("TCP 192.0.2.{host}:1"))
            .copied()
            .unwrap_or(0)
    };
    assert!((2700..3100).contains(&share("1")), "{first:?}");
    assert!((800..1100).contains(&share("2")), "{first:?}");
    assert!((1..250).contains(&share("3")), "{first:?}");
}

prop_compose! {
    fn record()(n in 0u16..6, weight in 0u16..3, flag in prop::sample::select(vec!["s", "a", ""]),
        service in prop::sample::select(vec!["SIP+D2U", "SIP+D2T", "SIPS+D2T", "x"]), target in "[a-c.]{0,3}")
        -> (Naptr, Srv) {
        (Naptr { order: n, preference: weight, flags: flag.into(), service: service.into(), replacement: target.clone() },
         Srv { priority: n, weight, port: n, target })
    }
}

proptest! {
    /// Whatever the DNS says, a lookup ends, within its bounds.
    #[test]
    fn every_lookup_ends(records in prop::collection::vec(record(), 0..40), random: u64, addresses in 0u8..30) {
        let mut lookup = Lookup::new(&Uri::parse(b"sip:a").unwrap(), ALL, random).unwrap();
        let mut asked = 0;
        let hops = loop {
            match lookup.next() {
                Step::Done(hops) => break hops,
                Step::Ask(question) => {
                    asked += 1;
                    lookup.answer(match question.kind {
                        Kind::Naptr => Answers::Naptr(records.iter().map(|r| r.0.clone()).collect()),
                        Kind::Srv => Answers::Srv(records.iter().map(|r| r.1.clone()).collect()),
                        Kind::Address => Answers::Addresses((0..addresses).map(|n| IpAddr::from([192, 0, 2, n])).collect()),
                    });
                }
            }
        };
        prop_assert!(asked <= MAX_QUESTIONS && hops.len() <= MAX_HOPS);
    }
}
