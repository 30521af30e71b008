//! Members come and go.

use std::time::Duration;

use switchhook_tests::{Daemon, Kamailio, Peer, Place, Setup, answer, beside, patience};

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
    tables_become_equal(&daemon, &kamailio);
    kamailio.kill();
    let theirs = format!("sip:{}", place.at(THEIRS));
    let gone = patience(Duration::from_secs(12), || {
        (!nodes(&daemon).contains(&theirs)).then_some(())
    });
    assert!(gone.is_some(), "{}", nodes(&daemon));
    set(&daemon, "meanwhile", "2");
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &kamailio, place.at(OURS));
    tables_become_equal(&daemon, &kamailio);
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
    tables_become_equal(&daemon, &kamailio);
    assert_eq!(table_here(&daemon).len(), 2);
    daemon.stop();
}

#[test]
fn we_are_killed_removed_and_back_with_everything() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    let count = 20_000;
    fill(&place, &kamailio, count);
    let mut daemon = daemon(&place, &[kamailio.at()], "");
    let all = |daemon: &Daemon| {
        let wanted = Some(count);
        let complete = patience(SOON * 4, || (items_here(daemon) == wanted).then_some(()));
        assert!(complete.is_some(), "{:?} of {count}", items_here(daemon));
    };
    all(&daemon);
    // Killed, we are found out by silence.
    daemon.program().signal("KILL");
    let ours = place.at(OURS).to_string();
    let removed = patience(Duration::from_secs(15), || {
        // We are its notification address: it says hello to it all the time.
        let known = members_at_kamailio(&kamailio);
        let state = known.get(&ours).map_or("", String::as_str);
        matches!(state, "" | "pending").then_some(())
    });
    assert!(removed.is_some(), "{:?}", members_at_kamailio(&kamailio));
    drop(daemon);
    // Killed once more, in the middle of what we are told.
    let mut daemon = self::daemon(&place, &[kamailio.at()], "");
    daemon.program().signal("KILL");
    drop(daemon);
    let daemon = self::daemon(&place, &[kamailio.at()], "");
    all(&daemon);
    await_members(&daemon, &kamailio, place.at(OURS));
    daemon.stop();
}

/// How many items are in our table.
fn items_here(daemon: &Daemon) -> Option<usize> {
    let list: serde_json::Value =
        serde_json::from_str(&daemon.admin(&["rpc", "htable.list"])).expect("the tables");
    let tables = list.as_array()?;
    let table = tables.iter().find(|table| table["name"] == "ht")?;
    table["items"]
        .as_u64()
        .and_then(|items| items.try_into().ok())
}

/// Gives a Kamailio so many items.
fn fill(place: &Place, kamailio: &Kamailio, count: usize) {
    let member = member::Member::joins(place, 5095, kamailio.at());
    let keys: Vec<_> = (0..count).collect();
    for keys in keys.chunks(200) {
        let cells = keys.iter().map(|n| {
            format!(r#"{{"htname":"ht","cname":"key-{n}","type":2,"strval":"value-{n}","expire":4000000000}}"#)
        });
        let body = format!("{{\"cells\":[{}]}}", cells.collect::<Vec<_>>().join(","));
        assert_eq!(member.says("htable", &body), 200);
    }
    // What Kamailio takes as an answer to a question it tells nobody: others ask for it.
    let _ = member.says(
        "notification_peer",
        &format!("sip:{}:5095;status=disabled\r\n", place.ip()),
    );
}

#[test]
fn one_that_is_killed_while_it_tells_leaves_what_it_told() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    let count = 20_000;
    fill(&place, &kamailio, count);
    let daemon = daemon(&place, &[kamailio.at()], "");
    let begun = patience(SOON, || items_here(&daemon).filter(|items| *items > 0));
    kamailio.kill();
    assert!(begun.is_some());
    let partial = items_here(&daemon).expect("the table");
    assert!(partial > 0 && partial <= count, "{partial}");
    // It is back, empty: it gets what we kept, and both are equal.
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &kamailio, place.at(OURS));
    let equal = patience(SOON * 4, || {
        let here = items_here(&daemon).expect("the table");
        let stats = kamailio.rpc(&["htable.stats"]);
        (here >= partial && stats.contains(&format!("all: {here}"))).then_some(())
    });
    assert!(
        equal.is_some(),
        "{:?} here, {} there",
        items_here(&daemon),
        kamailio.rpc(&["htable.stats"])
    );
    daemon.stop();
}

/// Answers pings at so many ports until it is dropped.
struct Crowd {
    end: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Crowd {
    /// Members of the bus of `node`, which each of them joins.
    fn joins(place: &Place, ports: std::ops::Range<u16>, node: SocketAddr) -> Crowd {
        let peers: Vec<_> = ports.map(|port| Peer::new(place, port)).collect();
        for (n, peer) in peers.iter().enumerate() {
            let at = peer.at();
            let list = format!("sip:{at};status=active\r\n");
            let hello = kdmq(peer, at, node, "notification_peer", &format!("c{n}"), &list);
            peer.send(hello.as_bytes(), node);
        }
        let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let ended = end.clone();
        let thread = std::thread::spawn(move || {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                for peer in &peers {
                    while let Some(came) = peer.receive_within(Duration::from_millis(1)) {
                        let came = String::from_utf8_lossy(&came).into_owned();
                        let from = member::sender(&came);
                        if let (true, Some(from)) = (came.starts_with("KDMQ "), from) {
                            peer.send(&answer(&came, "200 OK", "c", ""), from);
                        }
                    }
                }
            }
        });
        Crowd {
            end,
            thread: Some(thread),
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.end.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn forty_members_leave_a_kamailio_on_its_feet() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let _crowd = Crowd::joins(&place, 6000..6039, place.at(OURS));
    let known = || nodes(&daemon).matches("\"active\"").count();
    let joined = patience(SOON * 2, || (known() >= 40).then_some(()));
    assert!(joined.is_some(), "{} of 40", known());
    // A list of all of them would be too long for it: it answers pings, and takes writes.
    let kamailio = Kamailio::member(&place, place.at(THEIRS), place.at(OURS));
    await_members(&daemon, &kamailio, place.at(OURS));
    std::thread::sleep(Duration::from_secs(3));
    set(&daemon, "k", "1");
    tables_become_equal(&daemon, &kamailio);
    assert!(is_active_here(&daemon, &format!("sip:{}", kamailio.at())));
    assert!(known() >= 41);
    daemon.stop();
}
