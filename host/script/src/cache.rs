//! Compiled code on disk, so that a start takes a millisecond instead of a compilation.
//!
//! A cache entry is code that this process will run: whoever can write one owns the daemon. So the directory and its
//! entries must belong to the process's user and be writable to nobody else, or they are not used. An entry is named by
//! the module's hash and the engine's compatibility hash, begins with a hash of the rest, and is put there by a rename.
//! What is missing, foreign, cut or changed is ignored and written anew; beyond [`ENTRIES`] the oldest go; failures to write only cost the next start.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::message;
use crate::generation::Hash;

const MAGIC: &[u8; 8] = b"swhkcwa1";
/// The most entries that are kept: the newest.
const ENTRIES: usize = 64;
/// No entry takes that long to write.
const ABANDONED: Duration = Duration::from_secs(3600);
const HEAD: usize = MAGIC.len() + 32;

/// A directory of compiled code.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    dir: PathBuf,
    user: u32,
}

impl Cache {
    /// Opens or makes the directory. None, with a line in the log, where it can't be trusted or used.
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        match Self::try_open(dir) {
            Ok(cache) => Some(cache),
            Err(error) => {
                warn!(dir = %dir.display(), %error, "compiled code is not cached");
                None
            }
        }
    }

    fn try_open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // The owner of our own entry in /proc is the user that this process runs as.
        let user = fs::metadata("/proc/self")?.uid();
        trusted(&fs::metadata(dir)?, user)?;
        Ok(Self {
            dir: dir.into(),
            user,
        })
    }

    /// The compiled code of a module, if it is there and whole.
    pub(crate) fn get(&self, engine: &Engine, module: Hash) -> Option<Component> {
        let path = self.path(engine, module);
        match self.read(&path) {
            Ok(code) => match load(engine, &code) {
                Ok(component) => Some(component),
                Err(error) => {
                    warn!(path = %path.display(), error = message(&error), "cached code does not load");
                    None
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(path = %path.display(), %error, "cached code is not used");
                None
            }
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        trusted(&file.metadata()?, self.user)?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut file, &mut bytes)?;
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "cut or changed");
        let (head, code) = bytes.split_at_checked(HEAD).ok_or_else(broken)?;
        let sum = head.strip_prefix(MAGIC).ok_or_else(broken)?;
        if sum != &Sha256::digest(code)[..] {
            return Err(broken());
        }
        bytes.drain(..HEAD);
        Ok(bytes)
    }

    /// Writes an entry; a failure is logged and forgotten.
    pub(crate) fn put(&self, engine: &Engine, module: Hash, component: &Component) {
        let path = self.path(engine, module);
        let code = match component.serialize() {
            Ok(code) => code,
            Err(error) => {
                warn!(error = message(&error), "compiled code is not cached");
                return;
            }
        };
        match self.write(&path, &code) {
            Ok(()) => {
                debug!(path = %path.display(), bytes = code.len(), "compiled code is cached");
                self.prune();
            }
            Err(error) => warn!(path = %path.display(), %error, "compiled code is not cached"),
        }
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = file
            .write_all(MAGIC)
            .and_then(|()| file.write_all(&Sha256::digest(code)))
            .and_then(|()| file.write_all(code))
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Lets the oldest entries go, and what a process that died while writing left behind.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut code = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(written) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
                continue;
            };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("cwasm") => code.push((written, path)),
                Some("tmp") if written.elapsed().is_ok_and(|age| age > ABANDONED) => {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
        code.sort();
        for (_, path) in code.iter().rev().skip(ENTRIES) {
            let _ = fs::remove_file(path);
        }
    }

    fn path(&self, engine: &Engine, module: Hash) -> PathBuf {
        let mut key = Key(Sha256::new());
        key.write(&module.0);
        engine.precompile_compatibility_hash().hash(&mut key);
        self.dir
            .join(format!("{}.cwasm", Hash(key.0.finalize().into())))
    }
}

fn trusted(metadata: &fs::Metadata, user: u32) -> io::Result<()> {
    let problem = if metadata.uid() != user {
        format!("it belongs to user {}, not to {user}", metadata.uid())
    } else if metadata.mode() & 0o022 != 0 {
        format!("others may write it (mode {:o})", metadata.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

/// Reads compiled code. The only unsafe call of this crate.
#[allow(unsafe_code)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` asks that the bytes come from `Component::serialize` unchanged. `Cache::read` gave them out of a
    // file that only this user can write, under the hash that was written with them; wasmtime itself checks that its own
    // version and settings made them.
    unsafe { Component::deserialize(engine, code) }
}

/// Feeds a value's hash into SHA-256, so that the key is the same in every process.
struct Key(Sha256);

impl Hasher for Key {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
