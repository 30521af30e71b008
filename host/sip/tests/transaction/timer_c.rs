//! Timer C: RFC 3261 s.16.6 step 11, s.16.7 step 2, s.16.8.

use switchhook_sip::message::Method;

use crate::lane::{Lane, ack, invite};

const C: u64 = 181_000;

#[test]
fn a_call_that_rings_for_ever_is_cancelled_and_answered_408() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.told();
    lane.wait(C - 1);
    assert_eq!(lane.told(), [""; 0]);
    lane.wait(1);
    assert_eq!(lane.told(), ["CANCEL -> bob", "408 -> alice"]);
    lane.receives(&ack());
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    assert_eq!(lane.told(), ["ACK -> bob"]);
    lane.rests();
}

#[test]
fn ringing_again_starts_it_again() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.wait(C - 1_000);
    lane.says("bob", 183);
    lane.wait(C - 1_000);
    lane.says("bob", 199);
    lane.told();
    lane.wait(C - 1);
    assert_eq!(lane.told(), [""; 0]);
    lane.wait(1);
    assert_eq!(lane.told(), ["CANCEL -> bob", "408 -> alice"]);
}

#[test]
fn a_100_does_not_start_it_again() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.wait(C - 1_000);
    lane.says("bob", 100);
    lane.told();
    lane.wait(1_000);
    assert_eq!(lane.told(), ["CANCEL -> bob", "408 -> alice"]);
}

#[test]
fn a_branch_that_does_not_obey_its_cancel_is_given_up_64_t1_later() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.wait(C);
    lane.answers("bob", Method::Cancel, 200);
    lane.receives(&ack());
    lane.rests();
    assert_eq!(lane.time(), C + 32_000);
}
