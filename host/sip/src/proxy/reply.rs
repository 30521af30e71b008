//! Where a reply goes that no transaction knows the way of: by the topmost Via that is left. RFC 3261 18.2.2, RFC 3581
//! section 4, RFC 3263 section 5.

use std::net::SocketAddr;

use crate::flow::Transport;
use crate::message::{Rport, Via, host_ip};

/// Where to send a reply. On a reliable transport the connection that the request came on is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTarget<'a> {
    /// There.
    Address(Transport, SocketAddr),
    /// A name to be resolved: [`crate::resolve::Lookup::reply`].
    Name(Transport, &'a [u8], Option<u16>),
}

/// Reads a Via. `None` for a transport that we do not speak.
pub fn reply_target<'a>(via: &Via<'a>) -> Option<ReplyTarget<'a>> {
    let transport = via.known_transport()?;
    let port = via.port.unwrap_or(transport.default_port());
    if !transport.is_reliable()
        && let Some(maddr) = via.maddr()
    {
        return Some(match host_ip(maddr) {
            Some(address) => ReplyTarget::Address(transport, SocketAddr::new(address, port)),
            None => ReplyTarget::Name(transport, maddr, via.port),
        });
    }
    let address = via.received().map(|address| {
        let port = match via.rport() {
            Some(Rport::Filled(port)) if !transport.is_reliable() => port,
            _ => port,
        };
        SocketAddr::new(address, port)
    });
    let address = address.or_else(|| Some(SocketAddr::new(via.ip()?, port)));
    Some(match address {
        Some(address) => ReplyTarget::Address(transport, address),
        None => ReplyTarget::Name(transport, via.host, via.port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_by_the_via() {
        for (via, expected) in [
            ("UDP 192.0.2.1", "UDP 192.0.2.1:5060"),
            ("UDP 192.0.2.1:5070", "UDP 192.0.2.1:5070"),
            (
                "UDP host.test:5070;received=192.0.2.2",
                "UDP 192.0.2.2:5070",
            ),
            (
                "UDP host.test;received=192.0.2.2;rport=4444",
                "UDP 192.0.2.2:4444",
            ),
            (
                "UDP host.test;received=192.0.2.2;rport",
                "UDP 192.0.2.2:5060",
            ),
            (
                "TCP host.test;received=192.0.2.2;rport=4444",
                "TCP 192.0.2.2:5060",
            ),
            ("TLS 192.0.2.1", "TLS 192.0.2.1:5061"),
            (
                "UDP [2001:db8::1];received=2001:db8::2",
                "UDP [2001:db8::2]:5060",
            ),
            (
                "UDP 192.0.2.1;maddr=224.0.1.75;ttl=1",
                "UDP 224.0.1.75:5060",
            ),
            ("UDP host.test", "UDP host.test"),
            ("UDP host.test:5070", "UDP host.test port 5070"),
            ("SCTP 192.0.2.1", "none"),
        ] {
            let text = format!("SIP/2.0/{via};branch=z9hG4bK1");
            let came = match reply_target(&Via::parse(text.as_bytes()).unwrap()) {
                Some(ReplyTarget::Address(transport, address)) => format!("{transport} {address}"),
                Some(ReplyTarget::Name(transport, host, port)) => {
                    let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
                    format!("{transport} {}{port}", host.escape_ascii())
                }
                None => "none".to_owned(),
            };
            assert_eq!(came, expected, "{via}");
        }
    }
}
