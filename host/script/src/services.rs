//! What scripts share of the host: tables, registrations, users, and what is ours. One set for all scripts and lanes.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use switchhook_sip::digest::{Authority, Users};
use switchhook_sip::proxy::{LoopKey, Own};
use switchhook_sip::registrar;
use switchhook_store::{Dialogs, Htables, Locations};

use crate::dmq::DmqNode;
use crate::erlang::ErlangNode;
use crate::uac::Uac;

/// See the module's header. Everything in it is safe from every lane.
pub struct Services {
    /// Our addresses and domains.
    pub own: Own,
    /// Marks our branches, so that loops are seen (RFC 5393).
    pub loop_key: LoopKey,
    /// The `[[htable]]`s of the config.
    pub htables: Htables,
    /// The location tables by name.
    pub locations: BTreeMap<String, Locations>,
    /// The calls that are tracked.
    pub dialogs: Dialogs,
    /// What a REGISTER may ask for.
    pub registrar: registrar::Limits,
    /// Judges credentials.
    pub authority: Authority,
    /// The hashes of the users' passwords.
    pub users: Box<dyn Users + Send + Sync>,
    /// The Erlang node, set once it runs; empty where the site has none.
    pub erlang: OnceLock<Arc<dyn ErlangNode>>,
    /// The place on a DMQ bus; empty where the site has none.
    pub dmq: OnceLock<Arc<dyn DmqNode>>,
    /// The sender of scripts' own requests; the engine sets it when it starts.
    pub uac: OnceLock<Arc<dyn Uac>>,
    /// The clock of all of these; `Instant::now` but in tests.
    pub clock: fn() -> Instant,
}
