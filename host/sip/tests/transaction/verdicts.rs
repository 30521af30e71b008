//! Routes that are asked: failures and replies, answered at once or much later, whatever happens meanwhile.

use switchhook_sip::flow::Transport;
use switchhook_sip::message::{Edits, HeaderId, Message, Method, response};
use switchhook_sip::transaction::{Arms, Config, Origin, Refusal};

use crate::lane::{Lane, ack, cancel, invite, request};

const FAILURE: Arms = Arms {
    failure: true,
    replies: false,
};
const REPLIES: Arms = Arms {
    failure: false,
    replies: true,
};

#[test]
fn the_failure_route_sends_the_call_to_the_second_target() {
    let mut lane = Lane::new();
    let key = lane.forwards_armed(&invite(), &["bob", "carol"], FAILURE);
    lane.says("bob", 480);
    lane.says("carol", 486);
    let (asked, best) = &lane.failures[0];
    assert_eq!((*asked, best.status, best.branch), (key, 480, Some(0)));
    let message = best.message.as_ref().unwrap();
    assert_eq!(message.values(HeaderId::Via).count(), 1, "as it would go");
    lane.told();
    lane.wait(5_000);
    lane.relays(key, &invite(), &["dave"]).unwrap();
    lane.says("dave", 200);
    let told = lane.told();
    assert_eq!(told, ["INVITE -> dave", "200 -> alice"]);
    lane.rests();
}

#[test]
fn what_failed_before_the_verdict_no_longer_counts() {
    let mut lane = Lane::new();
    let key = lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.says("bob", 302);
    lane.relays(key, &invite(), &["carol"]).unwrap();
    lane.says("carol", 486);
    assert_eq!(lane.failures.len(), 1, "asked once for each arming");
    assert_eq!(lane.heard().status(), 486);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn armed_again_it_is_asked_again() {
    let mut lane = Lane::new();
    let key = lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.says("bob", 486);
    lane.tm.arm(key, FAILURE);
    lane.relays(key, &invite(), &["carol"]).unwrap();
    lane.says("carol", 480);
    assert_eq!(lane.failures.len(), 2);
    lane.tm.forward_best(lane.now, key).unwrap();
    lane.drain();
    assert_eq!(lane.heard().status(), 480);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn the_failure_route_answers_something_else() {
    let mut lane = Lane::new();
    let key = lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.says("bob", 486);
    lane.told();
    lane.tm.answer(lane.now, key, 404, "", &[]).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["404 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn silence_and_unreachable_targets_are_failures_too() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.wait(32_000);
    let (key, best) = lane.failures.pop().unwrap();
    assert_eq!((best.status, best.branch), (408, Some(0)));
    assert!(best.message.is_none());
    lane.tm.arm(key, FAILURE);
    lane.relays(key, &invite(), &["carol"]).unwrap();
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 1));
    lane.drain();
    let (_, best) = lane.failures.pop().unwrap();
    assert_eq!((best.status, best.branch), (503, Some(1)));
    lane.tm.forward_best(lane.now, key).unwrap();
    lane.drain();
    assert_eq!(lane.heard().status(), 500);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn queued_groups_come_before_the_failure_route() {
    let mut lane = Lane::new();
    let key = lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.queues(key, &invite(), &["carol"]);
    lane.says("bob", 486);
    assert!(lane.failures.is_empty());
    lane.says("carol", 486);
    assert_eq!(lane.failures.len(), 1);
}

#[test]
fn a_verdict_without_a_question_is_refused() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    assert_eq!(
        lane.tm.forward_best(lane.now, key),
        Err(Refusal::NotFailing)
    );
}

#[test]
fn while_the_failure_route_thinks_copies_are_absorbed_and_100_is_said_again() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.says("bob", 486);
    lane.told();
    lane.receives(&invite());
    lane.says("bob", 486);
    assert_eq!(lane.told(), ["100 -> alice", "ACK -> bob"]);
}

#[test]
fn the_reply_route_sees_each_response_and_lets_it_go() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.told();
    lane.says("bob", 100);
    lane.says("bob", 180);
    lane.says("bob", 200);
    assert_eq!(lane.told(), [""; 0], "nothing goes before its verdict");
    let statuses: Vec<_> = lane.questions.iter().map(|q| q.status).collect();
    assert_eq!(statuses, [180, 200]);
    assert_eq!(lane.questions[0].message.values(HeaderId::Via).count(), 2);
    for question in std::mem::take(&mut lane.questions) {
        assert_eq!(question.branch, 0);
        lane.tm.pass(lane.now, question.id, None).unwrap();
    }
    lane.drain();
    assert_eq!(lane.told(), ["180 -> alice", "200 -> alice"]);
    lane.rests();
}

#[test]
fn the_reply_route_edits() {
    let mut lane = Lane::new();
    lane.forwards_armed(&request("MESSAGE", "1"), &["bob"], REPLIES);
    lane.answers("bob", Method::Message, 200);
    let question = lane.questions.pop().unwrap();
    let mut edits = Edits::default();
    let came = &question.message;
    edits.append_field(came, b"X-Seen", b"yes").unwrap();
    edits.set_status_line(came, 202, b"Later").unwrap();
    lane.tm
        .pass(lane.now, question.id, Some(&mut edits))
        .unwrap();
    lane.drain();
    let heard = lane.heard();
    assert_eq!((heard.status(), heard.reason()), (202, &b"Later"[..]));
    assert_eq!(heard.named(b"X-Seen").count(), 1);
    assert_eq!(heard.values(HeaderId::Via).count(), 1);
    lane.rests();
}

#[test]
fn an_edit_that_makes_a_provisional_final_is_refused_and_another_verdict_is_due() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.says("bob", 180);
    let question = lane.questions.pop().unwrap();
    let mut edits = Edits::default();
    edits
        .set_status_line(&question.message, 486, b"No")
        .unwrap();
    assert_eq!(
        lane.tm.pass(lane.now, question.id, Some(&mut edits)),
        Err(Refusal::Status(486))
    );
    lane.told();
    lane.tm.pass(lane.now, question.id, None).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["180 -> alice"]);
    assert_eq!(
        lane.tm.pass(lane.now, question.id, None),
        Err(Refusal::Gone),
        "one verdict each"
    );
}

#[test]
fn a_failure_waits_for_its_verdict_before_the_best_is_chosen() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob", "carol"], REPLIES);
    lane.says("bob", 486);
    lane.says("carol", 404);
    lane.told();
    let carol = lane.questions.pop().unwrap();
    let bob = lane.questions.pop().unwrap();
    lane.wait(1_000);
    lane.tm.pass(lane.now, carol.id, None).unwrap();
    lane.drain();
    assert_eq!(lane.told(), [""; 0]);
    lane.tm.pass(lane.now, bob.id, None).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["404 -> alice"], "the first that was passed");
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_branch_whose_failure_is_withheld_has_said_nothing() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.says("bob", 180);
    lane.says("bob", 486);
    for question in std::mem::take(&mut lane.questions) {
        lane.tm.withhold(lane.now, question.id).unwrap();
    }
    lane.drain();
    assert_eq!(lane.heard().status(), 408);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn copies_of_a_2xx_follow_it_as_it_went_and_another_callees_2xx_is_asked_about() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.says("bob", 200);
    lane.says("bob", 200);
    let first = lane.questions.pop().unwrap();
    assert!(
        lane.questions.is_empty(),
        "its copy came before the verdict"
    );
    let mut edits = Edits::default();
    edits
        .append_field(&first.message, b"X-Seen", b"once")
        .unwrap();
    lane.tm.pass(lane.now, first.id, Some(&mut edits)).unwrap();
    lane.drain();
    let went = lane.heard();
    lane.told();
    lane.says("bob", 200);
    assert!(lane.questions.is_empty());
    assert_eq!(lane.told(), ["200 -> alice"]);
    assert_eq!(lane.heard().bytes(), went.bytes());
    // Downstream of bob the call was forked, and somebody else answers it too.
    let sent = lane.last("bob", Method::Invite);
    let other = response(&sent, 200, "OK", Some("other")).finish();
    let other = Message::parse(other).unwrap();
    for _ in 0..2 {
        lane.tm.on_response(lane.now, &other);
        lane.drain();
    }
    let question = lane.questions.pop().unwrap();
    lane.tm.pass(lane.now, question.id, None).unwrap();
    lane.questions.clear();
    lane.tm.on_response(lane.now, &other);
    lane.drain();
    assert!(lane.questions.is_empty());
    assert_eq!(lane.told(), ["200 -> alice", "200 -> alice"]);
    lane.rests();
}

#[test]
fn a_cancel_while_a_2xx_waits_does_not_cancel_that_branch() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob", "carol"], REPLIES);
    lane.says("bob", 180);
    lane.says("carol", 180);
    lane.says("bob", 200);
    lane.told();
    lane.receives(&cancel());
    assert_eq!(lane.told(), ["200 -> alice", "CANCEL -> carol"]);
    let answered = lane.questions.pop().unwrap();
    lane.tm.pass(lane.now, answered.id, None).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["200 -> alice"]);
    assert_eq!(lane.heard().cseq().unwrap().method, Method::Invite);
    for ringing in std::mem::take(&mut lane.questions) {
        let passed = lane.tm.pass(lane.now, ringing.id, None);
        assert_eq!(passed, Err(Refusal::Gone), "ringing is no news any more");
    }
    lane.says("carol", 487);
    lane.answers("carol", Method::Cancel, 200);
    assert_eq!(lane.told(), ["ACK -> carol"]);
    lane.rests();
}

#[test]
fn a_cancelled_branchs_487_is_asked_about_and_goes_upstream() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.says("bob", 180);
    lane.receives(&cancel());
    lane.says("bob", 487);
    let question = lane.questions.pop().unwrap();
    lane.tm.pass(lane.now, question.id, None).unwrap();
    lane.drain();
    assert_eq!(lane.heard().status(), 487);
    lane.answers("bob", Method::Cancel, 200);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_verdict_after_everything_is_over_is_refused_and_nothing_is_left() {
    let mut lane = Lane::new();
    let key = lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.says("bob", 200);
    let question = lane.questions.pop().unwrap();
    lane.tm.terminate(key);
    lane.drain();
    assert!(lane.tm.is_idle());
    assert_eq!(
        lane.tm.pass(lane.now, question.id, None),
        Err(Refusal::Gone)
    );
    assert_eq!(lane.tm.withhold(lane.now, question.id), Err(Refusal::Gone));
}

#[test]
fn timer_c_does_not_run_out_on_a_branch_whose_answer_is_being_judged() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.says("bob", 100);
    lane.wait(100_000);
    lane.says("bob", 486);
    lane.wait(100_000);
    let question = lane.questions.pop().unwrap();
    lane.tm.pass(lane.now, question.id, None).unwrap();
    lane.drain();
    assert_eq!(lane.heard().status(), 486);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn reply_and_failure_routes_together() {
    let mut lane = Lane::new();
    let arms = Arms {
        failure: true,
        replies: true,
    };
    let key = lane.forwards_armed(&invite(), &["bob"], arms);
    lane.says("bob", 486);
    assert!(lane.failures.is_empty());
    let question = lane.questions.pop().unwrap();
    let mut edits = Edits::default();
    edits
        .append_field(&question.message, b"X-Seen", b"yes")
        .unwrap();
    lane.tm
        .pass(lane.now, question.id, Some(&mut edits))
        .unwrap();
    lane.drain();
    let (_, best) = lane.failures.pop().unwrap();
    assert_eq!(best.message.unwrap().named(b"X-Seen").count(), 1);
    lane.tm.forward_best(lane.now, key).unwrap();
    lane.drain();
    assert_eq!(lane.heard().named(b"X-Seen").count(), 1);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_late_2xx_overtakes_the_failure_route() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    lane.tm.arm(key, FAILURE);
    let wait = switchhook_sip::transaction::Wait {
        first: None,
        answer: Some(std::time::Duration::from_secs(5)),
    };
    let bob = lane.branch(&invite(), "bob", wait);
    lane.tm.relay(lane.now, key, [bob]).unwrap();
    lane.drain();
    lane.says("bob", 180);
    lane.wait(5_000);
    assert_eq!(lane.failures.len(), 1);
    lane.says("bob", 200);
    assert_eq!(lane.heard().status(), 200);
    assert_eq!(
        lane.relays(key, &invite(), &["carol"]),
        Err(Refusal::Answered)
    );
    assert_eq!(lane.tm.forward_best(lane.now, key), Err(Refusal::Answered));
    lane.answers("bob", Method::Cancel, 200);
    lane.rests();
}

/// After that long nobody waits for a verdict any more.
const PATIENCE: u64 = 181_000;

#[test]
fn a_decision_that_is_forgotten_becomes_500() {
    let mut lane = Lane::new();
    lane.takes(&invite());
    lane.wait(PATIENCE - 1);
    assert_eq!(lane.told(), ["100 -> alice"]);
    lane.wait(1);
    assert_eq!(lane.told(), ["500 -> alice"]);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_verdict_on_a_failure_that_is_forgotten_becomes_the_best() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], FAILURE);
    lane.says("bob", 486);
    lane.wait(PATIENCE);
    assert_eq!(lane.heard().status(), 486);
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_verdict_on_a_reply_that_is_forgotten_lets_it_go() {
    let mut lane = Lane::new();
    lane.forwards_armed(&invite(), &["bob"], REPLIES);
    lane.wait(1_000);
    lane.says("bob", 200);
    lane.wait(PATIENCE);
    assert_eq!(lane.heard().status(), 200);
    let question = lane.questions.pop().unwrap();
    assert_eq!(
        lane.tm.pass(lane.now, question.id, None),
        Err(Refusal::Gone)
    );
    lane.rests();
}

#[test]
fn questions_nobody_answered_do_not_keep_a_2xx_and_its_copies_back() {
    let config = Config {
        max_held: 1,
        ..Config::default()
    };
    let mut lane = Lane::with(Transport::Udp, Transport::Udp, config);
    lane.forwards_armed(&invite(), &["bob", "carol"], REPLIES);
    lane.says("carol", 486);
    lane.says("bob", 180);
    lane.says("bob", 200);
    let question = lane.questions.pop().unwrap();
    lane.tm.pass(lane.now, question.id, None).unwrap();
    let asked = lane.questions.len();
    for _ in 0..3 {
        lane.says("bob", 200);
        assert_eq!(lane.questions.len(), asked);
    }
    assert_eq!(lane.tm.usage().held, 0);
    lane.rests();
}
