//! `stats.*`: counters.

use crate::admin::registry::{Registry, optional};
use crate::daemon::Daemon;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Prefix {
    prefix: Option<String>,
}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    let params = const { &[optional("prefix", "only counters whose name begins so")] };
    registry.add_short(
        "stats.get",
        params,
        "All counters, summed over the lanes.",
        |daemon: &Daemon, Prefix { prefix }| {
            let wanted = prefix.unwrap_or_default();
            let mut all: Map<String, Value> = Map::new();
            for (name, value) in daemon.engine.stats().entries() {
                all.insert(name.to_owned(), value.into());
            }
            for (name, table) in &daemon.services.locations {
                all.insert(format!("location.{name}.contacts"), table.contacts().into());
                all.insert(format!("location.{name}.aors"), table.aors().into());
            }
            for name in daemon.services.htables.names() {
                if let Some(table) = daemon.services.htables.table(name) {
                    all.insert(format!("htable.{name}.items"), table.items().into());
                }
            }
            all.insert(
                "dialogs.alive".to_owned(),
                daemon.services.dialogs.len().into(),
            );
            all.retain(|name, _| name.starts_with(&wanted));
            Ok(all)
        },
    );
}
