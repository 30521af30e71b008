//! Calls from their INVITE to their end, in virtual time.

use std::sync::Mutex;

use super::dialog::Kind;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What was told, a word each.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl WatchDialogs for Told {
    fn moved(&self, moved: Moved<'_>) {
        let word = match moved {
            Moved::Saved(dialog) => format!("save {}", dialog.state.number()),
            Moved::State(dialog) => format!("state {}", dialog.state.number()),
            Moved::Removed(_) => "remove".to_owned(),
        };
        self.0.lock().unwrap().push(word);
    }
}

struct Site {
    start: Instant,
    table: Dialogs,
    told: Arc<Told>,
}

fn site(limits: DialogLimits) -> Site {
    let start = Instant::now();
    let told = Arc::new(Told::default());
    let mut table = Dialogs::new(start, limits);
    table.watch(told.clone());
    Site { start, table, told }
}

impl Site {
    fn at(&self, seconds: u64) -> Instant {
        self.start + SECOND * u32::try_from(seconds).unwrap()
    }

    fn invite(&self, seconds: u64, call_id: &str) -> Id {
        self.try_invite(seconds, call_id).unwrap()
    }

    fn try_invite(&self, seconds: u64, call_id: &str) -> Result<Id, DialogError> {
        let begin = Begin {
            call_id,
            tag: "a",
            cseq: 1,
            from_uri: "sip:alice@example.test",
            to_uri: "sip:bob@example.test",
            req_uri: "sip:bob@192.0.2.7",
            contact: "sip:alice@192.0.2.1",
            route_set: "",
        };
        let id = self.table.begin(self.at(seconds), &begin)?;
        self.table.settle(id);
        Ok(id)
    }

    fn answer(&self, seconds: u64, id: Id, status: u16) -> Option<Event> {
        let response = Response {
            status,
            tag: "b",
            contact: "sip:bob@192.0.2.7",
            route_set: "",
        };
        self.table.answered(self.at(seconds), id, &response)
    }

    fn request(&self, seconds: u64, id: Id, side: Side, kind: Kind) -> Option<Event> {
        let request = Request {
            kind,
            cseq: 2,
            contact: "sip:alice@192.0.2.99",
        };
        self.table.requested(self.at(seconds), id, side, &request)
    }

    fn state(&self, id: Id) -> Option<u8> {
        self.table.read(id, |dialog| dialog.state.number())
    }
}

#[test]
fn a_call_rings_is_answered_and_ended() {
    let site = site(DialogLimits::default());
    let id = site.invite(0, "c1");
    assert_eq!(id.entry, entry_of(b"c1", ENTRIES));
    assert_eq!(site.answer(0, id, 100), None);
    assert_eq!(site.state(id), Some(1));
    assert_eq!(site.answer(1, id, 180), None);
    assert_eq!(site.state(id), Some(2));
    assert_eq!(site.answer(2, id, 200), Some(Event::Start));
    assert_eq!(site.answer(2, id, 200), None, "a copy");
    assert_eq!(site.state(id), Some(3));
    assert_eq!(site.request(2, id, Side::Caller, Kind::Ack), None);
    assert_eq!(site.state(id), Some(4));
    assert_eq!(site.table.find("c1", "a", "b"), Some((id, Side::Caller)));
    assert_eq!(site.table.find("c1", "b", "a"), Some((id, Side::Callee)));
    assert_eq!(site.table.find("c1", "a", "x"), None);
    assert_eq!(site.table.side(id, "c2", "a", "b"), None);
    assert_eq!(site.request(3, id, Side::Caller, Kind::Refresh), None);
    let contact = |dialog: &Dialog| dialog.caller.contact.clone();
    let contact = site.table.read(id, contact).unwrap();
    assert_eq!(&*contact, "sip:alice@192.0.2.99");
    assert_eq!(
        site.request(9, id, Side::Callee, Kind::Bye),
        Some(Event::End)
    );
    assert_eq!(site.request(9, id, Side::Callee, Kind::Bye), None, "a copy");
    assert_eq!(site.table.find("c1", "a", "b"), None);
    assert_eq!(site.state(id), Some(5));
    assert!(site.table.expire(site.at(13), 10).is_empty());
    assert_eq!(site.state(id), Some(5));
    assert!(site.table.expire(site.at(15), 10).is_empty());
    assert_eq!((site.state(id), site.table.len()), (None, 0));
    assert_eq!(
        site.told.take(),
        [
            "save 1", "state 2", "state 3", "state 4", "state 4", "state 5", "remove"
        ]
    );
}

#[test]
fn calls_that_are_refused_or_ring_too_long_have_failed() {
    let site = site(DialogLimits::default());
    let busy = site.invite(0, "c1");
    assert_eq!(site.answer(1, busy, 486), Some(Event::Failed));
    assert_eq!(site.answer(1, busy, 486), None);
    let silent = site.invite(0, "c2");
    let ringing = site.invite(0, "c3");
    site.answer(1, ringing, 180);
    assert!(site.table.expire(site.at(299), 10).is_empty());
    let mut over = site.table.expire(site.at(301), 10);
    over.sort();
    let mut failed = [(silent, Event::Failed), (ringing, Event::Failed)];
    failed.sort();
    assert_eq!(over, failed);
    site.table.expire(site.at(310), 10);
    assert!(site.table.is_empty());
}

#[test]
fn a_call_ends_when_its_time_is_over() {
    let site = site(DialogLimits::default());
    let id = site.invite(0, "c1");
    site.answer(1, id, 200);
    site.request(1, id, Side::Caller, Kind::Ack);
    let hour = 3600;
    assert!(site.table.expire(site.at(hour), 10).is_empty());
    // From now, not from when it was answered.
    let set = site.table.set_lifetime(site.at(hour), id, SECOND * 60);
    assert_eq!(set, Ok(()));
    assert_eq!(site.table.left(site.at(hour), id), Some(SECOND * 60));
    assert!(site.table.expire(site.at(hour + 59), 10).is_empty());
    assert_eq!(
        site.table.expire(site.at(hour + 61), 10),
        [(id, Event::Timeout)]
    );
    assert_eq!(
        site.table.set_lifetime(site.at(hour + 61), id, SECOND),
        Err(DialogError::Unknown)
    );
    let unacked = site.invite(hour, "c2");
    site.answer(hour, unacked, 200);
    assert_eq!(
        site.table.expire(site.at(hour + 66), 10),
        [(unacked, Event::Timeout)]
    );
}

#[test]
fn profiles_count_the_calls_that_go_on() {
    let site = site(DialogLimits::default());
    let table = &site.table;
    let ids: Vec<_> = ["c1", "c2", "c3"]
        .map(|call_id| site.invite(0, call_id))
        .into();
    for (id, caller) in ids.iter().zip(["alice", "alice", "bob"]) {
        table.enter(*id, "caller", Some(caller)).unwrap();
        table.enter(*id, "caller", Some(caller)).unwrap();
        table.enter(*id, "outbound", None).unwrap();
    }
    let sizes = || {
        (
            table.size("caller", Some("alice")),
            table.size("caller", None),
            table.size("outbound", None),
        )
    };
    assert_eq!(sizes(), (2, 3, 3));
    assert!(table.is_in(ids[0], "caller", Some("alice")));
    assert_eq!(table.leave(ids[0], "outbound", None), Ok(true));
    assert_eq!(table.leave(ids[0], "outbound", None), Ok(false));
    site.answer(1, ids[0], 486);
    assert_eq!(sizes(), (1, 2, 2));
    assert!(!table.is_in(ids[0], "caller", Some("alice")));
    table.expire(site.at(301), 10);
    assert_eq!(sizes(), (0, 0, 0));
    assert!(table.profiles().is_empty());
}

#[test]
fn variables_are_told_with_the_dialog_once_a_route_has_ended() {
    let site = site(DialogLimits::default());
    let id = site.invite(0, "c1");
    let table = &site.table;
    table.set_var(id, "x", Some("1")).unwrap();
    table.set_var(id, "y", Some("2")).unwrap();
    table.set_var(id, "x", Some("3")).unwrap();
    table.set_var(id, "y", None).unwrap();
    let vars = |dialog: &Dialog| (dialog.vars.len(), dialog.var("x").map(str::to_owned));
    assert_eq!(table.read(id, vars), Some((1, Some("3".to_owned()))));
    assert_eq!(site.told.take(), ["save 1"]);
    table.settle(id);
    table.settle(id);
    assert_eq!(site.told.take(), ["save 1"]);
    for n in 1..MAX_VARS {
        table.set_var(id, &n.to_string(), Some("")).unwrap();
    }
    let full = |limit| {
        Err(DialogError::Full {
            what: "variables of a dialog",
            limit,
        })
    };
    assert_eq!(table.set_var(id, "one more", Some("")), full(MAX_VARS));
    let long = "v".repeat(MAX_VAR);
    assert!(table.set_var(id, "x", Some(&long)).is_err());
}

#[test]
fn a_full_table_tracks_no_further_call_until_one_is_gone() {
    let site = site(DialogLimits {
        max: 2,
        ..DialogLimits::default()
    });
    let first = site.invite(0, "c1");
    site.invite(0, "c2");
    assert_eq!(
        site.invite(0, "c1"),
        first,
        "the same INVITE on another way"
    );
    assert!(site.try_invite(0, "c3").is_err());
    site.answer(0, first, 404);
    assert!(site.try_invite(1, "c3").is_err());
    site.table.expire(site.at(6), 10);
    assert!(site.try_invite(6, "c3").is_ok());
    let forgotten = site.table.find("c2", "a", "").map(|(id, _)| id);
    site.table.forget(forgotten.unwrap());
    assert!(site.try_invite(6, "c4").is_ok());
    let long = "c".repeat(MAX_TEXT);
    assert!(site.try_invite(6, &long).is_err());
}

#[test]
fn another_nodes_call_is_known_here_and_ends_without_an_event() {
    let there = site(DialogLimits::default());
    let here = site(DialogLimits::default());
    let id = there.invite(0, "c1");
    there.table.enter(id, "caller", Some("alice")).unwrap();
    there.answer(1, id, 200);
    there.request(1, id, Side::Caller, Kind::Ack);
    let confirmed = there.table.read(id, Dialog::clone).unwrap();
    let early = Dialog {
        state: State::Early,
        answered: None,
        ..confirmed.clone()
    };
    let replica = here.table.replica();
    replica.save(here.at(0), early.clone()).unwrap();
    replica.save(here.at(1), confirmed).unwrap();
    replica.save(here.at(1), early).unwrap();
    assert_eq!(here.state(id), Some(4), "a call never goes back");
    assert_eq!(here.table.size("caller", None), 1);
    assert_eq!(here.table.find("c1", "b", "a"), Some((id, Side::Callee)));
    assert!(here.told.take().is_empty());

    // A BYE that comes here ends it, with an event, and is told.
    let ended = here.request(2, id, Side::Callee, Kind::Bye);
    assert_eq!(ended, Some(Event::End));
    assert_eq!(here.told.take(), ["state 5"]);
    assert_eq!(here.table.size("caller", None), 0);
    let back = there.table.replica().go_on(there.at(2), id, |dialog| {
        dialog.state = State::Deleted;
        true
    });
    assert_eq!(back, Ok(true));
    assert!(there.table.expire(there.at(8), 10).is_empty());
    assert!(there.table.is_empty() && there.table.size("caller", None) == 0);
}

#[test]
fn a_call_whose_node_is_gone_is_forgotten_after_its_time() {
    let there = site(DialogLimits::default());
    let here = site(DialogLimits::default());
    let id = there.invite(0, "c1");
    there.table.enter(id, "caller", None).unwrap();
    there
        .table
        .set_lifetime(there.at(0), id, SECOND * 60)
        .unwrap();
    there.answer(0, id, 200);
    there.request(0, id, Side::Caller, Kind::Ack);
    let dialog = there.table.read(id, Dialog::clone).unwrap();
    here.table.replica().save(here.at(0), dialog).unwrap();
    here.table.expire(here.at(80), 10);
    assert_eq!(here.state(id), Some(4), "its node has some time to tell");
    assert!(here.table.expire(here.at(100), 10).is_empty());
    assert_eq!((here.table.len(), here.table.size("caller", None)), (0, 0));
    assert!(!here.table.replica().remove(id));
}

#[test]
fn a_call_is_ended_from_here_by_a_bye_to_each_side() {
    let site = site(DialogLimits::default());
    let id = site.invite(0, "c1");
    assert_eq!(site.table.end(site.at(0), id), None, "nobody has answered");
    let byes = |id| {
        let both = |dialog: &Dialog| [Side::Caller, Side::Callee].map(|side| dialog.bye(side));
        site.table.read(id, both).unwrap()
    };
    assert_eq!(byes(id), [None, None]);
    site.answer(1, id, 200);
    site.request(1, id, Side::Caller, Kind::Ack);
    // Both have moved since: one by its own request, one by its answer to that.
    site.request(2, id, Side::Caller, Kind::Refresh);
    let at = site.at(2);
    site.table
        .refreshed(at, id, Side::Callee, "sip:bob@192.0.2.98");
    site.told.take();
    site.table
        .refreshed(at, id, Side::Callee, "sip:bob@192.0.2.98");
    assert_eq!(site.told.take(), [""; 0], "nothing new");
    let [to_caller, to_callee] = byes(id).map(Option::unwrap);
    assert_eq!(to_caller.uri, "sip:alice@192.0.2.99");
    assert_eq!(to_caller.from, "<sip:bob@example.test>;tag=b");
    assert_eq!(to_caller.to, "<sip:alice@example.test>;tag=a");
    assert_eq!(
        (to_caller.cseq, to_caller.routes.len()),
        (1, 0),
        "bob has sent nothing"
    );
    assert_eq!(to_callee.uri, "sip:bob@192.0.2.98");
    assert_eq!(
        (to_callee.cseq, to_callee.to.as_str()),
        (3, "<sip:bob@example.test>;tag=b")
    );
    assert_eq!(site.table.end(site.at(3), id), Some(Event::End));
    assert_eq!(site.table.end(site.at(3), id), None);
    assert_eq!(site.told.take(), ["state 5"]);
    assert_eq!(
        byes(id).map(|bye| bye.is_some()),
        [true, true],
        "they are read when it has ended"
    );
}

#[test]
fn a_bye_takes_the_route_set_and_strict_routers_their_way() {
    let site = site(DialogLimits::default());
    let id = site.invite(0, "c1");
    for (route_set, uri, routes) in [
        (
            "<sip:192.0.2.3;lr>",
            "sip:bob@192.0.2.7",
            vec!["<sip:192.0.2.3;lr>"],
        ),
        (
            "\"a, b\" <sip:192.0.2.3;lr>,<sip:192.0.2.4;a=1,2;lr>",
            "sip:bob@192.0.2.7",
            vec!["\"a, b\" <sip:192.0.2.3;lr>", "<sip:192.0.2.4;a=1,2;lr>"],
        ),
        (
            "<sip:192.0.2.3>, <sip:192.0.2.4;lr>",
            "sip:192.0.2.3",
            vec!["<sip:192.0.2.4;lr>", "<sip:bob@192.0.2.7>"],
        ),
    ] {
        let response = Response {
            status: 180,
            tag: "b",
            contact: "sip:bob@192.0.2.7",
            route_set,
        };
        site.table.answered(site.at(1), id, &response);
        let bye = site
            .table
            .read(id, |dialog| dialog.bye(Side::Callee))
            .unwrap()
            .unwrap();
        assert_eq!(
            (bye.uri.as_str(), bye.routes),
            (
                uri,
                routes.iter().map(|route| (*route).to_owned()).collect()
            )
        );
    }
}

#[test]
fn whether_a_bye_ends_what_took_too_long_is_said_for_all_and_for_each() {
    for bye in [false, true] {
        let site = site(DialogLimits {
            bye,
            ..DialogLimits::default()
        });
        let id = site.invite(0, "c1");
        assert_eq!(site.table.wants_bye(id), bye);
        site.table.set_bye(id, !bye).unwrap();
        assert_eq!(site.table.wants_bye(id), !bye);
        let other = site.invite(0, "c2");
        assert_eq!(site.table.wants_bye(other), bye);
    }
}
