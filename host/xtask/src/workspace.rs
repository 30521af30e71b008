//! Where things are: the workspace's root and the folders under target/ that xtask fills.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    // host/xtask -> root; fixed at compile time, so it holds wherever the command is run from
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    ROOT.get_or_init(|| here.ancestors().nth(2).unwrap_or(here).to_owned())
}

/// Cargo's target folder: CARGO_TARGET_DIR where it is set, else target/.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| root().join("target")),
        None => root().join("target"),
    }
}

/// Where built guests are put. Always under the root, because the examples' configs name it.
pub(crate) fn guests() -> PathBuf {
    root().join("target/guests")
}

/// Where tools are installed privately.
pub(crate) fn tools() -> PathBuf {
    target().join("tools")
}

/// The daemon as built for the tests.
pub(crate) fn daemon() -> PathBuf {
    target().join("release/switchhook")
}

/// A path as a person wants to read it: relative to the root where it is below it.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
