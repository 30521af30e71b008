//! `[sip]` and `[dns]`: listening, lanes, timers and what peers may cost.

use super::listen::Listen;
use super::units::{Duration, Size};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::SocketAddr;
use switchhook_sip::flow::Transport;

/// SIP: where to listen and how much at once.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Sip {
    /// Addresses to listen at. The first one of a transport is what own requests leave from.
    pub(crate) listen: Vec<Listen>,
    /// Threads that route, each with sockets, transactions and warm scripts of its own. Without it: the processors the process may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lanes: Option<u16>,
    /// Domains that are ours, beside the listening addresses.
    pub(crate) domains: Vec<String>,
    /// The Server header of our own answers; empty for none.
    pub(crate) server: String,
    /// How long a SIGTERM waits for running transactions to end.
    pub(crate) drain: Duration,
    /// Transactions at once, of all lanes together; what is beyond is answered 503 with Retry-After.
    /// Over UDP each stays 32 s after its end to absorb copies: 500 calls a second keep 32 000.
    pub(crate) max_transactions: u32,
    /// Requests of scripts' own at once (`uac`); a further one is refused.
    pub(crate) max_own_requests: u32,
    /// Branches of one transaction.
    pub(crate) max_branches: u16,
    /// The longest message. A longer datagram is dropped, a longer message on a connection closes it.
    pub(crate) max_message: Size,
    /// RFC 3261's timers.
    pub(crate) timers: Timers,
    /// UDP sockets.
    pub(crate) udp: Udp,
    /// TCP connections.
    pub(crate) tcp: Tcp,
}

impl Default for Sip {
    fn default() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 5060));
        let listen = [Transport::Udp, Transport::Tcp].map(|transport| {
            Listen(switchhook_net::Listen {
                transport,
                address,
                advertise: None,
            })
        });
        Self {
            listen: listen.into(),
            lanes: None,
            domains: Vec::new(),
            server: format!("switchhook/{}", env!("CARGO_PKG_VERSION")),
            drain: Duration::secs(30),
            max_transactions: 500_000,
            max_own_requests: 10_000,
            max_branches: 16,
            max_message: Size(65_535),
            timers: Timers::default(),
            udp: Udp::default(),
            tcp: Tcp::default(),
        }
    }
}

/// RFC 3261 section 17 and table 4.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Timers {
    /// Round-trip time estimate: the first retransmission comes after it.
    pub(crate) t1: Duration,
    /// The longest pause between retransmissions of a request that is not INVITE, and of INVITE answers.
    pub(crate) t2: Duration,
    /// How long a message may stay in the network.
    pub(crate) t4: Duration,
    /// How long an INVITE waits for any answer. Without it: 64 times `t1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) b: Option<Duration>,
    /// How long another request waits for its final answer. Without it: 64 times `t1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) f: Option<Duration>,
    /// How long an INVITE that was answered provisionally waits for its final answer or a further provisional one (RFC 3261 16.8 asks for more than three minutes).
    pub(crate) c: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        let (t1, t2, t4) = (Duration::millis(500), Duration::secs(4), Duration::secs(5));
        Self {
            t1,
            t2,
            t4,
            b: None,
            f: None,
            c: Duration::secs(185),
        }
    }
}

/// UDP sockets, of which each lane has one for each listening address.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Udp {
    /// Receive and send buffer asked of the kernel for each socket; 0 leaves the system's.
    pub(crate) buffer: Size,
    /// Datagrams that wait for a full socket buffer; when full the newest is dropped and counted as failed.
    pub(crate) queue: u32,
    /// The longest request that is sent over UDP where a TCP listener is there too (RFC 3261 18.1.1); a longer one goes by TCP, and by UDP after
    /// all where that fails. 0 sends everything that is for UDP over UDP.
    pub(crate) max_request: Size,
}

impl Default for Udp {
    fn default() -> Self {
        Self {
            buffer: Size::mib(4),
            queue: 4096,
            max_request: Size(1300),
        }
    }
}

/// TCP connections. Numbers are of one lane.
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tcp {
    /// Connections at once; a further one is closed as soon as it is accepted.
    pub(crate) max_connections: u32,
    /// Connections at once with one peer address.
    pub(crate) max_connections_per_address: u32,
    /// Time for an outgoing connection to be made.
    pub(crate) connect_timeout: Duration,
    /// Time for the first whole message on an accepted connection.
    pub(crate) first_message_timeout: Duration,
    /// Time for a message that has begun to be whole.
    pub(crate) message_timeout: Duration,
    /// Time without a byte in either direction before a connection is closed.
    pub(crate) idle_timeout: Duration,
    /// Time in which a peer must take some of what waits for it.
    pub(crate) send_timeout: Duration,
    /// Bytes that may wait to be written to one connection; beyond, it is closed.
    pub(crate) send_queue: Size,
    /// Messages that wait for the lane; when full, connections are not read.
    pub(crate) receive_queue: u32,
}

impl Default for Tcp {
    fn default() -> Self {
        let net = switchhook_net::NetLimits::default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            max_connections: count(net.connections),
            max_connections_per_address: count(net.connections_per_address),
            connect_timeout: Duration(net.connect),
            first_message_timeout: Duration(net.first_message),
            message_timeout: Duration(net.whole_message),
            idle_timeout: Duration(net.idle),
            send_timeout: Duration(net.stalled),
            send_queue: Size(net.write_queue as u64),
            receive_queue: count(net.stream_inbox),
        }
    }
}

/// `[dns]`: how names are resolved (RFC 3263).
#[derive(Debug, Clone, Deserialize, serde::Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Dns {
    /// Name servers, `ADDRESS` or `ADDRESS:PORT`. Without one, those of the system.
    pub(crate) servers: Vec<NameServer>,
    /// How long one question may take.
    pub(crate) timeout: Duration,
    /// How often a question is asked.
    pub(crate) attempts: u8,
    /// Answers kept for their time to live.
    pub(crate) cache_entries: u32,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::secs(2),
            attempts: 2,
            cache_entries: 4096,
        }
    }
}

/// A name server's address; the port is 53 unless given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub(crate) struct NameServer(pub(crate) SocketAddr);

impl<'de> Deserialize<'de> for NameServer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let with_port = text.parse().ok();
        let alone = || text.parse().ok().map(|ip| SocketAddr::new(ip, 53));
        with_port.or_else(alone).map(Self).ok_or_else(|| {
            let expected =
                "the address of a name server, such as 192.0.2.53 or [2001:db8::53]:5353";
            serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &expected)
        })
    }
}

impl serde::Serialize for NameServer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
