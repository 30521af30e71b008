//! Writing a message with its edits, in one stretch.
//!
//! Whatever no edit names is copied as it came. Nothing is allocated but room in `out`, which the caller reuses.

use super::edit::{Change, Edits, decimal};
use super::{Message, View};

/// Appends the message as edited to `out`.
pub fn render(msg: &Message, edits: &Edits, out: &mut Vec<u8>) {
    let bytes: &[u8] = msg.bytes();
    let index = msg.index();
    let arena = edits.arena();
    out.reserve(bytes.len() + arena.len() + 16);
    let mut copied = 0u32;
    let mut copy = |out: &mut Vec<u8>, to: u32, then: u32| {
        out.extend_from_slice(bytes.get(copied as usize..to as usize).unwrap_or_default());
        copied = then;
    };
    if let Some(uri) = edits.request_uri() {
        copy(out, index.text().start, index.text().end);
        out.extend_from_slice(uri);
    } else if let Some((status, reason)) = edits.status_line() {
        copy(out, 0, index.text().end);
        out.extend_from_slice(b"SIP/2.0 ");
        out.extend_from_slice(decimal(&mut [0; 10], u32::from(status)));
        out.push(b' ');
        out.extend_from_slice(reason);
    }
    for edit in edits.list() {
        let line = index.line_start(edit.at());
        match edit.change() {
            Change::Insert { line: new, .. } => {
                copy(out, line, line);
                out.extend_from_slice(new.of(arena));
            }
            Change::Replace(new) => {
                let old = index
                    .slots()
                    .get(edit.at())
                    .map(|slot| slot.value)
                    .unwrap_or_default();
                copy(out, old.start, old.end);
                out.extend_from_slice(new.of(arena));
            }
            Change::Remove => copy(out, line, index.line_start(edit.at() + 1)),
        }
    }
    let body = index.body_span();
    match edits.body() {
        Some(new) => {
            copy(out, body.start, body.end);
            out.extend_from_slice(new);
        }
        None => copy(out, body.end, body.end),
    }
}

impl View<'_> {
    /// Appends the message as this view shows it to `out`.
    pub fn render(self, out: &mut Vec<u8>) {
        match self.edits() {
            Some(edits) => render(self.message(), edits, out),
            None => out.extend_from_slice(self.message().bytes()),
        }
    }
}
