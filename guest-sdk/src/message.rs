//! The current message as a script sees it: one snapshot read when it is first asked for, edits collected here and sent in one call.
//!
//! Owns: when a snapshot is still true. A getter that asks for what an edit has touched sends the edits and reads again; any
//! other is served from the snapshot at hand. References into a snapshot stay good until the next edit: an edit takes `&mut`.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::marker::PhantomData;

use crate::error::{Error, Result};
use crate::header;
use crate::host::request::{Problem, Whole};
use crate::host::types::{self, Body, Edit, Endpoint, Header, Snapshot};
use crate::host::{reply, request};
use crate::method::Method;
use crate::nameaddr::NameAddr;
use crate::uri::{Parts, Uri};

/// Which of the event's two messages. A type and not a value, so that a script which never touches a reply does not import the
/// host's `reply`, and needs no grant for it.
pub(crate) trait Side {
    /// What comes with the snapshot.
    type Known: Default;

    fn read() -> Result<(Snapshot, Self::Known), types::Error>;
    fn apply(edits: &[Edit]) -> Result<(), types::Error>;
}

pub(crate) enum OfRequest {}

/// What the host tells of a request with its snapshot.
#[derive(Default)]
pub(crate) struct Known {
    for_us: bool,
    in_dialog: bool,
    problem: Option<Problem>,
}

impl Side for OfRequest {
    type Known = Known;

    fn read() -> Result<(Snapshot, Known), types::Error> {
        let Whole {
            snapshot,
            for_us,
            in_dialog,
            problem,
        } = request::read();
        let known = Known {
            for_us,
            in_dialog,
            problem,
        };
        Ok((snapshot, known))
    }

    fn apply(edits: &[Edit]) -> Result<(), types::Error> {
        request::apply(edits)
    }
}

pub(crate) enum OfReply {}

impl Side for OfReply {
    type Known = ();

    fn read() -> Result<(Snapshot, ()), types::Error> {
        Ok((reply::read()?, ()))
    }

    fn apply(edits: &[Edit]) -> Result<(), types::Error> {
        reply::apply(edits)
    }
}

pub(crate) struct Message<S: Side> {
    /// As it was before the edits that `touched` tells of.
    before: OnceCell<Read<S::Known>>,
    /// As it is with them; read only where a getter asks for something they touched.
    after: OnceCell<Read<S::Known>>,
    touched: Touched,
    pending: RefCell<Vec<Edit>>,
    /// Why edits that a getter had to send were refused; told by the next call that may fail.
    refused: Cell<Option<Error>>,
    side: PhantomData<S>,
}

/// What has changed since `before` was read.
#[derive(Default)]
struct Touched {
    start_line: bool,
    body: bool,
    names: Vec<Cow<'static, str>>,
}

/// A snapshot and what was made of it.
struct Read<K> {
    snapshot: Snapshot,
    known: K,
    /// Of a request; parsed when it is first asked for, because routes ask again and again.
    request_line: OnceCell<RequestLine>,
    /// Values that are not UTF-8, read as ISO 8859-1: as many as there are fields, made when one is met.
    latin: OnceCell<Vec<String>>,
}

/// The method and where it ends, where the request URI ends, and its parts where they were asked for.
struct RequestLine {
    /// None: one that has no name here.
    known: Option<Method<'static>>,
    method: usize,
    uri: usize,
    parts: OnceCell<Parts>,
}

/// Offsets of a value into the snapshot's message.
#[derive(Clone, Copy)]
struct Span {
    field: usize,
    from: usize,
    to: usize,
}

impl<S: Side> Message<S> {
    pub(crate) fn new() -> Message<S> {
        Message {
            before: OnceCell::new(),
            after: OnceCell::new(),
            touched: Touched::default(),
            pending: RefCell::default(),
            refused: Cell::default(),
            side: PhantomData,
        }
    }

    /// The first line, without its end.
    pub(crate) fn start_line(&self) -> &str {
        self.read(self.touched.start_line).start_line()
    }

    /// The method of a request. No edit changes it.
    pub(crate) fn method(&self) -> Method<'_> {
        let read = self.read(false);
        let line = read.request_line();
        line.known
            .unwrap_or_else(|| Method::Other(read.slice(0, line.method)))
    }

    /// The URI of a request.
    pub(crate) fn uri(&self) -> Uri<'_> {
        self.read(self.touched.start_line).uri()
    }

    /// The first value of a field. A list is given whole.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let read = self.read(self.touched.has(name));
        read.named(name).next().map(|span| read.text(span))
    }

    /// Every value of a field, lists taken apart where the field's grammar has them.
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let read = self.read(self.touched.has(name));
        let list = header::is_list(name);
        read.named(name)
            .flat_map(move |span| header::values(read.text(span), list))
    }

    /// Every field, in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let read = self.read(!self.touched.names.is_empty());
        read.spans().map(|(name, span)| {
            let name = std::str::from_utf8(name).unwrap_or_default();
            (name, read.text(span))
        })
    }

    pub(crate) fn address(&self, name: &str) -> NameAddr<'_> {
        NameAddr::read(self.header(name).unwrap_or_default())
    }

    pub(crate) fn body(&self) -> &[u8] {
        let read = self.read(self.touched.body);
        // the fields' end is followed by the line's end and the empty line; either may be a bare LF
        let head = read.fields().last().map_or(0, |(_, span)| span.to);
        let mut rest = read.message().get(head..).unwrap_or_default();
        for _ in 0..2 {
            let line = rest.iter().position(|b| *b == b'\n');
            rest = line
                .and_then(|line| rest.get(line + 1..))
                .unwrap_or_default();
        }
        rest
    }

    pub(crate) fn source(&self) -> Endpoint {
        self.read(false).snapshot.source
    }

    pub(crate) fn local(&self) -> Endpoint {
        self.read(false).snapshot.local
    }

    pub(crate) fn edit(&mut self, edit: Edit) {
        match &edit {
            Edit::SetUri(_) => self.touch(|touched| touched.start_line = true),
            Edit::SetHeader(Header { name, .. })
            | Edit::AppendHeader(Header { name, .. })
            | Edit::PrependHeader(Header { name, .. })
            | Edit::RemoveHeader(name) => {
                let name = Cow::Owned(name.clone());
                self.touch(|touched| touched.names.push(name));
            }
            Edit::SetBody(_) | Edit::RemoveBody => self.touch(|touched| {
                touched.body = true;
                touched.names.push(Cow::Borrowed("Content-Type"));
                touched.names.push(Cow::Borrowed("Content-Length"));
            }),
        }
        self.pending.get_mut().push(edit);
    }

    /// The host has changed fields of that name by itself.
    pub(crate) fn touched(&mut self, name: &'static str) {
        self.touch(|touched| touched.names.push(Cow::Borrowed(name)));
    }

    /// The host has changed the start line by itself.
    pub(crate) fn touched_start_line(&mut self) {
        self.touch(|touched| touched.start_line = true);
    }

    /// Sends the pending edits. Before every host call that acts on the message, and when a route ends.
    pub(crate) fn flush(&self) -> Result<()> {
        if let Some(error) = self.refused.take() {
            return Err(error);
        }
        if self.pending.borrow().is_empty() {
            return Ok(());
        }
        let edits = self.pending.take();
        S::apply(&edits).map_err(Error::host)
    }

    /// Sends the pending edits before a question that has no place for a refusal; the next call that may fail tells it.
    pub(crate) fn send(&self) {
        if let Err(error) = self.flush() {
            self.refused.set(Some(error));
        }
    }

    fn touch(&mut self, what: impl FnOnce(&mut Touched)) {
        // nobody holds a reference into either snapshot now: the newer one becomes the base
        if let Some(after) = self.after.take() {
            self.before = OnceCell::from(after);
            self.touched = Touched::default();
        }
        if self.before.get().is_some() {
            what(&mut self.touched);
        }
    }

    fn read(&self, touched: bool) -> &Read<S::Known> {
        let cell = if touched { &self.after } else { &self.before };
        cell.get_or_init(|| {
            self.send();
            let (snapshot, known) = S::read().unwrap_or_else(|error| {
                self.refused.set(Some(Error::host(error)));
                (empty(), S::Known::default())
            });
            Read {
                snapshot,
                known,
                request_line: OnceCell::new(),
                latin: OnceCell::new(),
            }
        })
    }
}

impl Message<OfRequest> {
    /// What a proxy must refuse it for, as it came.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.read(false).known.problem.as_ref()
    }

    /// Whether its To has a tag, where no edit has touched that since it was read.
    pub(crate) fn in_dialog(&self) -> Option<bool> {
        (!self.touched.has("To")).then(|| self.read(false).known.in_dialog)
    }

    /// Whether its URI is ours, where no edit has touched that since it was read.
    pub(crate) fn is_for_us(&self) -> Option<bool> {
        (!self.touched.start_line).then(|| self.read(false).known.for_us)
    }
}

impl Touched {
    fn has(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|touched| header::same(touched.as_bytes(), name))
    }
}

impl<K> Read<K> {
    fn message(&self) -> &[u8] {
        let length = self.snapshot.length as usize;
        self.snapshot.bytes.get(..length).unwrap_or_default()
    }

    fn start_line(&self) -> &str {
        let message = self.message();
        let end = message
            .iter()
            .position(|b| matches!(b, b'\r' | b'\n'))
            .unwrap_or(message.len());
        self.utf8(0, end).unwrap_or_default()
    }

    fn request_line(&self) -> &RequestLine {
        self.request_line.get_or_init(|| {
            let message = self.message();
            let space = |from: usize| {
                let rest = message.get(from..).unwrap_or_default();
                let ends = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
                from + rest.iter().position(ends).unwrap_or(rest.len())
            };
            let method = space(0);
            let uri = space(method + 1);
            RequestLine {
                known: Method::known(self.bytes(0, method)),
                method,
                uri,
                parts: OnceCell::new(),
            }
        })
    }

    fn uri(&self) -> Uri<'_> {
        let line = self.request_line();
        let uri = self.slice(line.method + 1, line.uri);
        let parts = line.parts.get_or_init(|| Parts::of(uri.as_bytes()));
        Uri::of(uri, *parts)
    }

    fn slice(&self, from: usize, to: usize) -> &str {
        self.utf8(from, to).unwrap_or_default()
    }

    /// Each field's name and value, as offsets.
    fn fields(&self) -> impl DoubleEndedIterator<Item = ([usize; 2], Span)> {
        let length = self.snapshot.length as usize;
        let fields = self.snapshot.bytes.get(length..).unwrap_or_default();
        let fields = fields.as_chunks::<16>().0.iter().enumerate();
        fields.map(|(field, numbers)| {
            let numbers = u128::from_le_bytes(*numbers);
            let number = |n: u32| (numbers >> (32 * n)) as u32 as usize;
            let name = [number(0) & 0x00ff_ffff, number(1)];
            let (from, to) = (number(2), number(3));
            (name, Span { field, from, to })
        })
    }

    fn spans(&self) -> impl Iterator<Item = (&[u8], Span)> {
        self.fields()
            .map(|([from, to], span)| (self.bytes(from, to), span))
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Span> + 'a {
        self.spans()
            .filter(move |(field, _)| header::same(field, name))
            .map(|(_, span)| span)
    }

    fn text(&self, span: Span) -> &str {
        if let Some(text) = self.utf8(span.from, span.to) {
            return text;
        }
        let latin = self.latin.get_or_init(|| {
            self.fields()
                .map(|(_, span)| self.bytes(span.from, span.to))
                .map(|bytes| bytes.iter().map(|b| char::from(*b)).collect())
                .collect()
        });
        latin.get(span.field).map_or("", String::as_str)
    }

    fn utf8(&self, from: usize, to: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(from, to)).ok()
    }

    fn bytes(&self, from: usize, to: usize) -> &[u8] {
        self.snapshot.bytes.get(from..to).unwrap_or_default()
    }
}

/// What stands for a reply where there is none.
fn empty() -> Snapshot {
    use crate::host::types::{IpAddress, Transport};
    let nowhere = Endpoint {
        transport: Transport::Udp,
        address: IpAddress::V4(0),
        port: 0,
    };
    Snapshot {
        bytes: Vec::new(),
        length: 0,
        source: nowhere,
        local: nowhere,
    }
}

/// The functions that Request and Reply share.
macro_rules! message_functions {
    ($type:ident) => {
        impl $type {
            /// The first value of a header field, `$hdr(name)`; a list is given whole. Compact forms are their long names, and
            /// what is not UTF-8 is read as ISO 8859-1.
            pub fn header(&self, name: &str) -> Option<&str> {
                self.message.header(name)
            }

            /// Every value of a header field; lists are taken apart where the field's grammar has them.
            pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
                self.message.headers(name)
            }

            /// Every header field's name and value, in order, as they are written.
            pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
                self.message.fields()
            }

            /// The From field; `$fu` is its URI, `$ft` its tag.
            pub fn from(&self) -> NameAddr<'_> {
                self.message.address("From")
            }

            /// The To field; `$tu` is its URI, `$tt` its tag.
            pub fn to(&self) -> NameAddr<'_> {
                self.message.address("To")
            }

            /// The Call-ID; `$ci`.
            pub fn call_id(&self) -> &str {
                self.message.header("Call-ID").unwrap_or_default()
            }

            /// The CSeq's number; `$cs`.
            pub fn cseq(&self) -> u32 {
                let cseq = self.message.header("CSeq").unwrap_or_default();
                let number = cseq.split_ascii_whitespace().next();
                number.and_then(|n| n.parse().ok()).unwrap_or_default()
            }

            /// The body, empty where there is none; `$rb`.
            pub fn body(&self) -> &[u8] {
                self.message.body()
            }

            /// Who sent it; `$si`, `$sp`, `$proto`.
            pub fn source(&self) -> Endpoint {
                self.message.source()
            }

            /// Our socket that it came to; `$Ri`, `$Rp`.
            pub fn local(&self) -> Endpoint {
                self.message.local()
            }

            /// Replaces the first field of that name and removes its others; adds it where there was none.
            pub fn set_header(&mut self, name: &str, value: &str) {
                self.message.edit(Edit::SetHeader(field(name, value)));
            }

            /// Adds a field after the last one; `append_hf`.
            pub fn append_header(&mut self, name: &str, value: &str) {
                self.message.edit(Edit::AppendHeader(field(name, value)));
            }

            /// Adds a field before the first of that name, else before the first of all; `insert_hf`.
            pub fn prepend_header(&mut self, name: &str, value: &str) {
                self.message.edit(Edit::PrependHeader(field(name, value)));
            }

            /// Removes every field of that name; `remove_hf`.
            pub fn remove_header(&mut self, name: &str) {
                self.message.edit(Edit::RemoveHeader(name.to_owned()));
            }

            /// Replaces the body and Content-Type; `set_body`.
            pub fn set_body(&mut self, content_type: &str, content: impl Into<Vec<u8>>) {
                self.message
                    .edit(Edit::SetBody(body(content_type, content.into())));
            }

            /// Removes the body and Content-Type; `remove_body`.
            pub fn remove_body(&mut self) {
                self.message.edit(Edit::RemoveBody);
            }
        }
    };
}
pub(crate) use message_functions;

pub(crate) fn field(name: &str, value: &str) -> Header {
    Header {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

pub(crate) fn body(content_type: &str, content: Vec<u8>) -> Body {
    Body {
        content_type: content_type.to_owned(),
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf_8_is_read_as_iso_8859_1() {
        let message =
            b"SIP/2.0 200 OK\r\nServer: Z\xc3\xbcrich\r\nSubject: Gr\xfc\xdfe\r\n\r\n".to_vec();
        let span = |name: &[u8], value: &[u8]| {
            let at = |part: &[u8]| {
                let found = message.windows(part.len()).position(|w| w == part);
                found.unwrap() as u32
            };
            let (name_at, value_at) = (at(name), at(value));
            let end = |from: u32, part: &[u8]| from + part.len() as u32;
            [
                9 << 24 | name_at,
                end(name_at, name),
                value_at,
                end(value_at, value),
            ]
        };
        let fields = [
            span(b"Server", b"Z\xc3\xbcrich"),
            span(b"Subject", b"Gr\xfc\xdfe"),
        ];
        let fields = fields.concat().into_iter().flat_map(u32::to_le_bytes);
        let reply: Message<OfReply> = Message::new();
        let snapshot = Snapshot {
            bytes: message.iter().copied().chain(fields).collect(),
            length: message.len() as u32,
            ..empty()
        };
        let read = reply.before.get_or_init(|| Read {
            snapshot,
            known: (),
            request_line: OnceCell::new(),
            latin: OnceCell::new(),
        });
        assert_eq!(read.start_line(), "SIP/2.0 200 OK");
        assert_eq!(reply.header("server"), Some("Zürich"));
        assert_eq!(reply.header("s"), Some("Grüße"));
        assert!(reply.body().is_empty());
    }
}
