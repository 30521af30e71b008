//! Requests to be received, and messages as the fake host keeps them.

use switchhook_sip::message::{EditError, Edits, HeaderId, Message, render};

use crate::host::auth::Verdict;
use crate::host::types::{self, Edit, Endpoint, ErrorCode, IpAddress, Snapshot, Transport};

/// A request to be received; [`request`] starts one.
#[derive(Clone)]
pub struct Draft {
    pub(super) text: String,
    pub(super) source: Endpoint,
    pub(super) credentials: Verdict,
}

/// A request as a phone at 192.0.2.1 sends it: from `sip:alice@example.test` to the request URI, over UDP.
pub fn request(method: &str, uri: &str) -> Draft {
    message(&format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.test>;tag=9fxced76sl\r\n\
         To: <{uri}>\r\n\
         Call-ID: 3848276298220188511@192.0.2.1\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:alice@192.0.2.1:5060>\r\n\
         Content-Length: 0\r\n\r\n"
    ))
}

/// A request from its text. Bare line feeds stand for line ends, an empty line at the end may be left out.
pub fn message(text: &str) -> Draft {
    let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    while !text.contains("\r\n\r\n") {
        text.push_str("\r\n");
    }
    Draft {
        text,
        source: Endpoint {
            transport: Transport::Udp,
            address: IpAddress::V4(0xc000_0201),
            port: 5060,
        },
        credentials: Verdict::Missing,
    }
}

impl Draft {
    /// From that URI, with a tag.
    pub fn from(self, uri: &str) -> Draft {
        self.header("From", &format!("<{uri}>;tag=9fxced76sl"))
    }

    /// To that URI, without a tag.
    pub fn to(self, uri: &str) -> Draft {
        self.header("To", &format!("<{uri}>"))
    }

    /// With a header field in place of those of its name.
    pub fn header(mut self, name: &str, value: &str) -> Draft {
        let edit = Edit::SetHeader(types::Header {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self.edit(&edit);
        self
    }

    /// Without a header field.
    pub fn without(mut self, name: &str) -> Draft {
        self.edit(&Edit::RemoveHeader(name.to_owned()));
        self
    }

    /// With a body.
    pub fn body(mut self, content_type: &str, content: &str) -> Draft {
        self.edit(&Edit::SetBody(types::Body {
            content_type: content_type.to_owned(),
            content: content.as_bytes().to_vec(),
        }));
        self
    }

    /// Within a dialog that the script record-routed: a To tag, and our Route on top.
    pub fn in_dialog(self) -> Draft {
        let to = parse(&self.text).header(HeaderId::To).map(text);
        self.header("To", &format!("{};tag=a6c85cf", to.unwrap_or_default()))
            .header("Route", "<sip:127.0.0.1:5060;lr>")
    }

    /// From that sender: address and port, over that transport.
    pub fn source(mut self, transport: Transport, address: std::net::SocketAddr) -> Draft {
        self.source = Endpoint {
            transport,
            address: match address.ip() {
                std::net::IpAddr::V4(ip) => IpAddress::V4(ip.to_bits()),
                std::net::IpAddr::V6(ip) => {
                    let bits = ip.to_bits();
                    IpAddress::V6(((bits >> 64) as u64, bits as u64))
                }
            },
            port: address.port(),
        };
        self
    }

    /// With good credentials of that user.
    pub fn authenticated(self, user: &str) -> Draft {
        self.credentials(Verdict::Accepted(user.to_owned()))
    }

    /// With credentials worth that; none, where nothing is said.
    pub fn credentials(mut self, verdict: Verdict) -> Draft {
        self.credentials = verdict;
        self
    }

    fn edit(&mut self, edit: &Edit) {
        let edited = apply(&parse(&self.text), std::slice::from_ref(edit))
            .unwrap_or_else(|e| panic!("{}", e.message));
        self.text = String::from_utf8_lossy(edited.bytes()).into_owned();
    }
}

pub(super) fn parse(text: &str) -> Message {
    Message::parse(text.to_owned().into()).unwrap_or_else(|e| panic!("{e} in\n{text}"))
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The message with edits carried out.
pub(super) fn apply(msg: &Message, edits: &[Edit]) -> Result<Message, types::Error> {
    let mut msg = msg.clone();
    for edit in edits {
        let mut edited = Edits::default();
        carry_out(&msg, &mut edited, edit).map_err(invalid)?;
        let mut bytes = Vec::new();
        render(&msg, &edited, &mut bytes);
        msg = Message::parse(bytes.into()).map_err(invalid)?;
    }
    Ok(msg)
}

fn carry_out(msg: &Message, edits: &mut Edits, edit: &Edit) -> Result<(), EditError> {
    match edit {
        Edit::SetUri(uri) => edits.set_request_uri(msg, uri.as_bytes()),
        Edit::SetHeader(h) => {
            let (name, value) = (h.name.as_bytes(), h.value.as_bytes());
            let mut old = msg.named(name);
            match old.next() {
                Some(first) => {
                    edits.replace_value(msg, first.position, value)?;
                    old.try_for_each(|field| edits.remove_field(msg, field.position))
                }
                None => edits.append_field(msg, name, value).map(drop),
            }
        }
        Edit::AppendHeader(h) => edits
            .append_field(msg, h.name.as_bytes(), h.value.as_bytes())
            .map(drop),
        Edit::PrependHeader(h) => {
            let (name, value) = (h.name.as_bytes(), h.value.as_bytes());
            match msg.named(name).next() {
                Some(first) => edits.insert_before(msg, first.position, name, value),
                None => edits.prepend_field(msg, name, value),
            }
            .map(drop)
        }
        Edit::RemoveHeader(name) => edits.remove_named(msg, name.as_bytes()).map(drop),
        Edit::SetBody(body) => {
            edits.set_body(msg, Some(body.content_type.as_bytes()), &body.content)
        }
        Edit::RemoveBody => edits.set_body(msg, None, b""),
    }
}

pub(super) fn invalid(error: impl std::fmt::Display) -> types::Error {
    types::Error {
        code: ErrorCode::Invalid,
        message: error.to_string(),
    }
}

/// A message as `read` brings it over.
pub(super) fn snapshot(msg: &Message, source: Endpoint, local: Endpoint) -> Snapshot {
    let base = msg.bytes().as_ptr().addr();
    let span = |part: &[u8]| {
        let from = (part.as_ptr().addr() - base) as u32;
        (from, from + part.len() as u32)
    };
    let mut bytes = msg.bytes().to_vec();
    for field in msg.fields() {
        let (name, name_end) = span(field.name);
        let (from, to) = span(field.value);
        for number in [(field.id as u32) << 24 | name, name_end, from, to] {
            bytes.extend(number.to_le_bytes());
        }
    }
    Snapshot {
        bytes,
        length: msg.bytes().len() as u32,
        source,
        local,
    }
}
