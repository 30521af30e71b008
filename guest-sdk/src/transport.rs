//! Addresses, and what is ours.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::types::{IpAddress, Transport};

pub use crate::host::types::Endpoint;
pub use crate::request::is_myself;

impl Endpoint {
    /// The address in the standard library's type.
    pub fn ip(&self) -> IpAddr {
        match self.address {
            IpAddress::V4(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            IpAddress::V6((high, low)) => {
                let bits = (u128::from(high) << 64) | u128::from(low);
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        }
    }
}

impl Transport {
    /// As in a URI's `transport` parameter: `udp`, `tcp`, `tls`, `ws`, `wss`.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }
}

/// As in switchhook.toml: `udp:127.0.0.1:5060`, `tcp:[::1]:5060`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::SocketAddr::new(self.ip(), self.port);
        write!(f, "{}:{address}", self.transport.as_str())
    }
}
