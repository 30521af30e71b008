//! The committed JSON schema of switchhook.toml, which editors use.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::bindings::settle;
use crate::run::{built, output};
use crate::workspace;

/// Where it is committed.
const FILE: &str = "docs/switchhook.schema.json";

/// Write it anew from the daemon's types; with `check`, fail where the committed one differs.
pub(crate) fn schema(check: bool) -> Result<()> {
    let text = output(built("switchhook", "switchhook")?.arg("schema"))?;
    let out = workspace::target().join("schema");
    let file = out.join(FILE);
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(file, text)?;
    settle(&out, &[PathBuf::from(FILE)], check, "cargo xtask schema")
}
