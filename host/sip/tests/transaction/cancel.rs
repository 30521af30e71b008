//! CANCEL from upstream and what becomes of it: RFC 3261 s.9, s.16.10.

use switchhook_sip::message::{HeaderId, Method};
use switchhook_sip::transaction::{Arms, Arrival, Origin, Refusal};

use crate::lane::{Lane, ack, cancel, invite, request};

#[test]
fn a_ringing_call_is_cancelled() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.told();
    assert_eq!(lane.receives(&cancel()), Arrival::Cancelled(key));
    assert_eq!(lane.told(), ["200 -> alice", "CANCEL -> bob"]);
    let (sent, hop) = (
        lane.last("bob", Method::Invite),
        lane.last("bob", Method::Cancel),
    );
    assert_eq!(hop.request_uri(), sent.request_uri());
    assert_eq!(hop.header(HeaderId::Via), sent.values(HeaderId::Via).next());
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    assert_eq!(lane.told(), ["ACK -> bob", "487 -> alice"]);
    assert_eq!(lane.heard().to().unwrap().tag(), Some(&b"bob"[..]));
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn before_any_provisional_the_cancel_waits_for_one() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.receives(&cancel());
    lane.told();
    lane.wait(499);
    assert_eq!(lane.told(), [""; 0]);
    lane.says("bob", 100);
    assert_eq!(lane.told(), ["CANCEL -> bob"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    assert_eq!(lane.told(), ["ACK -> bob", "487 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_branch_that_never_speaks_ends_with_timer_b_and_the_caller_hears_408() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.receives(&cancel());
    lane.wait(32_000);
    assert_eq!(lane.heard().status(), 408);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_copy_of_the_cancel_is_answered_again_and_cancels_no_more() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.told();
    assert_eq!(lane.receives(&cancel()), Arrival::Absorbed);
    assert_eq!(lane.told(), ["200 -> alice"]);
}

#[test]
fn our_cancel_is_repeated_until_it_is_answered() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.told();
    lane.wait(1_600);
    assert_eq!(
        lane.told_when(),
        ["500 CANCEL -> bob", "1500 CANCEL -> bob"]
    );
    lane.answers("bob", Method::Cancel, 200);
    lane.wait(10_000);
    assert_eq!(lane.told(), [""; 0]);
    lane.says("bob", 487);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_cancelled_branch_that_stays_silent_is_given_up_after_64_t1() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.answers("bob", Method::Cancel, 200);
    lane.told();
    lane.wait(31_999);
    assert_eq!(lane.told(), [""; 0]);
    lane.wait(1);
    assert_eq!(lane.told(), ["487 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_cancel_that_cannot_be_sent_leaves_the_branch_to_its_end() {
    let mut lane = Lane::tcp();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.tm.on_transport_error(lane.now, Origin::Cancel(key, 0));
    lane.drain();
    lane.wait(32_000);
    assert_eq!(lane.heard().status(), 487);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn every_ringing_branch_is_cancelled_and_one_487_goes_upstream() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob", "carol", "dave"]);
    lane.says("bob", 180);
    lane.says("carol", 183);
    lane.says("dave", 486);
    lane.told();
    lane.receives(&cancel());
    assert_eq!(
        lane.told(),
        ["200 -> alice", "CANCEL -> bob", "CANCEL -> carol"]
    );
    lane.says("bob", 487);
    lane.says("carol", 487);
    assert_eq!(lane.told(), ["ACK -> bob", "ACK -> carol", "487 -> alice"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.answers("carol", Method::Cancel, 200);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_the_answer() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.told();
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.rests();
}

#[test]
fn further_groups_are_not_tried_after_a_cancel() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.queues(key, &invite(), &["carol"]);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.told();
    lane.says("bob", 487);
    assert_eq!(lane.told(), ["ACK -> bob", "487 -> alice"]);
    assert_eq!(
        lane.relays(key, &invite(), &["dave"]),
        Err(Refusal::Cancelled)
    );
}

#[test]
fn while_the_script_still_thinks_487_goes_out_at_once() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    lane.wait(50);
    assert_eq!(lane.receives(&cancel()), Arrival::Cancelled(key));
    assert_eq!(lane.told(), ["200 -> alice", "487 -> alice"]);
    // Its decision comes too late.
    assert_eq!(
        lane.relays(key, &invite(), &["bob"]),
        Err(Refusal::Cancelled)
    );
    assert_eq!(
        lane.tm.answer(lane.now, key, 404, "", &[]),
        Err(Refusal::Answered)
    );
    assert_eq!(lane.told(), [""; 0]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn while_the_failure_route_thinks_487_goes_out_at_once() {
    let mut lane = Lane::new();
    let arms = Arms {
        failure: true,
        replies: false,
    };
    let key = lane.forwards_armed(&invite(), &["bob"], arms);
    lane.says("bob", 486);
    assert_eq!(lane.failures.len(), 1);
    lane.told();
    lane.receives(&cancel());
    assert_eq!(lane.told(), ["200 -> alice", "487 -> alice"]);
    assert_eq!(
        lane.relays(key, &invite(), &["carol"]),
        Err(Refusal::Cancelled)
    );
    assert_eq!(lane.tm.forward_best(lane.now, key), Err(Refusal::Answered));
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_cancelled_call_does_not_ask_the_failure_route() {
    let mut lane = Lane::new();
    let arms = Arms {
        failure: true,
        replies: false,
    };
    lane.forwards_armed(&invite(), &["bob"], arms);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.says("bob", 487);
    assert!(lane.failures.is_empty());
    assert_eq!(lane.heard().status(), 487);
}

#[test]
fn after_the_final_response_a_cancel_gets_200_and_does_nothing() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 200);
    lane.told();
    assert_eq!(lane.receives(&cancel()), Arrival::Absorbed);
    assert_eq!(lane.told(), ["200 -> alice"]);
    let heard = lane.heard();
    assert_eq!(heard.cseq().unwrap().method, Method::Cancel);
}

#[test]
fn a_cancel_of_another_request_gets_200_and_does_nothing() {
    let mut lane = Lane::new();
    let text = crate::lane::request_of("MESSAGE", "z9hG4bK-m", "1", "");
    lane.forwards(&text, &["bob"]);
    lane.answers("bob", Method::Message, 100);
    lane.told();
    let cancel = crate::lane::request_of("CANCEL", "z9hG4bK-m", "1", "");
    assert_eq!(lane.receives(&cancel), Arrival::Absorbed);
    assert_eq!(lane.told(), ["200 -> alice"]);
}

#[test]
fn a_cancel_of_nothing_is_left_to_the_caller() {
    let mut lane = Lane::new();
    assert_eq!(lane.receives(&cancel()), Arrival::CancelUnmatched);
    lane.forwards(&invite(), &["bob"]);
    let other = request("CANCEL", "2");
    assert_eq!(lane.receives(&other), Arrival::CancelUnmatched);
    let source = lane.source("alice");
    lane.told();
    lane.tm
        .answer_without_state(&other, &source, 481, "", &[])
        .unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["481 -> alice"]);
}

#[test]
fn the_answers_to_cancel_and_invite_have_one_tag() {
    let mut lane = Lane::new();
    lane.takes(&invite());
    lane.receives(&cancel());
    let tags: Vec<_> = lane
        .sent
        .iter()
        .map(|sent| sent.message.to().unwrap().tag().map(<[u8]>::to_vec))
        .collect();
    assert_eq!(tags.len(), 2);
    assert!(tags[0].is_some());
    assert_eq!(tags[0], tags[1], "RFC 3261 s.9.2");
}

#[test]
fn a_script_cancels_one_branch_or_all() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 180);
    lane.says("carol", 180);
    lane.told();
    lane.tm.cancel_branch(lane.now, key, 1).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["CANCEL -> carol"]);
    lane.says("carol", 487);
    lane.tm.cancel(lane.now, key).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["ACK -> carol", "CANCEL -> bob"]);
    lane.says("bob", 487);
    assert_eq!(lane.told(), ["ACK -> bob", "487 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}
