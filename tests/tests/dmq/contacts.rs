//! Registrations, both ways.

use switchhook_tests::{Kamailio, Peer, Place, beside};

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

fn contacts_here(daemon: &Daemon) -> Vec<String> {
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
