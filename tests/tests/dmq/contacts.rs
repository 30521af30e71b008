//! Registrations, both ways.

use serde_json::{Value, json};
use switchhook_tests::{Kamailio, Peer, Place, beside, patience};

use super::member::Member;
use super::*;

/// Address of record, contact and name of every contact at a Kamailio.
fn contacts_at_kamailio(kamailio: &Kamailio) -> Vec<String> {
    let text = kamailio.rpc(&["ul.dump"]);
    let mut contacts = Vec::new();
    let mut aor = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("AoR: ") {
            aor = name;
        } else if let Some(address) = line.strip_prefix("Address: ") {
            contacts.push(format!("{aor} {address}"));
        }
    }
    contacts.sort();
    contacts
}

pub(crate) fn contacts_here(daemon: &Daemon) -> Vec<String> {
    let text: String = daemon
        .admin(&["rpc", "ul.dump"])
        .split_whitespace()
        .collect();
    let mut contacts = Vec::new();
    for one in text.split("\"aor\":\"sip:").skip(1) {
        let aor = one.split('@').next().unwrap_or_default();
        for contact in one.split("\"uri\":\"").skip(1) {
            contacts.push(format!(
                "{aor} {}",
                contact.split('"').next().unwrap_or_default()
            ));
        }
    }
    contacts.sort();
    contacts
}

#[test]
fn contacts_are_equal_wherever_phones_register() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    let equal = |what: &str, count: usize| {
        become_equal(SOON, what, || {
            (contacts_here(&daemon), contacts_at_kamailio(&kamailio))
        });
        assert_eq!(contacts_here(&daemon).len(), count, "{what}");
    };
    let phone = Peer::new(&place, 5080);
    phone.registers(
        "alice",
        &format!("sip:alice@{}", phone.at()),
        place.at(OURS),
    );
    equal("registered here", 1);
    phone.registers("bob", &format!("sip:bob@{}", phone.at()), kamailio.at());
    equal("registered there", 2);
    // Refreshed and removed at the other node than where it was registered.
    phone.registers("alice", &format!("sip:alice@{}", phone.at()), kamailio.at());
    phone.registers("bob", &format!("sip:bob@{}", phone.at()), place.at(OURS));
    equal("refreshed elsewhere", 2);
    for (user, registrar) in [("alice", kamailio.at()), ("bob", place.at(OURS))] {
        let contact = format!("Contact: <sip:{user}@{}>\r\nExpires: 0\r\n", phone.at());
        let request = phone.request("REGISTER", "sip:example.test", user, &contact);
        let request = request.replace(
            "To: <sip:example.test>",
            &format!("To: <sip:{user}@example.test>"),
        );
        assert_eq!(phone.ask(&request, registrar).0, 200);
    }
    equal("removed elsewhere", 0);
    for n in 0..120 {
        phone.registers(
            &format!("user{n}"),
            &format!("sip:user{n}@{}", phone.at()),
            if n % 2 == 0 {
                kamailio.at()
            } else {
                place.at(OURS)
            },
        );
    }
    equal("many", 120);
    let late = Kamailio::member(&place, place.at(5063), place.at(OURS));
    become_equal(SOON, "contacts at one that joins", || {
        (contacts_here(&daemon), contacts_at_kamailio(&late))
    });
    daemon.stop();
}

/// A contact without its times, and these.
type Told = (Value, [u64; 2]);

/// What two nodes must tell alike of a contact: all but what is theirs, the socket it came to, and its times, which are about the same.
fn comparable(contact: &Value) -> Told {
    let mut contact = contact.clone();
    let times = ["expires", "last_modified"].map(|key| contact[key].as_u64().expect("seconds"));
    if let Some(contact) = contact.as_object_mut() {
        for key in ["sock", "expires", "last_modified"] {
            contact.remove(key);
        }
    }
    (contact, times)
}

/// Whether both tell the same contacts.
fn alike(ours: &[Told], theirs: &[Told]) -> bool {
    let same = |(ours, theirs): (&Told, &Told)| {
        let mut times = ours.1.iter().zip(&theirs.1);
        ours.0 == theirs.0 && times.all(|(ours, theirs)| ours.abs_diff(*theirs) <= 2)
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
}

#[test]
fn contacts_arrive_whole_wherever_they_registered() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    let phone = Peer::new(&place, 5080);
    let register = |user: &str, n: u32, at: SocketAddr| {
        let contact = format!(
            "Contact: <sip:{user}@{}>;q=0.5;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000{n}>\";reg-id=1\r\n\
             Supported: path, outbound\r\nPath: <sip:127.0.0.41;lr>\r\nUser-Agent: phone/{n}\r\nExpires: 600\r\n",
            phone.at()
        );
        let request = phone.request("REGISTER", "sip:example.test", user, &contact);
        let to = format!("To: <sip:{user}@example.test>");
        let (status, answer) = phone.ask(&request.replace("To: <sip:example.test>", &to), at);
        assert_eq!(status, 200, "{answer}");
    };
    register("alice", 1, place.at(OURS));
    register("bob", 2, kamailio.at());
    let port = std::cell::Cell::new(5090);
    let told = || {
        // Each time another one: those that are gone are found out by their silence.
        [place.at(OURS), kamailio.at()].map(|node| {
            port.set(port.get() + 1);
            let contacts = Member::joins(&place, port.get(), node).contacts();
            contacts.iter().map(comparable).collect::<Vec<_>>()
        })
    };
    let same = |what: &str| {
        let both = patience(SOON * 2, || {
            let [ours, theirs] = told();
            let same = ours.len() == 2 && alike(&ours, &theirs);
            same.then(|| {
                ours.into_iter()
                    .map(|(contact, _)| contact)
                    .collect::<Vec<_>>()
            })
        });
        both.unwrap_or_else(|| panic!("{what}: {:#?}", told()))
    };
    let before = same("registered");
    let of = |all: &[Value], user: &str| {
        let found = all.iter().find(|contact| contact["aor"] == user);
        found.cloned().expect("a contact")
    };
    for user in ["alice", "bob"] {
        let contact = of(&before, user);
        assert_eq!(contact["path"], "<sip:127.0.0.41;lr>", "{contact:#}");
        assert_eq!(contact["q"], 500);
        assert_eq!(contact["reg_id"], 1);
        let instance = contact["instance"].as_str().unwrap_or_default();
        assert!(instance.contains("urn:uuid:"), "{instance}");
    }
    // The Kamailio set a flag of its branches and one of its requests: ours carries them, and sends them on.
    assert_eq!(of(&before, "bob")["cflags"], 64, "{before:#?}");
    // Refreshed at the other node, each keeps its name.
    register("alice", 1, kamailio.at());
    register("bob", 2, place.at(OURS));
    let after = same("refreshed elsewhere");
    for user in ["alice", "bob"] {
        assert_eq!(
            of(&before, user)["ruid"],
            of(&after, user)["ruid"],
            "{user}"
        );
    }
    assert_eq!(
        of(&after, "bob")["cflags"],
        64,
        "a refresh here leaves them"
    );
    daemon.stop();
}

/// A contact as a member tells it.
fn told(n: usize) -> Value {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = unix.expect("after 1970").as_secs();
    json!({
        "action": 1, "aor": format!("user{n}"), "ruid": format!("uloc-9-1-{n}"), "c": format!("sip:user{n}@127.0.0.31:5090"),
        "received": "", "sock": "udp:127.0.0.9:5060", "path": "", "callid": format!("call{n}"), "user_agent": "u", "instance": "",
        "expires": now + 600, "cseq": 1, "flags": 0, "cflags": 0, "q": -1, "last_modified": now, "methods": 4_294_967_295_u32,
        "reg_id": 0, "server_id": 9,
    })
}

#[test]
fn batches_of_any_size_are_read_and_small_ones_written() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let member = Member::joins(&place, 5090, place.at(OURS));
    let mut first = 0;
    for size in [1, 50, 150] {
        // The key that says what it is comes first.
        let contacts = (first..first + size).map(|n| format!("\"{n}\":{}", told(n)));
        let batch = format!(
            "{{\"multi\":{{{}}}}}",
            contacts.collect::<Vec<_>>().join(",")
        );
        assert_eq!(member.says("usrloc", &batch), 200);
        first += size;
        assert_eq!(contacts_here(&daemon).len(), first);
    }
    let batches = member.asks("usrloc", r#"{"action":3}"#);
    let sizes = batches
        .iter()
        .map(|one| one.body.matches("\"aor\"").count());
    let sizes: Vec<_> = sizes.collect();
    assert!(
        sizes.iter().all(|size| (1..=50).contains(size)),
        "{sizes:?}"
    );
    assert_eq!(sizes.iter().sum::<usize>(), first);
    assert!(batches.iter().all(|one| one.length < 32_767));
    daemon.stop();
}

#[test]
fn keys_of_other_versions_and_absent_ones_are_accepted() {
    let _beside = beside();
    let place = Place::new();
    let daemon = daemon(&place, &[], "");
    let member = Member::joins(&place, 5090, place.at(OURS));
    // 5.8 has xavps, others a sockname.
    let mut contact = told(0);
    contact["xavps"] = json!({});
    contact["sockname"] = json!("public");
    assert_eq!(member.says("usrloc", &contact.to_string()), 200);
    let bare =
        r#"{"action":1,"aor":"bare","ruid":"r-2","c":"sip:z@127.0.0.31","expires":99999999999}"#;
    assert_eq!(member.says("usrloc", bare), 200);
    assert_eq!(
        contacts_here(&daemon),
        ["bare sip:z@127.0.0.31", "user0 sip:user0@127.0.0.31:5090"]
    );
    // A removal may name no more than the contact.
    let removal = r#"{"action":2,"aor":"user0","ruid":"uloc-9-1-0"}"#;
    assert_eq!(member.says("usrloc", removal), 200);
    assert_eq!(contacts_here(&daemon), ["bare sip:z@127.0.0.31"]);
    daemon.stop();
}

#[test]
fn a_replicated_register_is_stored_once() {
    let _beside = beside();
    if !has_all() {
        return;
    }
    let place = Place::new();
    let (daemon, kamailio) = pair(&place);
    // Kamailio tells members by address alone, whatever the port.
    let elsewhere = Place::new();
    let phone = Peer::new(&elsewhere, 5080);
    // The Kamailio sends a copy by dmq_t_replicate, and tells the contact besides.
    let contact = format!(
        "Contact: <sip:alice@{}>\r\nExpires: 600\r\nX-Repl: yes\r\n",
        phone.at()
    );
    let request = phone.request("REGISTER", "sip:example.test", "alice", &contact);
    let to = "To: <sip:alice@example.test>";
    let (status, answer) = phone.ask(
        &request.replace("To: <sip:example.test>", to),
        kamailio.at(),
    );
    assert_eq!(status, 200, "{answer}");
    become_equal(SOON, "contacts", || {
        (contacts_here(&daemon), contacts_at_kamailio(&kamailio))
    });
    assert!(
        phone.receive_within(Duration::from_millis(500)).is_none(),
        "the phone has its one answer"
    );
    let registers = || {
        let stats: Value =
            serde_json::from_str(&daemon.admin(&["rpc", "stats.get"])).expect("the numbers");
        stats["requests.register"].as_u64()
    };
    assert_eq!(registers(), Some(1), "no loop");
    assert_eq!(contacts_here(&daemon).len(), 1);
    assert_eq!(contacts_at_kamailio(&kamailio).len(), 1);
    daemon.stop();
}
