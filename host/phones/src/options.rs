//! What a run is to do.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::pace::{End, Load};
use crate::scenario::Dial;

/// Everything but the scenario.
#[derive(Debug, Clone)]
pub struct Options {
    /// Servers; calls take them in turn.
    pub targets: Vec<SocketAddr>,
    /// Closed or open loop.
    pub load: Load,
    /// When it ends.
    pub end: End,
    /// Calls that end in this time at the beginning are not measured.
    pub warmup: Duration,
    /// Phones of each role.
    pub users: usize,
    /// Sockets of each role on each address.
    pub sockets: usize,
    /// Source addresses.
    pub bind: Vec<IpAddr>,
    /// The first port of a role; the others take free ones.
    pub ports: Vec<(String, u16)>,
    /// The host of addresses of record.
    pub domain: String,
    /// What request URIs name, in place of what the scenario says.
    pub dial: Option<Dial>,
    /// Answers challenges; `{user}` stands for the user's name.
    pub password: Option<String>,
    /// Register phones that are called at their address of record before, and take that back afterwards.
    pub register: bool,
    /// How long a step may take.
    pub timeout: Duration,
    /// Calls at once in open loop; one more fails.
    pub most: usize,
    /// The processor to stay on.
    pub cpu: Option<usize>,
}

impl Options {
    /// One call through a server.
    pub fn to(target: SocketAddr) -> Options {
        Options {
            targets: vec![target],
            load: Load::Closed(1),
            end: End {
                duration: None,
                count: Some(1),
            },
            warmup: Duration::ZERO,
            users: 1,
            sockets: 1,
            bind: Vec::new(),
            ports: Vec::new(),
            domain: "example.test".to_owned(),
            dial: None,
            password: None,
            register: true,
            timeout: Duration::from_secs(32),
            most: 100_000,
            cpu: None,
        }
    }
}
