//! Several targets: parallel and serial forking, the best response. RFC 3261 s.16.7.

use std::time::Duration;

use switchhook_sip::message::{HeaderId, Method};
use switchhook_sip::transaction::{Branch, Matched, Origin, Wait};

use crate::lane::{Lane, ack, invite, request};

/// Each branch answers INVITE so; what does alice hear?
fn best_of(statuses: &[u16]) -> u16 {
    let people = &["bob", "carol", "dave", "erin"][..statuses.len()];
    let mut lane = Lane::new();
    lane.forwards(&invite(), people);
    for (who, status) in people.iter().zip(statuses) {
        lane.says(who, *status);
        lane.answers(who, Method::Invite, 100);
    }
    let heard = lane.heard().status();
    lane.receives(&ack());
    lane.rests();
    heard
}

#[test]
fn all_ring_one_answers_the_others_are_cancelled() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob", "carol", "dave"]);
    for who in ["bob", "carol", "dave"] {
        lane.says(who, 180);
    }
    lane.told();
    lane.says("carol", 200);
    assert_eq!(
        lane.told(),
        ["200 -> alice", "CANCEL -> bob", "CANCEL -> dave"]
    );
    for who in ["bob", "dave"] {
        lane.answers(who, Method::Cancel, 200);
        lane.says(who, 487);
    }
    assert_eq!(lane.told(), ["ACK -> bob", "ACK -> dave"]);
    lane.rests();
}

#[test]
fn every_2xx_to_an_invite_goes_upstream() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 180);
    lane.says("carol", 180);
    lane.says("bob", 200);
    lane.told();
    lane.says("carol", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    assert_eq!(lane.heard().to().unwrap().tag(), Some(&b"carol"[..]));
    lane.answers("carol", Method::Cancel, 200);
    lane.rests();
}

#[test]
fn only_the_first_2xx_to_another_request_goes_upstream() {
    let mut lane = Lane::new();
    lane.forwards(&request("MESSAGE", "1"), &["bob", "carol"]);
    lane.told();
    lane.answers("bob", Method::Message, 202);
    lane.answers("carol", Method::Message, 200);
    assert_eq!(lane.told(), ["202 -> alice"]);
    lane.rests();
}

#[test]
fn nothing_goes_upstream_while_a_branch_may_still_answer() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 486);
    lane.says("carol", 180);
    lane.wait(60_000);
    let heard = |lane: &mut Lane| {
        let told = lane.told();
        let said = told.into_iter().filter(|line| line.ends_with("alice"));
        said.collect::<Vec<_>>()
    };
    assert_eq!(heard(&mut lane), ["100 -> alice", "180 -> alice"]);
    lane.says("carol", 404);
    assert_eq!(heard(&mut lane), ["486 -> alice"]);
}

#[test]
fn the_best_response_is_chosen() {
    assert_eq!(best_of(&[404, 302]), 302);
    assert_eq!(best_of(&[500, 486, 503]), 486);
    assert_eq!(best_of(&[486, 407, 404]), 407);
    assert_eq!(best_of(&[408, 480]), 480);
    assert_eq!(best_of(&[503, 504]), 504);
}

#[test]
fn a_lone_503_becomes_500() {
    assert_eq!(best_of(&[503]), 500);
    assert_eq!(best_of(&[503, 503]), 500);
}

#[test]
fn a_6xx_wins_and_ends_the_search_at_once() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob", "carol", "dave"]);
    lane.queues(key, &invite(), &["erin"]);
    lane.says("bob", 180);
    lane.says("dave", 404);
    lane.told();
    lane.says("carol", 603);
    assert_eq!(lane.told(), ["ACK -> carol", "CANCEL -> bob"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    assert_eq!(
        lane.told(),
        ["ACK -> bob", "603 -> alice"],
        "erin is spared"
    );
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_2xx_that_crosses_the_cancel_after_6xx_still_wins() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 180);
    lane.says("carol", 600);
    lane.says("bob", 200);
    assert_eq!(lane.heard().status(), 200);
    lane.answers("bob", Method::Cancel, 481);
    lane.rests();
}

#[test]
fn challenges_of_all_branches_go_upstream_together() {
    let mut lane = Lane::new();
    lane.forwards(&request("REGISTER", "1"), &["bob", "carol", "dave"]);
    let www = [("WWW-Authenticate", "Digest realm=\"b\", nonce=\"1\"")];
    let proxy = [("Proxy-Authenticate", "Digest realm=\"c\", nonce=\"2\"")];
    lane.answers_with("bob", Method::Register, 401, &www);
    lane.answers_with("carol", Method::Register, 407, &proxy);
    lane.answers("dave", Method::Register, 404);
    let heard = lane.heard();
    assert_eq!(heard.status(), 401);
    let value = |id| heard.header(id).map(String::from_utf8_lossy);
    assert_eq!(value(HeaderId::WwwAuthenticate).unwrap(), www[0].1);
    assert_eq!(value(HeaderId::ProxyAuthenticate).unwrap(), proxy[0].1);
    lane.rests();
}

#[test]
fn groups_are_tried_one_after_the_other() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob", "carol"]);
    lane.queues(key, &invite(), &["dave"]);
    lane.queues(key, &invite(), &["erin"]);
    lane.says("bob", 486);
    lane.told();
    lane.says("carol", 404);
    assert_eq!(lane.told(), ["ACK -> carol", "INVITE -> dave"]);
    lane.says("dave", 180);
    lane.says("dave", 480);
    assert_eq!(
        lane.told(),
        ["180 -> alice", "ACK -> dave", "INVITE -> erin"]
    );
    lane.says("erin", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.rests();
}

#[test]
fn when_every_group_has_failed_the_best_of_all_goes_upstream() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.queues(key, &invite(), &["carol"]);
    lane.says("bob", 302);
    lane.says("carol", 486);
    assert_eq!(lane.heard().status(), 302);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_group_that_does_not_answer_in_time_gives_way_to_the_next() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    let wait = Wait {
        first: None,
        answer: Some(Duration::from_secs(20)),
    };
    let bob: Branch = lane.branch(&invite(), "bob", wait);
    lane.tm.relay(lane.now, key, [bob]).unwrap();
    lane.queues(key, &invite(), &["carol"]);
    lane.drain();
    lane.says("bob", 180);
    lane.wait(19_000);
    lane.says("bob", 180);
    lane.told();
    lane.wait(1_000);
    assert_eq!(
        lane.told_when(),
        ["20000 CANCEL -> bob", "20000 INVITE -> carol"],
        "ringing does not prolong it"
    );
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    lane.says("carol", 200);
    assert_eq!(lane.told(), ["ACK -> bob", "200 -> alice"]);
    lane.rests();
}

#[test]
fn who_lifts_the_phone_as_his_time_ends_is_still_heard() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    let wait = Wait {
        first: None,
        answer: Some(Duration::from_secs(20)),
    };
    let bob = lane.branch(&invite(), "bob", wait);
    lane.tm.relay(lane.now, key, [bob]).unwrap();
    lane.queues(key, &invite(), &["carol"]);
    lane.drain();
    lane.says("bob", 180);
    lane.wait(20_000);
    lane.says("carol", 180);
    lane.told();
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["200 -> alice", "CANCEL -> carol"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.answers("carol", Method::Cancel, 200);
    lane.says("carol", 487);
    assert_eq!(lane.told(), ["ACK -> carol"]);
    lane.rests();
}

#[test]
fn who_says_nothing_at_all_is_left_earlier_and_cancelled_when_he_speaks() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    let wait = Wait {
        first: Some(Duration::from_secs(2)),
        answer: None,
    };
    let bob = lane.branch(&invite(), "bob", wait);
    lane.tm.relay(lane.now, key, [bob]).unwrap();
    lane.queues(key, &invite(), &["carol"]);
    lane.drain();
    lane.wait(2_000);
    assert_eq!(lane.told().pop().unwrap(), "INVITE -> carol");
    lane.says("bob", 180);
    assert_eq!(lane.told(), ["CANCEL -> bob"], "his ringing is not heard");
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    lane.says("carol", 486);
    assert_eq!(lane.told(), ["ACK -> bob", "ACK -> carol", "486 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_first_wait_ends_with_the_first_response() {
    let mut lane = Lane::new();
    let key = lane.takes(&request("MESSAGE", "1"));
    let wait = Wait {
        first: Some(Duration::from_secs(2)),
        answer: None,
    };
    let bob = lane.branch(&request("MESSAGE", "1"), "bob", wait);
    lane.tm.relay(lane.now, key, [bob]).unwrap();
    lane.drain();
    lane.answers("bob", Method::Message, 100);
    lane.wait(10_000);
    lane.answers("bob", Method::Message, 200);
    assert_eq!(lane.heard().status(), 200);
    lane.rests();
}

#[test]
fn one_target_that_cannot_be_reached_does_not_spoil_the_others() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob", "carol"]);
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    lane.told();
    lane.says("carol", 486);
    assert_eq!(lane.told(), ["ACK -> carol", "486 -> alice"]);
    assert_eq!(lane.says("bob", 200), Matched::Late);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_target_that_cannot_be_reached_gives_way_to_the_next_group() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.queues(key, &invite(), &["carol"]);
    lane.told();
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    assert_eq!(lane.told(), ["INVITE -> carol"]);
}

#[test]
fn a_2xx_after_our_own_408_still_goes_upstream() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    let wait = Wait {
        first: None,
        answer: Some(Duration::from_secs(10)),
    };
    let bob = lane.branch(&invite(), "bob", wait);
    lane.tm.relay(lane.now, key, [bob]).unwrap();
    lane.drain();
    lane.says("bob", 180);
    lane.wait(10_000);
    assert_eq!(lane.heard().status(), 408);
    lane.told();
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.receives(&ack());
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.rests();
}

#[test]
fn a_failure_after_the_final_response_stays_here() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 200);
    lane.told();
    lane.says("carol", 486);
    assert_eq!(lane.told(), ["ACK -> carol"]);
    lane.rests();
}
