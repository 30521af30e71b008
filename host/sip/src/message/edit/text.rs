//! New text: one arena that only grows until the edits are cleared, and what may be written into it.

use super::super::header::HeaderId;
use super::super::index::Span;
use super::super::token::{cut, is_token, trim};
use super::super::view::Position;
use super::list::{Change, Edit};
use super::{EditError, Edits, Message, ROOM};

/// The most bytes of new text, all edits together.
pub(super) const ARENA_LIMIT: usize = 1 << 24;

/// A value's bytes: in the message, or in the arena.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    Came(Span),
    New(Span),
}

impl Edits {
    pub(super) fn read<'a>(&'a self, msg: &'a Message, text: Text) -> &'a [u8] {
        match text {
            Text::Came(span) => span.of(msg.bytes()),
            Text::New(span) => span.of(&self.arena),
        }
    }

    pub(super) fn insert(
        &mut self,
        slot: usize,
        at: usize,
        name: &[u8],
        value: &[u8],
    ) -> Result<Position, EditError> {
        let id = HeaderId::of(name);
        if id == HeaderId::ContentLength {
            return Err(EditError::ContentLength);
        }
        // A name that we know is a token.
        if id == HeaderId::Other && !is_token(name) {
            return Err(EditError::Name(name.into()));
        }
        self.insert_line(slot, at, id, name, value)
    }

    /// Inserts a line. The name is a token, and `id` is its own.
    pub(super) fn insert_line(
        &mut self,
        slot: usize,
        at: usize,
        id: HeaderId,
        name: &[u8],
        value: &[u8],
    ) -> Result<Position, EditError> {
        let value = checked_value(value)?;
        let line = self.write(&[name, b": ", value, b"\r\n"])?;
        let start = line.start as usize + name.len() + 2;
        let serial = self.serials;
        self.serials += 1;
        let change = Change::Insert {
            serial,
            line,
            name_len: name.len() as u32,
            value: Span::new(start, start + value.len()),
            id,
        };
        self.list.insert(
            slot.min(self.list.len()),
            Edit {
                at: at as u32,
                change,
            },
        );
        Ok(Position::added(serial))
    }

    /// Writes an added field's line anew with another value.
    pub(super) fn rewrite(&mut self, slot: usize, value: &[u8]) -> Result<(), EditError> {
        self.rewrite_with(slot, |edits| {
            edits.arena.extend_from_slice(value);
        })
    }

    pub(super) fn rewrite_with(
        &mut self,
        slot: usize,
        value: impl FnOnce(&mut Self),
    ) -> Result<(), EditError> {
        let Some(Edit {
            change:
                Change::Insert {
                    serial,
                    line,
                    name_len,
                    id,
                    ..
                },
            at,
        }) = self.list.get(slot).copied()
        else {
            return Err(EditError::NoField);
        };
        let start = self.arena.len();
        self.copy_within(Span {
            start: line.start,
            end: line.start + name_len,
        });
        self.arena.extend_from_slice(b": ");
        let value_start = self.arena.len();
        value(self);
        let value_end = self.arena.len();
        self.arena.extend_from_slice(b"\r\n");
        self.room(0)?;
        let change = Change::Insert {
            serial,
            line: Span::new(start, self.arena.len()),
            name_len,
            value: Span::new(value_start, value_end),
            id,
        };
        if let Some(edit) = self.list.get_mut(slot) {
            *edit = Edit { at, change };
        }
        Ok(())
    }

    /// Replaces a value by what `value` writes to the end of the arena.
    pub(super) fn replace_with(
        &mut self,
        msg: &Message,
        position: Position,
        value: impl FnOnce(&mut Self),
    ) -> Result<(), EditError> {
        let (slot, _) = self.place(msg, position)?;
        if position.as_added().is_some() {
            return self.rewrite_with(slot, value);
        }
        let start = self.arena.len();
        value(self);
        self.room(0)?;
        let span = Span::new(start, self.arena.len());
        self.change(slot, position, Change::Replace(span));
        Ok(())
    }

    /// Copies a stretch of a value to the end of the arena.
    pub(super) fn push(&mut self, msg: &Message, text: Text, (from, to): (usize, usize)) {
        match text {
            Text::Came(span) => {
                let value = span.of(msg.bytes());
                self.arena
                    .extend_from_slice(value.get(from..to).unwrap_or_default());
            }
            Text::New(span) => {
                let start = span.start as usize;
                self.copy_within(Span::new(start + from, start + to));
            }
        }
    }

    pub(super) fn copy_within(&mut self, span: Span) {
        let (start, end) = (span.start as usize, span.end as usize);
        if start <= end && end <= self.arena.len() {
            self.arena.extend_from_within(start..end);
        }
    }

    pub(super) fn write(&mut self, parts: &[&[u8]]) -> Result<Span, EditError> {
        self.room(parts.iter().map(|part| part.len()).sum())?;
        let start = self.arena.len();
        for part in parts {
            self.arena.extend_from_slice(part);
        }
        Ok(Span::new(start, self.arena.len()))
    }

    /// Whether as much more text may come. The first makes room for what follows nearly always.
    pub(super) fn room(&mut self, more: usize) -> Result<(), EditError> {
        if self.arena.len().saturating_add(more) > ARENA_LIMIT {
            return Err(EditError::TooLong);
        }
        if self.arena.capacity() == 0 {
            self.arena.reserve(more.max(ROOM.1));
        }
        Ok(())
    }
}

/// The value without white space around it, if every line break in it is a fold.
pub(crate) fn checked_value(value: &[u8]) -> Result<&[u8], EditError> {
    let value = trim(value);
    let mut rest = value;
    while let Some(n) = memchr::memchr2(b'\r', b'\n', rest) {
        rest = match cut(rest, n).1 {
            [b'\r', b'\n', b' ' | b'\t', rest @ ..] | [b'\n', b' ' | b'\t', rest @ ..] => rest,
            _ => return Err(EditError::LineBreak(value.into())),
        };
    }
    Ok(value)
}

/// Writes a number without allocating.
pub(crate) fn decimal(digits: &mut [u8; 10], mut n: u32) -> &[u8] {
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
        at -= 1;
        if n == 0 {
            break;
        }
    }
    digits.get(at..).unwrap_or_default()
}
