//! `[dmq]`: this node's place on a DMQ bus.

use super::units::Duration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use std::borrow::Cow;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use switchhook_dmq::Node;
use switchhook_dmq::config::Network;
use switchhook_sip::flow::Transport;
use switchhook_sip::message::{Scheme, Uri};

/// A member of a DMQ bus: hash tables and contacts replicate with Kamailio nodes and with our own.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Dmq {
    /// Our own address as members send to it, `sip:ADDRESS:PORT`: one of `sip.listen`.
    pub(crate) address: Peer,
    /// Members to join through, `sip:HOST:PORT`, any one of which is enough. A name stands for all of its addresses.
    #[serde(default)]
    pub(crate) peers: Vec<Peer>,
    /// Who else may be a member: addresses and ranges such as 192.0.2.0/24. Everybody else is answered 403.
    #[serde(default)]
    pub(crate) allow: Vec<Range>,
    /// The hash tables that replicate, by the names of `[[htable]]`.
    #[serde(default)]
    pub(crate) htables: Vec<String>,
    /// The location table that replicates. Without it none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    /// Whether the calls that scripts track replicate. All members must spread their names over `dialog.entries`.
    #[serde(default)]
    pub(crate) dialogs: bool,
    /// The domain of users that are written without one on the bus. Without it the first of `sip.domains`, else our address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
    /// Keys that our own nodes sign with: files of at least 16 bytes, named as the key. The first signs, each is accepted.
    #[serde(default)]
    pub(crate) key_files: Vec<PathBuf>,
    /// Whether members that do not sign are refused: for a bus without Kamailio.
    #[serde(default)]
    pub(crate) only_signed: bool,
    /// How often members are pinged.
    #[serde(default = "ping")]
    pub(crate) ping: Duration,
    /// How long a member may leave a request unanswered. Then it is disabled; the next time, removed.
    #[serde(default = "timeout")]
    pub(crate) timeout: Duration,
}

fn ping() -> Duration {
    Duration::secs(10)
}

fn timeout() -> Duration {
    Duration::secs(8)
}

/// `sip:HOST:PORT`, with `;transport=tcp` for TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer(String);

impl Peer {
    /// The node, where an address is written and no name.
    pub(crate) fn node(&self) -> Option<Node> {
        Node::read(self.0.as_bytes())
    }

    /// All nodes that it stands for. Blocks while a name is looked up.
    pub(crate) fn nodes(&self) -> Result<Vec<Node>, String> {
        if let Some(node) = self.node() {
            return Ok(vec![node]);
        }
        let (host, port, transport) = self.parts().ok_or("expected sip:HOST:PORT")?;
        let addresses = (host, port).to_socket_addrs();
        let addresses = addresses.map_err(|error| format!("{host} is not found: {error}"))?;
        let node = |address: SocketAddr| Node { address, transport };
        Ok(addresses.map(node).collect())
    }

    fn parts(&self) -> Option<(&str, u16, Transport)> {
        let uri = Uri::parse(self.0.as_bytes()).ok()?;
        let transport = match uri.params.value(b"transport") {
            None => Transport::Udp,
            Some(name) => Transport::from_bytes(name)?,
        };
        let usable =
            uri.scheme == Scheme::Sip && matches!(transport, Transport::Udp | Transport::Tcp);
        let host = std::str::from_utf8(uri.host).ok()?;
        let port = uri.port.unwrap_or(transport.default_port());
        (usable && !host.is_empty() && port != 0).then_some((host, port, transport))
    }
}

impl<'de> Deserialize<'de> for Peer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let peer = Self(String::deserialize(deserializer)?);
        if peer.parts().is_none() {
            let found = &peer.0;
            return Err(de::Error::custom(format_args!(
                "this is no member of a bus\nexpected sip:HOST:PORT, with ;transport=tcp for TCP, found \"{found}\""
            )));
        }
        Ok(peer)
    }
}

impl serde::Serialize for Peer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Peer {
    fn schema_name() -> Cow<'static, str> {
        "Peer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "sip:HOST:PORT, with ;transport=tcp for TCP. Without a port 5060.",
            "type": "string",
            "pattern": "^sip:",
            "examples": ["sip:192.0.2.1:5060", "sip:bus.example.test", "sip:192.0.2.1:5060;transport=tcp"],
        })
    }
}

/// An address or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct Range(String, pub(crate) Network);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let network = text.parse();
        let network = network.map_err(|label| {
            de::Error::custom(format_args!("this is no range of addresses\n{label}"))
        })?;
        Ok(Self(text, network))
    }
}

impl serde::Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
