//! What could not be sent: told to the transaction it belongs to (RFC 3261 16.9, 18.4), or tried another way (18.2.2).

use std::time::Instant;

use bytes::Bytes;
use switchhook_net::Failure;
use switchhook_sip::flow::{Destination, Transport};
use switchhook_sip::message::{Message, Method};

use crate::lane::{Lane, Mail};
use crate::reply::way_back;

impl Lane {
    /// A message is known not to have arrived. After an ICMP error only its beginning may be here.
    pub(crate) fn send_failed(
        &mut self,
        now: Instant,
        bytes: &Bytes,
        destination: Destination,
        error: &Failure,
    ) {
        self.counters.send_failed.count();
        tracing::debug!(remote = %destination.remote, transport = %destination.transport, %error, "not delivered");
        if bytes.starts_with(b"SIP/") {
            return self.reply_failed(bytes, destination, error);
        }
        if destination.transport == Transport::Tcp
            && matches!(error, Failure::ConnectTimeout | Failure::System(_))
        {
            self.unconnected.insert(now, destination.remote);
        }
        if !self.request_failed(now, bytes, destination, error)
            && destination.transport == Transport::Udp
        {
            // The lanes' sockets share a port: the kernel gives what ICMP says to any of them.
            for lane in &self.neighbours {
                // One that has too much to do learns it by its timers.
                let _ = lane.try_send(Mail::Failed(bytes.clone(), destination, error.clone()));
            }
        }
    }

    /// A request is known not to have arrived. False where no transaction of this lane sent it.
    pub(crate) fn request_failed(
        &mut self,
        now: Instant,
        bytes: &Bytes,
        destination: Destination,
        error: &Failure,
    ) -> bool {
        let Some(branch) = top_branch(bytes) else {
            return false;
        };
        if self.own_failed(now, branch) {
            return true;
        }
        let Some(origin) = self.tm.origin(branch, method(bytes)) else {
            return false;
        };
        if matches!(error, Failure::Gone) && destination.flow.is_some() {
            // The connection that a contact registered over: no other way leads to it (RFC 5626 5.3).
            self.tm.on_flow_failed(now, origin);
        } else {
            self.tm.on_transport_error(now, origin);
        }
        true
    }

    /// A reply whose connection is gone goes to the address in its Via, once (RFC 3261 18.2.2). Any other that got lost is
    /// asked for again by the peer.
    fn reply_failed(&mut self, bytes: &Bytes, destination: Destination, error: &Failure) {
        let lost_connection = matches!(error, Failure::Gone | Failure::System(_))
            && destination.transport != Transport::Udp
            && destination.flow.is_some();
        if !lost_connection {
            return;
        }
        let way = Message::parse(bytes.clone())
            .ok()
            .and_then(|reply| way_back(&reply.via().ok()?));
        if let Some(way) = way
            && way.remote != destination.remote
        {
            self.send(way, bytes.clone());
        }
    }
}

/// The branch of the top Via, from a request that may be cut off anywhere. We wrote it, so it is the first header.
fn top_branch(bytes: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b";branch=";
    let at = bytes.windows(NAME.len()).position(|part| part == NAME)?;
    let rest = bytes.get(at + NAME.len()..)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b';' | b',' | b' ' | b'\t' | b'\r' | b'\n'))?;
    rest.get(..end)
}

fn method(bytes: &[u8]) -> Method<'_> {
    let end = bytes.iter().position(|byte| *byte == b' ');
    Method::of(bytes.get(..end.unwrap_or_default()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_is_found_in_what_icmp_quotes() {
        let whole =
            b"CANCEL sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK12.ab;rport\r\nFrom: x";
        assert_eq!(top_branch(whole), Some(&b"z9hG4bK12.ab"[..]));
        assert_eq!(method(whole), Method::Cancel);
        assert_eq!(top_branch(&whole[..60]), None, "a branch cut off is none");
        assert_eq!(method(b""), Method::of(b""));
    }
}
