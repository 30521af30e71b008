//! `switchhook check FILE`: everything that `run` would refuse, without a socket.

use super::print;
use crate::cli::Settings;
use crate::config;
use anyhow::Result;

pub(crate) fn check(settings: &Settings) -> Result<()> {
    let loaded = config::load(&settings.file, &settings.set)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    print(&format!("{}: ok\n", settings.file.display()))
}
