//! Reads a received message as far as a phone must to judge it: start line, header fields as they came, body.
//!
//! A reader of its own, apart from `switchhook-sip`'s: a fault in the server's reader should not be shared by the tool that looks
//! for faults. Borrows everything from the datagram and allocates nothing for messages of up to [`FIELDS`] header fields.
//! RFC 3261 section 7, compact names (7.3.3) and folded lines included.

use smallvec::SmallVec;

/// Header fields kept without allocating.
const FIELDS: usize = 32;

/// Headers that a phone looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    RecordRoute,
    Route,
    MaxForwards,
    ContentLength,
    ContentType,
    WwwAuthenticate,
    ProxyAuthenticate,
    Other,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            1 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b'v') => Name::Via,
                Some(b'f') => Name::From,
                Some(b't') => Name::To,
                Some(b'i') => Name::CallId,
                Some(b'm') => Name::Contact,
                Some(b'l') => Name::ContentLength,
                Some(b'c') => Name::ContentType,
                _ => Name::Other,
            },
            2 if is(b"To") => Name::To,
            3 if is(b"Via") => Name::Via,
            4 if is(b"From") => Name::From,
            4 if is(b"CSeq") => Name::CSeq,
            5 if is(b"Route") => Name::Route,
            7 if is(b"Call-ID") => Name::CallId,
            7 if is(b"Contact") => Name::Contact,
            12 if is(b"Record-Route") => Name::RecordRoute,
            12 if is(b"Max-Forwards") => Name::MaxForwards,
            12 if is(b"Content-Type") => Name::ContentType,
            14 if is(b"Content-Length") => Name::ContentLength,
            16 if is(b"WWW-Authenticate") => Name::WwwAuthenticate,
            18 if is(b"Proxy-Authenticate") => Name::ProxyAuthenticate,
            _ => Name::Other,
        }
    }
}

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start<'a> {
    Request { method: &'a [u8], uri: &'a [u8] },
    Response { status: u16 },
}

/// A message, borrowed from its datagram.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) start: Start<'a>,
    fields: SmallVec<[(Name, &'a [u8]); FIELDS]>,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a datagram; `None` for what is no SIP message.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Message<'a>> {
        let (line, mut rest) = line(bytes)?;
        let start = start(line)?;
        let mut fields = SmallVec::new();
        loop {
            let (first, after) = line_folded(rest)?;
            rest = after;
            if first.is_empty() {
                break;
            }
            let colon = memchr::memchr(b':', first)?;
            let (name, value) = first.split_at_checked(colon)?;
            let name = Name::of(name.trim_ascii_end());
            fields.push((name, value.get(1..)?.trim_ascii()));
        }
        Some(Message {
            start,
            fields,
            body: rest,
        })
    }

    /// The first field's value.
    pub(crate) fn first(&self, name: Name) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Every field's value, in order.
    pub(crate) fn all(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.fields
            .iter()
            .filter(move |(id, _)| *id == name)
            .map(|(_, value)| *value)
    }

    /// Every value, comma lists split.
    pub(crate) fn values(&self, name: Name) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.all(name).flat_map(Values)
    }

    /// Number and method of the CSeq.
    pub(crate) fn cseq(&self) -> Option<(u32, &'a [u8])> {
        let value = self.first(Name::CSeq)?;
        let end = value.iter().position(|b| !b.is_ascii_digit())?;
        let (number, method) = value.split_at_checked(end)?;
        Some((decimal(number)?, method.trim_ascii()))
    }
}

/// The values of a comma list; commas inside quotes and angle brackets are text.
pub(crate) struct Values<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped, mut bracket) = (false, false, false);
        let end = self.0.iter().position(|byte| {
            if std::mem::take(&mut escaped) {
                return false;
            }
            match byte {
                b'\\' if quoted => escaped = true,
                b'"' if !bracket => quoted = !quoted,
                b'<' if !quoted => bracket = true,
                b'>' if !quoted => bracket = false,
                b',' => return !quoted && !bracket,
                _ => {}
            }
            false
        });
        let (value, rest) = match end {
            Some(end) => (self.0.get(..end)?, self.0.get(end + 1..)?),
            None => (self.0, &b""[..]),
        };
        self.0 = rest;
        Some(value.trim_ascii())
    }
}

/// The value of `;name=value` after an address or in a Via; empty for a parameter without one.
pub(crate) fn param<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    // parameters of the field stand behind the angle bracket
    let from = memchr::memrchr(b'>', value).map_or(0, |at| at + 1);
    value
        .get(from..)?
        .split(|b| *b == b';')
        .skip(1)
        .find_map(|param| {
            let mut parts = param.splitn(2, |b| *b == b'=');
            let known = parts.next()?.trim_ascii();
            known
                .eq_ignore_ascii_case(name)
                .then(|| parts.next().unwrap_or_default().trim_ascii())
        })
}

/// `host:port` of a Via.
pub(crate) fn sent_by(via: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', via).unwrap_or(via.len());
    let before = via.get(..end).unwrap_or_default().trim_ascii_end();
    let start = before
        .iter()
        .rposition(u8::is_ascii_whitespace)
        .map_or(0, |at| at + 1);
    before.get(start..).unwrap_or_default()
}

/// Digits alone.
pub(crate) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |number, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Up to the line's end, which is taken off, and the rest.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', bytes)?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// The same with the lines that continue it.
fn line_folded(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut first, mut rest) = line(bytes)?;
    while !first.is_empty() && matches!(rest.first(), Some(b' ' | b'\t')) {
        let (_, after) = line(rest)?;
        let taken = bytes.len() - after.len();
        let whole = bytes.get(..taken)?;
        first = whole.trim_ascii_end();
        rest = after;
    }
    Some((first, rest))
}

fn start(line: &[u8]) -> Option<Start<'_>> {
    let space = memchr::memchr(b' ', line)?;
    let (first, rest) = (line.get(..space)?, line.get(space + 1..)?);
    if first == b"SIP/2.0" {
        let status = decimal(rest.get(..3)?)?;
        return Some(Start::Response {
            status: u16::try_from(status).ok()?,
        });
    }
    let end = memchr::memrchr(b' ', rest)?;
    (rest.get(end + 1..)? == b"SIP/2.0").then_some(())?;
    Some(Start::Request {
        method: first,
        uri: rest.get(..end)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:bob@192.0.2.1 SIP/2.0\r\n\
        Via: SIP/2.0/UDP p.test:5060;branch=z9hG4bKp, SIP/2.0/UDP 192.0.2.7:5070;rport=5070;branch=z9hG4bKa\r\n\
        record-route: <sip:p.test;lr>,\r\n <sip:q.test;lr;x=\"a,b\">\r\n\
        f: \"A, \\\"B\" <sip:alice@example.test;x=y>;tag=1\r\n\
        CSeq: 17   INVITE\r\nl: 3\r\n\r\nabc";

    #[test]
    fn a_request_is_read() {
        let message = Message::read(INVITE).unwrap();
        let method = Start::Request {
            method: b"INVITE",
            uri: b"sip:bob@192.0.2.1",
        };
        assert_eq!(message.start, method);
        assert_eq!(message.cseq(), Some((17, &b"INVITE"[..])));
        let vias: Vec<_> = message.values(Name::Via).collect();
        assert_eq!(vias.len(), 2);
        assert_eq!(param(vias[1], b"branch"), Some(&b"z9hG4bKa"[..]));
        assert_eq!(sent_by(vias[1]), b"192.0.2.7:5070");
        assert_eq!(message.values(Name::RecordRoute).count(), 2);
        assert_eq!(
            param(message.first(Name::From).unwrap(), b"tag"),
            Some(&b"1"[..])
        );
        assert_eq!(param(message.first(Name::From).unwrap(), b"x"), None);
        assert_eq!(message.first(Name::ContentLength), Some(&b"3"[..]));
        assert_eq!(message.body, b"abc");
    }

    #[test]
    fn a_response_is_read() {
        let message = Message::read(b"SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP a\r\n\r\n").unwrap();
        assert_eq!(message.start, Start::Response { status: 180 });
        assert_eq!(message.body, b"");
    }

    /// Whatever comes is read, or is none: each cut and each changed byte of a message.
    #[test]
    fn no_byte_makes_it_fail() {
        let look = |bytes: &[u8]| {
            let Some(message) = Message::read(bytes) else {
                return;
            };
            for name in [Name::Via, Name::To, Name::RecordRoute, Name::Other] {
                for value in message.values(name) {
                    let _ = (
                        param(value, b"branch"),
                        param(value, b"tag"),
                        sent_by(value),
                    );
                    let _ = crate::digest::Challenge::read(value);
                    let _ = param(value, b"branch").and_then(crate::ids::branch);
                }
            }
            let _ = message.first(Name::CallId).and_then(crate::ids::call_id);
            let _ = message.cseq();
        };
        for at in 0..INVITE.len() {
            look(&INVITE[..at]);
            for byte in b"\0\r\n \t:;,=\"\\<>09\xff" {
                let mut changed = INVITE.to_vec();
                changed[at] = *byte;
                look(&changed);
            }
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"SIP/2.0 x",
            b"SIP/2.0 20\r\n\r\n",
            b"OPTIONS sip:a HTTP/1.1\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\r\nVia\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n",
        ] {
            assert!(Message::read(bytes).is_none(), "{:?}", bytes.escape_ascii());
        }
    }
}
