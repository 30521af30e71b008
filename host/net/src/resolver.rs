//! Asks the DNS for one record set at a time. What to ask for and what to choose is RFC 3263's and lives in `switchhook-sip`.
//!
//! Owns the cache (the records' own life, within bounds) and a bound on questions under way: a question beyond it is refused at
//! once rather than queued. Never sees a numeric host. Each question ends within its timeout.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Name servers to ask; empty means those of the system.
    pub servers: Vec<SocketAddr>,
    /// Time for one try.
    pub timeout: Duration,
    /// Further tries after the first.
    pub attempts: usize,
    /// Questions under way at once, per lane. A further one fails as [`Unresolved::Busy`].
    pub concurrent: usize,
    /// Answers kept, per lane.
    pub cache: u64,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            attempts: 1,
            concurrent: 256,
            cache: 4096,
        }
    }
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 and IPv6 addresses of a host; the system's hosts file is read too.
    Addresses,
    /// Servers of a service.
    Srv,
    /// Which services a domain offers.
    Naptr,
}

/// One record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A or AAAA.
    Address(IpAddr),
    /// RFC 2782.
    Srv {
        /// Lowest first.
        priority: u16,
        /// Share among those of equal priority.
        weight: u16,
        /// Of the service on the target.
        port: u16,
        /// Host name, without the last dot; empty where the service is not offered.
        target: String,
    },
    /// RFC 3403.
    Naptr {
        /// Lowest first.
        order: u16,
        /// Lowest first among those of equal order.
        preference: u16,
        /// `s` in RFC 3263.
        flags: Vec<u8>,
        /// Such as `SIP+D2U`.
        service: Vec<u8>,
        /// The name to ask next, without the last dot.
        replacement: String,
    },
}

/// Why a name has no answer. That a name has no record of that kind is an empty answer, not an error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unresolved {
    /// Too many questions are under way.
    #[error("too many questions to the DNS are under way")]
    Busy,
    /// No server answered in time.
    #[error("no answer from the DNS in time")]
    Timeout,
    /// What the resolver said.
    #[error("{0}")]
    Failed(String),
}

/// One lane's resolver. Cheap to clone; clones share cache and bound.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Resolver {
    /// Makes a resolver; within a tokio runtime. Fails where the system's resolver configuration can't be read.
    pub fn new(dns: &Dns) -> Result<Resolver, Unresolved> {
        let mut builder = if dns.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| failed(&error))?
        } else {
            let servers = dns.servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = dns.timeout;
        options.attempts = dns.attempts;
        options.cache_size = dns.cache;
        options.use_hosts_file = ResolveHosts::Always;
        Ok(Resolver {
            inner: builder.build().map_err(|error| failed(&error))?,
            places: Arc::new(Semaphore::new(dns.concurrent)),
            patience: dns
                .timeout
                .saturating_mul(
                    u32::try_from(dns.attempts)
                        .unwrap_or(u32::MAX)
                        .saturating_add(1),
                )
                .saturating_add(Duration::from_millis(100)),
        })
    }

    /// Asks one question. No such name and no such record are an empty answer.
    pub async fn ask(&self, name: &str, kind: Kind) -> Result<Vec<Record>, Unresolved> {
        let _place = self.places.try_acquire().map_err(|_| Unresolved::Busy)?;
        // A dot at the end: SIP's names are whole, the system's search list is not for them.
        let name = format!("{}.", name.trim_end_matches('.'));
        match timeout(self.patience, self.lookup(name, kind)).await {
            Err(_) => Err(Unresolved::Timeout),
            Ok(Err(error)) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
            Ok(Err(NetError::Timeout)) => Err(Unresolved::Timeout),
            Ok(Err(error)) => Err(failed(&error)),
            Ok(Ok(records)) => Ok(records),
        }
    }

    async fn lookup(&self, name: String, kind: Kind) -> Result<Vec<Record>, NetError> {
        let kind = match kind {
            Kind::Addresses => {
                let addresses = self.inner.lookup_ip(name).await?;
                return Ok(addresses.iter().map(Record::Address).collect());
            }
            Kind::Srv => RecordType::SRV,
            Kind::Naptr => RecordType::NAPTR,
        };
        let lookup = self.inner.lookup(name, kind).await?;
        let records = lookup
            .answers()
            .iter()
            .filter_map(|record| record_of(&record.data));
        Ok(records.collect())
    }
}

fn record_of(data: &RData) -> Option<Record> {
    match data {
        RData::SRV(srv) => Some(Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: plain(&srv.target.to_ascii()),
        }),
        RData::NAPTR(naptr) => Some(Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: naptr.flags.to_vec(),
            service: naptr.services.to_vec(),
            replacement: plain(&naptr.replacement.to_ascii()),
        }),
        _ => None,
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_owned()
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}

fn failed(error: &NetError) -> Unresolved {
    Unresolved::Failed(error.to_string())
}
