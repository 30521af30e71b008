//! KDMQ: the SIP request that carries a channel's message, and its answers.
//!
//! `KDMQ sip:<channel>@<host>:<port> SIP/2.0`, To the same, From the channel at the sender's own address, CSeq 10, no Contact.
//! Knows nothing of what a body means. The From selects the member that a synchronisation goes to, so one that names
//! another host than the datagram came from is no sender at all ([`Request::read`]).

use bytes::Bytes;
use switchhook_sip::flow::Source;
use switchhook_sip::message::{Edits, HeaderId, Message, Method, Uri, host_ip, response};
use switchhook_sip::proxy::mark_source;

use crate::node::Node;

/// The method.
pub const METHOD: &[u8] = b"KDMQ";
/// What the branches of our own requests begin with: an answer to one is known by it before any table is looked into.
pub const BRANCH: &str = "z9hG4bKdmq.";
/// The most bytes of a body that we send: with its header fields a message stays below the 32,767 bytes that Kamailio reads.
pub const MAX_BODY: usize = 30_000;
/// The type of the tables' bodies.
pub(crate) const JSON: &str = "application/json";
/// The longest name of a channel.
pub const MAX_CHANNEL: usize = 64;

/// True for a message that belongs to the bus: a KDMQ request, or an answer to one of ours.
pub fn is_bus(message: &Message) -> bool {
    if message.is_request() {
        return message.method() == Method::Other(METHOD);
    }
    let branch = message.via().ok().and_then(|via| via.branch());
    branch.is_some_and(|branch| branch.starts_with(BRANCH.as_bytes()))
}

/// A KDMQ request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The channel: the user of the request URI.
    pub channel: &'a str,
    /// Who sent it.
    pub from: Node,
    /// The branch of its Via, which names it.
    pub branch: &'a [u8],
    /// Max-Forwards; 2 asks for one forwarding of a notification.
    pub hops: u8,
    /// The type of the body; may be empty.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// All of it.
    pub message: &'a Message,
}

/// Why a KDMQ request is not looked at any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// A header is missing or cannot be read: 400.
    Malformed,
    /// From names another host than the one it came from: 403.
    Spoofed,
}

impl<'a> Request<'a> {
    /// Reads a request's header fields.
    pub fn read(message: &'a Message, source: &Source) -> Result<Self, Unreadable> {
        let bad = Unreadable::Malformed;
        message.check().map_err(|_| bad)?;
        let uri = Uri::parse(message.request_uri()).map_err(|_| bad)?;
        let channel = std::str::from_utf8(uri.user.ok_or(bad)?).map_err(|_| bad)?;
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.:!~+".contains(&b);
        if channel.is_empty() || channel.len() > MAX_CHANNEL || !channel.bytes().all(known) {
            return Err(bad);
        }
        let branch = message.via().map_err(|_| bad)?.branch().ok_or(bad)?;
        let content_type = message.header(HeaderId::ContentType).unwrap_or_default();
        Ok(Self {
            channel,
            from: sender(message, source)?,
            branch,
            hops: message.max_forwards().and_then(Result::ok).unwrap_or(1),
            content_type: std::str::from_utf8(content_type).map_err(|_| bad)?,
            body: message.body(),
            message,
        })
    }
}

/// The node that From names. One that is named by a host name is known by where the message came from.
fn sender(message: &Message, source: &Source) -> Result<Node, Unreadable> {
    let from = message.from().and_then(|from| from.uri());
    let from = from.map_err(|_| Unreadable::Malformed)?;
    let Some(ip) = host_ip(from.host) else {
        return Ok(Node {
            address: source.remote,
            transport: source.transport,
        });
    };
    if ip != source.remote.ip() {
        return Err(Unreadable::Spoofed);
    }
    let port = from.port.unwrap_or(source.transport.default_port());
    Ok(Node {
        address: (ip, port).into(),
        transport: source.transport,
    })
}

/// What a request of ours is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub(crate) own: Node,
    pub(crate) to: Node,
    pub(crate) channel: &'a str,
    /// Tells requests apart, and is not to be guessed.
    pub(crate) id: u128,
    pub(crate) hops: u8,
    pub(crate) user_agent: &'a str,
    pub(crate) content_type: &'a str,
    /// Further header fields, each with its line end.
    pub(crate) extra: &'a str,
    pub(crate) body: &'a [u8],
}

impl Draft<'_> {
    pub(crate) fn write(&self) -> Bytes {
        let Self {
            own, to, channel, ..
        } = self;
        let (via, at, from) = (own.transport, to.address, own.address);
        let head = format!(
            "KDMQ sip:{channel}@{at} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {from};branch={BRANCH}{id:032x}\r\n\
             To: <sip:{channel}@{at}>\r\n\
             From: <sip:{channel}@{from}>;tag={id:032x}\r\n\
             CSeq: 10 KDMQ\r\n\
             Call-ID: {id:032x}@{ip}\r\n\
             Content-Length: {length}\r\n\
             User-Agent: {agent}\r\n\
             Max-Forwards: {hops}\r\n{extra}",
            id = self.id,
            ip = from.ip(),
            length = self.body.len(),
            agent = self.user_agent,
            hops = self.hops,
            extra = self.extra,
        );
        let mut out = Vec::with_capacity(head.len() + self.body.len() + 64);
        out.extend_from_slice(head.as_bytes());
        if !self.content_type.is_empty() {
            for part in ["Content-Type: ", self.content_type, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body);
        out.into()
    }
}

/// The number in the branch of an answer to one of our requests.
pub(crate) fn answered(message: &Message) -> Option<u128> {
    let branch = message.via().ok()?.branch()?;
    let id = branch.strip_prefix(BRANCH.as_bytes())?;
    u128::from_str_radix(std::str::from_utf8(id).ok()?, 16).ok()
}

/// An answer of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: std::borrow::Cow<'static, str>,
    /// Type and body.
    pub body: Option<(std::borrow::Cow<'static, str>, Bytes)>,
}

impl Reply {
    /// An answer without body.
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self {
            status,
            reason: std::borrow::Cow::Borrowed(reason),
            body: None,
        }
    }

    /// 200.
    pub const OK: Self = Self::new(200, "OK");
    /// 400: a body that cannot be read.
    pub const BAD: Self = Self::new(400, "Bad Request");
    /// 403: not from a member.
    pub const FORBIDDEN: Self = Self::new(403, "Forbidden");
    /// 404: a channel that nobody listens to.
    pub const UNKNOWN: Self = Self::new(404, "User Not Found");
    /// 500: a table or dialog that is not there, or that is full.
    pub const FAILED: Self = Self::new(500, "Server Internal Error");

    /// Writes the answer to a request, for the way back to where it came from.
    pub(crate) fn write(
        &self,
        request: &Message,
        source: &Source,
        server: &str,
        fields: &[(&str, String)],
    ) -> Option<Bytes> {
        let mut edits = Edits::default();
        mark_source(request, &mut edits, source, false).ok()?;
        let answer = response(edits.view(request), self.status, &self.reason, Some("dmq"));
        let mut answer = answer.header(b"Server", server.as_bytes()).ok()?;
        for (name, value) in fields {
            answer = answer.header(name.as_bytes(), value.as_bytes()).ok()?;
        }
        let answer = match &self.body {
            Some((kind, body)) => answer.body(kind.as_bytes(), body).ok()?,
            None => answer,
        };
        Some(answer.finish())
    }
}
