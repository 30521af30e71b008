//! Any frames from a peer that went through the handshake, with headers and fragments or without: the connection goes on or ends,
//! nothing else happens, and what is held stays within the limits.
//!
//! Input: one byte that says whether headers are agreed on, then frames, each with a length of two bytes.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use switchhook_erlang::handshake::{Initiator, Ours, Step};
use switchhook_erlang::node::{Answer, ConnectionId, Event, Limits, Node, NodeConfig, Output};
use switchhook_erlang::{Cookie, Flags, NodeName};

const MESSAGE: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let Some((kind, mut rest)) = data.split_first() else {
        return;
    };
    let now = Instant::now();
    let flags = if kind & 1 == 0 {
        Flags::OURS
    } else {
        Flags(Flags::OURS.0 & !Flags::DIST_HDR_ATOM_CACHE.0 & !Flags::FRAGMENTS.0)
    };
    let (mut node, id) = connected(now, flags);
    while let Some((length, more)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (frame, more) = more.split_at(length);
        rest = more;
        let Some(buffer) = node.buffer(id) else {
            break;
        };
        buffer.extend_from_slice(&(length as u32).to_be_bytes());
        buffer.extend_from_slice(frame);
        node.received(now, id);
        while let Some(output) = node.poll() {
            if let Output::Event(Event::Call { id, arguments, .. }) = output {
                node.answer(now, id, Answer::Value(arguments));
            }
        }
        if let Some(outbox) = node.outbox(id) {
            assert!(
                outbox.len() <= 8 * data.len() + (1 << 16),
                "{}",
                outbox.len()
            );
        }
    }
    node.on_timer(now + Duration::from_secs(100));
});

/// Our node with a connection to `a@h` that is up.
fn connected(now: Instant, flags: Flags) -> (Node, ConnectionId) {
    let name = |text| NodeName::new(text).expect("a name");
    let cookie = || Cookie::new("secret").expect("a cookie");
    let config = NodeConfig {
        name: name("b@h"),
        flags: Flags::OURS,
        cookie: cookie(),
        cookies: Vec::new(),
        nodes: Vec::new(),
        takeover: false,
        retry: (Duration::from_secs(1), Duration::from_secs(2)),
        limits: Limits {
            message: MESSAGE,
            bonds: 64,
            calls: 16,
            ..Limits::default()
        },
    };
    let mut node = Node::new(config, 1, [2, 3], now);
    node.register(&"greetings".into());
    let id = node.accepted(now, true).expect("a connection");
    let ours = Ours {
        name: name("a@h"),
        creation: 5,
        flags,
    };
    let (mut handshake, first) = Initiator::new(ours, name("b@h"), cookie(), 1);
    let mut send = Some(first);
    let mut came = Vec::new();
    loop {
        if let (Some(message), Some(buffer)) = (send.take(), node.buffer(id)) {
            buffer.extend_from_slice(&(message.len() as u32).to_be_bytes());
            buffer.extend_from_slice(&message);
            node.received(now, id);
        }
        if let Some(outbox) = node.outbox(id) {
            while !outbox.is_empty() {
                let _ = outbox.write(|slices| {
                    slices
                        .iter()
                        .for_each(|slice| came.extend_from_slice(slice));
                    Ok::<_, ()>(slices.iter().map(|slice| slice.len()).sum())
                });
            }
        }
        let Some((length, rest)) = came.split_first_chunk() else {
            panic!("the handshake hangs");
        };
        let (message, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let step = handshake.receive(message).expect("a step");
        came = rest.to_vec();
        match step {
            Step::On {
                handshake: next,
                send: more,
            } => {
                handshake = next;
                send = more;
            }
            Step::Done { .. } => break,
        }
    }
    while node.poll().is_some() {}
    (node, id)
}
