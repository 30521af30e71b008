//! What a signal does while a call rings: SIGTERM lets it come to its end and takes no new one, a second one does not wait.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

use std::time::Duration;

use switchhook_tests::{Daemon, Peer, Place, Setup, answer, beside, patience, status};

/// Alice calls bob, and his phone rings.
struct Ringing {
    daemon: Daemon,
    alice: Peer,
    bob: Peer,
    /// As it came to bob.
    invite: String,
}

impl Ringing {
    fn new(place: &Place) -> Ringing {
        let daemon = Setup::open(place).set("sip.drain=30s").start();
        let (alice, bob) = (Peer::new(place, 5080), Peer::new(place, 5070));
        let proxy = place.at(5060);
        bob.registers("bob", &format!("sip:bob@{}", bob.at()), proxy);
        let invite = alice.request("INVITE", "sip:bob@example.test", "alice", "");
        alice.send(invite.as_bytes(), proxy);
        let invite = text(bob.receive());
        bob.send(&answer(&invite, "180 Ringing", "b", ""), proxy);
        let ringing = Ringing {
            daemon,
            alice,
            bob,
            invite,
        };
        assert_eq!(status(&ringing.comes_back()), 180);
        ringing
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

    /// SIGTERM, and the log says that it was heard.
    fn terminate(&mut self) {
        self.daemon.program().terminate();
        let program = self.daemon.program();
        patience(Duration::from_secs(10), || {
            program.log().contains("draining").then_some(())
        })
        .expect("the daemon drains");
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a message in ASCII")
}

#[test]
fn a_ringing_call_comes_to_its_end_and_a_new_one_is_refused() {
    let _beside = beside();
    let place = Place::new();
    let mut call = Ringing::new(&place);
    let proxy = place.at(5060);
    call.terminate();
    let carol = Peer::new(&place, 5081);
    let (refusal, answered) = carol.ask(
        &carol.request("INVITE", "sip:bob@example.test", "carol", ""),
        proxy,
    );
    assert_eq!(refusal, 503, "{answered}");
    let contact = format!("Contact: <sip:bob@{}>\r\n", call.bob.at());
    let ok = answer(&call.invite, "200 OK", "b", &contact);
    call.bob.send(&ok, proxy);
    assert_eq!(status(&call.comes_back()), 200);
    // well before `sip.drain` is over: it waits for nothing else
    let ended = call.daemon.program().wait(Duration::from_secs(20));
    assert!(ended.success(), "switchhook ended with {ended}");
}

#[test]
fn a_second_signal_does_not_wait_for_the_call() {
    let _beside = beside();
    let place = Place::new();
    let mut call = Ringing::new(&place);
    call.terminate();
    std::thread::sleep(Duration::from_millis(500));
    assert!(call.daemon.program().ended().is_none(), "the call rings");
    call.daemon.program().terminate();
    let ended = call.daemon.program().wait(Duration::from_secs(10));
    assert!(ended.success(), "switchhook ended with {ended}");
    assert!(call.daemon.log().contains("second signal"));
}
