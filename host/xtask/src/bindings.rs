//! The committed guest bindings: regenerated from wit/, or compared with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{built, run};
use crate::workspace;

/// Write them anew; with `check`, fail where a committed one differs.
pub(crate) fn bindings(check: bool) -> Result<()> {
    let out = workspace::target().join("bindings");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    run(built("xtask-bindings", "xtask-bindings")?
        .arg(workspace::root().join("wit"))
        .arg(&out))?;
    let files = files(&out)?;
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
    {
        run(Command::new("rustfmt")
            .args(["--edition", "2024"])
            .arg(out.join(file)))?;
    }
    settle(&out, &files, check, "cargo xtask bindings")
}

/// Bring each of `files` from `from` to the workspace, or only compare.
pub(crate) fn settle(from: &Path, files: &[PathBuf], check: bool, task: &str) -> Result<()> {
    let mut differ = Vec::new();
    for file in files {
        let committed = workspace::root().join(file);
        let new = fs::read(from.join(file))
            .with_context(|| format!("cannot read the generated {}", file.display()))?;
        if fs::read(&committed).is_ok_and(|old| old == new) {
            continue;
        }
        if check {
            differ.push(file.display().to_string());
            continue;
        }
        if let Some(dir) = committed.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(&committed, new)?;
        eprintln!("written: {}", file.display());
    }
    if !differ.is_empty() {
        bail!(
            "not what {task} writes (run it and commit): {}",
            differ.join(", ")
        );
    }
    Ok(())
}

/// Every file below `dir`, relative to it, in order.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                dirs.push(path);
            } else if let Ok(short) = path.strip_prefix(dir) {
                found.push(short.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
