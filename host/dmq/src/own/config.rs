//! What this node is told about others of ours.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::auth::Keyring;
use super::repair;
use super::version::NodeId;

/// How this node and others of ours work together.
#[derive(Debug, Clone)]
pub struct Config {
    /// This life of the node: random, another one at each start.
    pub node: NodeId,
    /// The keys that our nodes sign with. Without any, whoever may be a member may say that it is one of ours.
    pub keys: Option<Keyring>,
    /// Whether members that do not sign are refused: there is no Kamailio on this bus.
    pub only_signed: bool,
    /// How long an item of each replicated table lives that was given no life of its own; zero: for ever.
    pub lives: BTreeMap<Arc<str>, Duration>,
    /// The most records of a table, removals that are remembered included.
    pub max_records: usize,
    /// How records are sent and compared.
    pub mesh: repair::Config,
}

impl Config {
    /// Without keys: a million records of a table.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            keys: None,
            only_signed: false,
            lives: BTreeMap::new(),
            max_records: 1_000_000,
            mesh: repair::Config::default(),
        }
    }
}
