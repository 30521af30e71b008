//! A target with several addresses: one that does not answer is not the end of its branch. RFC 3263 s.4.3.

use std::time::Duration;

use switchhook_sip::message::Method;
use switchhook_sip::transaction::{Arms, Matched, Origin, Refusal, Wait};

use crate::lane::{Lane, ack, cancel, invite, request};

const NO_WAIT: Wait = Wait {
    first: None,
    answer: None,
};

#[test]
fn an_address_that_cannot_be_reached_is_followed_by_the_next() {
    let mut lane = Lane::new();
    let key = lane.seeks(&invite(), NO_WAIT, &["bob", "carol"]);
    assert_eq!(lane.told(), ["INVITE -> bob", "100 -> alice"]);
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    lane.moves_on(&invite(), NO_WAIT).unwrap();
    assert_eq!(lane.told(), ["INVITE -> carol"]);
    let (first, second) = (
        lane.last("bob", Method::Invite),
        lane.last("carol", Method::Invite),
    );
    assert_ne!(
        first.via().unwrap().branch(),
        second.via().unwrap().branch(),
        "a client transaction of its own"
    );
    lane.says("carol", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.rests();
}

#[test]
fn silence_until_timer_b_and_503_lead_on_too() {
    let mut lane = Lane::new();
    lane.seeks(&invite(), NO_WAIT, &["bob", "carol", "dave"]);
    lane.wait(32_000);
    lane.moves_on(&invite(), NO_WAIT).unwrap();
    lane.told();
    lane.says("carol", 503);
    lane.moves_on(&invite(), NO_WAIT).unwrap();
    assert_eq!(lane.told(), ["ACK -> carol", "INVITE -> dave"]);
    // Carol's copy is acknowledged again and means nothing more.
    assert_eq!(lane.says("carol", 503), Matched::Taken);
    assert_eq!(lane.told(), ["ACK -> carol"]);
    lane.says("dave", 486);
    assert_eq!(lane.told(), ["ACK -> dave", "486 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn the_last_address_speaks_for_the_branch() {
    let mut lane = Lane::new();
    lane.seeks(&invite(), NO_WAIT, &["bob", "carol"]);
    lane.wait(32_000);
    lane.moves_on(&invite(), NO_WAIT).unwrap();
    lane.told();
    lane.says("carol", 500);
    assert_eq!(
        lane.told(),
        ["ACK -> carol", "500 -> alice"],
        "not the 408 of the first"
    );
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn whoever_is_asked_sees_one_branch() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    let arms = Arms {
        failure: true,
        replies: true,
    };
    lane.tm.arm(key, arms);
    lane.seeks_in(key, &invite(), NO_WAIT, &["bob", "carol"]);
    lane.says("bob", 503);
    assert!(lane.questions.is_empty(), "the 503 stays here");
    lane.moves_on(&invite(), NO_WAIT).unwrap();
    lane.says("carol", 404);
    let question = lane.questions.pop().unwrap();
    assert_eq!((question.branch, question.status), (0, 404));
    lane.tm.pass(lane.now, question.id, None).unwrap();
    lane.drain();
    let (_, best) = lane.failures.pop().unwrap();
    assert_eq!((best.branch, best.status), (Some(0), 404));
    lane.tm.forward_best(lane.now, key).unwrap();
    lane.drain();
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn without_another_address_after_all_the_branch_ends_as_it_failed() {
    let mut lane = Lane::new();
    lane.seeks(&invite(), NO_WAIT, &["bob", "carol"]);
    lane.wait(32_000);
    lane.told();
    let (key, failed) = lane.asked_on.pop().unwrap();
    lane.tm.give_up(lane.now, key, failed).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["408 -> alice"]);
    assert_eq!(
        lane.tm.give_up(lane.now, key, failed),
        Err(Refusal::Gone),
        "once"
    );
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_caller_that_never_says_where_to_is_not_waited_for_without_end() {
    let mut lane = Lane::new();
    lane.seeks(&invite(), NO_WAIT, &["bob", "carol"]);
    lane.wait(32_000);
    lane.told();
    lane.wait(181_000);
    assert_eq!(lane.told().first().unwrap(), "408 -> alice");
    assert_eq!(lane.moves_on(&invite(), NO_WAIT), Err(Refusal::Gone));
    lane.rests();
}

#[test]
fn a_cancel_between_two_addresses_ends_the_search() {
    let mut lane = Lane::new();
    lane.seeks(&invite(), NO_WAIT, &["bob", "carol"]);
    lane.wait(32_000);
    lane.told();
    lane.receives(&cancel());
    assert_eq!(lane.told(), ["200 -> alice", "487 -> alice"]);
    assert_eq!(lane.moves_on(&invite(), NO_WAIT), Err(Refusal::Gone));
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_branch_that_was_cancelled_is_not_tried_elsewhere() {
    let mut lane = Lane::new();
    lane.seeks(&invite(), NO_WAIT, &["bob", "carol"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.says("bob", 503);
    assert!(lane.asked_on.is_empty());
    lane.answers("bob", Method::Cancel, 200);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn the_callers_patience_is_for_each_address_and_a_late_2xx_still_counts() {
    let wait = Wait {
        first: Some(Duration::from_secs(2)),
        answer: Some(Duration::from_secs(5)),
    };
    let mut lane = Lane::new();
    lane.seeks(&invite(), wait, &["bob", "carol", "dave", "erin"]);
    lane.wait(2_000);
    lane.moves_on(&invite(), wait).unwrap();
    lane.told();
    lane.wait(1_900);
    assert_eq!(
        lane.told(),
        ["INVITE -> carol", "INVITE -> carol"],
        "nothing more to bob"
    );
    lane.wait(100);
    lane.moves_on(&invite(), wait).unwrap();
    assert_eq!(lane.told(), ["INVITE -> dave"]);
    lane.wait(1_000);
    assert!(lane.asked_on.is_empty(), "five seconds are for all of them");
    assert_eq!(lane.told().last().unwrap(), "408 -> alice");
    lane.says("bob", 200);
    assert!(lane.told().contains(&"200 -> alice".to_owned()));
    lane.rests();
}

#[test]
fn another_request_shares_its_timer_among_its_addresses() {
    let message = request("MESSAGE", "1");
    let mut lane = Lane::new();
    lane.seeks(&message, NO_WAIT, &["bob", "carol"]);
    lane.wait(16_000);
    lane.moves_on(&message, NO_WAIT).unwrap();
    lane.told();
    lane.answers("carol", Method::Message, 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.rests();
    // No address is tried when its sender has given up.
    let mut lane = Lane::new();
    lane.seeks(&message, NO_WAIT, &["bob", "carol", "dave"]);
    lane.wait(10_700);
    lane.moves_on(&message, NO_WAIT).unwrap();
    lane.wait(10_700);
    lane.moves_on(&message, NO_WAIT).unwrap();
    lane.wait(10_700);
    assert!(lane.asked_on.is_empty());
    lane.rests();
}

#[test]
fn a_6xx_elsewhere_ends_the_search() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    let mut seeker = lane.branch(&invite(), "bob", NO_WAIT);
    seeker.spare = 1;
    lane.seeking = vec!["dave"];
    let other = lane.branch(&invite(), "carol", NO_WAIT);
    lane.tm.relay(lane.now, key, [seeker, other]).unwrap();
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    lane.says("carol", 603);
    assert_eq!(lane.heard().status(), 603);
    assert_eq!(lane.moves_on(&invite(), NO_WAIT), Err(Refusal::Gone));
    lane.receives(&ack());
    lane.rests();
}
