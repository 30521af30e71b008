//! What this node is told about itself and the bus.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::node::Node;
use crate::own;

/// How this node takes part in the bus.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our own address, as others send to it.
    pub own: Node,
    /// Members to join through; each is tried until it answers, always anew.
    pub peers: Vec<Node>,
    /// Who may be a member, by address: those, and the peers.
    pub allow: Vec<Network>,
    /// The hash tables that are replicated.
    pub tables: BTreeSet<Arc<str>>,
    /// Whether contacts are replicated.
    pub contacts: bool,
    /// Whether dialogs are replicated.
    pub dialogs: bool,
    /// How many entries names of dialogs are spread over; members must agree.
    pub dialog_entries: u32,
    /// Whether messages on channels that are not the bus's own are brought up as [`Event::Message`](crate::Event::Message); else they
    /// are answered 404.
    pub scripts: bool,
    /// How often each member is pinged.
    pub ping: Duration,
    /// How long a member may leave a request unanswered.
    pub timeout: Duration,
    /// How we work with others of our own nodes; `None`: as with Kamailio.
    pub own_nodes: Option<own::Config>,
    /// What we call ourselves in User-Agent and Server.
    pub server: Arc<str>,
    /// Random: of it the names of requests are made, which nobody must guess.
    pub seed: [u64; 4],
}

impl Config {
    /// A node that replicates nothing yet: pings every 10 s, a member may be silent for 8 s.
    pub fn new(own: Node, seed: [u64; 4]) -> Self {
        Self {
            own,
            peers: Vec::new(),
            allow: Vec::new(),
            tables: BTreeSet::new(),
            contacts: false,
            dialogs: false,
            dialog_entries: crate::dialog::ENTRIES,
            scripts: false,
            ping: Duration::from_secs(10),
            timeout: Duration::from_secs(8),
            own_nodes: None,
            server: "switchhook".into(),
            seed,
        }
    }

    /// Whether that address may be a member.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let peer = |peer: &Node| peer.address.ip().to_canonical() == ip;
        self.peers.iter().any(peer) || self.allow.iter().any(|network| network.contains(ip))
    }
}

/// A range of addresses: `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The addresses whose first so many bits are those of `address`.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        Self {
            address: address.to_canonical(),
            bits,
        }
    }

    /// Whether an address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            let shift = width.saturating_sub(u32::from(self.bits));
            (a ^ b).checked_shr(shift).unwrap_or(0) == 0
        };
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    /// An address, or an address and a number of bits behind `/`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let bad = || format!("expected an address or a range like 192.0.2.0/24, got `{text}`");
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| bad())?,
            None => most,
        };
        if bits > most {
            return Err(bad());
        }
        Ok(Self::new(address, bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let cases = [
            ("127.0.0.0/8", "127.1.2.3", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("10.0.0.0/30", "10.0.0.4", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "127.0.0.1", false),
        ];
        for (network, address, inside) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                inside,
                "{network:?} {address}"
            );
        }
        for bad in ["", "x", "127.0.0.1/33", "127.0.0.1/x", "::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
