//! Nothing lies about untested: each guest and each scenario is named by a test.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::fs;
use std::path::{Path, PathBuf};

fn files(dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    entries.map(|entry| entry.expect("a file").path()).collect()
}

fn exists(dir: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(dir).is_dir()
}

/// Those below too.
fn all_files(path: PathBuf) -> Vec<PathBuf> {
    match fs::read_dir(&path) {
        Ok(entries) => entries
            .flat_map(|entry| all_files(entry.expect("a file").path()))
            .collect(),
        Err(_) => vec![path],
    }
}

/// The text of every test and of what they share.
fn tests() -> String {
    let others = [
        "../host/script/tests",
        "../host/engine/tests",
        "../guest-sdk/tests",
    ];
    let sources = ["tests", "src"]
        .iter()
        .chain(&others)
        .filter(|dir| exists(dir))
        .flat_map(|dir| files(dir))
        .flat_map(all_files);
    sources
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect()
}

fn unnamed<'a>(names: &'a [String], tests: &str) -> Vec<&'a str> {
    let named = |name: &&str| {
        let ends = [
            format!("\"{name}\""),
            format!("GUESTS/{name}.wasm"),
            format!("examples/{name}/"),
            format!("guests/{name}/"),
        ];
        !ends.iter().any(|form| tests.contains(form))
    };
    names.iter().map(String::as_str).filter(named).collect()
}

#[test]
fn every_guest_and_every_example_is_run_by_a_test() {
    let folders = files("guests")
        .into_iter()
        .chain(files("../examples"))
        .filter(|path| path.is_dir());
    let names: Vec<String> = folders
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    assert_eq!(unnamed(&names, &tests()), [""; 0]);
}

#[test]
fn every_scenario_is_played_by_a_test() {
    let names: Vec<String> = files("scenarios")
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    assert!(names.len() >= 10, "{names:?}");
    assert_eq!(unnamed(&names, &tests()), [""; 0]);
}
