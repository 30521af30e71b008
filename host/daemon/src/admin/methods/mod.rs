//! The methods, one file for each part of the daemon. Names are Kamailio's where it has one.

mod core;
mod dlg;
mod dmq;
mod htable;
mod log;
mod script;
mod stats;
mod ul;

use super::registry::Registry;
use crate::daemon::Daemon;
use std::sync::{Arc, OnceLock};

/// All methods.
pub(super) fn registry() -> Registry<Daemon> {
    let mut registry = Registry::new();
    let listing = Arc::new(OnceLock::new());
    core::add(&mut registry, Arc::clone(&listing));
    stats::add(&mut registry);
    script::add(&mut registry);
    htable::add(&mut registry);
    ul::add(&mut registry);
    dlg::add(&mut registry);
    dmq::add(&mut registry);
    log::add(&mut registry);
    // Set once, just here: the list that core.methods shows is what was added above.
    _ = listing.set(registry.describe());
    registry
}
