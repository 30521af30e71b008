//! Questions to the DNS, what it says, and what comes of that.

use std::net::{IpAddr, SocketAddr};

use crate::flow::Transport;

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
    pub(super) fn has(&self, transport: Transport) -> bool {
        match transport {
            Transport::Udp => self.udp,
            Transport::Tcp => self.tcp,
            Transport::Tls => self.tls,
            Transport::Ws => self.ws,
            Transport::Wss => self.wss,
        }
    }

    pub(super) fn reaches(&self, address: IpAddr) -> bool {
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
    /// Find this out, then call [`super::Lookup::answer`].
    Ask(Question),
    /// Try these in order; none means that there is no way.
    Done(Vec<Hop>),
}
