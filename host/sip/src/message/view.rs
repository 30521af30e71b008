//! Reading a message, with or without edits laid over it.
//!
//! A [`View`] owns nothing and is copied freely. All of its getters see the message as [`super::render`] would write it.

use super::check::Known;
use super::edit::{Change, Edit, Edits};
use super::header::HeaderId;
use super::malformed::{Fault, Malformed};
use super::method::Method;
use super::number::{CSeq, at_most};
use super::token::split_value;
use super::via::Via;
use super::{Message, NameAddr};

/// Names one header field of a message with its edits. It stays good while other fields come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position(u32);

const ADDED: u32 = 1 << 31;

impl Position {
    /// The field at that place among those that came.
    pub(crate) fn original(at: usize) -> Self {
        Self(at as u32)
    }

    /// The field of that serial number among those that were added.
    pub(crate) fn added(serial: u32) -> Self {
        Self(serial | ADDED)
    }

    pub(crate) fn as_original(self) -> Option<usize> {
        (self.0 & ADDED == 0).then_some(self.0 as usize)
    }

    pub(crate) fn as_added(self) -> Option<u32> {
        (self.0 & ADDED != 0).then_some(self.0 & !ADDED)
    }
}

/// One header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// What header it is.
    pub id: HeaderId,
    /// The name as it came, compact or long, without the space that may follow it.
    pub name: &'a [u8],
    /// The value as it came, folds kept, without white space around it.
    pub value: &'a [u8],
    /// Which field it is, for [`Edits`].
    pub position: Position,
}

impl<'a> Field<'a> {
    /// True if that is its name, whatever the case, compact or long.
    pub fn is_named(&self, name: &[u8]) -> bool {
        match HeaderId::of(name) {
            HeaderId::Other => self.name.eq_ignore_ascii_case(name),
            id => self.id == id,
        }
    }

    /// Its values: a comma list taken apart where the header has one, else the whole.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        ValueList::of(self).values()
    }
}

/// A message as edited.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    msg: &'a Message,
    edits: Option<&'a Edits>,
}

impl<'a> From<&'a Message> for View<'a> {
    fn from(msg: &'a Message) -> Self {
        Self::plain(msg)
    }
}

impl<'a> View<'a> {
    #[inline]
    pub(crate) fn plain(msg: &'a Message) -> Self {
        Self { msg, edits: None }
    }

    /// Lays the edits over the message they were made for.
    #[inline]
    pub fn new(msg: &'a Message, edits: &'a Edits) -> Self {
        Self {
            msg,
            edits: (!edits.is_empty()).then_some(edits),
        }
    }

    /// The message beneath.
    pub fn message(self) -> &'a Message {
        self.msg
    }

    /// What is known of that header of a message that was checked, where no edit touches it.
    #[inline]
    fn known(self, id: HeaderId) -> Option<&'a Known> {
        self.msg.known().filter(|_| self.is_as_came(id))
    }

    pub(crate) fn edits(self) -> Option<&'a Edits> {
        self.edits
    }

    /// True for a request, false for a response.
    pub fn is_request(self) -> bool {
        self.msg.is_request()
    }

    /// As [`Message::method`].
    #[inline]
    pub fn method(self) -> Method<'a> {
        if self.msg.is_request() {
            return Method::of(self.msg.index().method(self.msg.bytes()));
        }
        self.cseq().map_or(Method::Other(b""), |cseq| cseq.method)
    }

    /// The request URI; empty for a response.
    #[inline]
    pub fn request_uri(self) -> &'a [u8] {
        self.edits
            .and_then(Edits::request_uri)
            .unwrap_or_else(|| self.msg.request_uri())
    }

    /// The status code; 0 for a request.
    pub fn status(self) -> u16 {
        self.edits
            .and_then(Edits::status_line)
            .map_or_else(|| self.msg.status(), |(status, _)| status)
    }

    /// The reason phrase; empty for a request.
    pub fn reason(self) -> &'a [u8] {
        self.edits
            .and_then(Edits::status_line)
            .map_or_else(|| self.msg.reason(), |(_, reason)| reason)
    }

    /// The body; empty where there is none.
    pub fn body(self) -> &'a [u8] {
        self.edits
            .and_then(Edits::body)
            .unwrap_or_else(|| self.msg.body())
    }

    /// Every header field in order.
    #[inline]
    pub fn fields(self) -> Fields<'a> {
        Fields {
            view: self,
            edits: self.edits.map_or(&[], Edits::list),
            at: 0,
        }
    }

    /// Whether the fields of that header are as they came, so that the index has them.
    #[inline]
    fn is_as_came(self, id: HeaderId) -> bool {
        let slots = self.msg.index().slots();
        let touches = |edit: &Edit| match edit.change() {
            Change::Insert { id: added, .. } => added == id,
            Change::Replace(_) | Change::Remove => {
                slots.get(edit.at()).is_none_or(|slot| slot.id.0 == id)
            }
        };
        self.edits
            .is_none_or(|edits| !edits.list().iter().any(touches))
    }

    /// Whether the To has a tag, or can't be read.
    pub fn may_have_to_tag(self) -> bool {
        match self.known(HeaderId::To) {
            Some(known) => known.to_tag.is_some(),
            None => self.to().map_or(true, |to| to.tag().is_some()),
        }
    }

    /// Whether a field of that header came or was added; it may have been removed again.
    #[inline]
    fn may_have(self, id: HeaderId) -> bool {
        let added = |edits: &Edits| edits.list().iter().any(|edit| edit.adds(id));
        self.msg.index().has(id) || self.edits.is_some_and(added)
    }

    /// The first field of that header.
    #[inline]
    pub fn field(self, id: HeaderId) -> Option<Field<'a>> {
        if !self.may_have(id) {
            return None;
        }
        self.fields().find(|field| field.id == id)
    }

    /// The value of the first field of that header.
    #[inline]
    pub fn header(self, id: HeaderId) -> Option<&'a [u8]> {
        match self.is_as_came(id) {
            true => self.msg.header(id),
            false => self.field(id).map(|field| field.value),
        }
    }

    /// Every value of that header in order, comma lists taken apart, over all its fields.
    #[inline]
    pub fn values(self, id: HeaderId) -> Values<'a> {
        let fields = match self.may_have(id) {
            true => self.fields(),
            false => Fields {
                view: self,
                edits: &[],
                at: usize::MAX,
            },
        };
        Values {
            fields,
            id,
            list: ValueList {
                rest: None,
                is_list: id.is_list(),
            },
        }
    }

    /// Every field of that name, whatever its case, compact or long.
    pub fn named(self, name: &'a [u8]) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is_named(name))
    }

    /// The top Via.
    #[inline]
    pub fn via(self) -> Result<Via<'a>, Malformed> {
        if let Some(known) = self.known(HeaderId::Via) {
            return Ok(known.via.via(self.msg.bytes()));
        }
        let field = self
            .header(HeaderId::Via)
            .ok_or_else(|| Malformed::missing(HeaderId::Via))?;
        let value = split_value(field).0;
        match Via::read(value) {
            Some(via) => Ok(via),
            None => Err(Malformed::new(Fault::Via, value).of(HeaderId::Via)),
        }
    }

    /// The From.
    #[inline]
    pub fn from(self) -> Result<NameAddr<'a>, Malformed> {
        self.address(HeaderId::From)
    }

    /// The To.
    #[inline]
    pub fn to(self) -> Result<NameAddr<'a>, Malformed> {
        self.address(HeaderId::To)
    }

    /// The first value of a header that holds addresses.
    pub fn address(self, id: HeaderId) -> Result<NameAddr<'a>, Malformed> {
        let value = self.header(id).ok_or_else(|| Malformed::missing(id))?;
        let value = if id.is_list() {
            split_value(value).0
        } else {
            value
        };
        match NameAddr::read(value) {
            Some(address) => Ok(address),
            None => Err(Malformed::new(Fault::NameAddr, value).of(id)),
        }
    }

    /// The CSeq.
    #[inline]
    pub fn cseq(self) -> Result<CSeq<'a>, Malformed> {
        if let Some(Known {
            cseq: (number, method),
            ..
        }) = self.known(HeaderId::Cseq)
        {
            return Ok(CSeq {
                number: *number,
                method: Method::of(method.of(self.msg.bytes())),
            });
        }
        let value = self
            .header(HeaderId::Cseq)
            .ok_or_else(|| Malformed::missing(HeaderId::Cseq))?;
        CSeq::parse(value).map_err(|fault| fault.of(HeaderId::Cseq))
    }

    /// The Call-ID.
    #[inline]
    pub fn call_id(self) -> Result<&'a [u8], Malformed> {
        if let Some(known) = self.known(HeaderId::CallId) {
            return Ok(known.call_id.of(self.msg.bytes()));
        }
        let value = self
            .header(HeaderId::CallId)
            .ok_or_else(|| Malformed::missing(HeaderId::CallId))?;
        let blank = value.iter().fold(false, |bad, b| bad | (*b <= b' '));
        if value.is_empty() || blank {
            return Err(Malformed::new(Fault::CallId, value).of(HeaderId::CallId));
        }
        Ok(value)
    }

    /// The Max-Forwards, where there is one; 0 to 255 (RFC 3261 20.22).
    #[inline]
    pub fn max_forwards(self) -> Option<Result<u8, Malformed>> {
        self.number(HeaderId::MaxForwards, 255)
            .map(|n| n.map(|n| n as u8))
    }

    /// A header that is one decimal number, at most `max`.
    pub fn number(self, id: HeaderId, max: u32) -> Option<Result<u32, Malformed>> {
        self.header(id)
            .map(|value| at_most(value, max).map_err(|fault| fault.of(id)))
    }
}

/// Iterates over header fields in order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    view: View<'a>,
    edits: &'a [Edit],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let msg = self.view.msg;
        loop {
            if let [edit, rest @ ..] = self.edits
                && edit.at() == self.at
            {
                self.edits = rest;
                let arena = self.view.edits.map_or(&[][..], Edits::arena);
                match edit.change() {
                    Change::Insert { .. } => return edit.added(arena),
                    Change::Remove => {
                        self.at += 1;
                        continue;
                    }
                    Change::Replace(value) => {
                        let position = Position::original(self.at);
                        let slot = *msg.index().slots().get(self.at)?;
                        self.at += 1;
                        return Some(Field {
                            id: slot.id.0,
                            name: slot.name(msg.bytes()),
                            value: value.of(arena),
                            position,
                        });
                    }
                }
            }
            let slot = *msg.index().slots().get(self.at)?;
            let position = Position::original(self.at);
            self.at += 1;
            return Some(Field {
                id: slot.id.0,
                name: slot.name(msg.bytes()),
                value: slot.value.of(msg.bytes()),
                position,
            });
        }
    }
}

#[derive(Debug, Clone)]
struct ValueList<'a> {
    rest: Option<&'a [u8]>,
    is_list: bool,
}

impl<'a> ValueList<'a> {
    fn of(field: &Field<'a>) -> Self {
        Self {
            rest: Some(field.value),
            is_list: field.id.is_list(),
        }
    }

    fn values(mut self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || self.next())
    }

    /// The next value that is not empty.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let list = self.rest.take()?;
            let value = if self.is_list {
                let (value, rest) = split_value(list);
                self.rest = rest;
                value
            } else {
                list
            };
            if !value.is_empty() {
                return Some(value);
            }
        }
    }
}

/// The values of a comma list as a header has it, such as several fields of Route joined; empty ones are stepped over.
pub fn list_values(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = ValueList {
        rest: Some(list),
        is_list: true,
    };
    list.values()
}

/// Iterates over the values of one header; empty ones are stepped over.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    fields: Fields<'a>,
    id: HeaderId,
    list: ValueList<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(value) = self.list.next() {
                return Some(value);
            }
            let id = self.id;
            self.list.rest = Some(self.fields.find(|field| field.id == id)?.value);
        }
    }
}
