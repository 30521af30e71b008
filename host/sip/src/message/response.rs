//! Answers of our own: to a request, and as far as possible to one that cannot be read.
//!
//! Via, From, To, Call-ID and CSeq are copied as RFC 3261 8.2.6.2 asks, Timestamp into a 100 (8.2.6.1), Record-Route into
//! what makes a dialog (12.1.1). The To tag comes from the caller, which owns the randomness.

use bytes::Bytes;

use super::edit::{EditError, decimal};
use super::header::HeaderId;
use super::malformed::Malformed;
use super::rough::{RoughField, rough_fields};
use super::token::{is_token, is_token_byte, take_while};
use super::via::Marks;
use super::view::View;

/// Begins the answer to a request. Its Vias are taken as the view shows them, so `received` and `rport` belong into the
/// edits beforehand (RFC 3261 18.2.1) where it is not [`ResponseBuilder::new`] that writes them. `to_tag` is added to a To without tag, but not in a 100.
///
/// ```
/// use switchhook_sip::message::{Message, response};
/// let request = Message::parse("OPTIONS sip:b@example.test SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
///     f: <sip:a@example.test>;tag=1\r\nt: <sip:b@example.test>\r\ni: x\r\nCSeq: 1 OPTIONS\r\n\r\n".into())?;
/// let answer = response(&request, 200, "OK", Some("77")).header(b"Allow", b"OPTIONS")?.finish();
/// assert_eq!(&answer[..], b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
///     From: <sip:a@example.test>;tag=1\r\nTo: <sip:b@example.test>;tag=77\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\
///     Allow: OPTIONS\r\nContent-Length: 0\r\n\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn response<'a>(
    request: impl Into<View<'a>>,
    status: u16,
    reason: &str,
    to_tag: Option<&str>,
) -> ResponseBuilder {
    ResponseBuilder::new(Vec::new(), request.into(), None, status, reason, to_tag)
}

/// An answer being written.
#[derive(Debug)]
pub struct ResponseBuilder {
    out: Vec<u8>,
    body: Vec<u8>,
}

impl ResponseBuilder {
    /// As [`response`], into a buffer to be reused; what was in it is gone. The top Via gets these marks.
    pub fn new(
        mut out: Vec<u8>,
        request: View<'_>,
        mut marks: Option<Marks>,
        status: u16,
        reason: &str,
        to_tag: Option<&str>,
    ) -> Self {
        out.clear();
        out.reserve(512);
        start(&mut out, status, reason);
        let dialog = (101..300).contains(&status) && request.method().makes_dialog();
        for field in request.fields() {
            let copied = match field.id {
                HeaderId::Via
                | HeaderId::From
                | HeaderId::To
                | HeaderId::CallId
                | HeaderId::Cseq => true,
                HeaderId::Timestamp => status == 100,
                HeaderId::RecordRoute => dialog,
                _ => false,
            };
            if !copied {
                continue;
            }
            name(&mut out, field.id.name());
            match marks.take_if(|_| field.id == HeaderId::Via) {
                Some(marks) => marks.write(&mut out, field.value),
                None => out.extend_from_slice(field.value),
            }
            if field.id == HeaderId::To && status != 100 && !request.may_have_to_tag() {
                tag(&mut out, to_tag);
            }
            out.extend_from_slice(b"\r\n");
        }
        Self {
            out,
            body: Vec::new(),
        }
    }

    /// Adds a header field below those that are there.
    pub fn header(mut self, name: &[u8], value: &[u8]) -> Result<Self, EditError> {
        if !is_token(name) {
            return Err(EditError::Name(name.into()));
        }
        if HeaderId::of(name) == HeaderId::ContentLength {
            return Err(EditError::ContentLength);
        }
        let value = super::edit::checked_value(value)?;
        for part in [name, b": ", value, b"\r\n"] {
            self.out.extend_from_slice(part);
        }
        Ok(self)
    }

    /// Sets the body and its type.
    pub fn body(self, content_type: &[u8], body: &[u8]) -> Result<Self, EditError> {
        let mut this = self.header(HeaderId::ContentType.name().as_bytes(), content_type)?;
        this.body.clear();
        this.body.extend_from_slice(body);
        Ok(this)
    }

    /// The answer's bytes, Content-Length and body last.
    pub fn finish(self) -> Bytes {
        self.finish_vec().into()
    }

    /// As [`ResponseBuilder::finish`], giving the buffer back.
    pub fn finish_vec(mut self) -> Vec<u8> {
        finish(&mut self.out, &self.body);
        self.out
    }
}

fn start(out: &mut Vec<u8>, status: u16, reason: &str) {
    out.extend_from_slice(b"SIP/2.0 ");
    out.extend_from_slice(decimal(&mut [0; 10], u32::from(status)));
    out.push(b' ');
    let from = out.len();
    out.extend_from_slice(reason.as_bytes());
    for b in out.get_mut(from..).unwrap_or_default() {
        if matches!(b, b'\r' | b'\n') {
            *b = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
}

fn tag(out: &mut Vec<u8>, to_tag: Option<&str>) {
    if let Some(to_tag) = to_tag.filter(|tag| is_token(tag.as_bytes())) {
        out.extend_from_slice(b";tag=");
        out.extend_from_slice(to_tag.as_bytes());
    }
}

fn finish(out: &mut Vec<u8>, body: &[u8]) {
    name(out, HeaderId::ContentLength.name());
    out.extend_from_slice(decimal(
        &mut [0; 10],
        u32::try_from(body.len()).unwrap_or(u32::MAX),
    ));
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}

/// The most bytes of header fields copied into the answer to a message that cannot be read.
const REFUSAL_LIMIT: usize = 8192;

/// The answer to bytes that [`super::Message::parse`] or [`super::Message::check`] refused: Via, From, To, Call-ID and CSeq
/// are copied as far as they are there. `None` where no answer may or can go: to a response, an ACK, a message without any
/// Via, or what does not begin with a method (RFC 3261 8.2.6, 17.1.1.3, 18.2; RFC 4475 3.1.2).
///
/// It goes back the way the bytes came; it never makes a transaction. Without a `to_tag`, a To that has none gets one made
/// of the bytes, so that a retransmission gets the same (RFC 3261 8.2.7). `server` is its Server field, empty for none.
pub fn refuse(
    bytes: &[u8],
    malformed: &Malformed,
    to_tag: Option<&str>,
    server: &str,
) -> Option<Bytes> {
    let head = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?;
    let bytes = bytes.get(head..)?;
    let (method, rest) = take_while(bytes, is_token_byte);
    if method.is_empty() || method == b"ACK" || rest.first() != Some(&b' ') {
        return None;
    }
    let mut out = Vec::with_capacity(512);
    start(
        &mut out,
        malformed.status(),
        &malformed.reason().to_string(),
    );
    let mut seen = Vec::new();
    for RoughField {
        name: field, value, ..
    } in rough_fields(bytes)
    {
        let id = HeaderId::of(field);
        let wanted = matches!(
            id,
            HeaderId::Via | HeaderId::From | HeaderId::To | HeaderId::CallId | HeaderId::Cseq
        );
        let again = id != HeaderId::Via && seen.contains(&id);
        if !wanted || again || out.len() + value.len() > REFUSAL_LIMIT {
            continue;
        }
        seen.push(id);
        name(&mut out, id.name());
        out.extend(
            value
                .iter()
                .map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }),
        );
        let untagged = || super::NameAddr::parse(value).is_ok_and(|to| to.tag().is_none());
        if id == HeaderId::To && untagged() {
            match to_tag {
                Some(_) => tag(&mut out, to_tag),
                None => tag(&mut out, Some(&stateless_tag(bytes))),
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    if !seen.contains(&HeaderId::Via) {
        return None;
    }
    if let Ok(server) = super::edit::checked_value(server.as_bytes())
        && !server.is_empty()
    {
        name(&mut out, HeaderId::Server.name());
        out.extend_from_slice(server);
        out.extend_from_slice(b"\r\n");
    }
    finish(&mut out, b"");
    Some(out.into())
}

/// The same for the same bytes: FNV-1a over the first of them, which hold what tells requests apart.
fn stateless_tag(bytes: &[u8]) -> String {
    let step = |hash: u64, b: &u8| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().take(2048).fold(0xcbf2_9ce4_8422_2325, step);
    format!("{hash:016x}")
}

/// The usual reason phrase of a status (RFC 3261 section 21 and the IANA registry); that of its class for others.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        417 => "Unknown Resource-Priority",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        424 => "Bad Location Information",
        428 => "Use Identity Header",
        429 => "Provide Referrer Identity",
        430 => "Flow Failed",
        433 => "Anonymity Disallowed",
        436 => "Bad Identity Info",
        437 => "Unsupported Credential",
        438 => "Invalid Identity Header",
        439 => "First Hop Lacks Outbound Support",
        440 => "Max-Breadth Exceeded",
        469 => "Bad Info Package",
        470 => "Consent Needed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        555 => "Push Notification Service Not Supported",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => match status / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
