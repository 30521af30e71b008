//! Any request URI and header fields through the proxy core: refused, or sent on readable, with one Via more, one hop less,
//! and nothing of ours left in Route that should have been taken off.
//!
//! Input: the request URI up to a line feed, then header fields.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{Edits, HeaderId, Message, render};
use switchhook_sip::proxy::{
    Aim, Breadth, Interface, LoopKey, Own, RecordRoute, Stamp, aim, check, mark_source, preprocess,
    reply_target, stamp,
};

static OWN: LazyLock<Own> = LazyLock::new(|| {
    let mut own = Own::new();
    let address = "192.0.2.9:5060".parse().expect("an address");
    own.add_interface(Transport::Udp, "192.0.2.9", address);
    own.add_interface(Transport::Tcp, "192.0.2.9", address);
    own.add_domain("us");
    own
});

fuzz_target!(|data: &[u8]| {
    let Some(line) = data.iter().position(|b| *b == b'\n') else {
        return;
    };
    let (uri, fields) = data.split_at(line);
    let bytes = [
        b"BYE ",
        uri,
        b" SIP/2.0\r\nVia: SIP/2.0/UDP host.test;rport;branch=z9hG4bK1\r\nFrom: <sip:a@us>;tag=1\r\n",
        b"To: <sip:b@us>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE",
        fields.strip_suffix(b"\n").unwrap_or(fields),
        b"\r\n\r\n",
    ]
    .concat();
    let Ok(request) = Message::parse(bytes.into()) else {
        return;
    };
    let source = Source {
        transport: Transport::Udp,
        remote: "192.0.2.1:5061".parse().expect("an address"),
        local: "192.0.2.9:5060".parse().expect("an address"),
        flow: FlowId::new(1),
    };
    let key = LoopKey::new([1, 2]);
    let mut edits = Edits::default();
    if mark_source(&request, &mut edits, &source, false).is_err() {
        return;
    }
    if let Ok(via) = edits.view(&request).via() {
        let _ = reply_target(&via);
    }
    if let Err(answer) = check(&request, &OWN, &key) {
        assert!((400..600).contains(&answer.status));
        let answer = answer
            .build(edits.view(&request), Some("t"))
            .expect("an answer");
        Message::parse(answer.finish()).expect("a readable answer");
        return;
    }
    let breadth = Breadth::of(edits.view(&request)).and_then(|breadth| breadth.share(2));
    let breadth = breadth.ok().and_then(|mut shares| shares.next()).flatten();
    let Ok(_) = preprocess(&request, &mut edits, &OWN) else {
        return;
    };
    let next = aim(
        &request,
        &mut edits,
        &Aim {
            breadth,
            path: &[b"<sip:path.test;lr>"],
            ..Aim::default()
        },
    );
    let Ok(next) = next else {
        return;
    };
    let _ = next.uri(edits.view(&request));
    let branch = format!("z9hG4bKx.{}", key.mark(&request));
    let via = |transport| Interface {
        transport,
        sent_by: "192.0.2.9",
    };
    let with = Stamp {
        via: via(Transport::Tcp),
        branch: branch.as_bytes(),
        rport: false,
        record_route: Some(RecordRoute {
            from: via(Transport::Udp),
            params: "x=1",
        }),
    };
    stamp(&request, &mut edits, &with).expect("a stamp");
    let mut out = Vec::new();
    render(&request, &edits, &mut out);
    let copy = Message::parse(out.into()).expect("a readable copy");
    assert_eq!(
        copy.values(HeaderId::Via).count(),
        request.values(HeaderId::Via).count() + 1
    );
    let hops = |message: &Message| message.max_forwards().and_then(Result::ok);
    assert_eq!(
        hops(&copy),
        Some(hops(&request).map_or(70, |hops| hops - 1))
    );
    assert_eq!(copy.via().expect("a Via").branch(), Some(branch.as_bytes()));
});
