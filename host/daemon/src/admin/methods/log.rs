//! `log.*`: the log's level.

use crate::admin::jsonrpc::Fault;
use crate::admin::registry::{Registry, optional};
use crate::daemon::Daemon;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Level {
    level: Option<String>,
}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    let params = const {
        &[optional(
            "level",
            "as log.level of the config, such as info,switchhook_net=debug",
        )]
    };
    registry.add(
        "log.level",
        params,
        "The log's level; sets it until the next start or reload.",
        |daemon: &Daemon, Level { level }| {
            let before = daemon.log.level();
            if let Some(level) = level {
                daemon
                    .log
                    .set_level(&level)
                    .map_err(Fault::invalid_params)?;
            }
            Ok(json!({ "level": daemon.log.level(), "before": before }))
        },
    );
}
