//! What the command line says and how it ends.

mod support;

use std::net::UdpSocket;
use support::{Site, logging_router, text};

#[test]
fn check_loads_the_scripts_and_opens_nothing() {
    let site = Site::new();
    let said = site.says(&["check", "switchhook.toml"]);
    assert!(said.ends_with("switchhook.toml: ok\n"), "{said}");
    assert!(!site.path("admin.sock").exists());
}

#[test]
fn check_names_a_missing_grant_and_its_line() {
    let site = Site::new();
    site.write("main.wasm", logging_router());
    let error = site.refuses(&["check", "switchhook.toml"]);
    for expected in [
        "script `main` can't be loaded",
        "without a grant",
        "log",
        "switchhook.toml:",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    site.edit(
        "path = \"main.wasm\"",
        "path = \"main.wasm\"\ngrants = [\"log\"]",
    );
    site.says(&["check", "switchhook.toml"]);
}

#[test]
fn check_points_at_a_module_that_is_none_or_not_there() {
    let site = Site::new();
    site.write("main.wasm", "garbage");
    let error = site.refuses(&["check", "switchhook.toml"]);
    assert!(
        error.contains("path = \"main.wasm\"") && error.contains("no module"),
        "{error}"
    );
    let error = site.refuses(&[
        "check",
        "switchhook.toml",
        "--set",
        "script.main.path=other.wasm",
    ]);
    assert!(
        error.contains("script.main.path=other.wasm") && error.contains("No such file"),
        "{error}"
    );
}

#[test]
fn run_says_where_it_listens_and_ends_well_at_sigterm() {
    let site = Site::new();
    let mut daemon = site.run(&[]);
    assert!(daemon.address("udp:").starts_with("127.0.0.1:"));
    assert!(daemon.address("tcp:").starts_with("127.0.0.1:"));
    daemon.signal("TERM");
    assert!(daemon.ends().success());
    assert!(
        !site.path("admin.sock").exists(),
        "the socket's file is left"
    );
    daemon.logs("stopped");
}

#[test]
fn run_is_refused_a_port_that_is_taken() {
    let site = Site::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let set = format!("sip.listen=udp:{}", taken.local_addr().unwrap());
    let error = site.refuses(&["run", "switchhook.toml", "--set", &set]);
    assert!(
        error.contains("can't listen on udp:127.0.0.1") && error.contains("another program"),
        "{error}"
    );
    assert!(!site.path("admin.sock").exists());
}

#[test]
fn run_is_refused_the_socket_of_another_daemon_and_takes_that_of_a_dead_one() {
    let site = Site::new();
    let mut first = site.run(&[]);
    let error = site.refuses(&["run", "switchhook.toml"]);
    assert!(error.contains("another daemon answers"), "{error}");
    first.signal("KILL");
    first.ends();
    assert!(site.path("admin.sock").exists());
    site.run(&[]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let site = Site::new();
    let error = site.refuses(&["run", "nothing.toml"]);
    assert!(
        error.contains("can't read the config file nothing.toml"),
        "{error}"
    );
}

#[test]
fn without_a_daemon_commands_say_where_they_looked() {
    let site = Site::new();
    let error = site.refuses(&["rpc", "core.version", "--config", "switchhook.toml"]);
    assert!(
        error.contains("no daemon answers at") && error.contains("admin.sock"),
        "{error}"
    );
    let error = site.refuses(&["scripts"]);
    assert!(error.contains("runtime/switchhook/admin.sock"), "{error}");
}

#[test]
fn commands_find_the_default_socket_of_the_user() {
    let site = Site::new();
    site.edit("listen = \"unix:admin.sock\"", "");
    let _daemon = site.run(&[]);
    assert!(site.says(&["scripts"]).contains("main"));
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let site = Site::new();
    for args in [
        &["fly"][..],
        &["run"],
        &["rpc", "x", "--socket", "a", "--config", "b"],
    ] {
        let output = site.switchhook(args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}
