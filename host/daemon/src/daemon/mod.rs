//! A running daemon: the engine, what surrounds it, and how a config becomes both.
//!
//! Owns what commands act on. Knows no socket of its own: listeners are the engine's, the admin socket is [`crate::admin`]'s.

mod assemble;
mod bus;
mod reload;
mod users;

pub(crate) use assemble::{assemble, check, random};

use crate::config::Loaded;
use crate::erlang::Processes;
use crate::log;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use switchhook_engine::Engine;
use switchhook_script::Services;
use users::SharedUsers;

/// See the module's header.
pub(crate) struct Daemon {
    pub(crate) engine: Engine,
    pub(crate) services: Arc<Services>,
    pub(crate) log: log::Handle,
    pub(crate) started: Instant,
    users: Arc<SharedUsers>,
    /// Where the config came from, for a reload.
    file: PathBuf,
    set: Vec<String>,
    /// The settings in force.
    loaded: Mutex<Loaded>,
    /// Tells Erlang which processes there are; set once the node runs.
    pub(crate) erlang: OnceLock<Processes>,
    /// Of each script's file as it was last loaded from the config.
    fingerprints: Mutex<HashMap<String, u64>>,
}

impl Daemon {
    /// A script's code was exchanged: what depends on what it handles follows.
    pub(crate) fn script_changed(&self) {
        if let Some(processes) = self.erlang.get() {
            processes.register(&self.engine);
        }
    }

    /// The settings in force.
    pub(crate) fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
