//! `switchhook phones` against a real daemon that runs examples/default: what people type first.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use serde_json::Value;
use switchhook_tests::{Place, Setup, beside, phones};

/// Runs it against the daemon of a place; gives its exit code and its report.
fn report(place: &Place, args: &[&str]) -> (Option<i32>, Value) {
    let target = place.at(5060).to_string();
    let mut all = vec!["--target", &target, "--json", "-", "--timeout", "5s"];
    all.extend_from_slice(args);
    let output = phones(&all);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{errors}"));
    (output.status.code(), report)
}

fn good(place: &Place, args: &[&str]) {
    let (code, report) = report(place, args);
    assert_eq!(code, Some(0), "{args:?}: {report:#}");
    assert_eq!(report["failed"], 0);
    assert_eq!(report["completed"], report["offered"]);
    assert_eq!(report["strays"], 0, "{args:?}: {report:#}");
}

#[test]
fn every_scenario_goes_well_with_users_whom_nobody_asks() {
    let _beside = beside();
    let place = Place::new();
    let daemon = Setup::open(&place).start();
    for scenario in [
        "options", "lookup", "message", "call", "hold", "busy", "cancel", "transfer",
    ] {
        good(
            &place,
            &[
                "-s", scenario, "--dial", "aor", "-n", "20", "-c", "4", "--users", "4",
            ],
        );
    }
    let ip = place.ip().to_string();
    let there = [
        "-n", "4", "--users", "4", "--bind", &ip, "--port", "bob=5070",
    ];
    let registered = || {
        daemon
            .admin(&["rpc", "ul.dump", "location"])
            .matches("sip:bob")
            .count()
    };
    assert_eq!(
        registered(),
        0,
        "phones that were called take their registration back"
    );
    good(&place, &[&["-s", "register"], &there[..]].concat());
    assert!(registered() >= 4);
    good(
        &place,
        &[&["-s", "lookup", "--no-register"], &there[..]].concat(),
    );
    good(&place, &[&["-s", "unregister"], &there[..]].concat());
    assert_eq!(registered(), 0);
    daemon.stop();
}

#[test]
fn phones_with_a_password_are_let_in() {
    let _beside = beside();
    let place = Place::new();
    let daemon = Setup::default(&place).start();
    let password = ["--password", "{user}-secret"];
    for scenario in ["register-auth", "lookup", "call", "transfer"] {
        let args = [&["-s", scenario, "--dial", "aor", "-n", "5"], &password[..]].concat();
        good(&place, &args);
    }
    let (code, report) = report(&place, &["-s", "register"]);
    assert_eq!(code, Some(1));
    assert_eq!(report["reasons"]["credentials"], 1);
    daemon.stop();
}

#[test]
fn a_call_that_fails_says_why() {
    let _beside = beside();
    let place = Place::new();
    let daemon = Setup::open(&place).start();
    // the default script relays to nobody but its own users
    let (code, report) = report(&place, &["-s", "message", "-n", "3"]);
    assert_eq!(code, Some(1));
    assert_eq!(report["reasons"]["status-403"], 3);
    assert_eq!(report["failures"][0]["step"], "1: MESSAGE alice -> bob");
    daemon.stop();
}

#[test]
fn what_can_not_be_run_is_told_with_another_code() {
    let place = Place::new();
    let file = place.dir().join("bad.toml");
    let text = "about = \"a\"\nphones = [\"alice\"]\nsteps = [\n  { from = \"alise\", request = \"OPTIONS\", to = \"server\" },\n]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let output = phones(&["-t", "127.0.0.1:9", "-s", &file]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("error: there is no phone `alise`"), "{told}");
    assert!(
        told.contains("bad.toml:4:12") && told.contains("^^^^^^^"),
        "{told}"
    );
    assert!(told.contains("help: is `alice` meant?"), "{told}");

    let output = phones(&["-s", "call"]);
    assert_eq!(output.status.code(), Some(2), "a target is wanted");
    let output = phones(&["--list"]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.lines().any(|line| line.starts_with("transfer ")),
        "{told}"
    );
    let output = phones(&["--show", "call"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("request = \"INVITE\""));
}
