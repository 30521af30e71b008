//! Members come and go.

use std::time::Duration;

use switchhook_tests::{Kamailio, Place, Setup, beside, patience};

use super::*;

#[test]
fn members_find_each_other_whoever_comes_first() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let first = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &first, place.at(OURS));
    // The third one joins through us, and all know all.
    let second = Kamailio::member(&place, place.at(5063), place.at(OURS));
    await_members(&daemon, &second, place.at(OURS));
    let known = || sees_active(&first, second.at()) && sees_active(&second, first.at());
    assert!(
        patience(SOON, || known().then_some(())).is_some(),
        "{:?}",
        members_at_kamailio(&first)
    );
    // Goodbye is said: they need not find out by silence.
    daemon.stop();
    let gone = |kamailio| {
        members_at_kamailio(kamailio)
            .get(&place.at(OURS).to_string())
            .is_none_or(|state| state == "disabled")
    };
    assert!(
        patience(Duration::from_secs(1), || (gone(&first) && gone(&second))
            .then_some(()))
        .is_some()
    );
}

#[test]
fn one_that_is_killed_is_removed_and_comes_back() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    set(&daemon, "before", "1");
    become_equal(SOON, "tables", || {
        (table_here(&daemon), table_at_kamailio(&kamailio))
    });
    kamailio.kill();
    let theirs = format!("sip:{}", place.at(THEIRS));
    let gone = patience(Duration::from_secs(12), || {
        (!nodes(&daemon).contains(&theirs)).then_some(())
    });
    assert!(gone.is_some(), "{}", nodes(&daemon));
    set(&daemon, "meanwhile", "2");
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &kamailio, place.at(OURS));
    become_equal(SOON, "tables", || {
        (table_here(&daemon), table_at_kamailio(&kamailio))
    });
    assert_eq!(table_here(&daemon).len(), 2);
    daemon.stop();
}

#[test]
fn members_speak_tcp_too() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let config = format!(
        "[sip]\nlanes = 2\n[[script]]\nname = \"default\"\npath = \"GUESTS/default.wasm\"\n\
         grants = [\"log\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"auth\"]\n\
         [script.config]\nauth = false\nrealm = \"example.test\"\n[[htable]]\nname = \"ht\"\n\
         [dmq]\naddress = \"sip:{ours};transport=tcp\"\npeers = [\"sip:{theirs};transport=tcp\"]\nhtables = [\"ht\"]\nping = \"1s\"\n",
        ours = place.at(OURS),
        theirs = place.at(THEIRS),
    );
    let daemon = Setup::config(&place, &config).start();
    let kamailio = Kamailio::tcp_member(&place, place.at(THEIRS), place.at(OURS));
    let theirs = format!("sip:{};transport=tcp", kamailio.at());
    let both = || sees_active(&kamailio, place.at(OURS)) && is_active_here(&daemon, &theirs);
    assert!(
        patience(SOON, || both().then_some(())).is_some(),
        "{}",
        nodes(&daemon)
    );
    set(&daemon, "ours", "1");
    kamailio.rpc(&["htable.seti", "ht", "theirs", "2"]);
    become_equal(SOON, "tables", || {
        (table_here(&daemon), table_at_kamailio(&kamailio))
    });
    assert_eq!(table_here(&daemon).len(), 2);
    daemon.stop();
}
