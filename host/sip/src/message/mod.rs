//! SIP messages: the bytes as they came with an index beside them, edits kept apart, rendered once.
//!
//! A [`Message`] never changes. It holds the datagram and, for each header field, where its name and value stand. What a
//! proxy wants to change goes into [`Edits`]: a sorted list against the index, and one arena for the new text. [`View`] reads
//! the message as edited, [`render`] writes it: untouched bytes are copied as they came, order, case, folds and white space
//! kept. A fork shares one message and has edits of its own.
//!
//! Index, edit and render allocate nothing for messages of up to [`INLINE_FIELDS`] fields once the reused buffers have grown.
//! This module opens no URI or address it is not asked for: typed headers are read on demand from the bytes. It knows no
//! body format. RFC 3261 section 7 and 25, RFC 4475, RFC 5118.
//!
//! ```
//! use switchhook_sip::message::{Edits, HeaderId, Message, render};
//!
//! let msg = Message::parse("OPTIONS sip:bob@example.test SIP/2.0\r\n\
//!     v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
//!     To : <sip:bob@example.test>\r\n\r\n".into())?;
//! assert_eq!(msg.via()?.branch(), Some(&b"z9hG4bKa"[..]));
//!
//! let mut edits = Edits::default();
//! edits.prepend_value(&msg, HeaderId::Via, b"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb")?;
//! let mut out = Vec::new();
//! render(&msg, &edits, &mut out);
//! assert_eq!(out, b"OPTIONS sip:bob@example.test SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKb\r\n\
//!     v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
//!     To : <sip:bob@example.test>\r\n\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod edit;
mod header;
mod index;
mod malformed;
mod method;
mod nameaddr;
mod number;
mod render;
mod response;
mod rough;
mod token;
mod uri;
mod via;
mod view;

pub(crate) use edit::decimal as to_decimal;
pub use edit::{EditError, Edits};
pub use header::HeaderId;
pub use index::{INLINE_FIELDS, Limits};
pub use malformed::{Excerpt, Fault, Malformed};
pub use method::Method;
pub use nameaddr::NameAddr;
pub use number::{CSeq, seconds};
pub use render::{Placed, render};
pub use response::{ResponseBuilder, reason_phrase, refuse, response};
pub(crate) use rough::{RoughField, rough_fields};
pub use token::{Param, Params, decimal, is_lws, is_token, is_token_byte, trim, unquote};
pub(crate) use token::{quote, quoted_len, split_value, trim_start};
pub use uri::{Scheme, Uri, host_ip, unescape};
pub use via::{BRANCH_MAGIC, Marks, Rport, Via};
pub use view::{Field, Fields, Position, Values, View, list_values};

use std::sync::OnceLock;

use bytes::Bytes;

use check::Known;
use index::Index;

/// A request or response as it came, and its index.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    index: Index,
    /// What [`Message::check`] read.
    known: OnceLock<Known>,
}

impl Message {
    /// Reads one datagram or one framed message. Line breaks before the start line and bytes after the body that
    /// Content-Length gives are left out (RFC 3261 7.5, 18.3); without Content-Length the body takes all.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        Self::parse_within(bytes, &Limits::default())
    }

    /// As [`Message::parse`], with limits of the caller's.
    pub fn parse_within(bytes: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        // Read in place: the index is large, and moving it costs as much as finding a header.
        let mut message = Self {
            bytes,
            index: Index::default(),
            known: OnceLock::new(),
        };
        let skipped = message.index.read(&message.bytes, limits)?;
        if skipped > 0 {
            bytes::Buf::advance(&mut message.bytes, skipped);
        }
        message.bytes.truncate(message.index.end());
        Ok(message)
    }

    /// Reads one message of a stream: Content-Length must be there (RFC 3261 18.3, 20.14).
    pub fn parse_stream(bytes: Bytes, limits: &Limits) -> Result<Self, Malformed> {
        let message = Self::parse_within(bytes, limits)?;
        match message.header(HeaderId::ContentLength) {
            Some(_) => Ok(message),
            None => Err(Malformed::missing(HeaderId::ContentLength)),
        }
    }

    /// The message's bytes, start line to end of body.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The message as it came, in the shape that edited ones are read in.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View::plain(self)
    }

    /// True for a request, false for a response.
    #[inline]
    pub fn is_request(&self) -> bool {
        self.index.status() == 0
    }

    /// The method of a request; of a response, the one in its CSeq (an empty [`Method::Other`] where that cannot be read).
    #[inline]
    pub fn method(&self) -> Method<'_> {
        self.view().method()
    }

    /// The request URI; empty for a response.
    #[inline]
    pub fn request_uri(&self) -> &[u8] {
        self.index.request_uri(&self.bytes)
    }

    /// The status code; 0 for a request.
    #[inline]
    pub fn status(&self) -> u16 {
        self.index.status()
    }

    /// The reason phrase as it came, UTF-8 or not; empty for a request.
    pub fn reason(&self) -> &[u8] {
        self.index.reason(&self.bytes)
    }

    /// Every header field in order.
    #[inline]
    pub fn fields(&self) -> Fields<'_> {
        self.view().fields()
    }

    /// The value of the first field of that name: the whole of it, comma list and folds as they came.
    #[inline]
    pub fn header(&self, id: HeaderId) -> Option<&[u8]> {
        self.index.first(&self.bytes, id)
    }

    /// Every value of that header in order, comma lists taken apart, over all its fields.
    #[inline]
    pub fn values(&self, id: HeaderId) -> Values<'_> {
        self.view().values(id)
    }

    /// Every field of that name, whatever its case, compact or long.
    pub fn named<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = Field<'a>> {
        self.view().named(name)
    }

    /// The top Via.
    #[inline]
    pub fn via(&self) -> Result<Via<'_>, Malformed> {
        self.view().via()
    }

    /// The From.
    #[inline]
    pub fn from(&self) -> Result<NameAddr<'_>, Malformed> {
        self.view().from()
    }

    /// The To.
    #[inline]
    pub fn to(&self) -> Result<NameAddr<'_>, Malformed> {
        self.view().to()
    }

    /// The tag of the From, where it can be read and has one.
    #[inline]
    pub fn from_tag(&self) -> Option<&[u8]> {
        match self.known() {
            Some(known) => known.from_tag.map(|tag| tag.of(&self.bytes)),
            None => self.from().ok()?.tag(),
        }
    }

    /// The tag of the To, where it can be read and has one.
    #[inline]
    pub fn to_tag(&self) -> Option<&[u8]> {
        match self.known() {
            Some(known) => known.to_tag.map(|tag| tag.of(&self.bytes)),
            None => self.to().ok()?.tag(),
        }
    }

    /// The CSeq.
    #[inline]
    pub fn cseq(&self) -> Result<CSeq<'_>, Malformed> {
        self.view().cseq()
    }

    /// The Call-ID.
    #[inline]
    pub fn call_id(&self) -> Result<&[u8], Malformed> {
        self.view().call_id()
    }

    /// The Max-Forwards, where there is one; 0 to 255 (RFC 3261 20.22).
    #[inline]
    pub fn max_forwards(&self) -> Option<Result<u8, Malformed>> {
        self.view().max_forwards()
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &[u8] {
        self.index.body(&self.bytes)
    }

    /// What RFC 3261 8.1.1 and 16.3 ask of every message, so that it can be routed or answered at all: the mandatory
    /// headers are there, come once and can be read, CSeq fits the method, the request URI is one.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.known().is_none() {
            let known = check::check(self)?;
            // Whoever was first found the same.
            let _ = self.known.set(known);
        }
        Ok(())
    }

    #[inline]
    fn known(&self) -> Option<&Known> {
        self.known.get()
    }
}
