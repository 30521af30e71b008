//! Requests too long for a datagram: by TCP, and by UDP after all where that fails (RFC 3261 18.1.1).
//!
//! The path's MTU is not known, so the limit is a number (`sip.udp.max-request`, 1300 as the RFC says). Peers that take no
//! connection are remembered for a while, so that their callers do not wait for each attempt anew: bounded, and when full the peer is
//! not remembered. Three ways stay as they are: what is forwarded without a transaction, a flow that was asked for, and a next hop
//! that says `transport=udp`, which is how a script and the registrar name a phone behind NAT.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use switchhook_sip::flow::Transport;
use switchhook_sip::message::Uri;
use switchhook_sip::resolve::Hop;

use crate::lane::Lane;

/// How long a peer that took no connection is not asked for one again.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Peers remembered.
const PEERS: usize = 4096;
/// What we write into a request at its end, a Via and two Record-Routes without further parameters, is shorter.
pub(crate) const WRITTEN: usize = 320;

/// Peers that took no connection, and until when that is believed.
#[derive(Default)]
pub(crate) struct Unconnected(HashMap<SocketAddr, Instant>);

impl Unconnected {
    pub(crate) fn insert(&mut self, now: Instant, peer: SocketAddr) {
        if self.0.len() >= PEERS {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() < PEERS {
            self.0.insert(peer, now + REMEMBERED);
        }
    }

    fn has(&self, now: Instant, peer: SocketAddr) -> bool {
        self.0.get(&peer).is_some_and(|until| *until > now)
    }
}

impl Lane {
    /// The hop by TCP in place of UDP, where a request that is too long for UDP may go so.
    pub(crate) fn by_stream(&self, now: Instant, hop: Hop, next_hop: Option<&str>) -> Option<Hop> {
        let tcp = Hop {
            transport: Transport::Tcp,
            ..hop
        };
        let possible = hop.transport == Transport::Udp
            && self.limits.udp_request > 0
            && self.net.egress(tcp.transport, tcp.address, None).is_some()
            && !self.unconnected.has(now, hop.address)
            && !next_hop.is_some_and(asks_for_udp);
        possible.then_some(tcp)
    }
}

fn asks_for_udp(next_hop: &str) -> bool {
    let uri = Uri::parse(next_hop.as_bytes()).ok();
    let transport = uri.and_then(|uri| uri.params.value(b"transport"));
    transport.and_then(Transport::from_bytes) == Some(Transport::Udp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_hop_may_insist_on_udp() {
        assert!(asks_for_udp("sip:192.0.2.1:40001;transport=UDP"));
        assert!(!asks_for_udp("sip:192.0.2.1:40001"));
        assert!(!asks_for_udp("sip:192.0.2.1;transport=tcp"));
    }

    #[test]
    fn peers_are_forgotten_and_never_too_many() {
        let now = Instant::now();
        let peer = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let mut peers = Unconnected::default();
        for port in 0..u16::try_from(PEERS).unwrap() + 1 {
            peers.insert(now, peer(port));
        }
        assert!(peers.has(now, peer(0)) && !peers.has(now, peer(4096)));
        let later = now + REMEMBERED;
        assert!(!peers.has(later, peer(0)));
        peers.insert(later, peer(4096));
        assert!(peers.has(later, peer(4096)) && peers.0.len() == 1);
    }
}
