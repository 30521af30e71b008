//! Every family of routes over the network: tests/guests/routes does what header fields tell it, and tells what it did.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::time::Duration;

use switchhook_tests::{Daemon, Peer, Place, Setup, answer, beside, guest, patience, status};

struct Stage<'a> {
    daemon: Daemon,
    place: &'a Place,
    alice: Peer,
    bob: Peer,
    carol: Peer,
}

impl<'a> Stage<'a> {
    fn new(place: &'a Place) -> Stage<'a> {
        let config = "[sip]\nlanes = 1\ndomains = [\"example.test\"]\n\
            [[script]]\nname = \"routes\"\npath = \"GUESTS/routes.wasm\"\n\
            grants = [\"log\", \"vars\", \"request\", \"reply\", \"transport\", \"tm\", \"rr\", \"registrar\", \"htable\"]\n\
            [[htable]]\nname = \"expired\"\n";
        Stage {
            daemon: Setup::config(place, config).start(),
            place,
            alice: Peer::new(place, 5080),
            bob: Peer::new(place, 5070),
            carol: Peer::new(place, 5071),
        }
    }

    /// Alice calls bob's phone, with header fields that tell the script what to do.
    fn call(&self, told: &str) {
        let fork = format!("X-Fork: sip:bob@{}\r\n{told}", self.bob.at());
        let invite = self
            .alice
            .request("INVITE", "sip:bob@example.test", "alice", &fork);
        self.alice.send(invite.as_bytes(), self.place.at(5060));
    }

    /// What comes to alice next, beside a 100.
    fn comes_back(&self) -> String {
        loop {
            let reply = text(self.alice.receive());
            if status(&reply) != 100 {
                return reply;
            }
        }
    }

    fn replies(&self, phone: &Peer, invite: &str, with: &str) {
        phone.send(&answer(invite, with, "t", ""), self.place.at(5060));
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a message of ASCII")
}

#[test]
fn a_branch_and_its_replies_pass_their_routes() {
    let _beside = beside();
    let place = Place::new();
    let stage = Stage::new(&place);
    stage.call("X-Arm: branch, onreply\r\n");
    let invite = text(stage.bob.receive());
    assert!(invite.contains("\r\nX-Branch: 0\r\n"), "{invite}");
    assert!(invite.contains("\r\nRecord-Route: "), "{invite}");

    stage.replies(&stage.bob, &invite, "180 Ringing");
    let ringing = stage.comes_back();
    assert!(
        ringing.starts_with("SIP/2.0 183 Ringing Somewhere\r\n"),
        "{ringing}"
    );
    assert!(ringing.contains("\r\nX-Reply-Route: 180\r\n"), "{ringing}");
    assert!(ringing.contains("\r\nX-Onreply-Route: 0\r\n"), "{ringing}");

    stage.replies(&stage.bob, &invite, "200 OK");
    let taken = stage.comes_back();
    assert_eq!(status(&taken), 200, "{taken}");
    assert!(taken.contains("\r\nX-Onreply-Route: 0\r\n"), "{taken}");
    stage.daemon.stop();
}

#[test]
fn a_failure_route_tries_on_or_answers() {
    let _beside = beside();
    let place = Place::new();
    let stage = Stage::new(&place);
    let second = format!(
        "X-Arm: failure\r\nX-Second: sip:carol@{}\r\n",
        stage.carol.at()
    );
    stage.call(&second);
    let invite = text(stage.bob.receive());
    stage.replies(&stage.bob, &invite, "486 Busy Here");
    let ack = text(stage.bob.receive());
    assert!(ack.starts_with("ACK "), "{ack}");
    let again = text(stage.carol.receive());
    assert!(again.starts_with("INVITE sip:carol@"), "{again}");
    stage.replies(&stage.carol, &again, "200 OK");
    assert_eq!(status(&stage.comes_back()), 200);

    stage.call("X-Arm: failure\r\nX-Answer: 302\r\n");
    let invite = text(stage.bob.receive());
    stage.replies(&stage.bob, &invite, "480 Gone For Lunch");
    let moved = stage.comes_back();
    assert_eq!(status(&moved), 302, "{moved}");
    for told in ["X-Was: 480", "X-Seen: 2", "X-Timed-Out: false"] {
        assert!(
            moved.contains(&format!("\r\n{told}\r\n")),
            "{told}: {moved}"
        );
    }
    stage.daemon.stop();
}

#[test]
fn what_a_route_drops_or_breaks_stays_where_it_is() {
    let _beside = beside();
    let place = Place::new();
    let stage = Stage::new(&place);
    stage.call("X-Fail: request\r\n");
    assert_eq!(status(&stage.comes_back()), 500);
    // the log is written beside the lanes: its line may come after the answer
    patience(Duration::from_secs(5), || {
        let log = stage.daemon.log();
        log.contains("told to fail in request").then_some(())
    })
    .expect("the log says what the script said");

    for told in [
        "X-Arm: branch\r\nX-Drop: branch\r\n",
        "X-Arm: branch\r\nX-Fail: branch\r\n",
        "X-Drop: onsend\r\n",
    ] {
        stage.call(told);
        let reply = stage.comes_back();
        assert!(
            status(&reply) >= 400,
            "{told}: a caller gets an answer: {reply}"
        );
    }
    let silent = stage.bob.receive_within(Duration::from_millis(200));
    assert_eq!(silent.map(text), None, "nothing was sent");
    stage.daemon.stop();
}

#[test]
fn a_swap_hands_the_count_over() {
    let _beside = beside();
    let place = Place::new();
    let stage = Stage::new(&place);
    let count = || {
        let options = stage
            .alice
            .request("OPTIONS", "sip:example.test", "alice", "");
        let (status, answer) = stage.alice.ask(&options, place.at(5060));
        assert_eq!(status, 200, "{answer}");
        let count = answer
            .lines()
            .find_map(|line| line.strip_prefix("X-Count: "));
        count.expect("the count").parse::<u32>().expect("a number")
    };
    assert_eq!((count(), count()), (1, 2));
    stage.daemon.admin(&["swap", "routes", &guest("routes")]);
    assert_eq!(count(), 3, "the new generation goes on counting");
    stage.daemon.stop();
}
