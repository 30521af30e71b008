//! One request, one target: RFC 3261 s.17's tables as they work together in a proxy.

use switchhook_sip::flow::Transport;
use switchhook_sip::message::{HeaderId, Method};
use switchhook_sip::transaction::{Arrival, Config, Matched, Origin, Refusal};

use crate::lane::{Lane, ack, cancel, invite, message, request, request_of};

#[test]
fn a_call_goes_through_and_nothing_is_left() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    assert_eq!(lane.told(), ["INVITE -> bob", "100 -> alice"]);
    lane.says("bob", 100);
    lane.says("bob", 180);
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["180 -> alice", "200 -> alice"]);
    let end_to_end = request_of("ACK", "z9hG4bK-other", "1", ";tag=bob");
    assert_eq!(lane.receives(&end_to_end), Arrival::Ack { of: None });
    lane.rests();
    assert_eq!(lane.told(), [""; 0]);
    assert_eq!(lane.ended, ["data"]);
    assert_eq!(lane.time(), 32_000, "timers L and M");
}

#[test]
fn a_relayed_response_has_lost_our_via_and_nothing_else() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.answers_with("bob", Method::Invite, 200, &[("X-Odd", "  spaced\t ")]);
    let heard = lane.heard();
    assert_eq!(heard.values(HeaderId::Via).count(), 1);
    assert_eq!(heard.header(HeaderId::Via), invite().header(HeaderId::Via));
    assert_eq!(heard.reason(), b"Because");
    assert_eq!(heard.to().unwrap().tag(), Some(&b"bob"[..]));
}

#[test]
fn silence_is_filled_with_100_after_200_ms() {
    let mut lane = Lane::new();
    lane.takes(&invite());
    lane.wait(199);
    assert_eq!(lane.told(), [""; 0]);
    lane.wait(1);
    assert_eq!(lane.told_when(), ["200 100 -> alice"]);
    assert!(lane.heard().to().unwrap().tag().is_none());
}

#[test]
fn copies_of_the_invite_get_the_last_provisional_again() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.told();
    assert_eq!(lane.receives(&invite()), Arrival::Absorbed);
    assert_eq!(lane.told(), ["100 -> alice"]);
    lane.says("bob", 183);
    lane.told();
    assert_eq!(lane.receives(&invite()), Arrival::Absorbed);
    assert_eq!(lane.told(), ["183 -> alice"]);
}

#[test]
fn a_silent_invite_is_sent_again_until_timer_b_and_answered_408() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.told();
    lane.wait(32_000);
    assert_eq!(
        lane.told_when(),
        [
            "500 INVITE -> bob",
            "1500 INVITE -> bob",
            "3500 INVITE -> bob",
            "7500 INVITE -> bob",
            "15500 INVITE -> bob",
            "31500 INVITE -> bob",
            "32000 408 -> alice",
        ]
    );
    lane.receives(&ack());
    lane.rests();
}

#[test]
fn a_failure_is_acknowledged_hop_by_hop_on_both_sides() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.told();
    lane.says("bob", 486);
    assert_eq!(lane.told(), ["ACK -> bob", "486 -> alice"]);
    let hop = lane.last("bob", Method::Ack);
    let sent = lane.last("bob", Method::Invite);
    assert_eq!(hop.via().unwrap().branch(), sent.via().unwrap().branch());
    assert_eq!(hop.to().unwrap().tag(), Some(&b"bob"[..]));
    // Copies on either side meet the same answers.
    lane.says("bob", 486);
    assert_eq!(lane.told(), ["ACK -> bob"]);
    assert_eq!(lane.receives(&invite()), Arrival::Absorbed);
    assert_eq!(lane.told(), ["486 -> alice"]);
    lane.wait(500);
    assert_eq!(lane.told(), ["486 -> alice"], "timer G");
    assert_eq!(lane.receives(&ack()), Arrival::Absorbed);
    assert_eq!(lane.receives(&ack()), Arrival::Absorbed);
    assert_eq!(lane.receives(&invite()), Arrival::Absorbed);
    lane.rests();
    assert_eq!(lane.told(), [""; 0]);
}

#[test]
fn an_answer_that_is_never_acknowledged_is_repeated_until_timer_h() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    lane.tm.answer(lane.now, key, 403, "", &[]).unwrap();
    lane.rests();
    let when: Vec<_> = lane.sent.iter().map(|sent| sent.at).collect();
    assert_eq!(
        when,
        [
            0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    assert_eq!(lane.time(), 32_000);
}

#[test]
fn copies_of_2xx_go_upstream_while_accepted_and_are_late_after_that() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 200);
    lane.told();
    for _ in 0..3 {
        lane.wait(4_000);
        assert_eq!(lane.says("bob", 200), Matched::Taken);
        assert_eq!(lane.told(), ["200 -> alice"]);
    }
    assert_eq!(lane.receives(&invite()), Arrival::Absorbed, "accepted");
    assert_eq!(lane.told(), [""; 0]);
    lane.rests();
    assert_eq!(lane.says("bob", 200), Matched::Late, "RFC 6026: dropped");
    assert_eq!(lane.told(), [""; 0]);
}

#[test]
fn an_ack_on_the_invites_own_branch_is_passed_on_after_a_2xx() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 200);
    assert_eq!(lane.receives(&ack()), Arrival::Ack { of: Some(key) });
}

#[test]
fn a_message_goes_through() {
    let mut lane = Lane::new();
    let text = request("MESSAGE", "1");
    lane.forwards(&text, &["bob"]);
    lane.wait(500);
    assert_eq!(lane.receives(&text), Arrival::Absorbed);
    assert_eq!(lane.told(), ["MESSAGE -> bob", "MESSAGE -> bob"]);
    lane.answers("bob", Method::Message, 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    assert_eq!(lane.receives(&text), Arrival::Absorbed);
    assert_eq!(lane.told(), ["200 -> alice"], "the same again");
    lane.answers("bob", Method::Message, 200);
    assert_eq!(lane.told(), [""; 0], "bob's copy is absorbed");
    lane.rests();
    assert_eq!(lane.time(), 32_500, "timer J");
}

#[test]
fn over_tcp_nothing_is_repeated_and_nothing_lingers() {
    let mut lane = Lane::tcp();
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    lane.wait(3_000);
    lane.answers("bob", Method::Message, 200);
    assert_eq!(lane.told(), ["MESSAGE -> bob", "200 -> alice"]);
    assert!(lane.tm.is_idle());

    lane.forwards(&invite(), &["bob"]);
    lane.wait(10_000);
    lane.says("bob", 486);
    lane.wait(10_000);
    assert_eq!(
        lane.told(),
        [
            "INVITE -> bob",
            "100 -> alice",
            "ACK -> bob",
            "486 -> alice"
        ]
    );
    lane.receives(&ack());
    assert!(lane.tm.is_idle());
}

#[test]
fn rfc_4320_a_non_invite_hears_100_late_and_408_never() {
    let mut lane = Lane::new();
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    lane.answers("bob", Method::Message, 100);
    lane.answers("bob", Method::Message, 183);
    lane.rests();
    let heard: Vec<_> = lane
        .sent
        .iter()
        .filter(|sent| sent.to == "alice")
        .map(|sent| (sent.at, sent.message.status()))
        .collect();
    assert_eq!(heard, [(3_500, 100)]);
    assert_eq!(lane.time(), 32_000);
    assert_eq!(lane.ended, ["data"]);
}

#[test]
fn rfc_4320_not_even_a_408_that_somebody_else_made() {
    let mut lane = Lane::new();
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    lane.answers("bob", Method::Message, 408);
    lane.rests();
    assert_eq!(lane.told(), ["MESSAGE -> bob"]);
}

#[test]
fn prack_and_update_pass_while_the_call_rings() {
    let mut lane = Lane::new();
    lane.forwards(&invite(), &["bob"]);
    for rseq in ["1", "1", "2"] {
        lane.told();
        let reliable = [("Require", "100rel"), ("RSeq", rseq)];
        lane.answers_with("bob", Method::Invite, 183, &reliable);
        assert_eq!(lane.told(), ["183 -> alice"], "copies too (RFC 3262)");
    }
    for method in ["PRACK", "UPDATE"] {
        let inside = request_of(method, &format!("z9hG4bK-{method}"), "1", ";tag=bob");
        lane.forwards(&inside, &["bob"]);
        lane.answers("bob", inside.method(), 200);
        assert_eq!(
            lane.told(),
            [format!("{method} -> bob"), "200 -> alice".into()]
        );
    }
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
    lane.rests();
    assert_eq!(lane.ended.len(), 3);
}

#[test]
fn from_udp_to_tcp_only_upstream_repeats() {
    let mut lane = Lane::with(Transport::Udp, Transport::Tcp, Config::default());
    lane.forwards(&invite(), &["bob"]);
    lane.wait(5_000);
    lane.says("bob", 603);
    lane.wait(600);
    assert_eq!(
        lane.told_when(),
        [
            "0 INVITE -> bob",
            "0 100 -> alice",
            "5000 ACK -> bob",
            "5000 603 -> alice",
            "5500 603 -> alice",
        ]
    );
}

#[test]
fn towards_a_stream_a_response_gets_its_content_length() {
    let mut lane = Lane::with(Transport::Tcp, Transport::Udp, Config::default());
    lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    let via = lane.last("bob", Method::Message);
    let via: Vec<_> = via
        .values(HeaderId::Via)
        .map(|via| String::from_utf8_lossy(via).into_owned())
        .collect();
    let reply = message(&format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n\
         From: <sip:a@h>;tag=a\r\nTo: <sip:b@h>;tag=b\r\n\r\nhello",
        via.join(", ")
    ));
    assert_eq!(lane.tm.on_response(lane.now, &reply), Matched::Taken);
    lane.drain();
    assert_eq!(
        lane.heard().header(HeaderId::ContentLength),
        Some(&b"5"[..])
    );
}

#[test]
fn a_request_that_cannot_be_sent_counts_as_503_and_is_answered_500() {
    let mut lane = Lane::tcp();
    let key = lane.forwards(&request("MESSAGE", "1"), &["bob"]);
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    assert_eq!(lane.told(), ["MESSAGE -> bob", "500 -> alice"]);
    lane.rests();
}

#[test]
fn a_late_error_of_a_request_that_was_answered_changes_nothing() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    lane.says("bob", 200);
    lane.tm.on_transport_error(lane.now, Origin::Branch(key, 0));
    lane.drain();
    assert_eq!(
        lane.told(),
        [
            "INVITE -> bob",
            "100 -> alice",
            "180 -> alice",
            "200 -> alice"
        ]
    );
    lane.rests();
}

#[test]
fn when_the_caller_cannot_be_answered_its_branches_are_cancelled() {
    let mut lane = Lane::tcp();
    let key = lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 180);
    lane.told();
    lane.tm.on_transport_error(lane.now, Origin::Server(key));
    lane.drain();
    assert_eq!(lane.told(), ["CANCEL -> bob"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    lane.says("carol", 100);
    lane.answers("carol", Method::Cancel, 200);
    lane.says("carol", 487);
    assert_eq!(
        lane.told(),
        ["ACK -> bob", "CANCEL -> carol", "ACK -> carol"],
        "and nothing more to alice"
    );
    lane.rests();
}

#[test]
fn after_a_2xx_a_transport_error_upstream_ends_nothing() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 200);
    lane.tm.on_transport_error(lane.now, Origin::Server(key));
    lane.drain();
    lane.told();
    lane.says("bob", 200);
    assert_eq!(lane.told(), ["200 -> alice"]);
}

#[test]
fn a_script_answers_for_itself() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    lane.tm.answer(lane.now, key, 180, "", &[]).unwrap();
    let extra: [(&[u8], &[u8]); 1] = [(b"Retry-After", b"5")];
    lane.tm
        .answer(lane.now, key, 480, "Asleep", &extra)
        .unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["180 -> alice", "480 -> alice"]);
    let heard = lane.heard();
    assert_eq!(heard.reason(), b"Asleep");
    assert_eq!(heard.named(b"Retry-After").count(), 1);
    let tag = lane.tm.to_tag(&invite()).unwrap();
    assert_eq!(heard.to().unwrap().tag(), Some(tag.as_str().as_bytes()));
    assert_eq!(
        lane.tm.answer(lane.now, key, 200, "", &[]),
        Err(Refusal::Answered)
    );
    assert_eq!(lane.receives(&ack()), Arrival::Absorbed);
    lane.rests();
}

#[test]
fn an_answer_in_place_of_branches_cancels_them() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.told();
    lane.tm.answer(lane.now, key, 600, "", &[]).unwrap();
    lane.drain();
    assert_eq!(lane.told(), ["600 -> alice", "CANCEL -> bob"]);
    lane.receives(&ack());
    lane.answers("bob", Method::Cancel, 200);
    lane.says("bob", 487);
    assert_eq!(lane.told(), ["ACK -> bob"]);
    lane.rests();
}

#[test]
fn terminate_drops_everything_in_silence() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob", "carol"]);
    lane.says("bob", 180);
    lane.told();
    lane.tm.terminate(key);
    lane.drain();
    assert!(lane.tm.is_idle());
    assert_eq!(lane.ended, ["data"]);
    assert_eq!(lane.told(), [""; 0]);
    assert_eq!(lane.says("bob", 200), Matched::Late);
    assert_eq!(lane.tm.cancel(lane.now, key), Err(Refusal::Gone));
}

#[test]
fn a_2xx_of_the_scripts_own_is_repeated_until_its_ack_comes() {
    for mut lane in [Lane::new(), Lane::tcp()] {
        let key = lane.takes(&invite());
        lane.tm.answer(lane.now, key, 200, "", &[]).unwrap();
        lane.drain();
        lane.wait(4_000);
        assert_eq!(
            lane.told_when(),
            [
                "0 200 -> alice",
                "500 200 -> alice",
                "1500 200 -> alice",
                "3500 200 -> alice"
            ]
        );
        let tag = lane.tm.to_tag(&invite()).unwrap();
        let other = request_of("ACK", "z9hG4bK-end-to-end", "1", ";tag=bob");
        assert_eq!(lane.receives(&other), Arrival::Ack { of: None });
        let ack = request_of("ACK", "z9hG4bK-end-to-end", "1", &format!(";tag={tag}"));
        assert_eq!(lane.receives(&ack), Arrival::Absorbed);
        assert_eq!(lane.receives(&ack), Arrival::Absorbed, "and its copies");
        lane.rests();
        assert_eq!(lane.told(), [""; 0]);
    }
}

#[test]
fn a_2xx_of_the_scripts_own_that_is_never_acknowledged_ends_with_timer_l() {
    let mut lane = Lane::new();
    let key = lane.takes(&invite());
    lane.tm.answer(lane.now, key, 200, "", &[]).unwrap();
    lane.rests();
    assert_eq!(lane.sent.len(), 11);
    assert_eq!(lane.time(), 32_000);
}

#[test]
fn a_2xx_of_the_scripts_own_and_one_of_a_branch_do_not_get_mixed_up() {
    let mut lane = Lane::new();
    let key = lane.forwards(&invite(), &["bob"]);
    lane.says("bob", 180);
    lane.tm.answer(lane.now, key, 202, "", &[]).unwrap();
    lane.drain();
    lane.says("bob", 200);
    lane.told();
    lane.wait(500);
    let mut told = lane.told();
    told.sort();
    assert_eq!(told, ["202 -> alice", "CANCEL -> bob"]);
    lane.answers("bob", Method::Cancel, 200);
    lane.rests();
}

#[test]
fn answers_made_here_name_the_server() {
    let config = Config {
        server: "switchhook-test".into(),
        ..Config::default()
    };
    let mut lane = Lane::with(Transport::Udp, Transport::Udp, config);
    let server = |lane: &Lane| {
        let heard = lane.heard();
        let server = heard.header(HeaderId::Server).map(<[u8]>::to_vec);
        (heard.status(), server)
    };
    let ours = Some(b"switchhook-test".to_vec());
    lane.forwards(&invite(), &["bob"]);
    assert_eq!(server(&lane), (100, ours.clone()));
    lane.says("bob", 180);
    assert_eq!(server(&lane), (180, None), "not in what others said");
    lane.receives(&cancel());
    assert_eq!(server(&lane), (200, ours.clone()));
    lane.wait(64_000);
    assert_eq!(server(&lane), (487, ours));
    lane.receives(&ack());
    lane.rests();
}
