//! Hash tables, both ways.

use std::time::{Duration, Instant};

use switchhook_tests::{Daemon, Kamailio, Place, Setup, beside, patience};

use super::member::Member;
use super::*;

#[test]
fn tables_are_equal_whoever_writes() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    let equal = |what: &str, items: usize| {
        become_equal(SOON, what, || {
            (table_here(&daemon), table_at_kamailio(&kamailio))
        });
        assert_eq!(table_here(&daemon).len(), items, "{what}");
    };
    set(&daemon, "n", "42");
    set(&daemon, "negative", "-7");
    set(&daemon, "text", "\"hello \\\"q\\\" é中😀\"");
    set(&daemon, "n", "43");
    equal("set here", 3);
    kamailio.rpc(&["htable.seti", "ht", "kn", "5"]);
    kamailio.rpc(&["htable.sets", "ht", "ktext", "s:grüße \"q\""]);
    equal("set there", 5);
    assert_eq!(table_here(&daemon)["kn"], "5");
    daemon.admin(&["rpc", "htable.remove", "table=ht", "key=negative"]);
    kamailio.rpc(&["htable.delete", "ht", "ktext"]);
    equal("removed", 3);
    for key in ["aa1", "aa2", "ab1", "bb1"] {
        set(&daemon, key, "\"v-one\"");
        kamailio.rpc(&["htable.sets", "ht", &format!("k{key}"), "w-two"]);
    }
    equal("more", 11);
    has_it(&place, &kamailio, "rm-name-re ^k?aa.*");
    equal("removed by an expression", 7);
    has_it(&place, &kamailio, "rm-name-sw ab");
    equal("removed by a prefix", 6);
    has_it(&place, &kamailio, "rm-value-sw w-");
    equal("removed by a value's prefix", 4);
    has_it(&place, &kamailio, "rm-value-re ^v-.*");
    equal("removed by a value's expression", 3);
    has_it(&place, &kamailio, "expire n 1");
    std::thread::sleep(Duration::from_millis(2500));
    equal("expired", 2);
    // Kamailio tells nobody of a reset.
    has_it(&place, &kamailio, "reset");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        (
            table_at_kamailio(&kamailio).len(),
            table_here(&daemon).len()
        ),
        (0, 2)
    );
    daemon.stop();
}

/// Fills the daemon's table with many items: over the admin socket, in batches.
fn many_here(count: usize) -> String {
    let items: Vec<_> = (0..count)
        .map(|n| format!("\"key-{n}\" = \"value-{n}\""))
        .collect();
    items.join("\n")
}

#[test]
fn a_large_table_comes_to_whoever_joins() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let count = 20_000;
    let daemon = {
        let config = format!(
            "[sip]\nlanes = 1\ndomains = [\"example.test\"]\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
             grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
             [script.config]\nauth = false\nrealm = \"example.test\"\n\
             [dmq]\naddress = \"sip:{}\"\nallow = [\"{}\"]\nhtables = [\"ht\"]\nping = \"1s\"\n\
             [[htable]]\nname = \"ht\"\nexpire = \"2h\"\n[htable.initial]\n{}\n",
            place.at(OURS),
            place.ip(),
            many_here(count),
        );
        Setup::config(&place, &config).start()
    };
    // From us to Kamailio ...
    let first = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    let start = Instant::now();
    let there = |kamailio: &Kamailio| {
        kamailio
            .rpc(&["htable.stats"])
            .contains(&format!("all: {count}"))
    };
    assert!(
        patience(SOON * 4, || there(&first).then_some(())).is_some(),
        "{}",
        first.rpc(&["htable.stats"])
    );
    eprintln!(
        "{count} items to Kamailio: {:?} after it was up",
        start.elapsed()
    );
    daemon.stop();
    // ... and from Kamailio to us.
    let daemon = self::daemon(&place, &[first.at()], "");
    let start = Instant::now();
    let here = || {
        daemon
            .admin(&["rpc", "htable.list"])
            .split_whitespace()
            .collect::<String>()
            .contains(&format!("\"items\":{count}"))
    };
    assert!(
        patience(SOON * 4, || here().then_some(())).is_some(),
        "{}",
        daemon.admin(&["rpc", "htable.list"])
    );
    eprintln!(
        "{count} items from Kamailio: {:?} after we were up",
        start.elapsed()
    );
    daemon.stop();
}

#[test]
fn every_message_to_one_that_joins_is_short_enough() {
    let _beside = beside();
    let place = Place::new();
    let count = 100_000;
    let more = format!("[htable.initial]\n{}\n", many_here(count));
    let daemon = one_table(&place, &more);
    let member = Member::joins(&place, 5090, place.at(OURS));
    let heard = member.asks("htable", r#"{"action":1}"#);
    // 5.7 and later read no message above 32,767 bytes.
    assert!(heard.iter().all(|one| one.length < 32_767));
    let mut keys: Vec<&str> = heard
        .iter()
        .flat_map(|one| one.body.split("\"cname\":\"").skip(1))
        .filter_map(|item| item.split('"').next())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
    daemon.stop();
}

/// A daemon with the table `ht` and what it begins with.
fn one_table(place: &Place, more: &str) -> Daemon {
    let config = format!(
        "[sip]\nlanes = 1\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n\
         [dmq]\naddress = \"sip:{}\"\nallow = [\"{}\"]\nhtables = [\"ht\"]\nping = \"1s\"\n\
         [[htable]]\nname = \"ht\"\nexpire = \"2h\"\nmax-items = 200000\n{more}",
        place.at(OURS),
        place.ip(),
    );
    Setup::config(place, &config).start()
}

#[test]
fn one_table_is_asked_for_alone() {
    let _beside = beside();
    let place = Place::new();
    let daemon = setup(&place, &[], "")
        .set("dmq.htables=[\"ht\", \"own\"]")
        .start();
    for table in ["ht", "own"] {
        let table = format!("table={table}");
        daemon.admin(&["rpc", "htable.set", &table, "key=k", "value=1"]);
    }
    let member = Member::joins(&place, 5090, place.at(OURS));
    let tables = |question: &str| {
        let heard = member.asks("htable", question);
        let all: String = heard.iter().map(|one| one.body.as_str()).collect();
        ["ht", "own"].map(|table| all.contains(&format!("\"htname\":\"{table}\"")))
    };
    assert_eq!(tables(r#"{"action":1,"htname":"own"}"#), [false, true]);
    assert_eq!(tables(r#"{"action":1,"htname":"ht"}"#), [true, false]);
    assert_eq!(tables(r#"{"action":1}"#), [true, true]);
    assert_eq!(member.says("htable", r#"{"action":1,"htname":"no"}"#), 500);
    daemon.stop();
}
