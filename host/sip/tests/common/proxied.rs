//! An INVITE's way through the proxy core: what happens to it between its arrival on UDP and its leaving on TCP.

use std::sync::LazyLock;

use bytes::Bytes;
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{Edits, Message, render};
use switchhook_sip::proxy::{
    Aim, Breadth, Interface, LoopKey, Own, RecordRoute, Stamp, aim, check, mark_source, preprocess,
    stamp,
};

static US: LazyLock<(Own, LoopKey)> = LazyLock::new(|| {
    let mut own = Own::new();
    let address = "192.0.2.1:5060".parse().unwrap();
    own.add_interface(Transport::Udp, "192.0.2.1:5060", address);
    own.add_interface(Transport::Tcp, "192.0.2.1:5060", address);
    own.add_domain("example.test");
    (own, LoopKey::new([1, 2]))
});

/// Reads it, takes it through, and writes what goes out.
pub(crate) fn invite(bytes: &Bytes, edits: &mut Edits, out: &mut Vec<u8>) {
    let (own, key) = &*US;
    let source = Source {
        transport: Transport::Udp,
        remote: ([192, 0, 2, 17], 5060).into(),
        local: ([192, 0, 2, 1], 5060).into(),
        flow: FlowId::new(1),
    };
    let msg = Message::parse(bytes.clone()).unwrap();
    edits.clear();
    mark_source(&msg, edits, &source, false).unwrap();
    check(&msg, own, key).unwrap();
    preprocess(&msg, edits, own).unwrap();
    let mut shares = Breadth::of(edits.view(&msg))
        .and_then(|breadth| breadth.share(1))
        .unwrap();
    let target = Aim {
        uri: Some(b"sip:bob@192.0.2.42:5060"),
        breadth: shares.next().flatten(),
        ..Aim::default()
    };
    let next = aim(&msg, edits, &target).unwrap();
    let _ = std::hint::black_box((next.uri(edits.view(&msg)).is_ok(), key.mark(&msg)));
    let written = Stamp {
        via: Interface {
            transport: Transport::Tcp,
            sent_by: "192.0.2.1:5060",
        },
        branch: b"z9hG4bKf00d.0123456789abcdef",
        rport: false,
        record_route: Some(RecordRoute {
            from: Interface {
                transport: Transport::Udp,
                sent_by: "192.0.2.1:5060",
            },
            params: "",
        }),
    };
    stamp(&msg, edits, &written).unwrap();
    out.clear();
    render(&msg, edits, out);
}
