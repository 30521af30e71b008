//! Where a message came from and where one goes: plain data that the network hands in and takes back.
//!
//! Owns no socket and resolves no name. RFC 3261 section 18, RFC 5626 (flows), RFC 7118 (WebSocket).

use std::fmt;
use std::net::SocketAddr;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One datagram, one message.
    Udp,
    /// A stream framed by Content-Length.
    Tcp,
    /// TLS over TCP, framed by Content-Length.
    Tls,
    /// WebSocket, one WebSocket message is one SIP message (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Transport {
    /// True where the transport delivers or reports a failure, so that no retransmission is needed (RFC 3261 17.1.1.1).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// True where messages are cut out of a byte stream by Content-Length (RFC 3261 18.3).
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Tcp | Self::Tls)
    }

    /// True where the hop is encrypted, as `sips:` asks.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The port used where neither URI nor Via names one (RFC 3261 18.1.1, 19.1.2; RFC 7118 section 5).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// As written in a Via: `UDP`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// As written in a URI's `transport` parameter: `udp`. TLS is `tls` as peers write it, though RFC 3261 26.2.2
    /// deprecates the value in favour of `sips:`; RFC 7118 knows only `ws` for both kinds of WebSocket.
    pub const fn uri_param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// Reads a Via's transport or a URI's parameter, whatever its case.
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|transport| name.eq_ignore_ascii_case(transport.as_str().as_bytes()))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One connection, or one datagram socket, of one lane. The network gives the number and never gives it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(u64);

impl FlowId {
    /// No flow of this host: of what came in through another one. The network never gives this number.
    pub const NONE: Self = Self(u64::MAX);

    /// Wraps the network's number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The network's number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// How it came.
    pub transport: Transport,
    /// The peer's address as the socket saw it.
    pub remote: SocketAddr,
    /// Our address it came to.
    pub local: SocketAddr,
    /// The connection or socket it came on.
    pub flow: FlowId,
}

impl Source {
    /// The way back: same flow, same addresses (RFC 3581 section 4, RFC 3261 18.2.2).
    pub const fn back(&self) -> Destination {
        Destination {
            transport: self.transport,
            remote: self.remote,
            local: Some(self.local),
            flow: Some(self.flow),
        }
    }
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Destination {
    /// How it goes.
    pub transport: Transport,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Our address to send from, where it matters.
    pub local: Option<SocketAddr>,
    /// The flow to use if it is still there (RFC 5626, connection reuse); without one, the network chooses or opens one.
    pub flow: Option<FlowId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Transport::from_bytes(b"udp"), Some(Transport::Udp));
        assert_eq!(Transport::from_bytes(b"WsS"), Some(Transport::Wss));
        assert_eq!(Transport::from_bytes(b"SCTP"), None);
        assert!(Transport::Tls.is_stream() && !Transport::Ws.is_stream());
        assert!(Transport::Ws.is_reliable() && !Transport::Udp.is_reliable());
    }
}
