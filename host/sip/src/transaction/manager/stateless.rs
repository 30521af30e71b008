//! Answers without a transaction, and their ACKs. RFC 3261 s.8.2.6, s.8.2.7, s.17.2.1.
//!
//! Their To tag proves that it is of such an answer, so that the ACK to it is dropped by a glance at its bytes. That and
//! [`turn_away`](Manager::turn_away) are for a server that is asked for more than it can do: what it refuses must cost it next to nothing.

use bytes::Bytes;

use super::Manager;
use crate::flow::Source;
use crate::message::{Malformed, Message, Method};
use crate::transaction::answer::reply_to;
use crate::transaction::io::{Origin, Output, Refusal};
use crate::transaction::names::{StatelessTag, Tag};

impl<X> Manager<X> {
    /// The tag for an answer to this request that is made here without a transaction.
    pub fn to_tag(&mut self, request: &Message) -> Result<Tag, Malformed> {
        self.fresh.read(request, &self.keys)?;
        Ok(Tag::new(self.fresh.hash, &self.keys))
    }

    /// Answers a request without a transaction (s.8.2.7): a copy is a new request to us. The ACK to a failure answered so is absorbed.
    pub fn answer_without_state(
        &mut self,
        request: &Message,
        source: &Source,
        status: u16,
        reason: &str,
        extra: &[(&[u8], &[u8])],
    ) -> Result<(), Refusal> {
        self.fresh
            .read(request, &self.keys)
            .map_err(|_| Refusal::Edit)?;
        self.answer_by_hash(request, source, (status, reason), self.fresh.hash, extra)
    }

    /// Answers a request so if it begins something new; says whether it does. It does not if it is within a dialog, has a transaction, or is
    /// an ACK or a CANCEL: then it is to be taken as ever. To be asked before [`on_request`](Manager::on_request).
    pub fn turn_away(
        &mut self,
        request: &Message,
        source: &Source,
        status: u16,
        extra: &[(&[u8], &[u8])],
    ) -> bool {
        let method = request.method();
        if matches!(method, Method::Ack | Method::Cancel) || request.to_tag().is_some() {
            return false;
        }
        // The identity alone: whether it is merged does not matter to what is refused.
        self.fresh.bytes = Bytes::new();
        if self.fresh.identity.read(request).is_err() {
            return false;
        }
        let hash = self.fresh.identity.hash(&self.keys);
        let known = self.find(hash, &self.fresh.identity, |found| found == method);
        known.is_none()
            && self
                .answer_by_hash(request, source, (status, ""), hash, extra)
                .is_ok()
    }

    /// Whether these are the bytes of an ACK to an answer that was given without state here. No more of them is read than the To.
    pub fn ends_stateless(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"ACK ")
            && to_field(bytes).is_some_and(|to| {
                let tag = to.rsplit(|b| *b == b'=').next();
                tag.is_some_and(|tag| StatelessTag::is_ours(tag, &self.keys))
            })
    }

    fn answer_by_hash(
        &mut self,
        request: &Message,
        source: &Source,
        (status, reason): (u16, &str),
        hash: u64,
        extra: &[(&[u8], &[u8])],
    ) -> Result<(), Refusal> {
        let tag = StatelessTag::new(hash, &self.keys);
        let bytes = self
            .scratch
            .answer(request, source, status, reason, tag.as_str(), extra)
            .map_err(|_| Refusal::Edit)?;
        self.outputs.push_back(Output::Send {
            bytes,
            destination: reply_to(request, source),
            origin: Origin::Nobody,
        });
        Ok(())
    }
}

/// The line of the first To, without its end. Only a line that begins so is found: whatever else is read as ever.
fn to_field(bytes: &[u8]) -> Option<&[u8]> {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = bytes.get(start..end)?;
        start = end + 1;
        let long = line
            .get(..3)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"to:"));
        if long || matches!(line, [b't' | b'T', b':', ..]) {
            return Some(line.strip_suffix(b"\r").unwrap_or(line));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_to_is_found_where_it_is_written_as_mostly() {
        let to = |text: &'static str| to_field(text.as_bytes()).map(<[u8]>::escape_ascii);
        let to = |text| to(text).map(|to| to.to_string());
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(
            to("ACK sip:b SIP/2.0\r\nTo: <sip:b>;tag=1\r\n\r\n"),
            found("To: <sip:b>;tag=1")
        );
        assert_eq!(
            to("ACK sip:b SIP/2.0\nVia: x\nt:<sip:b>\n\n"),
            found("t:<sip:b>")
        );
        assert_eq!(to("ACK sip:b SIP/2.0\r\nTo : <sip:b>;tag=1\r\n\r\n"), None);
        assert_eq!(to("ACK sip:b SIP/2.0\r\nTo: <sip:b>;tag=1"), None);
    }
}
