//! Strangers, copies, and bodies that are none.

use std::time::Duration;

use switchhook_tests::{Peer, Place, beside, patience, shared_data, status};

use super::contacts::contacts_here;
use super::member::Member;
use super::*;

#[test]
fn copies_malformed_bodies_and_strangers_change_nothing() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let ours = place.at(OURS);
    let member = Peer::new(&place, 5090);
    let mut n = 0;
    let mut ask = |peer: &Peer, named: SocketAddr, channel: &str, body: &str| {
        n += 1;
        peer.ask(
            &kdmq(peer, named, ours, channel, &format!("d{n}"), body),
            ours,
        )
        .0
    };
    for body in [
        "{}",
        "[1,2]",
        "hello",
        "",
        r#"{"action":2,"htname":5,"cname":"k"}"#,
        r#"{"action":5,"htname":"ht","strval":"(("}"#,
    ] {
        assert_eq!(ask(&member, member.at(), "htable", body), 400, "{body}");
    }
    for body in ["{}", r#"{"action":1}"#, r#"{"action":1,"aor":5}"#] {
        assert_eq!(ask(&member, member.at(), "usrloc", body), 400, "{body}");
    }
    assert_eq!(ask(&member, member.at(), "nochannel", "{}"), 404);
    let own = r#"{"action":2,"htname":"own","cname":"k","type":0,"intval":1,"mode":1}"#;
    assert_eq!(
        ask(&member, member.at(), "htable", own),
        500,
        "a table that does not replicate"
    );
    let set = r#"{"action":2,"htname":"ht","cname":"k","type":0,"intval":1,"mode":1}"#;
    // In the name of another host.
    assert_eq!(
        ask(
            &member,
            "127.0.0.1:5060".parse().expect("an address"),
            "htable",
            set
        ),
        403
    );
    // From an address that is no member's.
    let far = Place::new();
    let stranger = Peer::new(&far, 5090);
    assert_eq!(ask(&stranger, stranger.at(), "htable", set), 403);
    assert_eq!(
        ask(&stranger, stranger.at(), "htable", "{\"action\":1}"),
        403
    );
    assert!(
        stranger
            .receive_within(Duration::from_millis(300))
            .is_none(),
        "nothing leaks"
    );
    assert!(table_here(&daemon).is_empty());
    // A copy is answered again; the first removal is not undone by it.
    let request = kdmq(&member, member.at(), ours, "htable", "same", set);
    assert_eq!(member.ask(&request, ours).0, 200);
    daemon.admin(&["rpc", "htable.remove", "table=ht", "key=k"]);
    let again = patience(SOON, || {
        member.send(request.as_bytes(), ours);
        let answer = String::from_utf8_lossy(&member.receive()).into_owned();
        (status(&answer) == 200).then_some(())
    });
    assert!(
        again.is_some() && table_here(&daemon).is_empty(),
        "carried out once"
    );
    daemon.stop();
}

/// The bodies of the captures that say something sound: a table that is not there is 500, all else is carried out.
const SOUND: [&str; 15] = [
    "valid from spoofed/unknown source",
    "unknown table",
    "extra key",
    "non-replicated table accepted?",
    "key order swapped",
    "big int",
    "int 2^33",
    "unicode escape",
    "mode 0 set (no lock)",
    "cells with unknown table",
    "cells not first key",
    "usrloc minimal update (aor,c only)",
    "usrloc rm unknown",
    "usrloc multi empty",
    "notif",
];

#[test]
fn bodies_that_kamailio_was_tried_with_change_nothing_here() {
    let _beside = beside();
    let Some(captures) = shared_data("dmq-captures") else {
        return;
    };
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let member = Member::joins(&place, 5090, place.at(OURS));
    let (mut refused, mut sound) = (0, 0);
    for file in ["60_malformed_results_56.txt", "60_malformed_results_61.txt"] {
        let text = std::fs::read_to_string(captures.join(file)).expect("a capture");
        // `[56] NAME: chan=CHANNEL body='BODY' -> ...`
        for line in text.lines().filter(|line| line.contains(": chan=")) {
            let (name, rest) = line.split_once(": chan=").expect("a name");
            let name = name.split_once("] ").map_or(name, |(_, name)| name);
            let (channel, rest) = rest.split_once(" body='").expect("a channel");
            let (body, _) = rest.rsplit_once("' -> ").expect("a body");
            let body = body
                .replace("\\r\\n", "\r\n")
                .replace("\\n", "\n")
                .replace("\\\\", "\\");
            let before = (table_here(&daemon), contacts_here(&daemon));
            let status = member.says(channel, &body);
            let is_sound = SOUND.iter().any(|sound| name.starts_with(sound));
            // The capture cuts long bodies off: what is left of them is none.
            let whole =
                !body.starts_with('{') || serde_json::from_str::<serde_json::Value>(&body).is_ok();
            if is_sound && whole {
                sound += 1;
                assert!(matches!(status, 200 | 400 | 500), "{name}: {status}");
            } else {
                refused += 1;
                assert!((400..500).contains(&status), "{name}: {status} for {body}");
            }
            if status != 200 {
                let after = (table_here(&daemon), contacts_here(&daemon));
                assert_eq!(before, after, "{name}");
            }
            assert_eq!(
                member.says("htable", r#"{"action":1}"#),
                200,
                "alive after {name}"
            );
        }
    }
    eprintln!("{refused} bodies were refused, {sound} said something");
    assert!(refused >= 40 && sound >= 20, "{refused} and {sound}");
    daemon.stop();
}
