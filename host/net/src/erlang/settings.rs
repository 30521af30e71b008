//! What a node's sockets are made with.

use std::net::SocketAddr;
use std::time::Duration;

use switchhook_erlang::NodeName;
use switchhook_erlang::node::NodeConfig;

use super::tls::Tls;

/// Everything a node's service needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The node itself.
    pub node: NodeConfig,
    /// Where it listens; port 0 takes any.
    pub listen: SocketAddr,
    /// How nodes find it, and it finds them.
    pub epmd: Epmd,
    /// Nodes whose address is known without EPMD.
    pub addresses: Vec<(NodeName, SocketAddr)>,
    /// TLS instead of plain TCP.
    pub tls: Option<Tls>,
    /// How long connecting, name look-up and EPMD included, may take.
    pub connect: Duration,
    /// Events that wait to be taken; while they do, no socket is read.
    pub events: usize,
    /// Commands that wait for the node; a further one is refused as busy.
    pub commands: usize,
}

/// Whether there is a port mapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epmd {
    /// None: nodes have fixed ports.
    Off,
    /// On each host at that port; ours at that address.
    At(SocketAddr),
}
