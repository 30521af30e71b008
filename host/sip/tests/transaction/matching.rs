//! What belongs together: RFC 3261 s.8.2.2.2, s.17.1.3, s.17.2.3, RFC 6026 s.8.

use switchhook_sip::message::{Method, response};
use switchhook_sip::transaction::{Arrival, Matched, NotCreated};

use crate::lane::{Lane, ack, invite, message, request, request_of};

fn legacy(method: &str, cseq: u32, to: &str) -> switchhook_sip::message::Message {
    message(&format!(
        "{method} sip:bob@example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=1\r\n\
         From: <sip:alice@example.test>;tag=a\r\n\
         To: <sip:bob@example.test>{to}\r\n\
         Call-ID: old\r\n\
         CSeq: {cseq} {method}\r\n\r\n"
    ))
}

#[test]
fn a_peer_of_rfc_2543_is_matched_without_a_branch() {
    let mut lane = Lane::new();
    let invite = legacy("INVITE", 7, "");
    let key = lane.forwards(&invite, &["bob"]);
    assert_eq!(lane.receives(&invite), Arrival::Absorbed);
    lane.says("bob", 180);
    let cancel = legacy("CANCEL", 7, "");
    assert_eq!(lane.receives(&cancel), Arrival::Cancelled(key));
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    lane.told();
    let ack = legacy("ACK", 7, ";tag=bob");
    assert_eq!(lane.receives(&ack), Arrival::Absorbed);
    lane.rests();
    assert_eq!(lane.told(), [""; 0], "the ACK has stopped timer G");
}

#[test]
fn the_same_branch_from_another_place_is_another_transaction() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    let text = String::from_utf8(invite().bytes().to_vec()).unwrap();
    let other = message(&text.replace("UDP 192.0.2.1;", "UDP 192.0.2.9;"));
    assert!(matches!(lane.receives(&other), Arrival::New { .. }));
}

#[test]
fn a_request_that_comes_by_a_second_way_is_told_as_merged() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    let twin = request_of("INVITE", "z9hG4bK-second-way", "1", "");
    let merged = Arrival::New { merged: Some(key) };
    assert_eq!(lane.receives(&twin), merged);
    let within_dialog = request_of("INVITE", "z9hG4bK-third-way", "1", ";tag=bob");
    let new = Arrival::New { merged: None };
    assert_eq!(lane.receives(&within_dialog), new);
    let other_call = request_of("INVITE", "z9hG4bK-fourth-way", "2", "");
    assert_eq!(lane.receives(&other_call), new);
    lane.says("bob", 200);
    lane.rests();
    assert_eq!(lane.receives(&twin), new, "nothing is going on any more");
}

#[test]
fn a_response_to_nothing_of_ours_is_unknown_and_to_what_is_over_late() {
    let mut lane = Lane::new();
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    let strange = message(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.100;branch=z9hG4bKstateless\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCSeq: 1 MESSAGE\r\n\r\n",
    );
    assert_eq!(lane.tm.on_response(lane.now, &strange), Matched::Unknown);
    let headless = message("SIP/2.0 200 OK\r\nCSeq: 1 MESSAGE\r\n\r\n");
    assert_eq!(lane.tm.on_response(lane.now, &headless), Matched::Unknown);
    assert_eq!(lane.answers("bob", Method::Message, 200), Matched::Taken);
    lane.rests();
    assert_eq!(lane.answers("bob", Method::Message, 200), Matched::Late);
}

#[test]
fn a_response_with_another_method_does_not_match() {
    let mut lane = Lane::new();
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    let sent = lane.last("bob", Method::Message);
    let reply = response(&sent, 200, "OK", None).finish();
    let text = String::from_utf8(reply.to_vec()).unwrap();
    for method in ["OPTIONS", "INVITE", "CANCEL"] {
        let other = message(&text.replace("1 MESSAGE", &format!("1 {method}")));
        lane.tm.on_response(lane.now, &other);
    }
    lane.drain();
    assert_eq!(lane.told(), ["MESSAGE -> bob"]);
}

#[test]
fn a_forged_branch_number_is_not_ours() {
    let mut lane = Lane::new();
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    let sent = lane.last("bob", Method::Message);
    let branch = sent.via().unwrap().branch().unwrap().to_vec();
    let branch = String::from_utf8(branch).unwrap();
    let mut forged = branch.clone();
    let digit = if &forged[10..11] == "0" { "1" } else { "0" };
    forged.replace_range(10..11, digit);
    let reply = response(&sent, 200, "OK", None).finish();
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let forged = message(&text.replace(&branch, &forged));
    assert_eq!(lane.tm.on_response(lane.now, &forged), Matched::Unknown);
}

#[test]
fn answers_without_state_are_repeated_by_nobody_and_their_ack_is_absorbed() {
    let mut lane = Lane::new();
    let source = lane.source("alice");
    for _ in 0..2 {
        assert_eq!(lane.receives(&invite()), Arrival::New { merged: None });
        lane.tm
            .answer_without_state(&invite(), &source, 404, "", &[])
            .unwrap();
        lane.drain();
    }
    assert_eq!(lane.told(), ["404 -> alice", "404 -> alice"]);
    let tags: Vec<_> = lane
        .sent
        .iter()
        .map(|sent| sent.message.to().unwrap().tag())
        .collect();
    assert_eq!(tags[0], tags[1], "copies get one tag");
    let tag = std::str::from_utf8(tags[0].unwrap()).unwrap().to_owned();
    let hop = request_of("ACK", "z9hG4bK-INVITE-1", "1", &format!(";tag={tag}"));
    assert_eq!(lane.receives(&hop), Arrival::Absorbed);
    assert!(lane.tm.ends_stateless(hop.bytes()), "a glance is enough");
    assert_eq!(lane.receives(&ack()), Arrival::Ack { of: None });
    assert!(!lane.tm.ends_stateless(ack().bytes()));
    let other = request_of("BYE", "z9hG4bK-INVITE-1", "1", &format!(";tag={tag}"));
    assert!(
        !lane.tm.ends_stateless(other.bytes()),
        "only an ACK is dropped"
    );
    assert!(lane.tm.is_idle());
}

#[test]
fn what_is_new_is_turned_away_and_what_has_begun_is_not() {
    let mut lane = Lane::new();
    let source = lane.source("alice");
    let key = lane.forwards(&invite(), &["bob"]);
    lane.told();
    let others = [
        invite(),
        request_of("CANCEL", "z9hG4bK-INVITE-1", "1", ""),
        ack(),
        request_of("BYE", "z9hG4bK-bye", "2", ";tag=b"),
    ];
    for begun in &others {
        let turned_away = lane.tm.turn_away(begun, &source, 503, &[]);
        assert!(!turned_away, "{:?}", begun.method());
    }
    lane.drain();
    assert!(lane.told().is_empty());
    let new = request_of("INVITE", "z9hG4bK-new", "1", "");
    assert!(lane.tm.turn_away(&new, &source, 503, &[]));
    lane.drain();
    assert_eq!(lane.told(), ["503 -> alice"]);
    let answer = &lane.sent.last().unwrap().message;
    let tag = std::str::from_utf8(answer.to_tag().unwrap())
        .unwrap()
        .to_owned();
    let hop = request_of("ACK", "z9hG4bK-new", "1", &format!(";tag={tag}"));
    assert!(lane.tm.ends_stateless(hop.bytes()));
    // The next try is a request as any other, once there is room.
    assert!(matches!(lane.receives(&new), Arrival::New { .. }));
    assert!(lane.tm.is_pending(key));
}

#[test]
fn one_request_gets_one_transaction() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    assert!(matches!(lane.create(&invite()), Err(NotCreated::Exists(same, _)) if same == key));
    assert!(matches!(lane.create(&ack()), Err(NotCreated::Unfit(_))));
}
