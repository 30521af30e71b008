//! Where things are when the config does not say: the admin socket and the cache of compiled code.

use std::env;
use std::path::PathBuf;

/// The admin socket of the user that runs the daemon.
pub(crate) fn admin_socket() -> PathBuf {
    let user = user_id();
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    let dir = match runtime {
        Some(dir) => PathBuf::from(dir).join("switchhook"),
        None if user == 0 => PathBuf::from("/run/switchhook"),
        None => env::temp_dir().join(format!("switchhook-{user}")),
    };
    dir.join("admin.sock")
}

/// The folder of compiled code; none where the user has no home.
pub(crate) fn cache() -> Option<PathBuf> {
    let named = |name| {
        env::var_os(name)
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
    };
    let dir = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))?;
    Some(dir.join("switchhook"))
}

/// The effective user, as the owner of what this process makes.
fn user_id() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self")
        .map(|metadata| metadata.uid())
        .unwrap_or(u32::MAX)
}
