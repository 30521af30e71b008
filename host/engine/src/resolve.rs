//! Where a request goes: drives the pure look-up of RFC 3263 with the resolver. A numeric next hop is known at once and asks
//! nothing. Of the addresses found at most [`ADDRESSES`] are tried.

use std::collections::VecDeque;

use switchhook_net::Local;
use switchhook_net::resolver::{self, Record, Resolver};
use switchhook_sip::flow::Transport;
use switchhook_sip::message::Uri;
use switchhook_sip::resolve::{Answers, Hop, Kind, Lookup, Naptr, Question, Srv, Step, Supported};

use crate::forward::Problem;

/// Addresses tried of one target. Each may take as long as Timer B; few sites have more servers, and no caller waits longer.
const ADDRESSES: usize = 4;

/// Where a request goes: there, and if that fails to the others in their order (RFC 3263 4.3).
pub(crate) struct Hops {
    pub(crate) first: Hop,
    pub(crate) others: VecDeque<Hop>,
}

/// Where a request goes, or what must be asked first.
pub(crate) enum Place {
    Known(Hops),
    Ask(Search),
}

/// A look-up that needs the DNS.
pub(crate) struct Search {
    name: String,
    lookup: Lookup,
    question: Question,
}

/// Where it goes, or why that is not known.
pub(crate) type Answer = Result<Hops, Problem>;

/// Looks a next hop's URI up as far as that goes without asking.
pub(crate) fn place(uri: &Uri<'_>, supported: Supported, random: u64) -> Result<Place, Problem> {
    let name = || String::from_utf8_lossy(uri.raw).into_owned();
    let mut lookup =
        Lookup::new(uri, supported, random).map_err(|_| Problem::Unresolved(name()))?;
    match lookup.next() {
        Step::Done(found) => hops(found)
            .map(Place::Known)
            .ok_or_else(|| Problem::Unresolved(name())),
        Step::Ask(question) => Ok(Place::Ask(Search {
            name: name(),
            lookup,
            question,
        })),
    }
}

fn hops(mut found: Vec<Hop>) -> Option<Hops> {
    found.truncate(ADDRESSES);
    let mut others = VecDeque::from(found);
    let first = others.pop_front()?;
    Some(Hops { first, others })
}

/// What our listeners can send with.
pub(crate) fn supported(locals: &[Local]) -> Supported {
    let has = |transport| locals.iter().any(|local| local.transport == transport);
    Supported {
        udp: has(Transport::Udp),
        tcp: has(Transport::Tcp),
        tls: has(Transport::Tls),
        ws: has(Transport::Ws),
        wss: has(Transport::Wss),
        ipv4: locals.iter().any(|local| local.address.is_ipv4()),
        ipv6: locals.iter().any(|local| local.address.is_ipv6()),
    }
}

impl Search {
    /// The URI that is looked up.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks until it is known where the request goes; the look-up bounds the questions, the resolver their time.
    pub(crate) async fn run(mut self, resolver: &Resolver) -> Answer {
        loop {
            let kind = match self.question.kind {
                Kind::Naptr => resolver::Kind::Naptr,
                Kind::Srv => resolver::Kind::Srv,
                Kind::Address => resolver::Kind::Addresses,
            };
            let records = resolver.ask(&self.question.name, kind).await;
            let answers = match records {
                Ok(records) => answers(self.question.kind, records),
                Err(error) => {
                    tracing::debug!(name = self.question.name, %error, "not resolved");
                    Answers::Nothing
                }
            };
            self.lookup.answer(answers);
            match self.lookup.next() {
                Step::Ask(question) => self.question = question,
                Step::Done(found) => return hops(found).ok_or(Problem::Unresolved(self.name)),
            }
        }
    }
}

fn answers(kind: Kind, records: Vec<Record>) -> Answers {
    if records.is_empty() {
        return Answers::Nothing;
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let records = records.into_iter();
    match kind {
        Kind::Address => Answers::Addresses(
            records
                .filter_map(|record| match record {
                    Record::Address(address) => Some(address),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Srv => Answers::Srv(
            records
                .filter_map(|record| match record {
                    Record::Srv {
                        priority,
                        weight,
                        port,
                        target,
                    } => Some(Srv {
                        priority,
                        weight,
                        port,
                        target: if target.is_empty() {
                            ".".into()
                        } else {
                            target
                        },
                    }),
                    _ => None,
                })
                .collect(),
        ),
        Kind::Naptr => Answers::Naptr(
            records
                .filter_map(|record| match record {
                    Record::Naptr {
                        order,
                        preference,
                        flags,
                        service,
                        replacement,
                    } => Some(Naptr {
                        order,
                        preference,
                        flags: text(flags),
                        service: text(service),
                        replacement,
                    }),
                    _ => None,
                })
                .collect(),
        ),
    }
}
