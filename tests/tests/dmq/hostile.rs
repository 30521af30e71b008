//! Strangers, copies, and bodies that are none.

use std::time::Duration;

use switchhook_tests::{Peer, Place, beside, patience, status};

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
