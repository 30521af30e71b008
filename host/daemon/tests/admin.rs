//! The admin socket: its methods by the command line, and its manners by bare connections.

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use support::{Site, router};

#[test]
fn the_daemon_tells_what_it_is() {
    let site = Site::new();
    let daemon = site.run(&[]);
    assert_eq!(daemon.rpc(&["core.version"])["name"], "switchhook");
    assert!(daemon.rpc(&["core.uptime"])["seconds"].is_u64());
    let methods = daemon.rpc(&["core.methods"]);
    let names: Vec<_> = methods
        .as_array()
        .unwrap()
        .iter()
        .map(|method| method["name"].as_str().unwrap())
        .collect();
    for name in [
        "core.methods",
        "core.uptime",
        "htable.dump",
        "htable.get",
        "htable.set",
        "log.level",
        "script.list",
        "script.swap",
        "stats.get",
        "ul.dump",
        "ul.lookup",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(
        daemon
            .rpc(&["stats.get", "transactions."])
            .as_object()
            .unwrap()
            .keys()
            .all(|name| name.starts_with("transactions."))
    );
    let listed = site.says(&["rpc", "--socket", "admin.sock"]);
    assert_eq!(listed.lines().count(), names.len(), "{listed}");
    assert!(listed.contains("htable.get TABLE KEY  "), "{listed}");
    let error = daemon.rpc_refuses(&["core.versoin"]);
    assert!(error.contains("did you mean core.version"), "{error}");
}

#[test]
fn only_the_owner_may_connect() {
    let site = Site::new();
    let _daemon = site.run(&[]);
    let mode = site
        .path("admin.sock")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_script_is_swapped_and_a_bad_module_changes_nothing() {
    let site = Site::new();
    let daemon = site.run(&[]);
    let before = daemon.rpc(&["script.list"])[0].clone();
    site.write("new.wasm", router(2));
    let said = site.says(&["swap", "main", "new.wasm", "--socket", "admin.sock"]);
    let after = daemon.rpc(&["script.list"])[0].clone();
    assert_eq!(
        said,
        format!(
            "main: generation {} -> {}\n",
            before["generation"], after["generation"]
        )
    );
    assert_ne!(before["hash"], after["hash"]);

    site.write("bad.wasm", "garbage");
    let error = site.refuses(&["swap", "main", "bad.wasm", "--socket", "admin.sock"]);
    assert!(error.contains("no module"), "{error}");
    let error = site.refuses(&["swap", "mian", "new.wasm", "--socket", "admin.sock"]);
    assert!(
        error.contains("mian") && error.contains("there is main"),
        "{error}"
    );
    assert_eq!(daemon.rpc(&["script.list"])[0]["hash"], after["hash"]);

    let table = site.says(&["scripts", "--socket", "admin.sock"]);
    assert!(
        table.starts_with("NAME") && table.contains(&after["hash"].as_str().unwrap()[..16]),
        "{table}"
    );
}

#[test]
fn a_module_comes_as_bytes_too() {
    use base64::Engine;
    let site = Site::new();
    let daemon = site.run(&[]);
    let bytes = base64::engine::general_purpose::STANDARD.encode(router(3));
    let swapped = daemon
        .connect()
        .ask("script.swap", &json!({ "script": "main", "base64": bytes }));
    assert!(
        swapped["result"]["new"].as_u64() > swapped["result"]["old"].as_u64(),
        "{swapped}"
    );
}

#[test]
fn tables_are_read_and_written() {
    let site = Site::new();
    let daemon = site.run(&[]);
    assert_eq!(daemon.rpc(&["htable.get", "blocked", "alice"]), json!(1));
    assert_eq!(
        daemon.rpc(&["htable.get", "blocked", "note"]),
        json!("a text")
    );
    assert_eq!(
        daemon.rpc(&["htable.get", "blocked", "nobody"]),
        Value::Null
    );
    daemon.rpc(&["htable.set", "blocked", "0049", "007"]);
    assert_eq!(
        daemon.rpc(&["htable.get", "blocked", "0049"]),
        json!("007"),
        "digits with a leading zero stay as they are"
    );
    daemon.rpc(&[
        "htable.set",
        "table=blocked",
        "key=5060",
        "value=5",
        "ttl=60",
    ]);
    assert_eq!(daemon.rpc(&["htable.get", "blocked", "5060"]), json!(5));
    daemon.rpc(&["htable.set", "blocked", "raw", r#"{"base64": "AAEC"}"#]);
    assert_eq!(
        daemon.rpc(&["htable.get", "blocked", "raw"]),
        json!({ "base64": "AAEC" })
    );
    assert_eq!(
        daemon.rpc(&["htable.remove", "blocked", "raw"]),
        json!(true)
    );
    assert_eq!(daemon.rpc(&["htable.list"])[0]["items"], 4);

    let page = daemon.rpc(&["htable.dump", "table=blocked", "limit=3"]);
    let after = format!("after={}", page["next"].as_str().unwrap());
    let rest = daemon.rpc(&["htable.dump", "table=blocked", &after]);
    let keys: BTreeSet<_> = [&page, &rest]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|item| item["key"].as_str().unwrap())
        .collect();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert_eq!((keys.len(), &rest["next"]), (4, &Value::Null));
    let all = site.says(&[
        "rpc",
        "--socket",
        "admin.sock",
        "htable.dump",
        "blocked",
        "--all",
    ]);
    assert_eq!(all.lines().count(), 4, "{all}");

    for (args, expected) in [
        (&["htable.get", "blokced", "a"][..], "there is blocked"),
        (
            &["htable.get", "blocked"],
            "`key` is missing; expected htable.get TABLE KEY",
        ),
        (
            &["htable.set", "blocked", "a", "true"],
            "expected a whole number",
        ),
        (
            &["htable.dump", "table=blocked", "limit=0"],
            "expected 1 to 10000",
        ),
    ] {
        let error = daemon.rpc_refuses(args);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn registrations_are_dumped_and_looked_up() {
    let site = Site::new();
    let daemon = site.run(&[]);
    assert_eq!(
        daemon.rpc(&["ul.dump"]),
        json!({ "items": [], "next": null })
    );
    assert_eq!(
        daemon.rpc(&["ul.lookup", "location", "alice@EXAMPLE.test"]),
        json!({ "aor": "sip:alice@example.test", "contacts": [] })
    );
    assert!(
        daemon
            .rpc_refuses(&["ul.dump", "locations"])
            .contains("there is location")
    );
}

#[test]
fn the_log_level_changes_while_it_runs() {
    let site = Site::new();
    let daemon = site.run(&["--set", "log.level=warn"]);
    assert!(!daemon.log().contains("ready"));
    assert_eq!(
        daemon.rpc(&["log.level", "info"]),
        json!({ "before": "warn", "level": "info" })
    );
    daemon.signal("HUP");
    daemon.logs("reloaded");
    assert!(
        daemon
            .rpc_refuses(&["log.level", "loud"])
            .contains("no level")
    );
}

#[test]
fn requests_and_batches_are_answered_line_by_line() {
    let site = Site::new();
    let daemon = site.run(&[]);
    let mut admin = daemon.connect();
    admin.send("{\"jsonrpc\":\"2.0\",\"method\":\"core.version\",\"id\":1}\n\n[{\"jsonrpc\":\"2.0\",\"method\":\"core.version\",\"id\":2},{\"jsonrpc\":\"2.0\",\"method\":\"x\"}]\nnonsense\n");
    assert_eq!(admin.line().unwrap()["id"], 1);
    let batch = admin.line().unwrap();
    assert_eq!(
        (batch.as_array().unwrap().len(), &batch[0]["id"]),
        (1, &json!(2))
    );
    assert_eq!(admin.line().unwrap()["error"]["code"], -32700);
    assert!(
        admin.ask("core.version", &json!([]))["result"].is_object(),
        "a bad line ends the connection"
    );
}

#[test]
fn a_client_that_does_not_read_stops_nobody() {
    let site = Site::new();
    let daemon = site.run(&[]);
    let mut deaf = daemon.connect();
    // More answers than the socket's buffers hold; then the daemon takes no more questions from it.
    deaf.floods("{\"jsonrpc\":\"2.0\",\"method\":\"core.methods\",\"id\":1}\n");
    assert!(daemon.connect().ask("core.uptime", &json!([]))["result"].is_object());
}

#[test]
fn connections_are_bounded() {
    let site = Site::new();
    let daemon = site.run(&["--set", "admin.max-connections=2"]);
    let mut connections = [daemon.connect(), daemon.connect()];
    for connection in &mut connections {
        connection.ask("core.version", &json!([]));
    }
    let refusal = daemon.connect().rest();
    assert!(refusal.contains("too many admin connections"), "{refusal}");
    drop(connections);
    let end = std::time::Instant::now() + support::PATIENCE;
    while daemon.connect().asks_in_vain() {
        assert!(
            std::time::Instant::now() < end,
            "no connection is taken any more"
        );
    }
}
