//! The list of changes, sorted by the field they stand at, and finding one's place in it.

use super::super::header::HeaderId;
use super::super::index::Span;
use super::super::view::{Field, Position};
use super::text::Text;
use super::{EditError, Edits, Message};

/// One change to the list of header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(super) at: u32,
    pub(super) change: Change,
}

/// Of several edits at one field, insertions stand first, in the order they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new line above the field at that place.
    Insert {
        serial: u32,
        line: Span,
        name_len: u32,
        value: Span,
        id: HeaderId,
    },
    /// The field's value.
    Replace(Span),
    /// The field's lines go.
    Remove,
}

impl Edit {
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at as usize
    }

    #[inline]
    pub(crate) fn change(&self) -> Change {
        self.change
    }

    pub(super) fn is_insert(&self) -> bool {
        matches!(self.change, Change::Insert { .. })
    }

    #[inline]
    pub(crate) fn adds(&self, wanted: HeaderId) -> bool {
        matches!(self.change, Change::Insert { id, .. } if id == wanted)
    }

    pub(super) fn serial(&self) -> Option<u32> {
        match self.change {
            Change::Insert { serial, .. } => Some(serial),
            Change::Replace(_) | Change::Remove => None,
        }
    }

    /// The field an insertion adds.
    pub(crate) fn added<'a>(&self, arena: &'a [u8]) -> Option<Field<'a>> {
        let Change::Insert {
            serial,
            line,
            name_len,
            value,
            id,
        } = self.change
        else {
            return None;
        };
        let name = Span {
            start: line.start,
            end: line.start.saturating_add(name_len),
        };
        Some(Field {
            id,
            name: name.of(arena),
            value: value.of(arena),
            position: Position::added(serial),
        })
    }
}

impl Edits {
    /// The first field of that header.
    pub(super) fn find(&self, msg: &Message, id: HeaderId) -> Option<(Position, Text)> {
        let position = self.first(msg, id)?;
        Some((position, self.text(msg, position)?))
    }

    pub(super) fn first(&self, msg: &Message, id: HeaderId) -> Option<Position> {
        let slots = msg.index().slots().iter().enumerate();
        let mut came = slots.filter(|(at, slot)| slot.id.0 == id && !self.is_removed(*at));
        let came = if msg.index().has(id) {
            came.next().map(|(at, _)| at)
        } else {
            None
        };
        let new = self.list.iter().find(|edit| edit.adds(id));
        match (came, new) {
            // What is inserted at a field stands above it.
            (Some(at), Some(edit)) if edit.at() > at => Some(Position::original(at)),
            (_, Some(edit)) => edit.serial().map(Position::added),
            (came, None) => came.map(Position::original),
        }
    }

    /// The last field of that header.
    pub(super) fn last(&self, msg: &Message, id: HeaderId) -> Option<Position> {
        let slots = msg.index().slots().iter().enumerate().rev();
        let mut came = slots.filter(|(at, slot)| slot.id.0 == id && !self.is_removed(*at));
        let came = came.next().map(|(at, _)| at);
        let new = self.list.iter().rev().find(|edit| edit.adds(id));
        match (came, new) {
            (Some(at), Some(edit)) if edit.at() <= at => Some(Position::original(at)),
            (_, Some(edit)) => edit.serial().map(Position::added),
            (came, None) => came.map(Position::original),
        }
    }

    /// The field's own edit, which is the last of those at it: where it stands or would go, and the edit if there is one.
    fn own(&self, at: usize) -> (usize, Option<Change>) {
        let behind = self.list.partition_point(|edit| edit.at() <= at);
        let last = behind.saturating_sub(1);
        match self.list.get(last) {
            Some(edit) if edit.at() == at && !edit.is_insert() => (last, Some(edit.change)),
            _ => (behind, None),
        }
    }

    fn is_removed(&self, at: usize) -> bool {
        self.own(at).1 == Some(Change::Remove)
    }

    /// Where the field's value is kept.
    pub(super) fn text(&self, msg: &Message, position: Position) -> Option<Text> {
        let (slot, at) = self.place(msg, position).ok()?;
        match self
            .list
            .get(slot)
            .filter(|edit| edit.at() == at)
            .map(Edit::change)
        {
            Some(Change::Insert { value, .. } | Change::Replace(value)) => Some(Text::New(value)),
            _ => msg
                .index()
                .slots()
                .get(at)
                .map(|slot| Text::Came(slot.value)),
        }
    }

    /// For a field that is there: the place in the list of its own edit (or where that would go), and of the field it stands
    /// at.
    pub(super) fn place(
        &self,
        msg: &Message,
        position: Position,
    ) -> Result<(usize, usize), EditError> {
        if let Some(original) = position.as_original() {
            let (slot, own) = self.own(original);
            let there = original < msg.index().slots().len() && own != Some(Change::Remove);
            return if there {
                Ok((slot, original))
            } else {
                Err(EditError::NoField)
            };
        }
        let serial = position.as_added();
        let slot = self
            .list
            .iter()
            .position(|edit| edit.serial() == serial)
            .ok_or(EditError::NoField)?;
        Ok((slot, self.list.get(slot).map_or(0, Edit::at)))
    }

    /// Where a line right below a field that is there is inserted, as [`Edits::place`] gives it.
    pub(super) fn below(
        &self,
        msg: &Message,
        position: Position,
    ) -> Result<(usize, usize), EditError> {
        let (slot, at) = self.place(msg, position)?;
        Ok(match position.as_original() {
            Some(original) => {
                let below = self.list.partition_point(|edit| edit.at() <= original);
                (below, original + 1)
            }
            None => (slot + 1, at),
        })
    }

    /// Sets the field's own edit, which stands at `slot` if there is one.
    pub(super) fn change(&mut self, slot: usize, position: Position, change: Change) {
        let Some(at) = position.as_original() else {
            return;
        };
        match self.list.get_mut(slot) {
            Some(edit) if edit.at() == at && !edit.is_insert() => edit.change = change,
            _ => self.list.insert(
                slot.min(self.list.len()),
                Edit {
                    at: at as u32,
                    change,
                },
            ),
        }
    }

    pub(super) fn spare_content_length(
        &self,
        msg: &Message,
        position: Position,
    ) -> Result<(), EditError> {
        let (slot, at) = self.place(msg, position)?;
        let id = match self.list.get(slot).map(Edit::change) {
            Some(Change::Insert { serial, id, .. }) if Some(serial) == position.as_added() => id,
            _ => msg
                .index()
                .slots()
                .get(at)
                .map_or(HeaderId::Other, |slot| slot.id.0),
        };
        if id == HeaderId::ContentLength {
            Err(EditError::ContentLength)
        } else {
            Ok(())
        }
    }
}
