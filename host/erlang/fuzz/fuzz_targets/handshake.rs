//! Any bytes as a peer's side of a handshake, cut anywhere, both roles: it fails or goes on, and holds no more than it must.
//!
//! Input: one byte that says which role is ours and whether lengths have four bytes, one for the steps in which bytes come,
//! then the peer's bytes.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use switchhook_erlang::node::{Limits, Node, NodeConfig, Output};
use switchhook_erlang::{Cookie, Flags, NodeName};

fuzz_target!(|data: &[u8]| {
    let [role, step, bytes @ ..] = data else {
        return;
    };
    let peer = NodeName::new("a@h").expect("a name");
    let config = NodeConfig {
        name: NodeName::new("b@h").expect("a name"),
        flags: Flags::OURS,
        cookie: Cookie::new("secret").expect("a cookie"),
        cookies: Vec::new(),
        nodes: vec![peer.clone()],
        takeover: false,
        retry: (Duration::from_secs(1), Duration::from_secs(2)),
        limits: Limits {
            message: 4096,
            ..Limits::default()
        },
    };
    let now = Instant::now();
    let mut node = Node::new(config, 1, [2, 3], now);
    let tls = role & 2 != 0;
    let id = if role & 1 == 0 {
        node.accepted(now, tls)
    } else {
        while node.poll().is_some() {}
        node.dialled(now, &peer, tls)
    };
    let id = id.expect("a connection");
    for piece in bytes.chunks(usize::from(*step).max(1)) {
        let Some(buffer) = node.buffer(id) else {
            break;
        };
        buffer.extend_from_slice(piece);
        node.received(now, id);
        while let Some(output) = node.poll() {
            if let Output::Event(event) = output {
                let _ = format!("{event:?}");
            }
        }
        if let Some(outbox) = node.outbox(id) {
            assert!(outbox.len() < 1 << 16);
        }
    }
    node.on_timer(now + Duration::from_secs(8));
    let _ = node.deadline();
});
