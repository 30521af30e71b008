//! Messages prepared once and filled in for each call: fixed text with a few holes.
//!
//! Filling copies pieces into a buffer that is used again and again, so a message costs no allocation. Where the fields that
//! are checked later stand is noted on the way ([`Spans`]). Knows nothing of scenarios: [`crate::scenario`] makes templates.

use std::net::IpAddr;
use std::ops::Range;

use crate::ids::Id;

/// A hole, or text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Vec<u8>),
    /// The call's identity.
    Id,
    /// A phone's user name, by role.
    User(usize),
    /// A phone's `host:port`.
    Address(usize),
    /// A phone's address as SDP has it: `IP4 127.0.0.1`.
    Media(usize),
    /// The server's `host:port`.
    Target,
    /// How often the request was sent before with other credentials: one digit.
    Attempt,
    /// A CSeq number that grows with [`Piece::Attempt`].
    CSeq(u32),
    /// Route fields of a dialog; `reversed` on the side that called.
    Routes {
        dialog: usize,
        reversed: bool,
    },
    /// The Authorization field, when there was a challenge.
    Credentials,
    /// What an answer takes over from its request, up to the value of To.
    Echo,
    /// The length of the body.
    Length,
    /// The body, from here to the end.
    Body,
    Begin(Part),
    End(Part),
}

/// A part of a message that is looked at again when it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Uri,
    Via,
    From,
    To,
    CallId,
    Contact,
    /// Content-Type's value.
    Kind,
    Body,
}

const PARTS: usize = 8;

/// Where each part stands; empty where a message has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans([Range<usize>; PARTS]);

impl Spans {
    /// The part of the message that these spans are of.
    pub(crate) fn of<'a>(&self, part: Part, message: &'a [u8]) -> &'a [u8] {
        self.0
            .get(part as usize)
            .and_then(|range| message.get(range.clone()))
            .unwrap_or_default()
    }
}

/// One phone as templates see it.
#[derive(Debug, Clone)]
pub(crate) struct Face {
    /// The role's name, which user names begin with.
    pub(crate) role: Vec<u8>,
    /// `host:port` of its socket.
    pub(crate) address: Vec<u8>,
    pub(crate) ip: IpAddr,
}

/// What the holes are filled with.
pub(crate) struct Fill<'a> {
    pub(crate) id: &'a Id,
    /// Which phone of each role, where there is more than one.
    pub(crate) number: Option<usize>,
    /// The phones of the call, by role.
    pub(crate) faces: &'a dyn Fn(usize) -> &'a Face,
    pub(crate) target: &'a [u8],
    pub(crate) attempt: u8,
    /// Record-Route of each dialog, comma separated as received by who was called.
    pub(crate) routes: &'a [Vec<u8>],
    pub(crate) credentials: &'a [u8],
    pub(crate) echo: &'a [u8],
}

/// A message to be filled in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    head: Vec<Piece>,
    body: Vec<Piece>,
}

impl Template {
    /// From pieces; those behind [`Piece::Body`] are the body.
    pub(crate) fn new(pieces: Vec<Piece>) -> Template {
        let mut template = Template::default();
        let mut in_body = false;
        for piece in pieces {
            if piece == Piece::Body {
                in_body = true;
                continue;
            }
            let list = if in_body {
                &mut template.body
            } else {
                &mut template.head
            };
            match (list.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => before.extend_from_slice(&text),
                (_, piece) => list.push(piece),
            }
        }
        template
    }

    /// Writes the message to the end of `out`, whose length before is what the spans count from; `scratch` is overwritten.
    pub(crate) fn fill(&self, fill: &Fill<'_>, out: &mut Vec<u8>, scratch: &mut Vec<u8>) -> Spans {
        let mut spans = Spans::default();
        scratch.clear();
        put(&self.body, fill, 0, scratch, &mut spans);
        let length = scratch.len();
        let from = out.len();
        put(&self.head, fill, length, out, &mut spans);
        out.extend_from_slice(scratch);
        for range in &mut spans.0 {
            *range = range.start.saturating_sub(from)..range.end.saturating_sub(from);
        }
        if let Some(range) = spans.0.get_mut(Part::Body as usize) {
            let end = out.len() - from;
            *range = end - length..end;
        }
        spans
    }
}

fn put(pieces: &[Piece], fill: &Fill<'_>, length: usize, out: &mut Vec<u8>, spans: &mut Spans) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Id => out.extend_from_slice(fill.id.as_bytes()),
            Piece::User(role) => user(&(fill.faces)(*role).role, fill.number, out),
            Piece::Address(role) => out.extend_from_slice(&(fill.faces)(*role).address),
            Piece::Media(role) => media((fill.faces)(*role).ip, out),
            Piece::Target => out.extend_from_slice(fill.target),
            Piece::Attempt => out.push(b'0'.saturating_add(fill.attempt)),
            Piece::CSeq(base) => number(*base as usize + usize::from(fill.attempt), out),
            Piece::Routes { dialog, reversed } => {
                let list = fill.routes.get(*dialog).map_or(&[][..], Vec::as_slice);
                routes(list, *reversed, out);
            }
            Piece::Credentials => out.extend_from_slice(fill.credentials),
            Piece::Echo => out.extend_from_slice(fill.echo),
            Piece::Length => number(length, out),
            Piece::Body => {}
            Piece::Begin(part) => {
                if let Some(range) = spans.0.get_mut(*part as usize) {
                    range.start = out.len();
                }
            }
            Piece::End(part) => {
                if let Some(range) = spans.0.get_mut(*part as usize) {
                    range.end = out.len();
                }
            }
        }
    }
}

/// `alice`, or `alice-17` where there are several.
pub(crate) fn user(role: &[u8], which: Option<usize>, out: &mut Vec<u8>) {
    out.extend_from_slice(role);
    if let Some(which) = which {
        out.push(b'-');
        number(which, out);
    }
}

/// Decimal digits.
pub(crate) fn number(number: usize, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (left % 10) as u8;
        }
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

fn media(ip: IpAddr, out: &mut Vec<u8>) {
    use std::io::Write;
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    // writing into a Vec does not fail
    let _ = write!(out, "{family} {ip}");
}

fn routes(list: &[u8], reversed: bool, out: &mut Vec<u8>) {
    if list.is_empty() {
        return;
    }
    out.extend_from_slice(b"Route: ");
    if reversed {
        let values: smallvec::SmallVec<[&[u8]; 8]> = crate::wire::Values(list).collect();
        for (n, value) in values.iter().rev().enumerate() {
            if n > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value);
        }
    } else {
        out.extend_from_slice(list);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_and_parts_found_again() {
        let template = Template::new(vec![
            Piece::Text(b"MESSAGE ".to_vec()),
            Piece::Begin(Part::Uri),
            Piece::Text(b"sip:".to_vec()),
            Piece::User(0),
            Piece::Text(b"@".to_vec()),
            Piece::Address(0),
            Piece::End(Part::Uri),
            Piece::Text(b" SIP/2.0\r\n".to_vec()),
            Piece::Routes {
                dialog: 0,
                reversed: true,
            },
            Piece::Text(b"CSeq: ".to_vec()),
            Piece::CSeq(11),
            Piece::Text(b" MESSAGE\r\nContent-Length: ".to_vec()),
            Piece::Length,
            Piece::Text(b"\r\n\r\n".to_vec()),
            Piece::Body,
            Piece::Text(b"call ".to_vec()),
            Piece::Id,
        ]);
        let face = Face {
            role: b"bob".to_vec(),
            address: b"127.0.0.1:5070".to_vec(),
            ip: [127, 0, 0, 1].into(),
        };
        let fill = Fill {
            id: &Id::new(1, 2, 3),
            number: Some(17),
            faces: &|_| &face,
            target: b"",
            attempt: 1,
            routes: &[b"<sip:a;lr>,<sip:b;lr>".to_vec()],
            credentials: b"",
            echo: b"",
        };
        let mut out = b"before".to_vec();
        let spans = template.fill(&fill, &mut out, &mut Vec::new());
        let message = &out[6..];
        assert_eq!(
            String::from_utf8_lossy(message),
            "MESSAGE sip:bob-17@127.0.0.1:5070 SIP/2.0\r\nRoute: <sip:b;lr>, <sip:a;lr>\r\n\
             CSeq: 12 MESSAGE\r\nContent-Length: 25\r\n\r\ncall 00000100000200000003"
        );
        assert_eq!(spans.of(Part::Uri, message), b"sip:bob-17@127.0.0.1:5070");
        assert_eq!(spans.of(Part::Body, message), b"call 00000100000200000003");
        assert_eq!(spans.of(Part::Contact, message), b"");
    }
}
