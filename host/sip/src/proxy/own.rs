//! Which URIs and Vias mean us: listening addresses, the names we give for them, and the domains we serve. RFC 3261 16.4, 19.1.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use crate::flow::Transport;
use crate::message::{Uri, Via, decimal, host_ip};

/// What is ours. Made once at the start.
#[derive(Debug, Default, Clone)]
pub struct Own {
    interfaces: Vec<Listening>,
    domains: HashSet<Box<[u8]>, ahash::RandomState>,
    /// Addresses of other nodes whose requests are ours too: host and port.
    aliases: HashSet<(Box<[u8]>, u16), ahash::RandomState>,
}

#[derive(Debug, Clone)]
struct Listening {
    address: SocketAddr,
    /// What we write into Via and Record-Route; lower case.
    host: Box<[u8]>,
    /// The same as an address, where it is one.
    ip: Option<IpAddr>,
    port: u16,
}

impl Own {
    /// Nothing is ours yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a socket: what is written for it in Via and Record-Route (`host` or `host:port`), and the address it has.
    pub fn add_interface(&mut self, transport: Transport, sent_by: &str, address: SocketAddr) {
        let (host, port) = split_port(sent_by.as_bytes());
        self.interfaces.push(Listening {
            address,
            host: host.to_ascii_lowercase().into_boxed_slice(),
            ip: host_ip(host),
            port: port.unwrap_or(transport.default_port()),
        });
    }

    /// Adds a domain that we serve. With a port, `192.0.2.8:5060`, it is that address alone: another node's, whose Routes are ours too,
    /// so that requests within its dialogs can come here.
    pub fn add_domain(&mut self, name: &str) {
        let (host, port) = split_port(name.as_bytes());
        let host = host.to_ascii_lowercase().into_boxed_slice();
        match port {
            Some(port) => drop(self.aliases.insert((host, port))),
            None => drop(self.domains.insert(host)),
        }
    }

    /// Whether a URI's host and port are ours: a listening address, a name we give for one, or a domain without a port or
    /// with one that we listen on. The scheme must be `sip` or `sips`.
    ///
    /// ```
    /// use switchhook_sip::{flow::Transport, message::Uri, proxy::Own};
    /// let mut own = Own::new();
    /// own.add_interface(Transport::Udp, "192.0.2.9", "192.0.2.9:5060".parse().unwrap());
    /// own.add_domain("example.test");
    /// let is_own = |uri: &'static [u8]| own.is_own(&Uri::parse(uri).unwrap());
    /// assert!(is_own(b"sip:192.0.2.9;lr") && is_own(b"sip:bob@Example.TEST:5060"));
    /// assert!(!is_own(b"sip:192.0.2.9:5070") && !is_own(b"sip:example.test:5070"));
    /// ```
    pub fn is_own(&self, uri: &Uri<'_>) -> bool {
        uri.is_sip() && self.is_own_host(uri, uri.host)
    }

    /// As [`Own::is_own`], with another host in the URI's place (`maddr`).
    pub(super) fn is_own_host(&self, uri: &Uri<'_>, host: &[u8]) -> bool {
        let asked = uri.params.value(b"transport");
        let transport = asked.and_then(Transport::from_bytes);
        let default = match transport {
            _ if uri.is_secure() => Transport::Tls.default_port(),
            Some(transport) => transport.default_port(),
            None => Transport::Udp.default_port(),
        };
        let listening = self.is_listening(host, uri.port.unwrap_or(default));
        listening
            || {
                let port = uri.port;
                let port_fits =
                    port.is_none_or(|port| self.interfaces.iter().any(|i| i.port == port));
                port_fits && self.is_domain(host)
            }
            || self.is_alias(host, uri.port.unwrap_or(default))
    }

    fn is_alias(&self, host: &[u8], port: u16) -> bool {
        // Few sites have any.
        !self.aliases.is_empty()
            && self
                .aliases
                .contains(&(host.to_ascii_lowercase().into_boxed_slice(), port))
    }

    /// Whether we wrote that Via: its sent-by is that of one of our sockets.
    pub fn is_own_via(&self, via: &Via<'_>) -> bool {
        let default = via.known_transport().unwrap_or(Transport::Udp);
        self.is_listening(via.host, via.port.unwrap_or(default.default_port()))
    }

    /// Lower case on the stack: host names have 253 bytes at most (RFC 1035 2.3.4).
    fn is_domain(&self, host: &[u8]) -> bool {
        let mut name = [0; 253];
        let Some(name) = name.get_mut(..host.len()) else {
            return false;
        };
        name.copy_from_slice(host);
        name.make_ascii_lowercase();
        self.domains.contains(&*name)
    }

    fn is_listening(&self, host: &[u8], port: u16) -> bool {
        let address = host_ip(host);
        self.interfaces.iter().any(|interface| {
            let named = interface.port == port && interface.is_host(host, address);
            named || address == Some(interface.address.ip()) && interface.address.port() == port
        })
    }
}

impl Listening {
    fn is_host(&self, host: &[u8], address: Option<IpAddr>) -> bool {
        match address {
            Some(_) => address == self.ip,
            None => self.host.eq_ignore_ascii_case(host),
        }
    }
}

/// `host[:port]`, IPv6 with brackets.
fn split_port(sent_by: &[u8]) -> (&[u8], Option<u16>) {
    let Some(colon) = sent_by.iter().rposition(|b| *b == b':') else {
        return (sent_by, None);
    };
    let (host, port) = sent_by.split_at_checked(colon).unwrap_or((sent_by, b""));
    let port = port.get(1..).and_then(decimal);
    match port.and_then(|port| u16::try_from(port).ok()) {
        Some(port) if !host.starts_with(b"[") || host.ends_with(b"]") => (host, Some(port)),
        _ => (sent_by, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        let mut own = Own::new();
        own.add_interface(
            Transport::Udp,
            "sip.example.test:5080",
            "127.0.0.1:5080".parse().unwrap(),
        );
        own.add_interface(
            Transport::Tls,
            "[2001:db8::9]",
            "[2001:db8::9]:5061".parse().unwrap(),
        );
        own.add_domain("Example.test");
        own
    }

    #[test]
    fn a_domain_with_a_port_is_another_nodes_address() {
        let mut own = Own::new();
        own.add_interface(
            Transport::Udp,
            "192.0.2.9",
            "192.0.2.9:5060".parse().unwrap(),
        );
        own.add_domain("192.0.2.8:5062");
        let is_own = |uri: &'static [u8]| own.is_own(&Uri::parse(uri).unwrap());
        assert!(is_own(b"sip:192.0.2.8:5062;lr;did=1.2"));
        assert!(!is_own(b"sip:192.0.2.8") && !is_own(b"sip:192.0.2.8:5060"));
        let via = Via::parse(b"SIP/2.0/UDP 192.0.2.8:5062;branch=z9hG4bK1").unwrap();
        assert!(!own.is_own_via(&via));
    }

    #[test]
    fn addresses_names_and_domains_are_ours() {
        for (uri, expected) in [
            ("sip:127.0.0.1:5080", true),
            ("sip:127.0.0.1", false),
            ("sip:SIP.example.test:5080;lr", true),
            ("sip:sip.example.test", false),
            ("sips:[2001:DB8:0::9]", true),
            ("sip:[2001:db8::9];transport=tls", true),
            ("sip:[2001:db8::9]", false),
            ("sip:example.test", true),
            ("sip:example.test:5061", true),
            ("sip:example.test:5062", false),
            ("sip:sub.example.test", false),
            ("tel:+1234", false),
        ] {
            let parsed = Uri::parse(uri.as_bytes()).unwrap();
            assert_eq!(own().is_own(&parsed), expected, "{uri}");
        }
    }

    #[test]
    fn vias_of_ours_are_known() {
        for (via, expected) in [
            ("SIP/2.0/UDP sip.example.test:5080;branch=z9hG4bK1", true),
            ("SIP/2.0/UDP sip.example.test;branch=z9hG4bK1", false),
            ("SIP/2.0/TLS [2001:db8::9]", true),
            ("SIP/2.0/UDP example.test:5080", false),
        ] {
            let parsed = Via::parse(via.as_bytes()).unwrap();
            assert_eq!(own().is_own_via(&parsed), expected, "{via}");
        }
    }
}
