//! Who is on the bus, and what time it is.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchhook_sip::flow::Transport;
use switchhook_sip::message::{Scheme, Uri, host_ip};

/// A member's address: `sip:192.0.2.1:5060`, with `;transport=tcp` where it is not UDP. Always an address, never a name:
/// names are looked up by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is spoken to: UDP or TCP.
    pub transport: Transport,
}

impl Node {
    /// A member that is spoken to by UDP.
    pub const fn udp(address: SocketAddr) -> Self {
        Self {
            address,
            transport: Transport::Udp,
        }
    }

    /// Reads a SIP URI whose host is an address. The port is 5060 where none is written.
    pub fn read(uri: &[u8]) -> Option<Self> {
        let uri = Uri::parse(uri).ok()?;
        if uri.scheme != Scheme::Sip {
            return None;
        }
        let transport = match uri.params.value(b"transport") {
            None => Transport::Udp,
            Some(name) => Transport::from_bytes(name)?,
        };
        let port = uri.port.unwrap_or(transport.default_port());
        Some(Self {
            address: SocketAddr::new(host_ip(uri.host)?, port),
            transport,
        })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sip:{}", self.address)?;
        if self.transport != Transport::Udp {
            write!(f, ";transport={}", self.transport.uri_param())?;
        }
        Ok(())
    }
}

/// Both clocks. Deadlines go by the first; what is written to members that share no clock with us goes by the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// A clock that never goes back.
    pub at: Instant,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

impl Now {
    /// Seconds since 1970.
    pub const fn unix(self) -> u64 {
        self.unix_ms / 1000
    }

    /// So much later, by both clocks.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            at: self.at + span,
            unix_ms: self.unix_ms.saturating_add(millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for text in [
            "sip:127.0.0.1:5060",
            "sip:[2001:db8::1]:5070",
            "sip:127.0.0.1:5060;transport=tcp",
        ] {
            assert_eq!(Node::read(text.as_bytes()).unwrap().to_string(), text);
        }
        let no_port = Node::read(b"sip:127.0.0.1").unwrap();
        assert_eq!(no_port.to_string(), "sip:127.0.0.1:5060");
        for text in [
            "sip:host.test:5060",
            "tel:1",
            "garbage",
            "sip:127.0.0.1:99999",
        ] {
            assert_eq!(Node::read(text.as_bytes()), None, "{text}");
        }
    }
}
