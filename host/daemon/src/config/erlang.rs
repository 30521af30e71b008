//! `[erlang]`: the Erlang node. Without this section there is none.

use super::units::{Duration, Size};
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use switchhook_erlang::NodeName;

/// The Erlang node: a hidden one, as C nodes are.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Erlang {
    /// Its full name, such as `proxy@127.0.0.1`.
    pub(crate) name: Node,
    /// Further names under which it is there too, each with connections of its own.
    #[serde(default)]
    pub(crate) more_names: Vec<Node>,
    /// The file that holds the cookie, as `~/.erlang.cookie` does. This or `cookie`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cookie_file: Option<PathBuf>,
    /// The cookie itself. Whoever has it can run commands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cookie: Option<String>,
    /// Where it listens; port 0 takes any. Further names take the ports that follow, or any.
    #[serde(default = "listen")]
    pub(crate) listen: SocketAddr,
    /// The port mapper's address, or `off` where nodes have fixed ports.
    #[serde(default)]
    pub(crate) epmd: Epmd,
    /// Nodes to keep connections to, the preferred one first.
    #[serde(default)]
    pub(crate) nodes: Vec<Node>,
    /// Whether a preferred node that comes back is used again at once; else only when the active one is lost.
    #[serde(default)]
    pub(crate) takeover: bool,
    /// Names of processes that are there whatever scripts say they handle.
    #[serde(default)]
    pub(crate) processes: Vec<String>,
    /// What is different about some nodes.
    #[serde(default)]
    pub(crate) peer: Vec<NodeSettings>,
    /// How results of commands look to `rpc:call`.
    #[serde(default)]
    pub(crate) results: Results,
    /// A node that is silent for this long is gone (`net_ticktime`).
    #[serde(default = "tick_time")]
    pub(crate) tick_time: Duration,
    /// How long connecting may take.
    #[serde(default = "connect_timeout")]
    pub(crate) connect_timeout: Duration,
    /// How long a script's call waits for its answer, where the script does not say.
    #[serde(default = "rpc_timeout")]
    pub(crate) rpc_timeout: Duration,
    /// The longest pause between two tries to connect.
    #[serde(default = "max_retry")]
    pub(crate) max_retry: Duration,
    /// Connections at once.
    #[serde(default = "max_connections")]
    pub(crate) max_connections: u16,
    /// The longest message that is taken; a longer one ends its connection.
    #[serde(default = "max_message")]
    pub(crate) max_message: Size,
    /// Bytes that may wait for a node that reads too slowly; beyond, scripts are told.
    #[serde(default = "send_queue")]
    pub(crate) send_queue: Size,
    /// TLS between nodes instead of plain TCP (`-proto_dist inet_tls`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn tick_time() -> Duration {
    Duration::secs(60)
}

fn connect_timeout() -> Duration {
    Duration::secs(5)
}

fn rpc_timeout() -> Duration {
    Duration::secs(5)
}

fn max_retry() -> Duration {
    Duration::secs(10)
}

fn max_connections() -> u16 {
    64
}

fn max_message() -> Size {
    Size::mib(64)
}

fn send_queue() -> Size {
    Size::mib(16)
}

/// A node with a cookie or an address of its own.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct NodeSettings {
    /// Its name.
    pub(crate) name: Node,
    /// The file that holds its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cookie_file: Option<PathBuf>,
    /// Where it listens, so that no port mapper is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
}

/// Keys for TLS, in PEM.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tls {
    /// Our certificate and those that lead to its authority.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Authorities that nodes' certificates must be signed by.
    pub(crate) authorities: PathBuf,
}

/// How results of commands look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Results {
    /// As users of Kamailio's module know them: a list of items, `{[{Key, Value}]}` for an object, a fault as a value.
    #[default]
    Kamailio,
    /// Maps and lists; a fault is `{badrpc, ...}`, or raised.
    Maps,
}

/// A node's full name.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct Node(pub(crate) NodeName);

impl FromStr for Node {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        NodeName::new(text).map(Self).map_err(drop)
    }
}

/// The port mapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) enum Epmd {
    /// There.
    At(SocketAddr),
    /// None.
    Off,
}

impl Default for Epmd {
    fn default() -> Self {
        Self::At(SocketAddr::from((
            [127, 0, 0, 1],
            switchhook_erlang::epmd::PORT,
        )))
    }
}

impl FromStr for Epmd {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(drop),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

/// Read from a text, shown as a text.
macro_rules! as_text {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|()| {
                    serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &$expected)
                })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

as_text!(Node, "a full node name such as \"proxy@127.0.0.1\"");
as_text!(Epmd, "an address such as \"127.0.0.1:4369\", or \"off\"");
