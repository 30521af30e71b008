//! `switchhook check FILE`: everything that `run` would refuse, without a socket.

use super::print;
use crate::cli::Settings;
use crate::{config, daemon};
use anyhow::Result;
use std::fmt::Write;

pub(crate) fn check(settings: &Settings) -> Result<()> {
    let loaded = config::load(&settings.file, &settings.set)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    daemon::check(&loaded)?;
    let mut text = String::new();
    for script in &loaded.config.script {
        writeln!(text, "script {}: {}", script.name, script.path.display())?;
    }
    writeln!(text, "{}: ok", settings.file.display())?;
    print(&text)
}
