//! Where the tests find data that is not part of the repository.

use std::path::{Path, PathBuf};

/// A folder of the shared data: under `$SWITCHHOOK_SHARED`, else under `../shared` beside the repository. `None`, said aloud,
/// where it is not there.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("SWITCHHOOK_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!(
        "PASSED OVER: no {} (set SWITCHHOOK_SHARED to the folder that has it)",
        path.display()
    );
    None
}

/// The bytes of one file of a folder.
pub(crate) fn read(folder: &Path, file: &str) -> Vec<u8> {
    let path = folder.join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
