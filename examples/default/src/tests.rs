//! What this script does with what phones send: no network, the config as shipped.

use switchhook_sdk::auth::Verdict;
use switchhook_sdk::testkit::{Draft, Site, request};

use crate::routes::Script;

const ALICE: &str = "sip:alice@example.test";
const BOB: &str = "sip:bob@example.test";
const CAROL: &str = "sip:carol@example.test";

/// The example as shipped, with bob at two phones and carol at one.
fn site() -> Site {
    site_with(|_| {})
}

/// The same with something in its config changed.
fn site_with(change: impl FnOnce(&mut toml::Table)) -> Site {
    let shipped: toml::Table = include_str!("../switchhook.toml").parse().unwrap();
    let mut config = shipped["script"][0]["config"].as_table().unwrap().clone();
    change(&mut config);
    Site::new(Script, &serde_json::to_string(&config).unwrap())
        .contact(BOB, "sip:bob@192.0.2.7")
        .contact(BOB, "sip:bob@192.0.2.8")
        .contact(CAROL, "sip:carol@192.0.2.9")
}

/// A request of alice's, with her credentials.
fn from_alice(method: &str, uri: &str) -> Draft {
    request(method, uri).from(ALICE).authenticated("alice")
}

#[test]
fn alice_calls_bob_and_both_of_his_phones_ring() {
    let mut call = site().receive(
        from_alice("INVITE", BOB).header("Proxy-Authorization", r#"Digest username="alice""#),
    );
    assert_eq!(
        call.relayed_to(),
        ["sip:bob@192.0.2.7", "sip:bob@192.0.2.8"]
    );
    for branch in call.sent() {
        assert!(
            branch.header("Record-Route").is_some(),
            "we stay on the path"
        );
        assert_eq!(
            branch.header("Proxy-Authorization"),
            None,
            "her credentials are ours alone"
        );
    }
    call.branch_replies(1, 180).branch_replies(0, 200);
    assert_eq!(call.status(), Some(200));
}

#[test]
fn whoever_calls_in_our_name_is_asked_who_he_is() {
    let challenged = site().receive(request("INVITE", BOB).from(ALICE));
    assert_eq!(challenged.status(), Some(407));
    assert!(
        challenged
            .answer()
            .unwrap()
            .header("Proxy-Authenticate")
            .is_some()
    );
    assert!(challenged.sent().is_empty());

    for verdict in [Verdict::Stale, Verdict::Rejected] {
        let again = site().receive(from_alice("INVITE", BOB).credentials(verdict));
        assert_eq!(again.status(), Some(407));
    }
    let unreadable = Verdict::Malformed("no nonce".to_owned());
    let refused = site().receive(from_alice("INVITE", BOB).credentials(unreadable));
    assert_eq!(refused.status(), Some(400));

    let mallory = site().receive(from_alice("INVITE", BOB).authenticated("mallory"));
    assert_eq!(mallory.status(), Some(403));
}

#[test]
fn a_caller_from_elsewhere_may_call_our_users_and_nobody_else() {
    let stranger = "sip:stranger@example.com";
    let call = site().receive(request("INVITE", BOB).from(stranger));
    assert_eq!(call.relayed_to().len(), 2);

    let call = site().receive(request("INVITE", "sip:x@example.org").from(stranger));
    assert_eq!(call.status(), Some(403), "no open relay");
    let call = site().receive(from_alice("INVITE", "sip:x@example.org"));
    assert_eq!(call.status(), Some(403));
}

#[test]
fn one_line_turns_authentication_off() {
    let open = site_with(|config| drop(config.insert("auth".into(), false.into())));
    let call = open.receive(request("INVITE", BOB).from(ALICE));
    assert_eq!(call.relayed_to().len(), 2);
    let call = open.receive(request("REGISTER", "sip:example.test").to(ALICE));
    assert_eq!(call.status(), Some(200));
}

#[test]
fn a_phone_registers_and_is_found() {
    let site = site();
    let register = || {
        request("REGISTER", "sip:example.test")
            .to("sip:dave@example.test")
            .from("sip:dave@example.test")
            .header("Contact", "<sip:dave@192.0.2.44>;expires=600")
    };
    assert_eq!(site.receive(register()).status(), Some(401));
    assert_eq!(
        site.receive(register().authenticated("alice")).status(),
        Some(403)
    );

    let call = site.receive(register().authenticated("dave"));
    assert_eq!(call.status(), Some(200));
    let call = site.receive(from_alice("INVITE", "sip:dave@example.test"));
    assert_eq!(call.relayed_to(), ["sip:dave@192.0.2.44"]);

    // who dials the address finds the user of the domain
    let call = site.receive(from_alice("INVITE", "sip:dave@127.0.0.1:5060"));
    assert_eq!(call.relayed_to(), ["sip:dave@192.0.2.44"]);

    let elsewhere = register().to("sip:dave@example.org").authenticated("dave");
    assert_eq!(site.receive(elsewhere).status(), Some(404));
}

#[test]
fn who_is_not_there_is_not_found() {
    let call = site().receive(from_alice("INVITE", "sip:nobody@example.test"));
    assert_eq!(call.status(), Some(404));
    let call = site().receive(from_alice("MESSAGE", "sip:example.test"));
    assert_eq!(call.status(), Some(484), "a domain is nobody");
}

#[test]
fn a_busy_phone_s_call_goes_to_the_second_target() {
    let mut call = site().receive(from_alice("INVITE", BOB));
    assert_eq!(call.failure_route(), "MANAGE_FAILURE");
    assert_eq!(call.timeouts(), (0, 30_000));
    call.replies(486);
    assert_eq!(call.relayed_to(), ["sip:carol@192.0.2.9"]);
    assert_eq!(
        call.log(),
        ["info: bob answers 486: to sip:carol@example.test"]
    );
    call.replies(486);
    assert_eq!(call.status(), Some(486), "there is no third");
}

#[test]
fn so_does_a_call_that_nobody_takes() {
    let mut call = site().receive(from_alice("INVITE", BOB));
    call.branch_replies(0, 180).times_out();
    assert_eq!(call.relayed_to(), ["sip:carol@192.0.2.9"]);
    call.replies(200);
    assert_eq!(call.status(), Some(200));
}

#[test]
fn a_call_that_was_refused_or_cancelled_goes_nowhere_else() {
    let mut declined = site().receive(from_alice("INVITE", BOB));
    declined.replies(603);
    assert_eq!((declined.status(), declined.sent().len()), (Some(603), 2));

    let mut cancelled = site().receive(from_alice("INVITE", BOB));
    cancelled.cancels();
    assert_eq!((cancelled.status(), cancelled.sent().len()), (Some(487), 2));
}

#[test]
fn a_second_target_that_is_not_there_changes_nothing() {
    let second = |config: &mut toml::Table| {
        let table: toml::Table = "bob = 'sip:nobody@example.test'".parse().unwrap();
        config.insert("second".into(), table.into());
        config.insert(
            "voicemail".into(),
            "sip:voicemail@media.example.test".into(),
        );
    };
    let mut call = site_with(second).receive(from_alice("INVITE", BOB));
    call.replies(486);
    assert_eq!(call.status(), Some(486));

    // of everyone else the voicemail takes the calls, registered or not
    let mut call = site_with(second).receive(from_alice("INVITE", CAROL));
    call.times_out();
    assert_eq!(call.relayed_to(), ["sip:voicemail@media.example.test"]);
    let call = site_with(second).receive(from_alice("INVITE", "sip:nobody@example.test"));
    assert_eq!(call.relayed_to(), ["sip:voicemail@media.example.test"]);
    let call = site_with(second).receive(from_alice("MESSAGE", "sip:nobody@example.test"));
    assert_eq!(call.status(), Some(404), "only calls have a second target");
}

#[test]
fn a_dialog_follows_the_path_it_recorded() {
    let bobs_phone = "sip:bob@192.0.2.7";
    let bye = site().receive(request("BYE", bobs_phone).in_dialog());
    assert_eq!(bye.relayed_to(), [bobs_phone]);
    assert_eq!(
        bye.sent()[0].header("Route"),
        None,
        "our own Route is taken off"
    );

    let ack = site().receive(request("ACK", bobs_phone).in_dialog());
    assert_eq!(ack.forwarded_to().as_deref(), Some(bobs_phone));
    let notify = site().receive(request("NOTIFY", bobs_phone).in_dialog());
    assert!(notify.sent()[0].header("Record-Route").is_some());

    let lost = site().receive(request("BYE", bobs_phone).in_dialog().without("Route"));
    assert_eq!(lost.status(), Some(481));
    let lost = site().receive(request("ACK", bobs_phone).in_dialog().without("Route"));
    assert!(
        lost.dropped() && lost.answers().is_empty(),
        "nobody answers an ACK"
    );
}

#[test]
fn what_needs_a_dialog_has_none_outside_of_one() {
    for method in ["BYE", "PRACK", "UPDATE", "INFO", "CANCEL"] {
        let call = site().receive(from_alice(method, BOB));
        assert_eq!(call.status(), Some(481), "{method}");
    }
    assert!(site().receive(from_alice("ACK", BOB)).dropped());
}

#[test]
fn messages_and_subscriptions_reach_phones_too() {
    for (method, stays) in [("MESSAGE", false), ("SUBSCRIBE", true), ("OPTIONS", false)] {
        let call = site().receive(from_alice(method, BOB));
        assert_eq!(call.relayed_to().len(), 2, "{method}");
        assert_eq!(
            call.sent()[0].header("Record-Route").is_some(),
            stays,
            "{method}"
        );
        assert_eq!(call.failure_route(), "", "{method}");
    }
}

#[test]
fn options_to_us_tell_what_we_take() {
    for us in ["sip:example.test", "sip:127.0.0.1:5060"] {
        let call = site().receive(request("OPTIONS", us));
        assert_eq!(call.status(), Some(200));
        assert!(
            call.answer()
                .unwrap()
                .header("Allow")
                .unwrap()
                .contains("REGISTER")
        );
    }
}

#[test]
fn what_no_proxy_should_pass_on_is_refused() {
    let hops = site().receive(from_alice("INVITE", BOB).header("Max-Forwards", "0"));
    assert_eq!(hops.status(), Some(483));
    let extension = site().receive(from_alice("INVITE", BOB).header("Proxy-Require", "teleport"));
    assert_eq!(extension.status(), Some(420));
    assert_eq!(
        extension.answer().unwrap().header("Unsupported"),
        Some("teleport")
    );
    let broken = site().receive(from_alice("INVITE", BOB).without("Call-ID"));
    assert_eq!(broken.status(), Some(400));
}

#[test]
fn a_preloaded_route_is_taken_off() {
    let call = site().receive(from_alice("INVITE", BOB).header("Route", "<sip:example.test;lr>"));
    assert_eq!(call.sent()[0].header("Route"), None);
}

#[test]
fn a_config_with_a_slip_says_where() {
    let refused = Site::load(Script, r#"{"realm": "example.test", "no_answer": 5}"#).err();
    assert!(refused.unwrap().contains("unknown field `no_answer`"));
    let refused = Site::load(Script, r#"{"auth": true}"#).err();
    assert!(refused.unwrap().contains("missing field `realm`"));
}
