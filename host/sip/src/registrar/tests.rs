//! Alice's phones at the registrar, by virtual time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::flow::{FlowId, Source, Transport};
use crate::message::Message;

struct Site {
    start: Instant,
    now: Instant,
    limits: Limits,
    bindings: Vec<Binding>,
}

/// A phone's side: one Call-ID, counted up.
struct Phone {
    call_id: &'static str,
    cseq: u32,
}

impl Site {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            start,
            now: start,
            limits: Limits::default(),
            bindings: Vec::new(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn registers(&mut self, phone: &mut Phone, lines: &[&str]) -> Outcome {
        phone.cseq += 1;
        self.sends(phone, lines)
    }

    fn sends(&mut self, phone: &Phone, lines: &[&str]) -> Outcome {
        let mut text = format!(
            "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:alice@example.test>;tag=1\r\nTo: <sip:alice@example.test>\r\n\
             Call-ID: {}\r\nCSeq: {} REGISTER\r\n",
            phone.call_id, phone.cseq
        );
        for line in lines {
            text += line;
            text += "\r\n";
        }
        let request = Message::parse((text + "\r\n").into()).expect("a message");
        let source = Source {
            transport: Transport::Udp,
            remote: "192.0.2.1:5062".parse().unwrap(),
            local: "192.0.2.9:5060".parse().unwrap(),
            flow: FlowId::new(7),
        };
        let outcome = save(
            self.now,
            request.view(),
            &source,
            &self.bindings,
            &self.limits,
        );
        if let Some(bindings) = &outcome.bindings {
            self.bindings.clone_from(bindings);
        }
        outcome
    }

    fn contacts(&self) -> Vec<String> {
        let live = self.bindings.iter().filter(|b| b.is_live(self.now));
        live.map(|b| String::from_utf8(b.uri().to_vec()).unwrap())
            .collect()
    }
}

fn phone(call_id: &'static str) -> Phone {
    Phone { call_id, cseq: 0 }
}

fn answered(outcome: &Outcome, status: u16) -> Vec<&str> {
    assert_eq!(outcome.answer.status, status, "{:?}", outcome.answer);
    assert_eq!(outcome.saved == Saved::Refused, status >= 300);
    assert!(status < 300 || outcome.bindings.is_none(), "all or nothing");
    let headers = outcome.answer.headers.iter();
    headers
        .filter(|(name, _)| *name == "Contact")
        .map(|(_, value)| value.as_str())
        .collect()
}

#[test]
fn a_late_copy_changes_nothing() {
    let mut site = Site::new();
    let mut phone = phone("one");
    site.registers(&mut phone, &["Contact: <sip:alice@192.0.2.1>"]);
    let copy = site.sends(&phone, &["Contact: <sip:alice@192.0.2.1>"]);
    assert_eq!(copy.clone().of_copy(), copy, "it is answered as before");
    site.registers(
        &mut phone,
        &["Contact: <sip:alice@192.0.2.1>", "Expires: 0"],
    );
    phone.cseq = 1;
    let late = site.sends(&phone, &["Contact: <sip:alice@192.0.2.1>"]);
    assert!(
        late.bindings.is_some(),
        "nobody knows any more that it was removed"
    );
    let late = late.of_copy();
    assert_eq!((late.saved, late.answer.status), (Saved::Refused, 500));
    assert!(late.bindings.is_none());
}

#[test]
fn alice_registers_two_phones_refreshes_one_and_leaves() {
    let mut site = Site::new();
    let (mut desk, mut mobile) = (phone("desk"), phone("mobile"));
    let first = site.registers(
        &mut desk,
        &["Contact: \"Desk\" <sip:alice@192.0.2.1>;q=0.7;expires=600"],
    );
    assert_eq!(first.saved, Saved::Updated);
    assert_eq!(
        answered(&first, 200),
        ["<sip:alice@192.0.2.1>;q=0.7;expires=600"]
    );

    site.wait(100);
    let second = site.registers(
        &mut mobile,
        &[
            "Expires: 300",
            "User-Agent: Mobile/1",
            "m: <sip:alice@192.0.2.2;ob>;+sip.instance=\"<urn:uuid:1>\";reg-id=1",
        ],
    );
    assert_eq!(
        answered(&second, 200),
        [
            "<sip:alice@192.0.2.1>;q=0.7;expires=500",
            "<sip:alice@192.0.2.2;ob>;expires=300;+sip.instance=\"<urn:uuid:1>\";reg-id=1"
        ]
    );
    let kept = &site.bindings[1];
    assert_eq!(
        (
            kept.call_id(),
            kept.cseq(),
            kept.user_agent(),
            kept.instance()
        ),
        (&b"mobile"[..], 1, &b"Mobile/1"[..], &b"<urn:uuid:1>"[..])
    );
    assert_eq!(
        (kept.q(), kept.reg_id(), kept.received().remote.port()),
        (1000, 1, 5062)
    );

    site.wait(301);
    assert_eq!(
        site.contacts(),
        ["sip:alice@192.0.2.1"],
        "the mobile's time is over"
    );
    let asked = site.registers(&mut desk, &[]);
    assert_eq!(asked.saved, Saved::Queried);
    assert_eq!(answered(&asked, 200).len(), 1);
    assert!(asked.bindings.is_none());

    let gone = site.registers(&mut desk, &["Contact: <sip:alice@192.0.2.1>;expires=0"]);
    assert_eq!(gone.saved, Saved::Removed);
    assert!(answered(&gone, 200).is_empty() && site.contacts().is_empty());
}

#[test]
fn times_are_kept_within_limits() {
    let mut site = Site::new();
    let mut desk = phone("desk");
    let mut expires = |lines: &[&str]| {
        let outcome = site.registers(&mut desk, lines);
        let contact = answered(&outcome, 200).first().map(|c| (*c).to_owned());
        contact
            .unwrap()
            .split_once("expires=")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(expires(&["Contact: <sip:a@h>"]), "3600", "the default");
    assert_eq!(
        expires(&["Contact: <sip:a@h>;expires=99999999999"]),
        "86400"
    );
    assert_eq!(expires(&["Contact: <sip:a@h>", "Expires: 120"]), "120");
    assert_eq!(
        expires(&["Contact: <sip:a@h>;expires=90", "Expires: 120"]),
        "90"
    );
    assert_eq!(
        expires(&["Contact: <sip:a@h>;expires=soon", "Expires: 120"]),
        "3600"
    );

    let brief = site.registers(&mut desk, &["Contact: <sip:a@h>;expires=59"]);
    answered(&brief, 423);
    assert_eq!(brief.answer.headers, [("Min-Expires", "60".to_owned())]);
    // An hour is never too brief (10.3 step 7).
    site.limits.min_expires = Duration::from_secs(7200);
    site.limits.max_expires = Duration::from_secs(9000);
    answered(
        &site.registers(&mut desk, &["Contact: <sip:a@h>;expires=3600"]),
        200,
    );
}

#[test]
fn a_star_removes_all_and_only_with_expires_0() {
    let mut site = Site::new();
    let (mut desk, mut mobile) = (phone("desk"), phone("mobile"));
    site.registers(&mut desk, &["Contact: <sip:a@h1>, <sip:a@h2>"]);
    for lines in [
        &["Contact: *"][..],
        &["Contact: *", "Expires: 60"],
        &["Contact: *", "Expires: x"],
        &["Contact: *, <sip:a@h1>", "Expires: 0"],
    ] {
        answered(&site.registers(&mut mobile, lines), 400);
    }
    assert_eq!(site.contacts().len(), 2);
    let all = site.registers(&mut mobile, &["Contact: *", "Expires: 0"]);
    assert_eq!(all.saved, Saved::Removed);
    assert!(answered(&all, 200).is_empty() && site.contacts().is_empty());
    let again = site.registers(&mut mobile, &["Contact: *", "Expires: 0"]);
    assert_eq!(again.saved, Saved::Queried);
}

#[test]
fn what_comes_late_changes_nothing() {
    let mut site = Site::new();
    let mut desk = phone("desk");
    site.registers(&mut desk, &["Contact: <sip:a@h1>"]);
    site.registers(&mut desk, &["Contact: <sip:a@h1>;expires=900"]);
    desk.cseq = 1;
    for late in [
        &["Contact: <sip:a@h2>, <sip:a@h1>;expires=0"][..],
        &["Contact: *", "Expires: 0"],
    ] {
        answered(&site.sends(&desk, late), 500);
    }
    assert_eq!(site.contacts(), ["sip:a@h1"]);
    // A phone that restarted has a new Call-ID, and may begin at any CSeq.
    let fresh = site.registers(&mut phone("desk-2"), &["Contact: <sip:a@h1>;expires=0"]);
    assert_eq!(fresh.saved, Saved::Removed);
}

#[test]
fn a_request_that_comes_again_is_answered_again() {
    let mut site = Site::new();
    let mut desk = phone("desk");
    let lines = &["Contact: <sip:a@h1>;expires=600, <sip:a@h2>;expires=0"][..];
    let first = site.registers(&mut desk, lines);
    site.wait(2);
    let again = site.sends(&desk, lines);
    assert_eq!((first.saved, again.saved), (Saved::Updated, Saved::Queried));
    assert_eq!(answered(&first, 200), ["<sip:a@h1>;expires=600"]);
    assert_eq!(answered(&again, 200), ["<sip:a@h1>;expires=598"]);
    let all = &["Contact: *", "Expires: 0"][..];
    assert_eq!(site.registers(&mut desk, all).saved, Saved::Removed);
    assert_eq!(site.sends(&desk, all).saved, Saved::Queried);
}

#[test]
fn one_bad_contact_refuses_all() {
    let mut site = Site::new();
    let mut desk = phone("desk");
    for (bad, status) in [
        ("Contact: <sip:a@h1>, <sip:a@h2>;expires=5", 423),
        ("Contact: <sip:a@h1>, <no uri>", 400),
        ("Contact: <sip:a@h1>, \"open <sip:a@h2>", 400),
    ] {
        answered(&site.registers(&mut desk, &[bad]), status);
        assert!(site.contacts().is_empty());
    }
    let long = format!("Contact: <sip:a@h1>, <sip:{}@h>", "x".repeat(4096));
    answered(&site.registers(&mut desk, &[&long]), 400);
    site.limits.max_contacts = 2;
    let three = "Contact: <sip:a@h1>, <sip:a@h2>, <sip:a@h3>";
    answered(&site.registers(&mut desk, &[three]), 403);
    answered(
        &site.registers(&mut desk, &["Contact: <sip:a@h1>, <sip:a@h2>"]),
        200,
    );
    let exchange = "Contact: <sip:a@h1>;expires=0, <sip:a@h3>";
    answered(&site.registers(&mut desk, &[exchange]), 200);
    assert_eq!(site.contacts(), ["sip:a@h2", "sip:a@h3"]);
}

#[test]
fn a_lower_limit_refuses_further_contacts_and_keeps_those_that_are_there() {
    let mut site = Site::new();
    let mut desk = phone("desk");
    site.registers(&mut desk, &["Contact: <sip:a@h1>, <sip:a@h2>, <sip:a@h3>"]);
    site.limits.max_contacts = 1;
    answered(&site.registers(&mut desk, &["Contact: <sip:a@h2>"]), 200);
    answered(&site.registers(&mut desk, &["Contact: <sip:a@h4>"]), 403);
    let exchange = "Contact: <sip:a@h1>;expires=0, <sip:a@h4>";
    answered(&site.registers(&mut desk, &[exchange]), 200);
    let fewer = "Contact: <sip:a@h2>;expires=0, <sip:a@h4>;expires=0";
    answered(&site.registers(&mut desk, &[fewer]), 200);
    answered(&site.registers(&mut desk, &["Contact: <sip:a@h4>"]), 403);
    assert_eq!(site.contacts(), ["sip:a@h3"]);
}

#[test]
fn a_contact_twice_in_one_request_is_one() {
    let mut site = Site::new();
    let outcome = site.registers(
        &mut phone("desk"),
        &["Contact: <sip:a@h1>;q=0.1, <sip:%61@H1>;q=0.25"],
    );
    assert_eq!(
        answered(&outcome, 200),
        ["<sip:%61@H1>;q=0.25;expires=3600"]
    );
    let outcome = site.registers(
        &mut phone("other"),
        &["Contact: <sip:a@h1>;q=0, <sip:a@h1>;expires=0, <sip:a@h1>;q=0"],
    );
    assert_eq!(answered(&outcome, 200), ["<sip:a@h1>;q=0;expires=3600"]);
}

#[test]
fn a_phone_that_moved_keeps_its_flow() {
    let mut site = Site::new();
    let flow = |host: &str, id: u32| {
        format!("Contact: <sip:a@{host}>;+sip.instance=\"<urn:uuid:1>\";reg-id={id}")
    };
    site.registers(&mut phone("before"), &[&flow("h1", 1), "Supported: path"]);
    site.registers(&mut phone("after"), &[&flow("h2", 1)]);
    assert_eq!(site.contacts(), ["sip:a@h2"]);
    site.registers(&mut phone("second"), &[&flow("h2", 2)]);
    assert_eq!(site.contacts(), ["sip:a@h2", "sip:a@h2"]);
}

#[test]
fn the_path_is_kept_echoed_and_agreed_upon() {
    let mut site = Site::new();
    let mut desk = phone("desk");
    let path = "Path: <sip:p1.test;lr>,\r\n <sip:p2.test;lr>";
    let refused = site.registers(&mut desk, &["Contact: <sip:a@h>", path]);
    answered(&refused, 420);
    assert_eq!(refused.answer.headers, [("Unsupported", "path".to_owned())]);

    let lines = [
        "Contact: <sip:a@h>",
        path,
        "Path: <sip:p3.test;lr>",
        "k: gruu, PATH",
    ];
    let kept = site.registers(&mut desk, &lines);
    answered(&kept, 200);
    assert_eq!(
        kept.answer.headers[1],
        (
            "Path",
            "<sip:p1.test;lr>, <sip:p2.test;lr>, <sip:p3.test;lr>".to_owned()
        )
    );
    let hops: Vec<_> = site.bindings[0].path().collect();
    assert_eq!(
        hops,
        [
            &b"<sip:p1.test;lr>"[..],
            b"<sip:p2.test;lr>",
            b"<sip:p3.test;lr>"
        ]
    );
    let bad = ["Contact: <sip:a@h>", "Path: sip:p1.test", "Supported: path"];
    answered(&site.registers(&mut desk, &bad), 400);
}

#[test]
fn what_is_required_must_be_known() {
    let mut site = Site::new();
    let lines = ["Contact: <sip:a@h>", "Require: path, gruu,outbound"];
    let refused = site.registers(&mut phone("desk"), &lines);
    answered(&refused, 420);
    let unsupported = ("Unsupported", "gruu, outbound".to_owned());
    assert_eq!(refused.answer.headers, [unsupported]);
}

#[test]
fn a_contact_is_small() {
    let mut site = Site::new();
    site.registers(
        &mut phone("a84b4c76e66710@pc33.atlanta.example.com"),
        &[
            "User-Agent: Example Phone 1234/5.6.7.8 (release)",
            "Contact: <sip:alice@192.0.2.101:34567;transport=udp;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"",
        ],
    );
    assert!(
        site.bindings[0].size() <= 350,
        "{}",
        site.bindings[0].size()
    );
}

proptest! {
    /// Against a plain model: a list of (host, CSeq, end), one Call-ID.
    #[test]
    fn it_does_what_a_plain_list_does(
        steps in prop::collection::vec((0u32..6, 1u32..12, prop::sample::select(vec![0u32, 60, 600]), 0u64..90), 1..40)
    ) {
        let mut site = Site::new();
        let mut model: Vec<(u32, u32, u64)> = Vec::new();
        for (host, cseq, expires, wait) in steps {
            site.wait(wait);
            let at = (site.now - site.start).as_secs();
            model.retain(|(_, _, end)| *end > at);
            let late = model.iter().any(|(h, seen, _)| *h == host && cseq < *seen);
            let again = model.iter().any(|(h, seen, _)| *h == host && cseq == *seen);
            let line = format!("Contact: <sip:a@h{host}>;expires={expires}");
            let outcome = site.sends(&Phone { call_id: "x", cseq }, &[&line]);
            prop_assert_eq!(outcome.answer.status, if late { 500 } else { 200 });
            if !late && !again {
                let known = model.iter().position(|(h, ..)| *h == host);
                match (known, expires) {
                    (Some(n), 0) => { model.remove(n); }
                    (None, 0) => {}
                    (Some(n), _) => model[n] = (host, cseq, at + u64::from(expires)),
                    (None, _) => model.push((host, cseq, at + u64::from(expires))),
                }
            }
            let expected: Vec<_> = model.iter().map(|(h, ..)| format!("sip:a@h{h}")).collect();
            prop_assert_eq!(site.contacts(), expected);
        }
    }

    /// Whatever a phone sends, there is an answer, and a refusal changes nothing.
    #[test]
    fn noise_is_answered(contact in "[ -~]{0,60}", expires in "[ -~]{0,8}", path in "[ -~]{0,40}") {
        let mut site = Site::new();
        let lines = [format!("Contact: {contact}"), format!("Expires: {expires}"), format!("Path: {path}"), "Supported: path".to_owned()];
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let outcome = site.registers(&mut phone("desk"), &lines);
        prop_assert!(outcome.answer.status >= 200);
        prop_assert!(outcome.answer.status < 300 || outcome.bindings.is_none());
    }
}
