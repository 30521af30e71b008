//! Writing a message with its edits, in one stretch.
//!
//! Whatever no edit names is copied as it came. Nothing is allocated but room in `out`, which the caller reuses.

use super::edit::{Change, Edits, decimal};
use super::header::HeaderId;
use super::index::{Slot, Span};
use super::{Message, View};

/// Appends the message as edited to `out`.
pub fn render(msg: &Message, edits: &Edits, out: &mut Vec<u8>) {
    write(msg, edits, out, |_| {});
}

/// Where a header field stands in what was rendered: offsets from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// What header it is.
    pub id: HeaderId,
    /// First byte of the name, and the one behind it.
    pub name: [u32; 2],
    /// First byte of the value without white space around it, and the one behind it.
    pub value: [u32; 2],
}

impl Placed {
    /// A field that was moved by `shift`, which wraps where it is to the front.
    #[inline]
    fn moved(id: HeaderId, name: Span, value: Span, shift: u32) -> Self {
        let moved = |span: Span| [span.start, span.end].map(|at| at.wrapping_add(shift));
        Self {
            id,
            name: moved(name),
            value: moved(value),
        }
    }

    #[inline]
    fn kept(slot: &Slot, shift: u32) -> Self {
        Self::moved(slot.id.0, slot.name_span(), slot.value, shift)
    }
}

impl View<'_> {
    /// No less than the message's length as this view shows it: what edits wrote and dropped again counts too, what they took
    /// away does not.
    pub fn len_at_most(self) -> usize {
        let written = self.edits().map_or(0, |edits| edits.arena().len());
        self.message().bytes().len() + written
    }

    /// Appends the message as this view shows it to `out`.
    pub fn render(self, out: &mut Vec<u8>) {
        self.render_placed(out, |_| {});
    }

    /// As [`View::render`], and tells of each header field, in order, where it stands.
    #[inline]
    pub fn render_placed(self, out: &mut Vec<u8>, mut each: impl FnMut(Placed)) {
        match self.edits() {
            Some(edits) => write(self.message(), edits, out, each),
            None => {
                out.extend_from_slice(self.message().bytes());
                let slots = self.message().index().slots();
                slots.iter().for_each(|slot| each(Placed::kept(slot, 0)));
            }
        }
    }
}

/// Copies stretches of a message.
struct Copy<'a> {
    bytes: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Where the message begins in `out`.
    base: usize,
    /// How far the message's bytes are dealt with.
    done: u32,
}

impl Copy<'_> {
    /// Copies up to `to` and goes on from `then`.
    #[inline]
    fn copy(&mut self, to: u32, then: u32) {
        let part = self.bytes.get(self.done as usize..to as usize);
        self.out.extend_from_slice(part.unwrap_or_default());
        self.done = then;
    }

    /// How much has been written.
    #[inline]
    fn written(&self) -> u32 {
        (self.out.len() - self.base) as u32
    }

    /// What the place of a byte that comes next is moved by.
    #[inline]
    fn shift(&self) -> u32 {
        self.written().wrapping_sub(self.done)
    }
}

#[inline]
fn write(msg: &Message, edits: &Edits, out: &mut Vec<u8>, mut each: impl FnMut(Placed)) {
    let index = msg.index();
    let slots = index.slots();
    let arena = edits.arena();
    let base = out.len();
    out.reserve(msg.bytes().len() + arena.len() + 16);
    let mut copy = Copy {
        bytes: msg.bytes(),
        out,
        base,
        done: 0,
    };
    if let Some(uri) = edits.request_uri() {
        copy.copy(index.text().start, index.text().end);
        copy.out.extend_from_slice(uri);
    } else if let Some((status, reason)) = edits.status_line() {
        copy.copy(0, index.text().end);
        copy.out.extend_from_slice(b"SIP/2.0 ");
        copy.out
            .extend_from_slice(decimal(&mut [0; 10], u32::from(status)));
        copy.out.push(b' ');
        copy.out.extend_from_slice(reason);
    }
    let mut next = 0;
    for edit in edits.list() {
        let at = edit.at();
        let line = index.line_start(at);
        let shift = copy.shift();
        for slot in slots.get(next..at).unwrap_or_default() {
            each(Placed::kept(slot, shift));
        }
        next = next.max(at);
        match edit.change() {
            Change::Insert {
                line: new,
                name_len,
                value,
                id,
                ..
            } => {
                copy.copy(line, line);
                let name = Span {
                    start: new.start,
                    end: new.start.saturating_add(name_len),
                };
                let shift = copy.written().wrapping_sub(new.start);
                each(Placed::moved(id, name, value, shift));
                copy.out.extend_from_slice(new.of(arena));
            }
            Change::Replace(new) => {
                let slot = slots.get(at).copied().unwrap_or_default();
                copy.copy(slot.value.start, slot.value.end);
                let from = copy.written();
                copy.out.extend_from_slice(new.of(arena));
                each(Placed {
                    value: [from, copy.written()],
                    ..Placed::kept(&slot, shift)
                });
                next = at + 1;
            }
            Change::Remove => {
                copy.copy(line, index.line_start(at + 1));
                next = at + 1;
            }
        }
    }
    let shift = copy.shift();
    for slot in slots.get(next..).unwrap_or_default() {
        each(Placed::kept(slot, shift));
    }
    let body = index.body_span();
    match edits.body() {
        Some(new) => {
            copy.copy(body.start, body.end);
            copy.out.extend_from_slice(new);
        }
        None => copy.copy(body.end, body.end),
    }
}
