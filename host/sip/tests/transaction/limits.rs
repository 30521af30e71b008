//! What is bounded, and how a full lane says so.

use switchhook_sip::flow::Transport;
use switchhook_sip::transaction::{Arms, Arrival, Config, NotCreated, Refusal};

use crate::lane::{Lane, invite, request};

#[test]
fn a_full_lane_makes_no_more_transactions_and_still_finishes_its_own() {
    let config = Config {
        max_transactions: 2,
        ..Config::default()
    };
    let mut lane = Lane::with(Transport::Udp, Transport::Udp, config);
    lane.takes(&request("OPTIONS", "1"));
    let key = lane.takes(&request("OPTIONS", "2"));
    let third = request("OPTIONS", "3");
    assert!(matches!(lane.create(&third), Err(NotCreated::Full("data"))));
    lane.tm.terminate(key);
    lane.drain();
    lane.takes(&third);
}

#[test]
fn a_transaction_has_so_many_branches_and_no_more() {
    let config = Config {
        max_branches: 3,
        ..Config::default()
    };
    let mut lane = Lane::with(Transport::Udp, Transport::Udp, config);
    let key = lane.takes(&invite());
    let refused = |got| Err(Refusal::Branches { got, max: 3 });
    assert_eq!(lane.relays(key, &invite(), &[]), refused(0));
    let four = ["bob", "carol", "dave", "erin"];
    assert_eq!(lane.relays(key, &invite(), &four), refused(4));
    assert_eq!(lane.told(), [""; 0], "all or none");
    lane.relays(key, &invite(), &["bob", "carol"]).unwrap();
    lane.queues(key, &invite(), &["dave"]);
    let one_more = lane.branches(&invite(), &["erin"]);
    assert_eq!(lane.tm.queue(key, one_more), refused(4));
}

#[test]
fn a_peer_that_rings_without_end_does_not_fill_the_lane_with_questions() {
    let config = Config {
        max_held: 4,
        ..Config::default()
    };
    let mut lane = Lane::with(Transport::Udp, Transport::Udp, config);
    let replies = Arms {
        failure: false,
        replies: true,
    };
    lane.forwards_armed(&invite(), &["bob"], replies);
    for _ in 0..100 {
        lane.says("bob", 180);
    }
    assert_eq!(lane.questions.len(), 4);
    lane.says("bob", 486);
    assert_eq!(
        lane.questions.len(),
        5,
        "the final one is always asked about"
    );
    assert_eq!(lane.tm.usage().held, 5);
}

#[test]
fn a_peer_cannot_build_chains_in_the_tables() {
    let mut lane = Lane::new();
    let one_branch = |method: &str| crate::lane::request_of(method, "z9hG4bK-1", method, "");
    for number in 0..8 {
        lane.takes(&one_branch(&format!("M{number}")));
    }
    let next = lane.create(&one_branch("M8"));
    assert!(
        matches!(next, Err(NotCreated::Full(_))),
        "one branch, ever new methods"
    );

    let one_call =
        |number| crate::lane::request_of("INVITE", &format!("z9hG4bK-c{number}"), "c", "");
    let first = lane.takes(&one_call(0));
    for number in 1..100 {
        let merged = Arrival::New {
            merged: Some(first),
        };
        assert_eq!(lane.receives(&one_call(number)), merged);
        lane.create(&one_call(number)).unwrap();
    }
}
