//! One request through a lane's transactions, as budgets are measured with: the INVITE of `invite.rs`, forwarded to one target.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use switchhook_sip::flow::{Destination, FlowId, Source, Transport};
use switchhook_sip::message::{Edits, HeaderId, Message, render, response};
use switchhook_sip::transaction::{Branch, Config, Key, Manager, Output, Wait};

use super::invite::{INVITE, edit};

/// A lane without transactions.
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
pub(crate) fn lane() -> (Manager<u64>, Instant) {
    let now = Instant::now();
    (Manager::new(now, [1, 2, 3, 4], Config::default()), now)
}

/// The request of that method and number, as it comes.
pub(crate) fn request(method: &str, number: u64) -> Message {
    let text = INVITE
        .replace("INVITE sip", &format!("{method} sip"))
        .replace("1 INVITE", &format!("1 {method}"))
        .replace("---a41f6d2c33e0", &format!("---{number:012x}"))
        .replace("3848276298220188511", &format!("{number:019}"));
    Message::parse(Bytes::from(text)).unwrap()
}

/// Where it comes from.
pub(crate) fn source() -> Source {
    Source {
        transport: Transport::Udp,
        remote: "192.0.2.17:5060".parse().unwrap(),
        local: "192.0.2.1:5060".parse().unwrap(),
        flow: FlowId::new(1),
    }
}

/// The request as it is forwarded.
pub(crate) fn branch(tm: &mut Manager<u64>, request: &Message, edits: &mut Edits) -> Branch {
    let id = tm.next_branch();
    edit(request, edits).unwrap();
    edits.remove_first_value(request, HeaderId::Via).unwrap();
    let via = format!("SIP/2.0/UDP 192.0.2.1:5060;branch={id}");
    edits
        .prepend_value(request, HeaderId::Via, via.as_bytes())
        .unwrap();
    let mut out = Vec::new();
    render(request, edits, &mut out);
    Branch {
        id,
        bytes: out.into(),
        destination: Destination {
            transport: Transport::Udp,
            remote: "192.0.2.42:5060".parse().unwrap(),
            local: None,
            flow: None,
        },
        wait: Wait::default(),
        spare: 0,
    }
}

/// The request comes, is new, and is forwarded; gives its key and what was sent downstream.
pub(crate) fn forward(tm: &mut Manager<u64>, now: Instant, request: Message) -> (Key, Message) {
    let request = Arc::new(request);
    tm.on_request(now, &request, &source()).unwrap();
    let key = tm.create(now, request.clone(), &source(), 0).unwrap();
    let branch = branch(tm, &request, &mut Edits::default());
    let sent = Message::parse(branch.bytes.clone()).unwrap();
    tm.relay(now, key, [branch]).unwrap();
    discard(tm);
    (key, sent)
}

/// The target's answer to what was sent there.
pub(crate) fn answer(sent: &Message, status: u16) -> Message {
    let reply = response(sent, status, "Answered", Some("b0b"))
        .header(b"Contact", b"<sip:bob@192.0.2.42:5060>")
        .unwrap()
        .header(b"User-Agent", b"Handset 4.1")
        .unwrap();
    Message::parse(reply.finish()).unwrap()
}

/// Takes the outputs and forgets them; gives how many there were.
pub(crate) fn discard(tm: &mut Manager<u64>) -> usize {
    let mut outputs = 0;
    while let Some(output) = tm.poll() {
        drop::<Output<u64>>(output);
        outputs += 1;
    }
    outputs
}
