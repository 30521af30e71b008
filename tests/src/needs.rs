//! What a test needs from outside, and saying so where it is not there.
//!
//! A test that lacks a program passes over and leaves a line for the summary of `cargo xtask test`; under CI it fails instead.
//! The data of ../shared is not ours to bring: without it a test always passes over.

use std::io::Write;
use std::path::PathBuf;

use crate::place::root;

/// Whether `program` is there; false means that the test should return, it has been noted.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|dir| dir.join(program).is_file());
    if !there {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "{program} is not installed: `cargo xtask test` installs it"
        );
        left_out(&format!("{program} is not installed"));
    }
    there
}

/// The folder `name` of ../shared/data (SWITCHHOOK_SHARED names another than ../shared), where it is there.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("SWITCHHOOK_SHARED")
        .map_or_else(|| root().join("../shared"), PathBuf::from);
    let dir = shared.join("data").join(name);
    if dir.is_dir() {
        return Some(dir);
    }
    left_out(&format!("../shared/data/{name} is not there"));
    None
}

pub(crate) fn left_out(why: &str) {
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    eprintln!("left out: {test}: {why}");
    let Some(file) = std::env::var_os("SWITCHHOOK_LEFT_OUT") else {
        return;
    };
    if let Ok(mut file) = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
    {
        // only a summary's line: a test does not fail for it
        let _ = writeln!(file, "{test}: {why}");
    }
}
