//! Hash tables, both ways.

use std::time::{Duration, Instant};

use switchhook_tests::{Kamailio, Place, Setup, beside, patience};

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
