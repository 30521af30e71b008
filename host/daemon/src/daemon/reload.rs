//! SIGHUP: the log file anew, and what of the config can change while calls are up.
//!
//! Live: `log.level`, `log.pii`, the users file, a script's `path` and `config` and its file's contents (by a swap). Everything else needs a
//! restart; it is named and keeps its value. A config with an error changes nothing.

use super::Daemon;
use crate::config::{self, Config, Loaded};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use tracing::{error, info, warn};

/// What a reload came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Reloaded {
    /// Settings that are in force now.
    pub(crate) changed: Vec<String>,
    /// Settings that differ in the file and need a restart.
    pub(crate) restart: Vec<String>,
    /// What was tried and refused.
    pub(crate) failed: Vec<String>,
}

impl Daemon {
    /// For SIGHUP: tells the log what came of it.
    pub(crate) fn hangup(&self) {
        self.log.reopen();
        match self.reload() {
            Ok(reloaded) => {
                info!(changed = ?reloaded.changed, "reloaded");
                if !reloaded.restart.is_empty() {
                    warn!(settings = ?reloaded.restart, "these settings changed in the file and need a restart");
                }
                for failed in reloaded.failed {
                    error!("not reloaded: {failed}");
                }
            }
            Err(problems) => error!("the config is not reloaded, the old one goes on: {problems}"),
        }
    }

    /// Reads the config again and carries out what can be. Blocks while a script compiles.
    pub(crate) fn reload(&self) -> Result<Reloaded, config::Problems> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let new = config::load(&self.file, &self.set)?;
        let mut reloaded = Reloaded::default();
        self.reload_log(&mut loaded.config, &new.config, &mut reloaded);
        if loaded.users != new.users {
            self.users.replace(&new.users);
            reloaded.changed.push("users".to_owned());
        }
        self.reload_scripts(&mut loaded.config, &new.config, &mut reloaded);
        for warning in &new.warnings {
            warn!("{warning}");
        }
        reloaded.restart = differences(&loaded.config, &new.config);
        self.script_changed();
        // A failed swap is told once as such.
        reloaded.restart.retain(|key| {
            !reloaded
                .failed
                .iter()
                .any(|failed| failed.starts_with(key.as_str()))
        });
        let Loaded {
            users, warnings, ..
        } = new;
        (loaded.users, loaded.warnings) = (users, warnings);
        Ok(reloaded)
    }

    fn reload_log(&self, old: &mut Config, new: &Config, reloaded: &mut Reloaded) {
        if old.log.level != new.log.level {
            match self.log.set_level(&new.log.level) {
                Ok(()) => {
                    old.log.level.clone_from(&new.log.level);
                    reloaded.changed.push("log.level".to_owned());
                }
                Err(error) => reloaded.failed.push(format!("log.level: {error}")),
            }
        }
        if old.log.pii != new.log.pii {
            self.log.set_pii(new.log.pii);
            old.log.pii = new.log.pii;
            reloaded.changed.push("log.pii".to_owned());
        }
    }

    fn reload_scripts(&self, old: &mut Config, new: &Config, reloaded: &mut Reloaded) {
        let mut fingerprints = self
            .fingerprints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for old in &mut old.script {
            let Some(new) = new.script.iter().find(|new| new.name == old.name) else {
                continue;
            };
            let Some(script) = self
                .engine
                .scripts()
                .iter()
                .find(|script| script.name() == old.name)
            else {
                continue;
            };
            let key = format!("script.{}", old.name);
            let wasm = match std::fs::read(&new.path) {
                Ok(wasm) => wasm,
                Err(error) => {
                    reloaded
                        .failed
                        .push(format!("{key}.path: {}: {error}", new.path.display()));
                    continue;
                }
            };
            // Against the file as it was loaded, not the code that runs: what came in by `swap` is not undone by a SIGHUP.
            let fingerprint = fingerprint(&wasm);
            let known = fingerprints.get(&old.name) == Some(&fingerprint);
            if known && old.path == new.path && old.config == new.config {
                continue;
            }
            match script.swap_configured(&wasm, new.config_json()) {
                Ok(swapped) => {
                    fingerprints.insert(old.name.clone(), fingerprint);
                    old.path.clone_from(&new.path);
                    old.config.clone_from(&new.config);
                    reloaded.changed.push(format!(
                        "{key} (generation {} -> {})",
                        swapped.old, swapped.new
                    ));
                }
                Err(error) => reloaded.failed.push(format!("{key}: {error}")),
            }
        }
    }
}

/// Tells one content of a file from another; not against forgery.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The dotted keys in which two configs differ.
fn differences(old: &Config, new: &Config) -> Vec<String> {
    let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) else {
        return Vec::new();
    };
    let mut found = BTreeSet::new();
    compare("", &old, &new, &mut found);
    found.into_iter().collect()
}

fn compare(path: &str, old: &Value, new: &Value, found: &mut BTreeSet<String>) {
    let join = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    match (old, new) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys()) {
                let (left, right) = (left.get(key), right.get(key));
                compare(
                    &join(key),
                    left.unwrap_or(&Value::Null),
                    right.unwrap_or(&Value::Null),
                    found,
                );
            }
        }
        (Value::Array(left), Value::Array(right))
            if left.len() == right.len() && left.iter().chain(right).all(Value::is_object) =>
        {
            for (left, right) in left.iter().zip(right) {
                let name = left.get("name").and_then(Value::as_str).unwrap_or("?");
                compare(&join(name), left, right, found);
            }
        }
        _ if old != new => _ = found.insert(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_their_keys() {
        let old = Config::default();
        let mut new = Config::default();
        new.sip.lanes = Some(3);
        new.sip.timers.t1 = new.sip.timers.t2;
        new.admin.max_connections = 5;
        assert_eq!(
            differences(&old, &new),
            ["admin.max-connections", "sip.lanes", "sip.timers.t1"]
        );
        assert!(differences(&old, &old).is_empty());
    }
}
