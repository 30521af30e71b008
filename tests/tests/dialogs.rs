//! Calls that a script tracks, over the network: tests/guests/calls is the proxy.

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

const SOON: Duration = Duration::from_secs(5);

fn daemon(place: &Place, more: &str) -> Daemon {
    let config = format!(
        "[sip]\nlanes = 2\ndomains = [\"example.test\"]\n\
         [[script]]\nname = \"calls\"\npath = \"GUESTS/calls.wasm\"\n\
         grants = [\"log\", \"request\", \"tm\", \"rr\", \"dialog\", \"htable\", \"transport\"]\n\
         [[htable]]\nname = \"events\"\n{more}"
    );
    Setup::config(place, &config).start()
}

fn dialogs(daemon: &Daemon) -> Vec<Value> {
    let text = daemon.admin(&["rpc", "dlg.list"]);
    let page: Value = serde_json::from_str(&text).expect("JSON");
    page["items"].as_array().expect("items").clone()
}

/// What befell calls so far: `event: how often`.
fn event(daemon: &Daemon, key: &str) -> String {
    let key = format!("key={key}");
    let found = daemon.try_admin(&["rpc", "htable.get", "table=events", &key]);
    let found = found.unwrap_or_default().replace('"', "");
    found.trim().replace("null", "")
}

fn size(daemon: &Daemon, args: &[&str]) -> String {
    let all = [&["rpc", "dlg.profile_get_size"], args].concat();
    daemon.admin(&all).trim().to_owned()
}

fn becomes(what: &str, mut is: impl FnMut() -> bool) {
    assert!(patience(SOON, || is().then_some(())).is_some(), "{what}");
}

#[test]
fn a_call_is_followed_from_its_invite_to_its_end() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, "");
    let phones = Phones::new(&place, [5080, 5070]);
    let proxy = place.at(5060);

    let mut call = phones.call(proxy, "X-Var: foo bar\r\n");
    assert!(!call.did().is_empty(), "{}", call.rung);
    let known = &dialogs(&daemon)[0];
    assert_eq!(known["state"], 1);
    assert_eq!(known["id"], call.did().as_str());
    assert_eq!(known["call_id"], call.id().as_str());
    assert_eq!(known["vars"]["foo"], "bar");
    assert_eq!(size(&daemon, &["profile=inbound"]), "1");
    assert_eq!(size(&daemon, &["profile=caller", "value=alice"]), "1");

    assert_eq!(status(&call.answers(proxy, "180 Ringing")), 180);
    becomes("early", || dialogs(&daemon)[0]["state"] == 2);
    assert_eq!(status(&call.answers(proxy, "200 OK")), 200);
    becomes("answered", || dialogs(&daemon)[0]["state"] == 3);
    assert_eq!(event(&daemon, "start"), "1");
    let ack = call.alice_sends("ACK", proxy);
    assert_eq!(line(&ack, "X-Var"), "bar");
    becomes("confirmed", || dialogs(&daemon)[0]["state"] == 4);

    let again = call.bob_sends("INVITE", proxy);
    assert_eq!(line(&again, "X-Dialog"), "State::Confirmed 0");
    let contact = format!("sip:x@{}", phones.bob.at());
    assert_eq!(dialogs(&daemon)[0]["callee"]["contact"], contact.as_str());
    let bye = call.alice_sends("BYE", proxy);
    assert_eq!(line(&bye, "X-Var"), "bar");
    assert_eq!(event(&daemon, "end"), "1");
    assert_eq!(event(&daemon, "end-foo"), "bar");
    assert_eq!(size(&daemon, &["profile=inbound"]), "0");
    assert_eq!(dialogs(&daemon)[0]["state"], 5);
    becomes("gone", || {
        patience(Duration::from_secs(8), || {
            dialogs(&daemon).is_empty().then_some(())
        })
        .is_some()
    });
    let stats = daemon.admin(&["rpc", "stats.get", "prefix=dialogs."]);
    for counted in [
        "\"dialogs.begun\": 1",
        "\"dialogs.ended\": 1",
        "\"dialogs.alive\": 0",
    ] {
        assert!(stats.contains(counted), "{stats}");
    }
    daemon.stop();
}

#[test]
fn calls_that_come_to_nothing_have_failed() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, "[dialog]\nringing = \"2s\"\n");
    let phones = Phones::new(&place, [5080, 5070]);
    let proxy = place.at(5060);
    let failed = |times: &str| {
        becomes(times, || event(&daemon, "failed") == times);
        assert_eq!(size(&daemon, &["profile=inbound"]), "0");
    };

    // Refused.
    let mut call = phones.call(proxy, "X-Var: foo busy\r\n");
    assert_eq!(status(&call.answers(proxy, "486 Busy Here")), 486);
    failed("1");
    assert_eq!(event(&daemon, "failed-foo"), "busy");
    // The script fails behind `manage`.
    let (status, _) = phones.alice.ask(&phones.invite("X-Trap: 1\r\n"), proxy);
    assert_eq!(status, 500);
    failed("2");
    // It rings too long.
    let mut call = phones.call(proxy, "");
    call.answers(proxy, "180 Ringing");
    failed("3");
    assert_eq!(event(&daemon, "start"), "");
    daemon.stop();
}

#[test]
fn a_caller_has_so_many_calls_and_each_its_time() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, "");
    let phones = Phones::new(&place, [5080, 5070]);
    let proxy = place.at(5060);
    let more = Phones::new(&place, [5081, 5071]);
    let mut first = phones.call(proxy, "X-Timeout: 1\r\n");
    first.answers(proxy, "200 OK");
    first.alice_sends("ACK", proxy);
    let mut second = more.call(proxy, "");
    second.answers(proxy, "200 OK");
    second.alice_sends("ACK", proxy);
    assert_eq!(phones.alice.ask(&phones.invite(""), proxy).0, 486);
    becomes("timed out", || event(&daemon, "timeout") == "1");
    let mut third = phones.call(proxy, "");
    third.answers(proxy, "200 OK");
    third.alice_sends("ACK", proxy);
    assert_eq!(size(&daemon, &["profile=caller", "value=alice"]), "2");
    daemon.stop();
}

/// A call that was answered and acknowledged.
fn answered<'a>(phones: &'a Phones, proxy: SocketAddr, extra: &str) -> Call<'a> {
    let mut call = phones.call(proxy, extra);
    assert_eq!(status(&call.answers(proxy, "200 OK")), 200);
    call.alice_sends("ACK", proxy);
    call
}

#[test]
fn a_script_ends_a_call_by_a_bye_to_each_side() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, "");
    let phones = Phones::new(&place, [5080, 5070]);
    let proxy = place.at(5060);
    let mut call = answered(&phones, proxy, "X-Var: foo bar\r\n");
    // Bob has moved, which alice's answer does too.
    call.bob_sends("INVITE", proxy);
    call.bob_sends("ACK", proxy);
    let info = call.within("INFO", true);
    let info = info.replace("Content-Length", "X-End: 1\r\nContent-Length");
    assert_eq!(phones.alice.ask(&info, proxy).0, 200);
    let [to_alice, to_bob] = call.byes();
    assert!(
        to_alice.starts_with(&format!("BYE sip:x@{} ", phones.alice.at())),
        "{to_alice}"
    );
    assert!(
        to_bob.starts_with(&format!("BYE sip:x@{} ", phones.bob.at())),
        "{to_bob}"
    );
    // As if the other had sent it: its tags, and a number above its last one.
    assert_eq!(line(&to_alice, "From"), line(&to_bob, "To"));
    assert_eq!(line(&to_alice, "To"), line(&to_bob, "From"));
    assert_eq!(line(&to_alice, "CSeq"), "3 BYE", "bob's INVITE was 2");
    assert_eq!(line(&to_bob, "CSeq"), "4 BYE", "alice's INFO was 3");
    becomes("ended", || event(&daemon, "end") == "1");
    assert_eq!(event(&daemon, "end-foo"), "bar");
    assert_eq!(size(&daemon, &["profile=inbound"]), "0");
    becomes("no more of them", || {
        let stats = daemon.admin(&["rpc", "stats.get"]);
        stats.contains("\"dialogs.byes\": 2") && stats.contains("\"uac.alive\": 0")
    });
    daemon.stop();
}

#[test]
fn an_operator_ends_a_call_by_name_or_by_tags() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, "");
    let phones = Phones::new(&place, [5080, 5070]);
    let proxy = place.at(5060);
    // One that only rings is not ended so.
    let mut call = phones.call(proxy, "");
    let known = dialogs(&daemon).remove(0);
    let name = [
        format!("h_entry={}", known["h_entry"]),
        format!("h_id={}", known["h_id"]),
    ];
    let refused = daemon.try_admin(&["rpc", "dlg.end_dlg", &name[0], &name[1]]);
    assert!(refused.is_err_and(|error| error.contains("not answered")));
    call.answers(proxy, "200 OK");
    call.alice_sends("ACK", proxy);
    daemon.admin(&["rpc", "dlg.end_dlg", &name[0], &name[1]]);
    call.byes();
    becomes("ended", || event(&daemon, "end") == "1");
    let again = daemon.try_admin(&["rpc", "dlg.end_dlg", &name[0], &name[1]]);
    assert!(again.is_err());
    let call = answered(&phones, proxy, "");
    let call_id = format!("call_id={}", call.id());
    let known = dialogs(&daemon);
    let known = known
        .iter()
        .find(|known| known["call_id"] == call.id().as_str());
    let tag =
        |side: &str| known.map_or("", |known| known[side]["tag"].as_str().unwrap_or_default());
    let tags = [
        format!("from_tag={}", tag("caller")),
        format!("to_tag={}", tag("callee")),
    ];
    let unknown = daemon.try_admin(&["rpc", "dlg.terminate_dlg", &call_id, "from_tag=x", &tags[1]]);
    assert!(unknown.is_err_and(|error| error.contains("no such dialog")));
    daemon.admin(&["rpc", "dlg.terminate_dlg", &call_id, &tags[0], &tags[1]]);
    call.byes();
    becomes("ended", || event(&daemon, "end") == "2");
    daemon.stop();
}

#[test]
fn a_call_whose_time_is_over_is_ended_where_that_is_wanted() {
    let _beside = beside();
    let place = Place::new();
    let wanted = daemon(&place, "[dialog]\nbye-on-timeout = true\n");
    let phones = Phones::new(&place, [5080, 5070]);
    answered(&phones, place.at(5060), "X-Timeout: 1\r\n").byes();
    becomes("timed out", || event(&wanted, "timeout") == "1");
    assert_eq!(event(&wanted, "end"), "");
    wanted.stop();
    let place = Place::new();
    let daemon = daemon(&place, "");
    let phones = Phones::new(&place, [5080, 5070]);
    let call = answered(&phones, place.at(5060), "X-Timeout: 1\r\nX-Bye: 1\r\n");
    call.byes();
    becomes("timed out", || event(&daemon, "timeout") == "1");
    answered(&phones, place.at(5060), "X-Timeout: 1\r\n");
    becomes("the other", || event(&daemon, "timeout") == "2");
    let stats = daemon.admin(&["rpc", "stats.get", "prefix=dialogs."]);
    assert!(
        stats.contains("\"dialogs.byes\": 2"),
        "phones of the other are left alone: {stats}"
    );
    daemon.stop();
}

#[test]
fn a_bye_goes_back_through_the_proxies_of_the_call() {
    let _beside = beside();
    if !has("kamailio") {
        return;
    }
    let place = Place::new();
    let daemon = daemon(&place, "");
    let hop = Kamailio::hop(&place, place.at(5062), &format!("sip:{}", place.at(5060)));
    let phones = Phones::new(&place, [5080, 5070]);
    let mut call = phones.call(hop.at(), "");
    assert_eq!(status(&call.answers(place.at(5060), "200 OK")), 200);
    call.alice_sends("ACK", hop.at());
    becomes("confirmed", || dialogs(&daemon)[0]["state"] == 4);
    let known = dialogs(&daemon).remove(0);
    let name = [
        format!("h_entry={}", known["h_entry"]),
        format!("h_id={}", known["h_id"]),
    ];
    daemon.admin(&["rpc", "dlg.end_dlg", &name[0], &name[1]]);
    let [to_alice, to_bob] = call.byes();
    let via = line(&to_alice, "Via");
    assert!(
        via.contains(&hop.at().to_string()),
        "alice's came through the hop: {to_alice}"
    );
    assert!(
        line(&to_bob, "Via").contains(&place.at(5060).to_string()),
        "{to_bob}"
    );
    daemon.stop();
}
