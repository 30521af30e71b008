//! Stories of configs that load. Those that must not are in tests/ui.

use super::*;

const SMALL: &str = "[[script]]\nname = 'default'\npath = 'default.wasm'\n";

fn with(text: &str, sets: &[&str]) -> Config {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    read("switchhook.toml", text, Path::new("/etc/switchhook"), &sets)
        .unwrap_or_else(|problems| panic!("{}", problems.report(false)))
        .config
}

fn refused(text: &str, sets: &[&str]) -> String {
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    read("switchhook.toml", text, Path::new("/etc/switchhook"), &sets)
        .unwrap_err()
        .report(false)
}

#[test]
fn a_script_is_all_that_must_be_written() {
    let config = with(SMALL, &[]);
    let listen: Vec<_> = config.sip.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]);
    assert_eq!(
        config.script[0].path,
        Path::new("/etc/switchhook/default.wasm")
    );
    assert_eq!(config.script[0].error_reply.status, 500);
    assert_eq!(config.location[0].name, "location");
    assert!(
        config.script[0].grants.is_empty(),
        "nothing is granted that is not written"
    );
}

#[test]
fn the_command_line_changes_any_setting() {
    let text = format!("{SMALL}[script.config]\nauth = true\nkeep = 1\n[[htable]]\nname = 't'\n");
    let config = with(
        &text,
        &[
            "sip.lanes=1",
            "sip.listen=[\"udp:127.0.0.1:5071\"]",
            "sip.server=a plain text = with an equals sign",
            "sip.tcp.idle-timeout=30s",
            "sip.max_message=32KiB",
            "script.default.config.auth=false",
            "script.default.config.number.inner=5",
            "htable.t.max-items=5",
            "log.level=debug",
        ],
    );
    assert_eq!(config.sip.lanes, Some(1));
    assert_eq!(config.sip.listen[0].to_string(), "udp:127.0.0.1:5071");
    assert_eq!(config.sip.server, "a plain text = with an equals sign");
    assert_eq!(config.sip.tcp.idle_timeout.to_string(), "30s");
    assert_eq!(config.sip.max_message.bytes(), 32 << 10);
    assert_eq!(
        serde_json::to_string(&config.script[0].config).unwrap(),
        r#"{"auth":false,"keep":1,"number":{"inner":5}}"#
    );
    assert_eq!(config.htable[0].max_items, 5);
    assert_eq!(config.log.level, "debug");
}

#[test]
fn on_the_command_line_one_text_stands_for_a_list_of_one() {
    let config = with(
        SMALL,
        &["sip.listen=udp:127.0.0.1:5071", "sip.domains=example.test"],
    );
    assert_eq!(config.sip.listen.len(), 1);
    assert_eq!(config.sip.domains, ["example.test"]);
}

#[test]
fn a_bad_setting_of_the_command_line_is_quoted() {
    for (set, expected) in [
        ("sip.lanes", "expected KEY=VALUE"),
        (
            "sip.lanes=two",
            "expected a whole number from 0 to 65535, found the string \"two\"",
        ),
        ("sip.lane=2", "did you mean `lanes`?"),
        ("sip.listen=[\"udp:127.0.0.1:5060\"", "this is not TOML"),
        (
            "script.defualt.config.auth=false",
            "did you mean `default`?",
        ),
        ("script.default=5", "expected script.default.KEY=VALUE"),
        (
            "script.default.limits.deadline=0s",
            "expected 1ms to 1m, found 0s",
        ),
        ("a b=1", "this is not a dotted key"),
    ] {
        let report = refused(SMALL, &[set]);
        assert!(
            report.contains(expected) && report.contains(set),
            "{set}: {report}"
        );
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let report = refused(
        "[[script]]\nname='a'\npath='a'\n[[script]]\nname='a'\npath='a'\n[sip]\nlanes=0\n",
        &[],
    );
    assert!(
        report.contains("number of lanes") && report.contains("given twice"),
        "{report}"
    );
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let committed = include_str!("../../../../docs/switchhook.schema.json");
    assert!(committed == schema(), "run `cargo xtask schema`");
}
