//! Addresses, and what is ours.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host::types::IpAddress;
use crate::uri::Uri;

pub use crate::host::types::{Endpoint, Transport};
pub use crate::request::is_myself;

impl Endpoint {
    /// The address of a SIP URI whose host is an address: `sip:192.0.2.7:5060;transport=tcp`, as [`to_uri`](Endpoint::to_uri) and Kamailio's
    /// `received` write one. None for a name.
    ///
    /// ```
    /// # use switchhook_sdk::transport::Endpoint;
    /// let phone = Endpoint::of_uri("sip:192.0.2.7:1024;transport=tcp").unwrap();
    /// assert_eq!(phone.to_string(), "tcp:192.0.2.7:1024");
    /// assert_eq!(phone.to_uri(), "sip:192.0.2.7:1024;transport=tcp");
    /// ```
    pub fn of_uri(uri: &str) -> Option<Endpoint> {
        let uri = Uri::parse(uri).ok()?;
        let ip: IpAddr = uri.host().trim_matches(['[', ']']).parse().ok()?;
        let transport = match uri.param("transport").unwrap_or("udp") {
            name if name.eq_ignore_ascii_case("udp") => Transport::Udp,
            name if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            name if name.eq_ignore_ascii_case("tls") => Transport::Tls,
            name if name.eq_ignore_ascii_case("ws") => Transport::Ws,
            name if name.eq_ignore_ascii_case("wss") => Transport::Wss,
            _ => return None,
        };
        let address = match ip {
            IpAddr::V4(ip) => IpAddress::V4(ip.to_bits()),
            IpAddr::V6(ip) => {
                let bits = ip.to_bits();
                IpAddress::V6(((bits >> 64) as u64, bits as u64))
            }
        };
        let port = uri.port().unwrap_or(5060);
        Some(Endpoint {
            transport,
            address,
            port,
        })
    }

    /// As a SIP URI: where to send to reach it.
    pub fn to_uri(&self) -> String {
        let address = std::net::SocketAddr::new(self.ip(), self.port);
        format!("sip:{address};transport={}", self.transport.as_str())
    }

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
