//! Every control message there and back, in both forms of frames, and what is refused.

use super::encode::encode;
use super::*;
use crate::flags::Flags;
use crate::ids::Words;
use crate::name::NodeName;
use crate::wire::scan::BadTerm;

fn node(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

fn pid(name: &str, id: u32) -> Pid {
    Pid {
        node: node(name),
        id,
        serial: 0,
        creation: 5,
    }
}

fn reference() -> Reference {
    Reference {
        node: node("a@h"),
        creation: 5,
        ids: Words::new(&[1, 2, 3]).unwrap(),
    }
}

fn term(text: &'static [u8]) -> TermBytes {
    Bytes::from_static(text)
}

fn all() -> Vec<Control> {
    let (from, to) = (pid("a@h", 1), pid("b@h", 2));
    let message = term(b"\x83w\x02hi");
    let reason = term(b"\x83w\x06normal");
    let name = Who::Name("greetings".into());
    let monitor = Bonds {
        link: false,
        monitor: true,
    };
    let both = Bonds {
        link: true,
        monitor: true,
    };
    let mut all = vec![
        Control::Send {
            from: Some(from.clone()),
            to: to.clone(),
            message: message.clone(),
        },
        Control::Send {
            from: None,
            to: to.clone(),
            message: message.clone(),
        },
        Control::RegSend {
            from: from.clone(),
            to: "greetings".into(),
            message: message.clone(),
        },
        Control::AliasSend {
            from: from.clone(),
            to: reference(),
            message,
        },
        Control::Link {
            from: from.clone(),
            to: to.clone(),
        },
        Control::Unlink {
            id: None,
            from: from.clone(),
            to: to.clone(),
        },
        Control::Unlink {
            id: Some(1 << 40),
            from: from.clone(),
            to: to.clone(),
        },
        Control::UnlinkAck {
            id: 7,
            from: from.clone(),
            to: to.clone(),
        },
        Control::Exit {
            from: from.clone(),
            to: to.clone(),
            reason: reason.clone(),
        },
        Control::Exit2 {
            from: from.clone(),
            to: to.clone(),
            reason: reason.clone(),
        },
        Control::GroupLeader {
            from: from.clone(),
            to: to.clone(),
        },
        Control::Spawned {
            request: reference(),
            to: to.clone(),
            bonds: monitor,
            result: Ok(from.clone()),
        },
        Control::Spawned {
            request: reference(),
            to: to.clone(),
            bonds: Bonds::default(),
            result: Err("notsup".into()),
        },
        Control::Down {
            from: name.clone(),
            to: to.clone(),
            reference: reference(),
            reason,
        },
        Control::AliasExit {
            from: pid("a@h", 1),
            to: reference(),
            reason: term(b"\x83w\x06normal"),
        },
    ];
    for to in [Who::Pid(to), name] {
        let (from, reference) = (from.clone(), reference());
        all.push(Control::Monitor {
            from: from.clone(),
            to: to.clone(),
            reference: reference.clone(),
        });
        all.push(Control::Demonitor {
            from,
            to,
            reference,
        });
    }
    for bonds in [Bonds::default(), monitor, both] {
        all.push(Control::Spawn {
            request: reference(),
            from: from.clone(),
            group_leader: from.clone(),
            module: "erpc".into(),
            function: "execute_call".into(),
            arity: 4,
            bonds,
            arguments: term(b"\x83j"),
        });
    }
    all
}

fn frame(control: &Control, flags: Flags) -> Bytes {
    let encoded = encode(control, flags).unwrap();
    let mut frame = encoded.head;
    frame.extend(encoded.payload.unwrap_or_default());
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
    assert_eq!(length as usize + 4, frame.len());
    Bytes::from(frame).slice(4..)
}

fn decoder(headers: bool) -> Decoder {
    Decoder::new([node("a@h"), node("b@h")], headers, 1 << 16)
}

#[test]
fn every_message_comes_back_in_every_form() {
    let plain = Flags(Flags::OURS.0 & !Flags::DIST_HDR_ATOM_CACHE.0);
    let old = Flags(plain.0 & !Flags::EXIT_PAYLOAD.0 & !Flags::ALTACT_SIG.0);
    for control in all() {
        for flags in [Flags::OURS, plain, old] {
            let mut decoder = decoder(flags.has(Flags::DIST_HDR_ATOM_CACHE));
            let frame = frame(&control, flags);
            assert_eq!(decoder.decode(&frame), Ok(Some(control.clone())), "{flags}");
            for cut in 1..frame.len() {
                assert!(
                    decoder.decode(&frame.slice(..cut)).is_err(),
                    "{control:?} cut at {cut}"
                );
            }
        }
    }
}

/// As OTP 28 has messages and exits where they have priority or go to an alias.
#[test]
fn the_alternate_form_is_any_message_or_exit() {
    let (from, to) = (pid("a@h", 1), pid("b@h", 2));
    let decode = |flags: u8, to: &dyn Fn(&mut Vec<u8>), token: bool| {
        let mut frame = b"p\x83h".to_vec();
        frame.extend([if token { 5 } else { 4 }, b'a', 37, b'a', flags]);
        from.write(&mut frame);
        to(&mut frame);
        if token {
            frame.extend(b"h\x02a\x01j");
        }
        frame.extend(b"\x83w\x02hi");
        decoder(false).decode(&frame.into()).map(Option::unwrap)
    };
    let a_pid = |out: &mut Vec<u8>| to.write(out);
    let a_name = |out: &mut Vec<u8>| out.extend(b"w\x09greetings");
    let an_alias = |out: &mut Vec<u8>| reference().write(out);
    let hi = || term(b"\x83w\x02hi");
    for (priority, token) in [(0, false), (1, false), (3, true)] {
        let sent = Control::Send {
            from: Some(from.clone()),
            to: to.clone(),
            message: hi(),
        };
        assert_eq!(decode(priority, &a_pid, token), Ok(sent));
        let sent = Control::RegSend {
            from: from.clone(),
            to: "greetings".into(),
            message: hi(),
        };
        assert_eq!(decode(priority | 8, &a_name, token), Ok(sent));
        let sent = Control::AliasSend {
            from: from.clone(),
            to: reference(),
            message: hi(),
        };
        assert_eq!(decode(priority | 4, &an_alias, token), Ok(sent));
        let exit = Control::Exit2 {
            from: from.clone(),
            to: to.clone(),
            reason: hi(),
        };
        assert_eq!(decode(priority | 16, &a_pid, token), Ok(exit));
        let exit = Control::AliasExit {
            from: from.clone(),
            to: reference(),
            reason: hi(),
        };
        assert_eq!(decode(priority | 20, &an_alias, token), Ok(exit));
    }
    assert!(decode(4, &a_pid, false).is_err());
    assert!(decode(0, &a_name, false).is_err());
}

#[test]
fn an_old_node_is_sent_no_sender() {
    let control = all().remove(0);
    let frame = frame(&control, Flags(0));
    let decoded = decoder(false).decode(&frame).unwrap();
    assert!(matches!(decoded, Some(Control::Send { from: None, .. })));
}

#[test]
fn a_message_in_fragments_is_put_together() {
    // Header with one new atom, `ok`; control {22, Pid, Pid} and payload {ok, 1}.
    let control = all().remove(0);
    let plain = frame(&control, Flags::OURS);
    let body = [&plain[3..plain.len() - 4], b"h\x02R\x00a\x01"].concat();
    let mut decoder = decoder(true);
    let fragment = |kind: u8, number: u64, header: &[u8], bytes: &[u8]| {
        let numbers = [9u64.to_be_bytes(), number.to_be_bytes()].concat();
        Bytes::from([&[131, kind][..], &numbers, header, bytes].concat())
    };
    let first = fragment(69, 3, &[1, 8, 0, 2, b'o', b'k'], &body[..10]);
    assert_eq!(decoder.decode(&first), Ok(None));
    assert_eq!(
        decoder.decode(&fragment(70, 2, &[], &body[10..20])),
        Ok(None)
    );
    let Ok(Some(Control::Send { message, .. })) =
        decoder.decode(&fragment(70, 1, &[], &body[20..]))
    else {
        panic!("the fragments were not put together");
    };
    assert_eq!(message, b"\x83h\x02w\x02oka\x01"[..]);
}

#[test]
fn what_breaks_the_protocol_is_named() {
    let decode = |bytes: &'static [u8]| decoder(false).decode(&Bytes::from_static(bytes));
    assert_eq!(decode(b"garba"), Err(BadFrame::Type(b'g')));
    assert_eq!(decode(b"\x83D\0"), Err(BadFrame::Type(131)));
    // {99, x, y}, as in 22-raw.
    let unknown = decode(b"p\x83h\x03acw\x01xw\x01y");
    assert_eq!(
        unknown,
        Err(BadFrame::Control {
            operation: 99,
            arity: 3
        })
    );
    // A list of 0xffffffff elements.
    let list = decode(b"p\x83l\xff\xff\xff\xffj");
    assert_eq!(list, Err(BadTerm::Short.into()));
    // A compressed term.
    assert_eq!(decode(b"p\x83P\0\0\0\x01x"), Err(BadTerm::Tag(b'P').into()));
}

#[test]
fn a_payload_that_should_be_there_or_not_is_noticed() {
    let plain = Flags(Flags::OURS.0 & !Flags::DIST_HDR_ATOM_CACHE.0);
    let send = frame(&all()[0], plain);
    let without = send.slice(..send.len() - 5);
    assert_eq!(decoder(false).decode(&without), Err(BadFrame::Payload(22)));
    let link = frame(&all()[4], plain);
    let with = Bytes::from([&link[..], b"\x83j"].concat());
    assert_eq!(decoder(false).decode(&with), Err(BadFrame::Payload(1)));
    let more = Bytes::from([&send[..], b"j"].concat());
    assert_eq!(decoder(false).decode(&more), Err(BadTerm::Size.into()));
}
