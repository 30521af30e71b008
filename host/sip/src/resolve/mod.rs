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

mod dns;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::flow::Transport;
use crate::message::{Uri, host_ip};

pub use dns::{Answers, Hop, Kind, Naptr, NoRoute, Question, Srv, Step, Supported};

/// The most questions one lookup asks.
pub const MAX_QUESTIONS: usize = 24;
/// The most addresses one lookup gives.
pub const MAX_HOPS: usize = 16;

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
