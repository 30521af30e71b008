//! Calls on a bus: with real Kamailio nodes, between our own, and with both, while nodes are killed.
//!
//! Of the acceptance tests of `../shared/facts/dmq.md`:
//!
//! | Number | Test |
//! |---|---|
//! | 13, 15 | `kamailios_call_is_followed_here_and_ends_here` |
//! | 14, 15 | `our_call_is_known_to_kamailio_and_ends_there` |
//! | 16 | `another_hash_size_is_told_of_and_refused` |
//! | 26, 27 | `a_state_before_its_dialog_is_repaired_and_a_late_dialog_is_no_ghost` in host/dmq/tests/stories.rs, as it needs a member that lies |

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use switchhook_tests::{
    Call, Daemon, Kamailio, Phones, Place, Setup, beside, has, line, patience, status,
};

const SOON: Duration = Duration::from_secs(8);
const OURS: u16 = 5060;
const THEIRS: u16 = 5062;

/// A daemon on the bus that takes requests of dialogs that `others` record-routed.
fn daemon(place: &Place, others: &[SocketAddr]) -> Daemon {
    let peers: Vec<_> = others.iter().map(|at| format!("\"sip:{at}\"")).collect();
    let domains: Vec<_> = others.iter().map(|at| format!("\"{at}\"")).collect();
    let config = format!(
        "[sip]\nlanes = 2\ndomains = [{}]\n\
         [[script]]\nname = \"calls\"\npath = \"GUESTS/calls.wasm\"\n\
         grants = [\"log\", \"request\", \"tm\", \"rr\", \"dialog\", \"htable\", \"transport\"]\n\
         [[htable]]\nname = \"events\"\n\
         [dmq]\naddress = \"sip:{}\"\npeers = [{}]\nallow = [\"127.0.0.0/8\"]\ndialogs = true\n\
         ping = \"1s\"\ntimeout = \"3s\"\n",
        domains.join(", "),
        place.at(OURS),
        peers.join(", "),
    );
    Setup::config(place, &config).start()
}

fn dialogs(daemon: &Daemon) -> Vec<Value> {
    let text = daemon.admin(&["rpc", "dlg.list"]);
    let page: Value = serde_json::from_str(&text).expect("JSON");
    page["items"].as_array().expect("items").clone()
}

fn dialog(daemon: &Daemon, call_id: &str) -> Value {
    let mut all = dialogs(daemon).into_iter();
    let found = all.find(|dialog| dialog["call_id"] == call_id);
    found.unwrap_or(Value::Null)
}

fn event(daemon: &Daemon, key: &str) -> String {
    let key = format!("key={key}");
    let found = daemon.try_admin(&["rpc", "htable.get", "table=events", &key]);
    let found = found.unwrap_or_default().replace('"', "");
    found.trim().replace("null", "")
}

/// Every value of that name in what a Kamailio says of its dialogs.
fn at_kamailio(kamailio: &Kamailio, name: &str) -> Vec<String> {
    let text = kamailio.rpc(&["dlg.list"]);
    let name = format!("{name}: ");
    let values = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix(&name));
    values.map(|value| value.trim().to_owned()).collect()
}

fn becomes(what: &str, mut is: impl FnMut() -> bool, see: impl FnOnce() -> String) {
    if patience(SOON, || is().then_some(())).is_none() {
        panic!("{what}: {}", see());
    }
}

fn is_in_state(daemon: &Daemon, call_id: &str, state: u8) {
    becomes(
        &format!("state {state}"),
        || dialog(daemon, call_id)["state"] == state,
        || dialog(daemon, call_id).to_string(),
    );
}

fn state_at_kamailio(kamailio: &Kamailio, state: &str) {
    becomes(
        &format!("state {state} at Kamailio"),
        || at_kamailio(kamailio, "state") == [state],
        || kamailio.rpc(&["dlg.list"]),
    );
}

fn is_gone(daemon: &Daemon) {
    let gone = patience(Duration::from_secs(12), || {
        dialogs(daemon).is_empty().then_some(())
    });
    assert!(gone.is_some(), "{:?}", dialogs(daemon));
}

fn is_gone_at_kamailio(kamailio: &Kamailio) {
    let gone = patience(Duration::from_secs(12), || {
        at_kamailio(kamailio, "state").is_empty().then_some(())
    });
    assert!(gone.is_some(), "{}", kamailio.rpc(&["dlg.list"]));
}

/// Members know each other.
fn await_members(daemon: &Daemon, others: &[SocketAddr]) {
    let active = || {
        let nodes = daemon.admin(&["rpc", "dmq.list-nodes"]);
        let compact: String = nodes.split_whitespace().collect();
        others.iter().all(|at| {
            let name = format!("\"sip:{at}\"");
            let mut each = compact.split('}');
            each.any(|one| one.contains(&name) && one.contains("\"active\""))
        })
    };
    becomes("members", active, || {
        daemon.admin(&["rpc", "dmq.list-nodes"])
    });
}

fn has_all() -> bool {
    has("kamailio") && has("kamcmd")
}

/// A daemon and a Kamailio that know each other, whose dialogs are spread over so many entries, and two phones.
fn pair(place: &Place, entries: u32) -> (Daemon, Kamailio, Phones) {
    let (ours, theirs) = (place.at(OURS), place.at(THEIRS));
    let daemon = daemon(place, &[theirs]);
    let kamailio = Kamailio::calls(place, theirs, ours, entries);
    await_members(&daemon, &[theirs]);
    (daemon, kamailio, Phones::new(place, [5080, 5070]))
}

fn confirmed(call: &mut Call<'_>, proxy: SocketAddr) {
    assert_eq!(status(&call.answers(proxy, "200 OK")), 200);
    call.alice_sends("ACK", proxy);
}

#[test]
fn kamailios_call_is_followed_here_and_ends_here() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (ours, theirs) = (place.at(OURS), place.at(THEIRS));
    let (daemon, kamailio, phones) = pair(&place, 4096);

    let mut call = phones.call(theirs, "");
    is_in_state(&daemon, &call.id(), 1);
    let known = dialog(&daemon, &call.id());
    assert_eq!(known["vars"]["foo"], "kam", "{known}");
    assert_eq!(known["here"], false, "{known}");
    assert_eq!(known["id"], call.did().as_str(), "{}", call.rung);
    let size = |profile: &str| daemon.admin(&["rpc", "dlg.profile_get_size", profile]);
    assert_eq!(size("inbound").trim(), "1");
    assert_eq!(size("caller").trim(), "1");
    call.answers(theirs, "180 Ringing");
    is_in_state(&daemon, &call.id(), 2);
    confirmed(&mut call, theirs);
    is_in_state(&daemon, &call.id(), 4);
    let lifetime = dialog(&daemon, &call.id())["lifetime"].clone();
    assert_eq!(lifetime, 3600);

    // Both sides speak through a node that did not see the INVITE.
    let again = call.alice_sends("INVITE", ours);
    assert_eq!(line(&again, "X-Var"), "kam", "{again}");
    let bye = call.bob_sends("BYE", ours);
    assert_eq!(line(&bye, "X-Var"), "kam", "{bye}");
    assert_eq!(event(&daemon, "end"), "1");
    is_gone_at_kamailio(&kamailio);
    is_gone(&daemon);
    assert_eq!(size("caller").trim(), "0");
    daemon.stop();
}

#[test]
fn our_call_is_known_to_kamailio_and_ends_there() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (ours, theirs) = (place.at(OURS), place.at(THEIRS));
    let (daemon, kamailio, phones) = pair(&place, 4096);

    let mut call = phones.call(ours, "X-Var: foo bar\r\n");
    state_at_kamailio(&kamailio, "1");
    assert_eq!(at_kamailio(&kamailio, "call-id"), [call.id()]);
    let known = dialog(&daemon, &call.id());
    for name in ["h_entry", "h_id"] {
        assert_eq!(at_kamailio(&kamailio, name), [known[name].to_string()]);
    }
    call.answers(ours, "180 Ringing");
    state_at_kamailio(&kamailio, "2");
    confirmed(&mut call, ours);
    state_at_kamailio(&kamailio, "4");
    let all = kamailio.rpc(&["dlg.list"]);
    assert!(all.contains("bar") && all.contains("inbound"), "{all}");

    // Kamailio finds the dialog by our `did` and goes on with it.
    let again = call.alice_sends("INVITE", theirs);
    assert_eq!(line(&again, "X-Dialog"), "4 bar", "{again}");
    call.bob_sends("BYE", theirs);
    is_in_state(&daemon, &call.id(), 5);
    is_gone_at_kamailio(&kamailio);
    is_gone(&daemon);
    assert_eq!(event(&daemon, "end"), "", "it ended at the other node");
    daemon.stop();
}

#[test]
fn another_hash_size_is_told_of_and_refused() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let theirs = place.at(THEIRS);
    let (daemon, _kamailio, phones) = pair(&place, 1024);
    // Of several Call-IDs one has another entry among four times as many.
    for _ in 0..12 {
        let call = phones.invite("");
        phones.alice.send(call.as_bytes(), theirs);
        phones.bob.receive();
    }
    becomes(
        "an error in the log",
        || daemon.log().contains("hash_size"),
        || daemon.log(),
    );
    let alike = dialogs(&daemon).iter().all(|dialog| {
        let entry = dialog["h_entry"].as_u64();
        entry.is_some_and(|entry| entry < 1024)
    });
    assert!(alike, "{:?}", dialogs(&daemon));
    daemon.stop();
}

#[test]
fn requests_of_a_dialog_go_on_elsewhere_while_nodes_are_killed() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let (first, second) = (Place::new(), Place::new());
    let (one, two, three) = (first.at(OURS), second.at(OURS), second.at(THEIRS));
    let mut here = daemon(&first, &[two, three]);
    let there = daemon(&second, &[one, three]);
    let kamailio = Kamailio::calls(&second, three, one, 4096);
    await_members(&here, &[two, three]);
    await_members(&there, &[one, three]);
    let phones = Phones::new(&first, [5080, 5070]);
    let more = Phones::new(&first, [5081, 5071]);

    let mut call = phones.call(one, "X-Var: foo bar\r\n");
    confirmed(&mut call, one);
    let mut other = more.call(one, "X-Var: foo baz\r\n");
    confirmed(&mut other, one);
    for call in [&call, &other] {
        is_in_state(&there, &call.id(), 4);
    }
    becomes(
        "known to Kamailio",
        || at_kamailio(&kamailio, "state") == ["4", "4"],
        || kamailio.rpc(&["dlg.list"]),
    );

    // The third node is killed in the midst of it.
    let again = call.alice_sends("INVITE", two);
    kamailio.kill();
    assert_eq!(line(&again, "X-Var"), "bar");
    let again = call.bob_sends("INVITE", two);
    assert_eq!(line(&again, "X-Var"), "bar");
    let bye = call.bob_sends("BYE", two);
    assert_eq!(line(&bye, "X-Var"), "bar");
    is_in_state(&here, &call.id(), 5);
    assert_eq!(
        (event(&there, "end"), event(&here, "end")),
        ("1".to_owned(), String::new())
    );

    // Then the node that saw the INVITE.
    here.program().signal("KILL");
    let bye = other.alice_sends("BYE", two);
    assert_eq!(line(&bye, "X-Var"), "baz");
    assert_eq!(event(&there, "end-foo"), "baz");
    is_gone(&there);

    // And it learns, when it is back, that nothing is left.
    drop(here);
    let here = daemon(&first, &[two]);
    await_members(&here, &[two]);
    let mut last = phones.call(two, "");
    confirmed(&mut last, two);
    is_in_state(&here, &last.id(), 4);
    assert_eq!(dialogs(&here).len(), 1, "{:?}", dialogs(&here));
    here.stop();
    there.stop();
}
