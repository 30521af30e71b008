//! From a URI to addresses: which questions to ask the DNS, and in which order to try what it says. RFC 3263, RFC 2782 (SRV),
//! RFC 3403 (NAPTR), RFC 7118 section 5.
//!
//! A [`Lookup`] asks one question at a time and asks no network itself; who drives it answers from a cache or a resolver.
//! Numeric hosts are done at once. Bounded: [`MAX_QUESTIONS`] questions and [`MAX_HOPS`] addresses, whatever the answers say.
//!
//! ```
//! use switchhook_sip::flow::Transport;
//! use switchhook_sip::message::Uri;
//! use switchhook_sip::resolve::{Answers, Kind, Lookup, Srv, Step, Supported};
//!
//! let uri = Uri::parse(b"sip:example.test;transport=tcp")?;
//! let mut lookup = Lookup::new(&uri, Supported::default(), 1)?;
//! let mut asked = Vec::new();
//! let hops = loop {
//!     match lookup.next() {
//!         Step::Ask(question) => {
//!             asked.push(question.name.clone());
//!             lookup.answer(match question.kind {
//!                 Kind::Srv => Answers::Srv(vec![Srv { priority: 1, weight: 0, port: 5070, target: "a.test".into() }]),
//!                 Kind::Address => Answers::Addresses(vec!["192.0.2.1".parse()?]),
//!                 Kind::Naptr => Answers::Nothing,
//!             });
//!         }
//!         Step::Done(hops) => break hops,
//!     }
//! };
//! assert_eq!(asked, ["_sip._tcp.example.test", "a.test"]);
//! assert_eq!((hops[0].transport, hops[0].address), (Transport::Tcp, "192.0.2.1:5070".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::flow::Transport;
use crate::message::{Uri, host_ip};

/// The most questions one lookup asks.
pub const MAX_QUESTIONS: usize = 24;
/// The most addresses one lookup gives.
pub const MAX_HOPS: usize = 16;

/// The transports and address families that we can send with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supported {
    /// UDP
    pub udp: bool,
    /// TCP
    pub tcp: bool,
    /// TLS over TCP
    pub tls: bool,
    /// WebSocket
    pub ws: bool,
    /// WebSocket over TLS
    pub wss: bool,
    /// IPv4
    pub ipv4: bool,
    /// IPv6
    pub ipv6: bool,
}

impl Default for Supported {
    /// UDP and TCP, both families.
    fn default() -> Self {
        Self {
            udp: true,
            tcp: true,
            tls: false,
            ws: false,
            wss: false,
            ipv4: true,
            ipv6: true,
        }
    }
}

impl Supported {
    fn has(&self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Tls => self.tls,
            Transport::Ws => self.ws,
            Transport::Wss => self.wss,
        }
    }

    fn reaches(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        }
    }
}

/// Why there is nothing to ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoute {
    /// Not a `sip:` or `sips:` URI, or one without a host.
    #[error("URI: expected sip: or sips: with a host")]
    Scheme,
    /// A transport that is unknown, not enabled, or not secure where `sips:` asks for that.
    #[error("transport: expected one that is enabled here, got `{0}`")]
    Transport(String),
    /// An address of a family that is not enabled.
    #[error("address: expected a family that is enabled here, got {0}")]
    Family(IpAddr),
}

/// A question to the DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name asked for, without a dot at its end.
    pub name: String,
    /// What is asked.
    pub kind: Kind,
}

/// What is asked of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// NAPTR records.
    Naptr,
    /// SRV records.
    Srv,
    /// A and AAAA records, of the families that are supported.
    Address,
}

/// What the DNS says. Records of another kind than asked count as none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// To [`Kind::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Kind::Srv`].
    Srv(Vec<Srv>),
    /// To [`Kind::Address`], in the order to try them.
    Addresses(Vec<IpAddr>),
    /// No such name, no such record, or no answer in time.
    Nothing,
}

/// A NAPTR record (RFC 3403 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Lower first, within an order.
    pub preference: u16,
    /// `s`: ask SRV next; `a`: ask addresses next.
    pub flags: String,
    /// `SIP+D2U`, ...
    pub service: String,
    /// The name to ask next.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// The chance to come first, within a priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The name; `.` says that there is no such service.
    pub target: String,
}

/// One address to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hop {
    /// With this transport.
    pub transport: Transport,
    /// There.
    pub address: SocketAddr,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Find this out, then call [`Lookup::answer`].
    Ask(Question),
    /// Try these in order; none means that there is no way.
    Done(Vec<Hop>),
}

/// One URI being looked up.
#[derive(Debug, Clone)]
pub struct Lookup {
    supported: Supported,
    random: u64,
    asked: usize,
    /// What is still to be asked, first one first.
    to_ask: VecDeque<Task>,
    hops: Vec<Hop>,
}

/// A question and what its answer is for.
#[derive(Debug, Clone)]
enum Task {
    /// Services of a domain; where there are none, SRV of each transport.
    Naptr { name: String, secure: bool },
    /// Servers of a service. `fallback`: what to ask where there are none.
    Srv {
        transport: Transport,
        name: String,
        fallback: Option<Box<Task>>,
    },
    /// Addresses of a server.
    Address {
        transport: Transport,
        name: String,
        port: u16,
    },
}

impl Lookup {
    /// Begins with a URI (RFC 3263 section 4). `random` decides between SRV records of equal priority.
    pub fn new(uri: &Uri<'_>, supported: Supported, random: u64) -> Result<Self, NoRoute> {
        if !uri.is_sip() || uri.host.is_empty() {
            return Err(NoRoute::Scheme);
        }
        let mut lookup = Self::empty(supported, random);
        let asked = uri.params.value(b"transport");
        let asked = asked.map(|name| named(name, uri.is_secure())).transpose()?;
        if let Some(transport) = asked.filter(|transport| !supported.has(*transport)) {
            return Err(NoRoute::Transport(transport.to_string()));
        }
        let host = uri.params.value(b"maddr").unwrap_or(uri.host);
        let secure = uri.is_secure();
        let chosen = || asked.map_or_else(|| default(supported, secure), Ok);
        let name = name(host);
        if let Some(address) = host_ip(host) {
            let transport = chosen()?;
            if !supported.reaches(address) {
                return Err(NoRoute::Family(address));
            }
            let port = uri.port.unwrap_or(transport.default_port());
            lookup.hops.push(Hop {
                transport,
                address: SocketAddr::new(address, port),
            });
        } else if let Some(port) = uri.port {
            let transport = chosen()?;
            lookup.to_ask.push_back(Task::Address {
                transport,
                name,
                port,
            });
        } else if let Some(transport) = asked {
            lookup.to_ask.push_back(service(transport, &name));
        } else {
            chosen()?;
            lookup.to_ask.push_back(Task::Naptr { name, secure });
        }
        Ok(lookup)
    }

    /// Begins with the sent-by of a Via, for a reply (RFC 3263 section 5).
    pub fn reply(
        transport: Transport,
        host: &[u8],
        port: Option<u16>,
        supported: Supported,
        random: u64,
    ) -> Self {
        let mut lookup = Self::empty(supported, random);
        let name = name(host);
        lookup.to_ask.push_back(match port {
            Some(port) => Task::Address {
                transport,
                name,
                port,
            },
            None => service(transport, &name),
        });
        lookup
    }

    fn empty(supported: Supported, random: u64) -> Self {
        Self {
            supported,
            random,
            asked: 0,
            to_ask: VecDeque::new(),
            hops: Vec::new(),
        }
    }

    /// What to do next. The same until [`Lookup::answer`] is called.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is driven by answers, not iterated"
    )]
    pub fn next(&mut self) -> Step {
        let full = self.asked >= MAX_QUESTIONS || self.hops.len() >= MAX_HOPS;
        match self.to_ask.front().filter(|_| !full) {
            Some(task) => Step::Ask(task.question()),
            None => Step::Done(self.hops.clone()),
        }
    }

    /// Takes the answer to the question that [`Lookup::next`] gave.
    pub fn answer(&mut self, answers: Answers) {
        let Some(task) = self.to_ask.pop_front() else {
            return;
        };
        self.asked += 1;
        match (task, answers) {
            (Task::Naptr { name, secure }, Answers::Naptr(records)) => {
                self.services(records, &name, secure);
            }
            (Task::Naptr { name, secure }, _) => self.services(Vec::new(), &name, secure),
            (
                Task::Srv {
                    transport,
                    fallback,
                    ..
                },
                Answers::Srv(records),
            ) if !records.is_empty() => {
                let _ = fallback;
                self.servers(transport, records);
            }
            (Task::Srv { fallback, .. }, _) => {
                if let Some(task) = fallback {
                    self.to_ask.push_front(*task);
                }
            }
            (
                Task::Address {
                    transport, port, ..
                },
                Answers::Addresses(addresses),
            ) => {
                let supported = self.supported;
                let hops = addresses
                    .into_iter()
                    .filter(|address| supported.reaches(*address))
                    .map(|address| Hop {
                        transport,
                        address: SocketAddr::new(address, port),
                    });
                for hop in hops {
                    if self.hops.len() < MAX_HOPS && !self.hops.contains(&hop) {
                        self.hops.push(hop);
                    }
                }
            }
            (Task::Address { .. }, _) => {}
        }
    }

    /// RFC 3263 4.1: the services in their order that we support; without any, SRV of each transport until one answers, and
    /// at last the name's own address.
    fn services(&mut self, mut records: Vec<Naptr>, name: &str, secure: bool) {
        records.sort_by_key(|record| (record.order, record.preference));
        for record in records {
            let Some(transport) = of_service(&record.service, secure) else {
                continue;
            };
            let name = bare(&record.replacement);
            if !self.supported.has(transport) || name.is_empty() {
                continue;
            }
            if record.flags.eq_ignore_ascii_case("s") {
                self.to_ask.push_back(Task::Srv {
                    transport,
                    name,
                    fallback: None,
                });
            } else if record.flags.eq_ignore_ascii_case("a") {
                self.to_ask.push_back(Task::Address {
                    transport,
                    name,
                    port: transport.default_port(),
                });
            }
        }
        if !self.to_ask.is_empty() {
            return;
        }
        let Ok(transport) = default(self.supported, secure) else {
            return;
        };
        let own = Task::Address {
            transport,
            name: name.to_owned(),
            port: transport.default_port(),
        };
        // From the last to the first, each the way out of the one before.
        let chain = [Transport::Tls, Transport::Tcp, Transport::Udp]
            .into_iter()
            .filter(|one| self.supported.has(*one) && (!secure || one.is_secure()))
            .fold(own, |next, transport| Task::Srv {
                transport,
                name: service_name(transport, name),
                fallback: Some(Box::new(next)),
            });
        self.to_ask.push_back(chain);
    }

    /// RFC 2782: by priority, and within one by chance in proportion to weight.
    fn servers(&mut self, transport: Transport, mut records: Vec<Srv>) {
        records.retain(|record| !bare(&record.target).is_empty());
        records.sort_by_key(|record| (record.priority, record.weight));
        let mut at = VecDeque::new();
        while let Some(priority) = records.first().map(|record| record.priority) {
            let same = records.partition_point(|record| record.priority <= priority);
            let total: u64 = records
                .iter()
                .take(same)
                .map(|record| u64::from(record.weight))
                .sum();
            let pick = self.chance() % (total + 1);
            let mut sum = 0;
            let picked = records.iter().take(same).position(|record| {
                sum += u64::from(record.weight);
                sum >= pick
            });
            let record = records.remove(picked.unwrap_or(0));
            at.push_back(Task::Address {
                transport,
                name: bare(&record.target),
                port: record.port,
            });
            if at.len() >= MAX_HOPS {
                break;
            }
        }
        // In place of the question they answer: services further down come later.
        at.append(&mut self.to_ask);
        self.to_ask = at;
    }

    /// splitmix64.
    fn chance(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

impl Task {
    fn question(&self) -> Question {
        let (name, kind) = match self {
            Self::Naptr { name, .. } => (name, Kind::Naptr),
            Self::Srv { name, .. } => (name, Kind::Srv),
            Self::Address { name, .. } => (name, Kind::Address),
        };
        Question {
            name: name.clone(),
            kind,
        }
    }
}

/// SRV of one transport, then the name's own address. WebSocket has no SRV (RFC 7118 section 5).
fn service(transport: Transport, name: &str) -> Task {
    let own = Task::Address {
        transport,
        name: name.to_owned(),
        port: transport.default_port(),
    };
    match transport {
        Transport::Ws | Transport::Wss => own,
        _ => Task::Srv {
            transport,
            name: service_name(transport, name),
            fallback: Some(Box::new(own)),
        },
    }
}

fn service_name(transport: Transport, name: &str) -> String {
    let service = match transport {
        Transport::Tls => "_sips._tcp",
        Transport::Tcp => "_sip._tcp",
        _ => "_sip._udp",
    };
    format!("{service}.{name}")
}

/// RFC 3263 4.1, RFC 7118 section 5.
fn of_service(service: &str, secure: bool) -> Option<Transport> {
    let transport = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2W", Transport::Ws),
        ("SIPS+D2W", Transport::Wss),
    ]
    .into_iter()
    .find(|(name, _)| service.eq_ignore_ascii_case(name))?
    .1;
    (!secure || transport.is_secure()).then_some(transport)
}

/// The transport of a URI's parameter; `sips:` makes it the secure one.
fn named(name: &[u8], secure: bool) -> Result<Transport, NoRoute> {
    let unknown = || NoRoute::Transport(String::from_utf8_lossy(name).into_owned());
    let transport = Transport::from_bytes(name).ok_or_else(unknown)?;
    match (transport, secure) {
        (Transport::Tcp, true) => Ok(Transport::Tls),
        (Transport::Ws, true) => Ok(Transport::Wss),
        (Transport::Udp, true) => Err(unknown()),
        _ => Ok(transport),
    }
}

/// UDP for `sip:`, TLS for `sips:` (RFC 3263 4.1); where UDP is not enabled, the first that is.
fn default(supported: Supported, secure: bool) -> Result<Transport, NoRoute> {
    let order: &[Transport] = match secure {
        true => &[Transport::Tls, Transport::Wss],
        false => &[
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
            Transport::Wss,
        ],
    };
    let found = order.iter().copied().find(|one| supported.has(*one));
    let asked = if secure { "sips" } else { "sip" };
    found.ok_or_else(|| NoRoute::Transport(asked.to_owned()))
}

fn name(host: &[u8]) -> String {
    bare(&String::from_utf8_lossy(host))
}

/// Lower case, without the root's dot.
fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

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
}
