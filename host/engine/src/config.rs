//! What the engine is started with. The daemon maps its config file onto this; nothing here is read from a file.

use std::sync::Arc;
use std::time::Duration;

use switchhook_net::{Dns, Listeners};
use switchhook_script::{Script, Services};
use switchhook_sip::transaction::Timers;

use crate::dmq::DmqConfig;

/// Everything an engine needs.
pub struct EngineConfig {
    /// Bound sockets; their number of lanes is the engine's.
    pub listeners: Listeners,
    /// Loaded scripts; the first is the router. At least one.
    pub scripts: Vec<Arc<Script>>,
    /// What scripts reach: hash tables, locations, users, own domains and addresses.
    pub services: Arc<Services>,
    /// Transaction timers.
    pub timers: Timers,
    /// Bounds of each lane.
    pub limits: EngineLimits,
    /// Name resolution.
    pub dns: Dns,
    /// Server header field of answers made here; empty for none.
    pub server: String,
    /// The DMQ bus, where this node is on one.
    pub dmq: Option<DmqConfig>,
}

/// Bounds of one lane. Each says what happens when it is reached; each such event is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLimits {
    /// Server transactions alive. A further request is answered 503 with Retry-After.
    pub transactions: usize,
    /// Branches of one transaction, all tries together. Further targets are left out; none at all is answered 500.
    pub branches: usize,
    /// Events that wait for a guest instance. A further request is answered 503 with Retry-After; a reply goes on unseen.
    pub waiting: usize,
    /// Messages from other lanes, answers of the background thread and commands that wait for the lane. A message from
    /// another lane is dropped when it is full.
    pub inbox: usize,
    /// Guests that used up their tick and wait for the background thread, all lanes together. A further one is ended as
    /// if it had reached its deadline.
    pub background: usize,
    /// Events of one transaction that wait while its guest runs. A further reply goes on unseen.
    pub held: usize,
    /// Guest calls and look-ups suspended at once. A further one is ended as if it had failed.
    pub suspended: usize,
    /// Requests of scripts' own under way, all lanes together, those whose reply waits for its route included. A further one is refused.
    pub own_requests: usize,
    /// Seconds in Retry-After of a 503.
    pub retry_after: u32,
    /// Longest request sent over UDP, in bytes, where TCP is possible (RFC 3261 18.1.1); 0 for any length. A longer one goes by
    /// TCP, and by UDP after all where that fails.
    pub udp_request: usize,
    /// Contacts taken out in one batch when their time is over.
    pub expired: usize,
    /// How often expired contacts are looked for.
    pub housekeeping: Duration,
}

impl Default for EngineLimits {
    fn default() -> EngineLimits {
        EngineLimits {
            transactions: 1 << 18,
            branches: 32,
            waiting: 1024,
            inbox: 4096,
            background: 1024,
            held: 16,
            suspended: 16384,
            own_requests: 10_000,
            retry_after: 5,
            udp_request: 1300,
            expired: 256,
            housekeeping: Duration::from_secs(1),
        }
    }
}
