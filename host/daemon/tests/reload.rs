//! SIGHUP: what changes while calls are up, what does not, and that a mistake changes nothing.

mod support;

use serde_json::{Value, json};
use std::fs;
use support::{Site, router};

#[test]
fn the_log_file_is_opened_anew() {
    let site = Site::with("[log]\nfile = \"daemon.log\"\n");
    let mut daemon = site.run(&[]);
    fs::rename(site.path("daemon.log"), site.path("daemon.log.1")).unwrap();
    daemon.signal("HUP");
    let end = std::time::Instant::now() + support::PATIENCE;
    while !fs::read_to_string(site.path("daemon.log")).is_ok_and(|log| log.contains("reloaded")) {
        assert!(
            std::time::Instant::now() < end,
            "nothing is written to the new file"
        );
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    daemon.signal("TERM");
    assert!(daemon.ends().success());
}

#[test]
fn what_can_change_changes_and_what_can_not_is_named() {
    let site = Site::with("[log]\nlevel = \"warn\"\n");
    let daemon = site.run(&[]);
    let before = daemon.rpc(&["script.list"])[0]["generation"].clone();
    site.edit("level = \"warn\"", "level = \"info\"");
    site.edit("lanes = 1", "lanes = 2");
    site.write("main.wasm", router(2));
    let reloaded = daemon.rpc(&["core.reload"]);
    assert_eq!(reloaded["restart"], json!(["sip.lanes"]), "{reloaded}");
    assert_eq!(reloaded["failed"], json!([]), "{reloaded}");
    assert_eq!(
        reloaded["changed"].as_array().unwrap().len(),
        2,
        "{reloaded}"
    );
    assert_eq!(daemon.rpc(&["log.level"])["level"], "info");
    assert_ne!(daemon.rpc(&["script.list"])[0]["generation"], before);

    let again = daemon.rpc(&["core.reload"]);
    assert_eq!(
        (&again["changed"], &again["restart"]),
        (&json!([]), &json!(["sip.lanes"])),
        "what needs a restart still does"
    );
}

#[test]
fn a_reload_leaves_what_was_swapped_by_hand() {
    let site = Site::new();
    let daemon = site.run(&[]);
    site.write("new.wasm", router(2));
    site.says(&["swap", "main", "new.wasm", "--socket", "admin.sock"]);
    let swapped = daemon.rpc(&["script.list"])[0]["hash"].clone();
    assert_eq!(daemon.rpc(&["core.reload"])["changed"], json!([]));
    assert_eq!(daemon.rpc(&["script.list"])[0]["hash"], swapped);
}

#[test]
fn a_mistake_in_the_file_changes_nothing() {
    let site = Site::new();
    let daemon = site.run(&[]);
    site.edit("lanes = 1", "lanse = 1");
    site.write("main.wasm", router(2));
    let before = daemon.rpc(&["script.list"]);
    daemon.signal("HUP");
    daemon.logs("unknown key `lanse`");
    assert_eq!(daemon.rpc(&["script.list"]), before);
    assert!(
        daemon
            .rpc_refuses(&["core.reload"])
            .contains("did you mean `lanes`")
    );
}

#[test]
fn a_bad_module_keeps_the_old_one() {
    let site = Site::new();
    let daemon = site.run(&[]);
    site.write("main.wasm", "garbage");
    let reloaded = daemon.rpc(&["core.reload"]);
    assert!(
        reloaded["failed"][0]
            .as_str()
            .unwrap()
            .starts_with("script.main: "),
        "{reloaded}"
    );
    assert_eq!(
        daemon.rpc(&["script.list"]).as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn users_come_and_go() {
    let site = Site::with("[auth]\nusers = \"users.toml\"\nrealm = \"example.test\"\n");
    site.write(
        "users.toml",
        "[[user]]\nname = \"alice\"\npassword = \"wonder\"\n",
    );
    let daemon = site.run(&[]);
    assert_eq!(daemon.rpc(&["core.reload"])["changed"], json!([]));
    site.write(
        "users.toml",
        "[[user]]\nname = \"bob\"\npassword = \"builder\"\n",
    );
    assert_eq!(daemon.rpc(&["core.reload"])["changed"], json!(["users"]));
    site.write("users.toml", "[[user]]\nname = \"carol\"\n");
    assert!(
        daemon
            .rpc_refuses(&["core.reload"])
            .contains("users.toml:2: a user without a secret")
    );
    assert_eq!(daemon.rpc(&["core.uptime"])["lanes"], Value::from(1));
}
