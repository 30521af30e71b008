//! The requests this layer makes of one it sent: ACK for a failure response (RFC 3261 s.17.1.1.3) and CANCEL (s.9.1).
//!
//! Both take Request-URI, top Via, From, Call-ID, CSeq number and Route from the bytes that went out, so they go where the request
//! went and match it there. Neither has a body.

use std::io::Write;

use bytes::Bytes;

use crate::message::{HeaderId, Message};

/// The ACK for a final response other than 2xx to this INVITE. `to` is the response's To, which has the tag.
pub(super) fn ack(invite: &Message, to: &[u8], scratch: &mut Vec<u8>) -> Bytes {
    derive(invite, "ACK", to, scratch)
}

/// The CANCEL of this INVITE.
pub(super) fn cancel(invite: &Message, scratch: &mut Vec<u8>) -> Bytes {
    let to = invite.header(HeaderId::To).unwrap_or_default();
    derive(invite, "CANCEL", to, scratch)
}

fn derive(invite: &Message, method: &str, to: &[u8], out: &mut Vec<u8>) -> Bytes {
    let number = invite.cseq().map_or(0, |cseq| cseq.number);
    out.clear();
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(invite.request_uri());
    out.extend_from_slice(b" SIP/2.0\r\n");
    let via = invite.values(HeaderId::Via).next().unwrap_or_default();
    field(out, HeaderId::Via, via);
    field(out, HeaderId::MaxForwards, b"70");
    for route in invite.fields().filter(|field| field.id == HeaderId::Route) {
        field(out, HeaderId::Route, route.value);
    }
    field(
        out,
        HeaderId::From,
        invite.header(HeaderId::From).unwrap_or_default(),
    );
    field(out, HeaderId::To, to);
    field(
        out,
        HeaderId::CallId,
        invite.header(HeaderId::CallId).unwrap_or_default(),
    );
    // Writing to a Vec cannot fail.
    let _ = write!(out, "CSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n");
    Bytes::copy_from_slice(out)
}

fn field(out: &mut Vec<u8>, id: HeaderId, value: &[u8]) {
    for part in [id.name().as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Message {
        Message::parse(Bytes::from_static(
            b"INVITE sip:bob@192.0.2.4:5070 SIP/2.0\r\n\
              v: SIP/2.0/UDP proxy.example.test;branch=z9hG4bKp1, SIP/2.0/UDP pc33;branch=z9hG4bKa\r\n\
              Route: <sip:r1.example.test;lr>\r\n\
              Route: <sip:r2.example.test;lr>, <sip:r3.example.test;lr>\r\n\
              Max-Forwards: 7\r\n\
              f: Alice <sip:alice@example.test>;tag=88sja8x\r\n\
              t: Bob <sip:bob@example.test>\r\n\
              i: 987asjd97y7atg\r\n\
              CSeq: 986759 INVITE\r\n\
              l: 3\r\n\r\nv=0",
        ))
        .unwrap()
    }

    #[test]
    fn ack_takes_the_top_via_the_routes_and_the_responses_to() {
        let ack = ack(
            &invite(),
            b"Bob <sip:bob@example.test>;tag=99sa0xk",
            &mut Vec::new(),
        );
        assert_eq!(
            std::str::from_utf8(&ack).unwrap(),
            "ACK sip:bob@192.0.2.4:5070 SIP/2.0\r\n\
             Via: SIP/2.0/UDP proxy.example.test;branch=z9hG4bKp1\r\n\
             Max-Forwards: 70\r\n\
             Route: <sip:r1.example.test;lr>\r\n\
             Route: <sip:r2.example.test;lr>, <sip:r3.example.test;lr>\r\n\
             From: Alice <sip:alice@example.test>;tag=88sja8x\r\n\
             To: Bob <sip:bob@example.test>;tag=99sa0xk\r\n\
             Call-ID: 987asjd97y7atg\r\n\
             CSeq: 986759 ACK\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn cancel_has_the_requests_own_to_and_its_single_via() {
        let cancel = Message::parse(cancel(&invite(), &mut Vec::new())).unwrap();
        assert_eq!(cancel.method(), crate::message::Method::Cancel);
        assert_eq!(cancel.request_uri(), invite().request_uri());
        assert_eq!(cancel.values(HeaderId::Via).count(), 1);
        assert_eq!(cancel.header(HeaderId::To), invite().header(HeaderId::To));
        assert_eq!(cancel.cseq().unwrap().number, 986_759);
        assert_eq!(
            cancel.header(HeaderId::Route),
            Some(&b"<sip:r1.example.test;lr>"[..])
        );
    }
}
