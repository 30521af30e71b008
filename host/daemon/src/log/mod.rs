//! The log: `tracing` events as lines of text or JSON, to the standard error or a file.
//!
//! A lane never waits for the log: lines go through a bounded queue to a thread ([`writer`]); when the queue is full they are dropped,
//! and how many is said as soon as there is room. The level changes while running; SIGHUP opens the file anew. Fields that hold
//! personal data are masked unless `pii` is on ([`mod@line`]).

mod line;
mod writer;

use crate::config::{Log, nearest};
use anyhow::{Context, Result};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use writer::Writer;

/// What stays changeable while the daemon runs.
pub(crate) struct Handle {
    filter: reload::Handle<Targets, tracing_subscriber::Registry>,
    level: Mutex<String>,
    pii: Arc<AtomicBool>,
    writer: Arc<Writer>,
}

/// Starts the log; once in a process. The guard writes what still waits when it is dropped.
pub(crate) fn start(config: &Log) -> Result<(Handle, Guard)> {
    let targets = filter(&config.level).map_err(anyhow::Error::msg)?;
    let writer = match &config.file {
        Some(path) => Writer::file(path)
            .with_context(|| format!("can't open the log file {}", path.display()))?,
        None => Writer::stderr(),
    };
    let writer = Arc::new(writer);
    let pii = Arc::new(AtomicBool::new(config.pii));
    let (filter, handle) = reload::Layer::new(targets);
    let lines = line::Lines::new(Arc::clone(&writer), config.format, Arc::clone(&pii));
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    tracing::subscriber::set_global_default(subscriber).context("the log was started twice")?;
    let handle = Handle {
        filter: handle,
        level: Mutex::new(config.level.clone()),
        pii,
        writer: Arc::clone(&writer),
    };
    Ok((handle, Guard(writer)))
}

/// Writes what still waits.
pub(crate) struct Guard(Arc<Writer>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.flush();
    }
}

impl Handle {
    /// The level as it was set last.
    pub(crate) fn level(&self) -> String {
        self.level
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes the level; an error text says what is wrong with it.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), String> {
        let targets = filter(level)?;
        self.filter
            .reload(targets)
            .map_err(|error| error.to_string())?;
        level.clone_into(&mut self.level.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Whether personal data may stand in the log.
    pub(crate) fn set_pii(&self, pii: bool) {
        self.pii.store(pii, Ordering::Relaxed);
    }

    /// Opens the log file anew, after logrotate has moved it.
    pub(crate) fn reopen(&self) {
        self.writer.reopen();
    }
}

/// Reads `info` or `info,switchhook_net=debug`. A misspelt level is not taken for a module's name.
pub(crate) fn filter(text: &str) -> Result<Targets, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    for part in text.split(',') {
        let level = part
            .rsplit_once('=')
            .map_or(part, |(_, level)| level)
            .trim();
        if !LEVELS.contains(&level) {
            return Err(match nearest(level, LEVELS) {
                Some(known) => format!("\"{level}\" is no level, did you mean `{known}`?"),
                None => format!("\"{level}\" is no level"),
            });
        }
    }
    Targets::from_str(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_slips_named() {
        filter("info").unwrap();
        filter("warn,switchhook_net=debug").unwrap();
        assert!(filter("inof").unwrap_err().contains("did you mean `info`"));
        assert!(
            filter("info,switchhook_net")
                .unwrap_err()
                .contains("is no level")
        );
        filter("").unwrap_err();
    }
}
