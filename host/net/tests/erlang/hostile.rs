//! Peers that break the protocol, with a real node beside them that must not notice.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use switchhook_erlang::handshake::{Initiator, Ours as Identity, Step};
use switchhook_erlang::{Cookie, Flags};

use crate::otp::*;

/// A peer that went through the handshake as it should.
fn peer(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let identity = Identity {
        name: name("raw@127.0.0.1"),
        creation: 9,
        flags: Flags(Flags::OURS.0 & !Flags::DIST_HDR_ATOM_CACHE.0 & !Flags::FRAGMENTS.0),
    };
    let cookie = Cookie::new("secret").unwrap();
    let (mut handshake, first) = Initiator::new(identity, name(OURS), cookie, 77);
    let mut send = Some(first);
    loop {
        if let Some(message) = send.take() {
            stream
                .write_all(&(message.len() as u16).to_be_bytes())
                .unwrap();
            stream.write_all(&message).unwrap();
        }
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message).unwrap();
        match handshake.receive(&message).unwrap() {
            Step::On {
                handshake: next,
                send: more,
            } => {
                handshake = next;
                send = more;
            }
            Step::Done { .. } => return stream,
        }
    }
}

/// Whether the other side ends the connection.
fn is_closed(mut stream: TcpStream) -> bool {
    let mut byte = [0; 64];
    loop {
        match stream.read(&mut byte) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

#[test]
fn only_the_hostile_link_closes() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    let deep = [&b"p\x83"[..], &[b'h', 1].repeat(1_000_000)].concat();
    let flood = {
        // A list of a million atoms that never were before, to a name that is there.
        let mut term = b"p\x83h\x04a\x06Xw\x0draw@127.0.0.1\0\0\0\x01\0\0\0\0\0\0\0\x09w\0w\x09greetings\x83l\0\x0f\x42\x40".to_vec();
        for number in 0..1_000_000 {
            let name = format!("a{number}");
            term.extend([b'w', name.len() as u8]);
            term.extend(name.as_bytes());
        }
        term.push(b'j');
        frame(&term)
    };
    let before = memory();
    for (what, bytes, closes) in [
        ("garbage", frame(b"garba"), true),
        (
            "an unknown operation",
            frame(b"p\x83h\x03acw\x01xw\x01y"),
            true,
        ),
        ("a frame of 4 GB", vec![0xff; 4], true),
        (
            "a list of 4 G items",
            frame(b"p\x83l\xff\xff\xff\xffj"),
            true,
        ),
        (
            "a payload cut short",
            frame(b"p\x83h\x03a\x02w\0Xw\x0fproxy@127.0.0.1\0\0\0\x01"),
            true,
        ),
        ("a zip bomb", frame(b"p\x83P\x7f\xff\xff\xffxxxx"), true),
        ("a million levels", frame(&deep), true),
        ("a million atoms", flood, false),
    ] {
        let mut stream = peer(ours.address);
        stream.write_all(&bytes).unwrap();
        if closes {
            assert!(is_closed(stream), "{what}");
        }
        assert_eq!(
            erlang.eval(&format!("rpc:call('{OURS}', m, echo, [x])")),
            "[x]",
            "{what}"
        );
    }
    assert!(
        memory() < before + (200 << 20),
        "{} MiB more",
        (memory() - before) >> 20
    );
}

/// Resident bytes of this process.
pub(crate) fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

#[test]
fn half_a_handshake_is_closed_by_seven_seconds() {
    let Some((mapper, _erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[]));
    let began = Instant::now();
    let stream = TcpStream::connect(ours.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert!(is_closed(stream));
    let took = began.elapsed().as_secs_f32();
    assert!((6.5..8.5).contains(&took), "{took} s");
}

#[test]
fn a_second_connection_of_a_name_replaces_the_first() {
    let Some((mapper, _erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[]));
    let first = peer(ours.address);
    ours.wait_up("raw@127.0.0.1");
    // It says that the first is dead: so it is.
    let _second = peer(ours.address);
    assert!(is_closed(first));
    assert_eq!(ours.handle.snapshot().nodes.len(), 1);
}
