//! Walks a term: where it ends, and a copy of it in which atoms stand for references to the atom cache.
//!
//! Every term that a peer sends goes through here before anything else sees it: it is whole, no deeper than [`MAX_DEPTH`],
//! its atoms are UTF-8 and at most 255 characters, and its counts are borne out by bytes. No recursion; one level of nesting
//! costs one entry of a stack. Compressed terms are refused (nodes never send them), as are forms that only a node itself may read.
//! Source: OTP, erl_ext_dist.

use super::cursor::Cursor;

/// Deepest nesting.
pub(crate) const MAX_DEPTH: usize = 1024;

/// The byte in front of a term that stands alone.
pub(crate) const VERSION: u8 = 131;

/// What is no term that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTerm {
    /// It ends too early.
    #[error("a term is cut short")]
    Short,
    /// Nested too deep.
    #[error("a term is nested deeper than {MAX_DEPTH}")]
    Deep,
    /// A tag that is unknown or not for a peer to send.
    #[error("a term with tag {0}")]
    Tag(u8),
    /// An atom that is none.
    #[error("an atom that can't be read")]
    Atom,
    /// A reference to an atom that the header does not have.
    #[error("atom {0} of the header is not there")]
    Cache(u8),
    /// A fun whose size is wrong, or a reference of too many words.
    #[error("a term whose size is wrong")]
    Size,
    /// Another kind of term than the protocol has there.
    #[error("expected {0}")]
    Kind(&'static str),
    /// No version in front.
    #[error("a term of version {0}")]
    Version(u8),
}

/// Atoms of a distribution header, each encoded.
pub(crate) type Atoms = [bytes::Bytes];

/// A stack to be used again from term to term.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    stack: Vec<Level>,
}

/// A term that others are inside of.
#[derive(Debug)]
struct Level {
    /// How many are still to come.
    left: u64,
    /// Of a fun: where its size stands in the copy, and where it must end.
    fun: Option<(usize, usize)>,
}

impl Scanner {
    /// The length of the term at the front.
    pub(crate) fn length(&mut self, bytes: &[u8]) -> Result<usize, BadTerm> {
        self.walk(bytes, None)
    }

    /// Appends the term at the front with its atoms written out; gives its length as it came.
    pub(crate) fn copy(
        &mut self,
        bytes: &[u8],
        atoms: &Atoms,
        out: &mut Vec<u8>,
    ) -> Result<usize, BadTerm> {
        self.walk(
            bytes,
            Some(Copy {
                atoms,
                out,
                from: 0,
            }),
        )
    }

    fn walk(&mut self, bytes: &[u8], mut copy: Option<Copy<'_>>) -> Result<usize, BadTerm> {
        self.stack.clear();
        let mut cursor = Cursor::new(bytes);
        let at = |cursor: &Cursor<'_>| bytes.len() - cursor.rest().len();
        loop {
            let inside = one(&mut cursor, bytes, &mut copy)?;
            if inside.left > 0 {
                if self.stack.len() >= MAX_DEPTH {
                    return Err(BadTerm::Deep);
                }
                self.stack.push(inside);
                continue;
            }
            // A term has ended, and with it those that it was the last of.
            loop {
                let Some(level) = self.stack.last_mut() else {
                    let end = at(&cursor);
                    if let Some(copy) = &mut copy {
                        copy.up_to(bytes, end);
                    }
                    return Ok(end);
                };
                level.left -= 1;
                if level.left > 0 {
                    break;
                }
                if let Some((size_at, end)) = level.fun {
                    if at(&cursor) != end {
                        return Err(BadTerm::Size);
                    }
                    if let Some(copy) = &mut copy {
                        copy.up_to(bytes, end);
                        copy.resize(size_at)?;
                    }
                }
                self.stack.pop();
            }
        }
    }
}

/// A copy being made.
struct Copy<'a> {
    atoms: &'a Atoms,
    out: &'a mut Vec<u8>,
    /// What is before this is copied.
    from: usize,
}

impl Copy<'_> {
    fn up_to(&mut self, bytes: &[u8], end: usize) {
        self.out
            .extend_from_slice(bytes.get(self.from..end).unwrap_or_default());
        self.from = end;
    }

    /// A fun's size may have changed with its atoms.
    fn resize(&mut self, at: usize) -> Result<(), BadTerm> {
        let size = u32::try_from(self.out.len() - at).map_err(|_| BadTerm::Size)?;
        let place = self.out.get_mut(at..at + 4).ok_or(BadTerm::Size)?;
        place.copy_from_slice(&size.to_be_bytes());
        Ok(())
    }
}

const LEAF: Level = Level { left: 0, fun: None };

/// Steps over one term's own bytes; what is inside of it is still to come.
fn one(
    cursor: &mut Cursor<'_>,
    bytes: &[u8],
    copy: &mut Option<Copy<'_>>,
) -> Result<Level, BadTerm> {
    let short = || BadTerm::Short;
    let nest = |left: u64| Ok(Level { left, fun: None });
    let before = *cursor;
    let tag = cursor.u8().ok_or_else(short)?;
    let skip = match tag {
        b'a' => 1,
        b'b' => 4,
        b'F' => 8,
        b'c' => 31,
        b'j' => 0,
        b'k' => cursor.u16().ok_or_else(short)?.into(),
        b'm' => cursor.u32().ok_or_else(short)? as usize,
        b'M' => {
            let length = cursor.u32().ok_or_else(short)? as usize;
            let bits = cursor.u8().ok_or_else(short)?;
            if !(1..=8).contains(&bits) || (length == 0 && bits != 8) {
                return Err(BadTerm::Size);
            }
            length
        }
        b'n' => usize::from(cursor.u8().ok_or_else(short)?) + 1,
        b'o' => cursor.u32().ok_or_else(short)? as usize + 1,
        b'h' => return nest(cursor.u8().ok_or_else(short)?.into()),
        b'i' => return nest(cursor.u32().ok_or_else(short)?.into()),
        b'l' => return nest(u64::from(cursor.u32().ok_or_else(short)?) + 1),
        b't' => return nest(u64::from(cursor.u32().ok_or_else(short)?) * 2),
        b'q' => return nest(3),
        b'p' => return fun(cursor, bytes, copy),
        b'R' | b'd' | b's' | b'v' | b'w' => {
            *cursor = before;
            0
        }
        b'X' | b'Y' | b'x' | b'g' | b'f' | b'e' => 0,
        b'Z' | b'r' => {
            let words = usize::from(cursor.u16().ok_or_else(short)?);
            if words == 0 || words > 5 {
                return Err(BadTerm::Size);
            }
            words * 4
        }
        tag => return Err(BadTerm::Tag(tag)),
    };
    let after_node = match tag {
        b'R' | b'd' | b's' | b'v' | b'w' => Some(0),
        b'X' => Some(12),
        b'Y' => Some(8),
        b'x' => Some(12),
        b'g' => Some(9),
        b'f' | b'e' => Some(5),
        b'Z' => Some(4 + skip),
        b'r' => Some(1 + skip),
        _ => None,
    };
    let skip = match after_node {
        Some(rest) => {
            atom(cursor, bytes, copy)?;
            rest
        }
        None => skip,
    };
    cursor.take(skip).ok_or_else(short)?;
    Ok(LEAF)
}

/// The fixed part of a fun: its size counts from itself on. Inside are module, two integers, a pid and the free variables.
fn fun(
    cursor: &mut Cursor<'_>,
    bytes: &[u8],
    copy: &mut Option<Copy<'_>>,
) -> Result<Level, BadTerm> {
    let size_at = bytes.len() - cursor.rest().len();
    let size = cursor.u32().ok_or(BadTerm::Short)? as usize;
    cursor.take(1 + 16 + 4).ok_or(BadTerm::Short)?;
    let free = cursor.u32().ok_or(BadTerm::Short)?;
    let end = size_at.checked_add(size).ok_or(BadTerm::Size)?;
    let in_copy = copy.as_mut().map_or(0, |copy| {
        copy.up_to(bytes, size_at);
        copy.out.len()
    });
    Ok(Level {
        left: u64::from(free) + 4,
        fun: Some((in_copy, end)),
    })
}

/// Steps over an atom; a reference to the cache is written out in the copy.
fn atom(cursor: &mut Cursor<'_>, bytes: &[u8], copy: &mut Option<Copy<'_>>) -> Result<(), BadTerm> {
    let at = bytes.len() - cursor.rest().len();
    let tag = cursor.u8().ok_or(BadTerm::Short)?;
    let length = match tag {
        b'R' => {
            let index = cursor.u8().ok_or(BadTerm::Short)?;
            let Some(copy) = copy else {
                return Err(BadTerm::Cache(index));
            };
            let atom = copy.atoms.get(usize::from(index));
            let atom = atom.ok_or(BadTerm::Cache(index))?;
            copy.up_to(bytes, at);
            copy.out.extend_from_slice(atom);
            copy.from = at + 2;
            return Ok(());
        }
        b'd' | b'v' => cursor.u16().ok_or(BadTerm::Short)?.into(),
        b's' | b'w' => cursor.u8().ok_or(BadTerm::Short)?.into(),
        _ => return Err(BadTerm::Kind("an atom")),
    };
    let text = cursor.take(length).ok_or(BadTerm::Short)?;
    check_atom(text, matches!(tag, b'v' | b'w'))
}

/// Whether these bytes can be an atom: at most 255 characters, in UTF-8 or Latin-1.
pub(crate) fn check_atom(text: &[u8], utf8: bool) -> Result<(), BadTerm> {
    if utf8 {
        let text = std::str::from_utf8(text).map_err(|_| BadTerm::Atom)?;
        if text.len() > 255 && text.chars().count() > 255 {
            return Err(BadTerm::Atom);
        }
    } else if text.len() > 255 {
        return Err(BadTerm::Atom);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn length(bytes: &[u8]) -> Result<usize, BadTerm> {
        Scanner::default().length(bytes)
    }

    #[test]
    fn a_term_ends_where_its_last_part_does() {
        // {a, [1|2], #{}, <<"x">>, 1.0} and a byte that is another's
        let mut term = vec![b'h', 5, b'w', 1, b'a', b'l', 0, 0, 0, 1, b'a', 1, b'a', 2];
        term.extend([b't', 0, 0, 0, 0, b'm', 0, 0, 0, 1, b'x', b'F']);
        term.extend(1.0f64.to_be_bytes());
        let whole = term.len();
        for cut in 0..whole {
            assert_eq!(length(&term[..cut]), Err(BadTerm::Short), "cut at {cut}");
        }
        term.push(99);
        assert_eq!(length(&term), Ok(whole));
    }

    #[test]
    fn what_claims_more_than_there_is_ends_at_once() {
        for claim in [b'l', b'i', b't', b'm'] {
            let term = [claim, 0xff, 0xff, 0xff, 0xff, b'j'];
            assert_eq!(length(&term), Err(BadTerm::Short));
        }
        assert_eq!(length(&[b'P', 0, 0, 0, 9, 1, 2]), Err(BadTerm::Tag(b'P')));
        assert_eq!(length(&[b'Z', 0xff, 0xff]), Err(BadTerm::Size));
    }

    #[test]
    fn a_term_a_million_deep_is_refused() {
        let term = [b'h', 1].repeat(1_000_000);
        let mut scanner = Scanner::default();
        assert_eq!(scanner.length(&term), Err(BadTerm::Deep));
        assert!(scanner.stack.capacity() <= 2 * MAX_DEPTH);
    }

    #[test]
    fn cached_atoms_are_written_out() {
        let atoms = [Bytes::from_static(b"w\x02ok")];
        let mut out = Vec::new();
        let term = [b'h', 2, b'R', 0, b'a', 1];
        let taken = Scanner::default().copy(&term, &atoms, &mut out);
        assert_eq!(taken, Ok(6));
        assert_eq!(out, b"h\x02w\x02oka\x01");
        let mut scanner = Scanner::default();
        assert_eq!(
            scanner.copy(&[b'R', 1], &atoms, &mut out),
            Err(BadTerm::Cache(1))
        );
        assert_eq!(scanner.length(&term), Err(BadTerm::Cache(0)));
    }

    #[test]
    fn a_funs_size_follows_its_atoms() {
        let fun = |module: &[u8]| {
            let mut fun = vec![b'p', 0, 0, 0, 0, 0];
            fun.extend([0; 16 + 4]);
            fun.extend([0, 0, 0, 1]);
            fun.extend(module);
            fun.extend([b'a', 1, b'a', 2, b'X']);
            fun.extend(module);
            fun.extend([0; 12]);
            fun.extend([b'j']);
            let size = (fun.len() - 1) as u32;
            fun[1..5].copy_from_slice(&size.to_be_bytes());
            fun
        };
        let atoms = [Bytes::from_static(b"w\x03a@b")];
        let mut out = Vec::new();
        let short = fun(b"R\0");
        let taken = Scanner::default().copy(&short, &atoms, &mut out);
        assert_eq!(taken, Ok(short.len()));
        assert_eq!(out, fun(b"w\x03a@b"));
        assert_eq!(length(&out), Ok(out.len()));
        out[4] += 1;
        assert_eq!(length(&out), Err(BadTerm::Size));
    }
}
