//! Two ends of a handshake, told as stories.

use super::message::Message;
use super::*;
use crate::cookie::Cookie;

fn ours(name: &str) -> Ours {
    Ours {
        name: NodeName::new(name).unwrap(),
        creation: 7,
        flags: Flags::OURS,
    }
}

fn cookie(text: &str) -> Cookie {
    Cookie::new(text).unwrap()
}

/// Runs a handshake between a node that dials and ours; gives both ends.
fn shake(
    dialler: Ours,
    dialled: &str,
    cookies: [&str; 2],
    verdict: Verdict,
) -> (Result<Peer, Failure>, Result<Peer, Failure>) {
    let (mut a, first) = Initiator::new(
        dialler,
        NodeName::new(dialled).unwrap(),
        cookie(cookies[0]),
        1,
    );
    let b = Acceptor::new(ours("b@h"));
    let asked = b.name(&first).unwrap();
    let (mut to_a, b) = b.answer(asked, verdict, cookie(cookies[1]), 2);
    let mut b = match b {
        Ok(b) => b,
        Err(refusing) => {
            let refused = a.receive(&to_a.remove(0)).unwrap_err();
            return (Err(refused), Err(refusing));
        }
    };
    let mut in_b = Err(Failure::Cookie(NodeName::new("unfinished@h").unwrap()));
    loop {
        let mut to_b = Vec::new();
        for message in std::mem::take(&mut to_a) {
            match a.receive(&message) {
                Ok(Step::On { handshake, send }) => {
                    a = handshake;
                    to_b.extend(send);
                }
                Ok(Step::Done { peer, send }) => {
                    assert!(send.is_none());
                    return (Ok(peer), in_b);
                }
                Err(failure) => return (Err(failure), in_b),
            }
        }
        for message in to_b {
            match b.receive(&message) {
                Ok(Step::On { handshake, send }) => {
                    b = handshake;
                    to_a.extend(send);
                }
                Ok(Step::Done { peer, send }) => {
                    in_b = Ok(peer);
                    to_a.extend(send);
                    b = Acceptor::new(ours("b@h"));
                }
                Err(failure) => return (Err(failure.clone()), Err(failure)),
            }
        }
    }
}

#[test]
fn two_nodes_with_one_cookie_meet() {
    let (a, b) = shake(ours("a@h"), "b@h", ["x", "x"], Verdict::Yes);
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!((a.name.as_str(), b.name.as_str()), ("b@h", "a@h"));
    assert_eq!((a.creation, a.flags), (7, Flags::OURS));
    assert_eq!(b.flags, Flags::OURS);
}

#[test]
fn another_cookie_is_refused() {
    let (_, b) = shake(ours("a@h"), "b@h", ["x", "y"], Verdict::Yes);
    assert_eq!(b, Err(Failure::Cookie(NodeName::new("a@h").unwrap())));
}

#[test]
fn a_dead_connection_gives_way() {
    let (a, b) = shake(ours("a@h"), "b@h", ["x", "x"], Verdict::IfDead);
    assert!(a.is_ok() && b.is_ok());
}

#[test]
fn when_both_dial_one_goes_on() {
    let (a, b) = shake(ours("a@h"), "b@h", ["x", "x"], Verdict::YesInsteadOfOurs);
    assert!(a.is_ok() && b.is_ok());
    let (a, b) = shake(ours("a@h"), "b@h", ["x", "x"], Verdict::OursGoesFirst);
    assert_eq!(a, Err(Failure::Refused(Status::Nok)));
    let refusing = Failure::Refusing {
        name: NodeName::new("a@h").unwrap(),
        status: Status::Nok,
    };
    assert_eq!(b, Err(refusing));
}

#[test]
fn a_node_of_another_name_is_not_the_one_dialled() {
    let (a, _) = shake(ours("a@h"), "c@h", ["x", "x"], Verdict::Yes);
    assert!(matches!(a, Err(Failure::Name { .. })));
}

#[test]
fn a_peer_without_a_mandatory_flag_is_not_allowed() {
    // As OTP 25.2.3 answered each of these (24-flags).
    for missing in [
        Flags::UTF8_ATOMS,
        Flags::HANDSHAKE_23,
        Flags::BIG_CREATION,
        Flags::MAP_TAG,
    ] {
        let poor = Ours {
            flags: Flags(Flags::OURS.0 & !missing.0 & !Flags::MANDATORY_25_DIGEST.0),
            ..ours("a@h")
        };
        let (a, b) = shake(poor, "b@h", ["x", "x"], Verdict::Yes);
        assert_eq!(a, Err(Failure::Refused(Status::NotAllowed)));
        let name = NodeName::new("a@h").unwrap();
        assert_eq!(b, Err(Failure::Flags { name, missing }));
    }
}

#[test]
fn the_digest_alone_is_enough() {
    let digest = Ours {
        flags: Flags::MANDATORY_25_DIGEST,
        ..ours("a@h")
    };
    let acceptor = Acceptor::new(ours("b@h"));
    let (_, first) = Initiator::new(digest, NodeName::new("b@h").unwrap(), cookie("x"), 1);
    let asked = acceptor.name(&first).unwrap();
    assert!(
        acceptor
            .answer(asked, Verdict::Yes, cookie("x"), 2)
            .1
            .is_ok()
    );
}

#[test]
fn an_old_name_is_complemented() {
    let acceptor = Acceptor::new(ours("b@h"));
    let name = NodeName::new("a@h").unwrap();
    let old = Message::OldName {
        flags: Flags(Flags::OURS.0 & 0xffff_ffff),
        name: name.clone(),
    };
    let asked = acceptor.name(&old.encode()).unwrap();
    let (_, acceptor) = acceptor.answer(asked, Verdict::Yes, cookie("x"), 2);
    let complement = Message::Complement {
        flags: Flags(Flags::OURS.0 & !0xffff_ffff),
        creation: 9,
    };
    let Ok(Step::On { handshake, send }) = acceptor.unwrap().receive(&complement.encode()) else {
        panic!("the complement was not taken");
    };
    assert!(send.is_none());
    let reply = Message::Reply {
        challenge: 5,
        digest: cookie("x").digest(2),
    };
    let Ok(Step::Done { peer, .. }) = handshake.receive(&reply.encode()) else {
        panic!("the reply was not taken");
    };
    let flags = Flags::OURS;
    assert_eq!(
        peer,
        Peer {
            name,
            creation: 9,
            flags
        }
    );
}

#[test]
fn messages_out_of_order_or_shape_are_named() {
    let acceptor = Acceptor::new(ours("b@h"));
    let reply = Message::Reply {
        challenge: 5,
        digest: [0; 16],
    };
    let error = acceptor.name(&reply.encode()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "handshake: expected a name, got a challenge's reply"
    );
    for (bytes, text) in [
        (&b""[..], "handshake: a message of kind 0x00"),
        (b"X", "handshake: a message of kind 0x58"),
        (b"N\0\0", "handshake: a name of 3 bytes"),
        (b"smaybe", "handshake: status `maybe`"),
    ] {
        assert_eq!(acceptor.name(bytes).unwrap_err().to_string(), text);
    }
}
