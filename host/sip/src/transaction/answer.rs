//! Answers made here, and the way any answer takes: RFC 3261 s.8.2.6 and s.18.2, RFC 3581.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::flow::{Destination, Source};
use crate::message::{
    EditError, Edits, HeaderId, Message, ResponseBuilder, host_ip, reason_phrase,
};
use crate::proxy::marks;

/// Where the answers to this request go (s.18.2.2, RFC 3581 s.4): back on the flow it came on; over UDP to the `maddr` of its Via, else to the
/// port it came from if its sender asked for that with `rport`, else to the port in its Via. A `maddr` that is a name, or of another
/// family than the request came by, is not followed.
pub fn reply_to(request: &Message, source: &Source) -> Destination {
    let mut way = source.back();
    if source.transport.is_reliable() {
        return way;
    }
    let Ok(via) = request.via() else {
        return way;
    };
    let port = via.port.unwrap_or(source.transport.default_port());
    let maddr = via.maddr().and_then(host_ip);
    if let Some(maddr) = maddr.filter(|maddr| maddr.is_ipv4() == source.remote.is_ipv4()) {
        way.remote = SocketAddr::new(maddr, port);
    } else if via.rport().is_none() {
        way.remote = SocketAddr::new(source.remote.ip(), port);
    }
    way
}

/// Buffers for building messages, used again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The Server field of answers made here; empty for none.
    pub(super) server: Box<str>,
    pub(super) edits: Edits,
    pub(super) out: Vec<u8>,
}

impl Scratch {
    /// The answer of that status to `request`. An empty `reason` means the usual one.
    pub(super) fn answer(
        &mut self,
        request: &Message,
        source: &Source,
        status: u16,
        reason: &str,
        tag: &str,
        extra: &[(&[u8], &[u8])],
    ) -> Result<Bytes, EditError> {
        let marks = marks(request.view(), source, false)?;
        let reason = if reason.is_empty() {
            reason_phrase(status)
        } else {
            reason
        };
        let out = std::mem::take(&mut self.out);
        let view = request.view();
        let mut reply = ResponseBuilder::new(out, view, marks, status, reason, Some(tag));
        for (name, value) in extra {
            reply = reply.header(name, value)?;
        }
        if !self.server.is_empty() {
            reply = reply.header(HeaderId::Server.name().as_bytes(), self.server.as_bytes())?;
        }
        self.out = reply.finish_vec();
        Ok(Bytes::copy_from_slice(&self.out))
    }

    /// A response from downstream as it goes upstream: without the top Via (s.16.7 step 3), and with a Content-Length where
    /// the upstream transport is a stream (s.18.3).
    pub(super) fn relayed(
        &mut self,
        response: &Message,
        edits: Option<&mut Edits>,
        stream: bool,
    ) -> Result<Bytes, EditError> {
        self.edits.clear();
        let edits = edits.unwrap_or(&mut self.edits);
        edits.remove_first_value(response, HeaderId::Via)?;
        if stream {
            edits.add_content_length(response)?;
        }
        self.out.clear();
        crate::message::render(response, edits, &mut self.out);
        Ok(Bytes::copy_from_slice(&self.out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{FlowId, Transport};

    fn request(via: &str) -> Message {
        let text = format!("OPTIONS sip:h SIP/2.0\r\nVia: {via}\r\n\r\n");
        Message::parse(text.into_bytes().into()).unwrap()
    }

    fn from(transport: Transport) -> Source {
        Source {
            transport,
            remote: "192.0.2.7:40001".parse().unwrap(),
            local: "192.0.2.1:5060".parse().unwrap(),
            flow: FlowId::new(3),
        }
    }

    fn remote(via: &str, transport: Transport) -> String {
        reply_to(&request(via), &from(transport)).remote.to_string()
    }

    #[test]
    fn udp_answers_go_to_the_port_of_the_via() {
        assert_eq!(
            remote("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1", Transport::Udp),
            "192.0.2.7:5070"
        );
        assert_eq!(
            remote("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", Transport::Udp),
            "192.0.2.7:5060"
        );
    }

    #[test]
    fn rport_asks_for_the_port_the_request_came_from() {
        assert_eq!(
            remote("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1", Transport::Udp),
            "192.0.2.7:40001"
        );
    }

    #[test]
    fn a_maddr_says_where_udp_answers_go() {
        for (maddr, expected) in [
            ("192.0.2.8", "192.0.2.8:5070"),
            ("192.0.2.8;rport", "192.0.2.8:5070"),
            ("somewhere.test", "192.0.2.7:5070"),
            ("2001:db8::8", "192.0.2.7:5070"),
        ] {
            let via = format!("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;maddr={maddr}");
            assert_eq!(remote(&via, Transport::Udp), expected, "{maddr}");
        }
    }

    #[test]
    fn a_connection_is_answered_on_itself() {
        let via = request("SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bK1");
        assert_eq!(
            reply_to(&via, &from(Transport::Tcp)),
            from(Transport::Tcp).back()
        );
    }
}
