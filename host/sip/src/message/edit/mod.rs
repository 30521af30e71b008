//! What is to change in a message: a list sorted by field, and one arena for the new text.
//!
//! Edits never touch the message. They are made for one message and mean nothing for another; [`Edits::clear`] keeps the
//! buffers for the next. Text from a script goes through here, so a value that would end its line, a name that is no token and
//! a hand-made Content-Length are refused: nothing edited can add a header or a message that was not asked for.
//! RFC 3261 7.3, 16.6, 18.2.1, 20.14.

mod error;
mod list;
mod text;

pub use error::EditError;
pub(crate) use list::{Change, Edit};
pub(crate) use text::{checked_value, decimal};

use super::Message;
use super::header::HeaderId;
use super::index::Span;
use super::malformed::{Fault, Malformed};
use super::token::{is_token, split_value, trim};
use super::uri::Uri;
use super::via::param_cuts;
use super::view::{Position, View};

/// Changes to one message. See the module's header.
#[derive(Debug, Default)]
pub struct Edits {
    list: Vec<Edit>,
    arena: Vec<u8>,
    serials: u32,
    request_uri: Option<Span>,
    status_line: Option<(u16, Span)>,
    body: Option<Span>,
}

impl Clone for Edits {
    /// With room for what a proxy adds to each copy of a request.
    fn clone(&self) -> Self {
        let mut copy = Self {
            list: Vec::with_capacity(self.list.len() + ROOM.0),
            arena: Vec::with_capacity(self.arena.len() + ROOM.1),
            ..Self::default()
        };
        copy.clone_from(self);
        copy
    }

    /// Keeps the buffers of `self`.
    fn clone_from(&mut self, source: &Self) {
        self.list.clone_from(&source.list);
        self.arena.clone_from(&source.arena);
        self.serials = source.serials;
        self.request_uri = source.request_uri;
        self.status_line = source.status_line;
        self.body = source.body;
    }
}

/// Edits, and bytes of new text, that most requests get on their way.
const ROOM: (usize, usize) = (8, 384);

impl Edits {
    /// Forgets every edit and keeps the buffers.
    pub fn clear(&mut self) {
        self.list.clear();
        self.arena.clear();
        self.serials = 0;
        self.request_uri = None;
        self.status_line = None;
        self.body = None;
    }

    /// True where nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
            && self.request_uri.is_none()
            && self.status_line.is_none()
            && self.body.is_none()
    }

    /// The message with these edits.
    pub fn view<'a>(&'a self, msg: &'a Message) -> View<'a> {
        View::new(msg, self)
    }

    /// Puts another request URI in. It must be one that can be read.
    pub fn set_request_uri(&mut self, msg: &Message, uri: &[u8]) -> Result<(), EditError> {
        if !msg.is_request() {
            return Err(EditError::Kind {
                part: "request URI",
                expected: "a request",
            });
        }
        Uri::parse(uri)?;
        self.request_uri = Some(self.write(&[uri])?);
        Ok(())
    }

    /// Puts another status code and reason phrase in.
    pub fn set_status_line(
        &mut self,
        msg: &Message,
        status: u16,
        reason: &[u8],
    ) -> Result<(), EditError> {
        if msg.is_request() {
            return Err(EditError::Kind {
                part: "status line",
                expected: "a response",
            });
        }
        if !(100..700).contains(&status) {
            return Err(EditError::Status(status));
        }
        if memchr::memchr2(b'\r', b'\n', reason).is_some() {
            return Err(EditError::LineBreak(reason.into()));
        }
        self.status_line = Some((status, self.write(&[reason])?));
        Ok(())
    }

    /// A new field above all others.
    pub fn prepend_field(
        &mut self,
        _msg: &Message,
        name: &[u8],
        value: &[u8],
    ) -> Result<Position, EditError> {
        self.insert(0, 0, name, value)
    }

    /// A new field below all others.
    pub fn append_field(
        &mut self,
        msg: &Message,
        name: &[u8],
        value: &[u8],
    ) -> Result<Position, EditError> {
        self.insert(self.list.len(), msg.index().slots().len(), name, value)
    }

    /// A new field right above another.
    pub fn insert_before(
        &mut self,
        msg: &Message,
        position: Position,
        name: &[u8],
        value: &[u8],
    ) -> Result<Position, EditError> {
        let (slot, at) = self.place(msg, position)?;
        self.insert(slot, at, name, value)
    }

    /// A new field right below another.
    pub fn insert_after(
        &mut self,
        msg: &Message,
        position: Position,
        name: &[u8],
        value: &[u8],
    ) -> Result<Position, EditError> {
        let (slot, at) = self.below(msg, position)?;
        self.insert(slot, at, name, value)
    }

    /// A new first value of that header, in a field of its own above its first one. Where there is none yet, a Via goes
    /// above all fields and any other below the Vias, among the headers that proxies read (RFC 3261 7.3.1).
    pub fn prepend_value(
        &mut self,
        msg: &Message,
        id: HeaderId,
        value: &[u8],
    ) -> Result<Position, EditError> {
        let name = known(id)?.as_bytes();
        if id == HeaderId::ContentLength {
            return Err(EditError::ContentLength);
        }
        let (slot, at) = match self.first(msg, id) {
            Some(first) => self.place(msg, first)?,
            None => match self
                .last(msg, HeaderId::Via)
                .filter(|_| id != HeaderId::Via)
            {
                Some(via) => self.below(msg, via)?,
                None => (0, 0),
            },
        };
        self.insert_line(slot, at, id, name, value)
    }

    /// Makes that the header's only value: its first field gets it, its others go; without any, one is added below.
    pub fn set_header(
        &mut self,
        msg: &Message,
        id: HeaderId,
        value: &[u8],
    ) -> Result<Position, EditError> {
        let name = known(id)?;
        if id == HeaderId::ContentLength {
            return Err(EditError::ContentLength);
        }
        self.put(msg, id, name, value)
    }

    fn put(
        &mut self,
        msg: &Message,
        id: HeaderId,
        name: &str,
        value: &[u8],
    ) -> Result<Position, EditError> {
        let Some(first) = self.first(msg, id) else {
            return self.insert_line(
                self.list.len(),
                msg.index().slots().len(),
                id,
                name.as_bytes(),
                value,
            );
        };
        self.replace(msg, first, value)?;
        while let Some(other) = self.last(msg, id).filter(|other| *other != first) {
            self.remove(msg, other)?;
        }
        Ok(first)
    }

    /// Another value in that field; its name and the white space about it stay as they are.
    pub fn replace_value(
        &mut self,
        msg: &Message,
        position: Position,
        value: &[u8],
    ) -> Result<(), EditError> {
        self.spare_content_length(msg, position)?;
        self.replace(msg, position, value)
    }

    fn replace(
        &mut self,
        msg: &Message,
        position: Position,
        value: &[u8],
    ) -> Result<(), EditError> {
        let value = checked_value(value)?;
        let (slot, _) = self.place(msg, position)?;
        if position.as_added().is_some() {
            return self.rewrite(slot, value);
        }
        let span = self.write(&[value])?;
        self.change(slot, position, Change::Replace(span));
        Ok(())
    }

    /// Takes that field out.
    pub fn remove_field(&mut self, msg: &Message, position: Position) -> Result<(), EditError> {
        self.spare_content_length(msg, position)?;
        self.remove(msg, position)
    }

    fn remove(&mut self, msg: &Message, position: Position) -> Result<(), EditError> {
        let (slot, _) = self.place(msg, position)?;
        if position.as_added().is_some() {
            self.list.remove(slot);
        } else {
            self.change(slot, position, Change::Remove);
        }
        Ok(())
    }

    /// Takes every field of that name out, whatever its case, compact or long, with or without space before the colon.
    /// Says how many there were.
    pub fn remove_named(&mut self, msg: &Message, name: &[u8]) -> Result<usize, EditError> {
        if HeaderId::of(name) == HeaderId::ContentLength {
            return Err(EditError::ContentLength);
        }
        let mut removed = 0;
        while let Some(field) = self.view(msg).fields().find(|field| field.is_named(name)) {
            self.remove(msg, field.position)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Takes the first value of that header out, with its field if it is alone there: the top Via, the top Route.
    /// Says whether there was one.
    pub fn remove_first_value(&mut self, msg: &Message, id: HeaderId) -> Result<bool, EditError> {
        known(id)?;
        if id == HeaderId::ContentLength {
            return Err(EditError::ContentLength);
        }
        while let Some((position, text)) = self.find(msg, id) {
            let whole = self.read(msg, text);
            let (first, rest) = if id.is_list() {
                split_value(skip_commas(whole))
            } else {
                (whole, None)
            };
            let found = !first.is_empty();
            let rest = rest.map(skip_commas).unwrap_or_default();
            if rest.is_empty() {
                self.remove(msg, position)?;
            } else {
                let rest = (whole.len() - rest.len(), whole.len());
                self.replace_with(msg, position, |edits| edits.push(msg, text, rest))?;
            }
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sets parameters of the top Via, whose names differ: `received`, `rport` (RFC 3261 18.2.1, RFC 3581). One that is there
    /// gets the value, else it goes behind the others.
    pub fn set_via_params<const N: usize>(
        &mut self,
        msg: &Message,
        params: [(&[u8], &[u8]); N],
    ) -> Result<(), EditError> {
        let mut more = 0;
        for (name, value) in params {
            if !is_token(name) {
                return Err(EditError::Name(name.into()));
            }
            let sane = |b: &u8| !super::token::is_lws(*b) && !matches!(b, b';' | b',' | b'"');
            if !value.iter().all(sane) {
                return Err(EditError::Value(value.into()));
            }
            more += name.len() + value.len() + 2;
        }
        let (position, text) = self
            .find(msg, HeaderId::Via)
            .ok_or_else(|| Malformed::missing(HeaderId::Via))?;
        let whole = self.read(msg, text);
        let cuts = param_cuts(whole, params)
            .ok_or_else(|| Malformed::new(Fault::Via, whole).of(HeaderId::Via))?;
        let len = whole.len();
        self.room(len + more)?;
        self.replace_with(msg, position, |edits| {
            let mut at = 0;
            for (from, to, (name, value)) in cuts {
                edits.push(msg, text, (at, from));
                for part in [&b";"[..], name, b"=", value] {
                    edits.arena.extend_from_slice(part);
                }
                at = to;
            }
            edits.push(msg, text, (at, len));
        })
    }

    /// Sets Max-Forwards; where there is none, it goes below the Vias (RFC 3261 16.6 step 3).
    pub fn set_max_forwards(&mut self, msg: &Message, hops: u8) -> Result<(), EditError> {
        let mut digits = [0; 10];
        let value = decimal(&mut digits, u32::from(hops));
        match self.first(msg, HeaderId::MaxForwards) {
            Some(position) => self.replace(msg, position, value),
            None => self
                .prepend_value(msg, HeaderId::MaxForwards, value)
                .map(drop),
        }
    }

    /// Another body; Content-Length follows it. `content_type` replaces the one there; `None` takes it out.
    pub fn set_body(
        &mut self,
        msg: &Message,
        content_type: Option<&[u8]>,
        body: &[u8],
    ) -> Result<(), EditError> {
        match content_type {
            Some(value) => drop(self.set_header(msg, HeaderId::ContentType, value)?),
            None => drop(self.remove_named(msg, b"Content-Type")?),
        }
        self.body = Some(self.write(&[body])?);
        let mut digits = [0; 10];
        let length = decimal(
            &mut digits,
            u32::try_from(body.len()).map_err(|_| EditError::TooLong)?,
        );
        self.put(
            msg,
            HeaderId::ContentLength,
            HeaderId::ContentLength.name(),
            length,
        )
        .map(drop)
    }

    /// Adds a Content-Length where there is none, as a stream needs it (RFC 3261 18.3).
    pub fn add_content_length(&mut self, msg: &Message) -> Result<(), EditError> {
        if self.first(msg, HeaderId::ContentLength).is_some() {
            return Ok(());
        }
        let length = self.view(msg).body().len();
        let mut digits = [0; 10];
        let length = decimal(
            &mut digits,
            u32::try_from(length).map_err(|_| EditError::TooLong)?,
        );
        self.put(
            msg,
            HeaderId::ContentLength,
            HeaderId::ContentLength.name(),
            length,
        )
        .map(drop)
    }

    pub(crate) fn list(&self) -> &[Edit] {
        &self.list
    }

    pub(crate) fn arena(&self) -> &[u8] {
        &self.arena
    }

    pub(crate) fn request_uri(&self) -> Option<&[u8]> {
        self.request_uri.map(|span| span.of(&self.arena))
    }

    pub(crate) fn status_line(&self) -> Option<(u16, &[u8])> {
        self.status_line
            .map(|(status, reason)| (status, reason.of(&self.arena)))
    }

    pub(crate) fn body(&self) -> Option<&[u8]> {
        self.body.map(|span| span.of(&self.arena))
    }
}

/// From the first value of a comma list that is not empty.
fn skip_commas(mut list: &[u8]) -> &[u8] {
    while let [b',', rest @ ..] = trim(list) {
        list = rest;
    }
    trim(list)
}

/// The long name of a header we know.
fn known(id: HeaderId) -> Result<&'static str, EditError> {
    match id {
        HeaderId::Other => Err(EditError::Name((*b"").into())),
        id => Ok(id.name()),
    }
}
