//! `core.*`: the daemon itself.

use crate::admin::jsonrpc::Fault;
use crate::admin::registry::{Registry, optional};
use crate::daemon::Daemon;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Prefix {
    prefix: Option<String>,
}

pub(super) fn add(registry: &mut Registry<Daemon>, listing: Arc<OnceLock<Vec<Value>>>) {
    registry.add_short("core.version", &[], "Name and version.", |_, Nothing {}| {
        Ok(json!({ "name": "switchhook", "version": env!("CARGO_PKG_VERSION"), "contract": "switchhook:script@0.1.0" }))
    });
    registry.add_short("core.uptime", &[], "Seconds since the start, and the process.", |daemon: &Daemon, Nothing {}| {
        Ok(json!({ "seconds": daemon.started.elapsed().as_secs(), "pid": std::process::id(), "lanes": daemon.engine.stats().lanes }))
    });
    registry.add(
        "core.reload",
        &[],
        "Reads the config again, as SIGHUP does; tells what changed and what needs a restart.",
        |daemon: &Daemon, Nothing {}| {
            daemon
                .reload()
                .map_err(|problems| Fault::refused(problems.to_string()))
        },
    );
    let params = const { &[optional("prefix", "only methods whose name begins so")] };
    registry.add(
        "core.methods",
        params,
        "The methods that there are, the script's own among them.",
        move |daemon: &Daemon, Prefix { prefix }| {
            let wanted = prefix.unwrap_or_default();
            let all = listing.get().map(Vec::as_slice).unwrap_or_default();
            let own = daemon.engine.commands().into_iter();
            let own = own.map(|(name, doc)| json!({ "name": name, "usage": name, "doc": doc }));
            let named = all.iter().cloned().chain(own).filter(|method| {
                method
                    .get("name")
                    .and_then(Value::as_str)
                    .is_some_and(|name| name.starts_with(&wanted))
            });
            Ok(named.collect::<Vec<_>>())
        },
    );
}
