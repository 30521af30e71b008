//! The distribution header and its atom cache.
//!
//! Each side of a connection keeps 2048 atoms that the other has sent; a message's header names those that it uses, and sends
//! new ones. The cache is bounded by its number of entries and an atom's length. Source: erl_ext_dist, "Distribution Header".

use bytes::Bytes;

use super::cursor::Cursor;
use super::scan::{BadTerm, check_atom};

/// Segments of 256 atoms.
const ENTRIES: usize = 8 * 256;

/// The atoms that a peer has sent, each as it stands in a term.
#[derive(Debug)]
pub(crate) struct AtomCache {
    entries: Vec<Option<Bytes>>,
}

impl AtomCache {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Reads a header from its count of references on: the atoms that the message uses.
    pub(crate) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>, BadTerm> {
        let count = usize::from(cursor.u8().ok_or(BadTerm::Short)?);
        if count == 0 {
            return Ok(Vec::new());
        }
        let flags = cursor.take(count / 2 + 1).ok_or(BadTerm::Short)?;
        let nibble = |index: usize| {
            let byte = flags.get(index / 2).copied().unwrap_or_default();
            byte >> (index % 2 * 4) & 15
        };
        let long = nibble(count) & 1 == 1;
        let mut atoms = Vec::with_capacity(count);
        for index in 0..count {
            let flags = nibble(index);
            let low = usize::from(cursor.u8().ok_or(BadTerm::Short)?);
            let entry = usize::from(flags & 7) * 256 + low;
            if flags & 8 == 0 {
                let known = self.entries.get(entry).cloned().flatten();
                atoms.push(known.ok_or(BadTerm::Cache(index as u8))?);
                continue;
            }
            let length = if long {
                cursor.u16().ok_or(BadTerm::Short)?.into()
            } else {
                usize::from(cursor.u8().ok_or(BadTerm::Short)?)
            };
            let text = cursor.take(length).ok_or(BadTerm::Short)?;
            check_atom(text, true)?;
            let atom = Bytes::from(encode(text));
            if self.entries.is_empty() {
                self.entries.resize(ENTRIES, None);
            }
            if let Some(place) = self.entries.get_mut(entry) {
                *place = Some(atom.clone());
            }
            atoms.push(atom);
        }
        Ok(atoms)
    }
}

/// An atom of at most 255 characters as it stands in a term.
fn encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 3);
    match u8::try_from(text.len()) {
        Ok(length) => out.extend([b'w', length]),
        Err(_) => {
            out.push(b'v');
            // 255 characters have at most 1020 bytes.
            out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atom_is_sent_once_and_named_after() {
        let mut cache = AtomCache::new();
        // Two references: a new one in segment 1, a new one in segment 0.
        let header = [2, 0x89, 0x00, 5, 2, b'o', b'k', 5, 1, b'x', 77];
        let mut cursor = Cursor::new(&header);
        let atoms = cache.read(&mut cursor).unwrap();
        assert_eq!(atoms, ["w\x02ok", "w\x01x"]);
        assert_eq!(cursor.rest(), [77]);
        let again = cache.read(&mut Cursor::new(&[1, 0x01, 5])).unwrap();
        assert_eq!(again, ["w\x02ok"]);
    }

    #[test]
    fn long_atoms_have_long_lengths() {
        let mut cache = AtomCache::new();
        let text = "\u{e9}".repeat(200);
        let mut header = vec![1, 0x18, 0, 1, 0x90];
        header.extend(text.as_bytes());
        let atoms = cache.read(&mut Cursor::new(&header)).unwrap();
        assert_eq!(atoms[0][..3], [b'v', 1, 0x90]);
        assert_eq!(&atoms[0][3..], text.as_bytes());
    }

    #[test]
    fn an_unknown_entry_and_a_cut_header_are_refused() {
        let mut cache = AtomCache::new();
        let read = |cache: &mut AtomCache, bytes: &[u8]| cache.read(&mut Cursor::new(bytes));
        assert_eq!(read(&mut cache, &[1, 0, 9]), Err(BadTerm::Cache(0)));
        assert_eq!(read(&mut cache, &[255, 1]), Err(BadTerm::Short));
        assert_eq!(
            read(&mut cache, &[1, 8, 0, 2, 0xff, 0xff]),
            Err(BadTerm::Atom)
        );
    }
}
