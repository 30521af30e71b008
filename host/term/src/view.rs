//! A term read where it lies.
//!
//! What a view gives was checked when the tape was made; so its getters answer `None` only when the term is of another kind.

use std::borrow::Cow;

use crate::read::Reader;
use crate::tape::Node;
use crate::{Export, Malformed, Pid, Port, Reference, Term, build, tag};

/// One term of a [`Tape`](crate::Tape). Copied freely.
#[derive(Clone, Copy)]
pub struct View<'t> {
    bytes: &'t [u8],
    nodes: &'t [Node],
    index: usize,
}

/// What a term is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer of any size.
    Integer,
    /// A float.
    Float,
    /// An atom.
    Atom,
    /// A tuple.
    Tuple,
    /// A list, proper or not, written as a list; the empty list.
    List,
    /// A list of bytes, written as a string.
    String,
    /// A map.
    Map,
    /// A binary.
    Binary,
    /// A bit string that is no binary.
    Bits,
    /// A pid.
    Pid,
    /// A port.
    Port,
    /// A reference.
    Reference,
    /// A fun or an export.
    Fun,
}

impl<'t> View<'t> {
    pub(crate) fn new(bytes: &'t [u8], nodes: &'t [Node]) -> View<'t> {
        View {
            bytes,
            nodes,
            index: 0,
        }
    }

    pub(crate) fn node(self) -> Node {
        let nothing = Node {
            at: 0,
            end: 0,
            next: 0,
            len: 0,
            tag: tag::NIL,
        };
        self.nodes.get(self.index).copied().unwrap_or(nothing)
    }

    /// The bytes after the tag.
    fn content(self) -> &'t [u8] {
        let node = self.node();
        self.bytes
            .get(node.at as usize + 1..node.end as usize)
            .unwrap_or_default()
    }

    /// To read it whole, if it is of that kind.
    fn is(self, kind: Kind) -> Option<Reader<'t>> {
        (self.kind() == kind).then(|| self.reader())
    }

    fn reader(self) -> Reader<'t> {
        Reader::new(self.bytes, self.node().at as usize)
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.node().tag {
            tag::NEW_FLOAT | tag::FLOAT => Kind::Float,
            tag::ATOM | tag::SMALL_ATOM | tag::ATOM_UTF8 | tag::SMALL_ATOM_UTF8 => Kind::Atom,
            tag::SMALL_TUPLE | tag::LARGE_TUPLE => Kind::Tuple,
            tag::NIL | tag::LIST => Kind::List,
            tag::STRING => Kind::String,
            tag::MAP => Kind::Map,
            tag::BINARY => Kind::Binary,
            tag::BIT_BINARY => Kind::Bits,
            tag::PID | tag::NEW_PID => Kind::Pid,
            tag::PORT | tag::NEW_PORT | tag::V4_PORT => Kind::Port,
            tag::REFERENCE | tag::NEW_REFERENCE | tag::NEWER_REFERENCE => Kind::Reference,
            tag::NEW_FUN | tag::EXPORT => Kind::Fun,
            _ => Kind::Integer,
        }
    }

    /// An integer of 64 bits.
    #[must_use]
    pub fn int(self) -> Option<i64> {
        let content = self.content();
        match self.node().tag {
            tag::SMALL_INTEGER => content.first().map(|byte| i64::from(*byte)),
            tag::TAIL_BYTE => {
                let byte = self.bytes.get(self.node().at as usize)?;
                Some(i64::from(*byte))
            }
            tag::INTEGER => {
                let bytes = content.first_chunk()?;
                Some(i64::from(i32::from_be_bytes(*bytes)))
            }
            tag::SMALL_BIG | tag::LARGE_BIG => match self.integer()? {
                Term::Int(number) => Some(number),
                _ => None,
            },
            _ => None,
        }
    }

    /// An integer of any size, as a term.
    #[must_use]
    pub fn integer(self) -> Option<Term> {
        let lengths = match self.node().tag {
            tag::SMALL_BIG => 1,
            tag::LARGE_BIG => 4,
            _ => return self.int().map(Term::Int),
        };
        let (sign, magnitude) = self.content().get(lengths..)?.split_first()?;
        Some(crate::Big::integer(*sign != 0, magnitude))
    }

    /// A float.
    #[must_use]
    pub fn float(self) -> Option<f64> {
        let mut reader = self.is(Kind::Float)?;
        let kind = reader.u8().ok()?;
        reader.float(kind).ok()
    }

    /// An atom's text.
    #[must_use]
    pub fn atom(self) -> Option<Cow<'t, str>> {
        self.is(Kind::Atom)?.atom().ok()
    }

    /// Whether it is the atom of that name.
    #[must_use]
    pub fn is_atom(self, name: &str) -> bool {
        if self.node().tag == tag::SMALL_ATOM_UTF8 {
            return self.content().get(1..) == Some(name.as_bytes());
        }
        self.atom().is_some_and(|text| text == name)
    }

    /// A binary's bytes.
    #[must_use]
    pub fn binary(self) -> Option<&'t [u8]> {
        if self.node().tag != tag::BINARY {
            return None;
        }
        self.content().get(4..)
    }

    /// The bytes of a list that was written as a string; none for the empty list.
    #[must_use]
    pub fn string(self) -> Option<&'t [u8]> {
        match self.node().tag {
            tag::STRING => self.content().get(2..),
            tag::NIL => Some(&[]),
            _ => None,
        }
    }

    /// The text of a string, a list of code points or a UTF-8 binary: what Erlang programs mean by text.
    #[must_use]
    pub fn text(self) -> Option<Cow<'t, str>> {
        if let Some(bytes) = self.binary() {
            return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
        }
        if let Some(bytes) = self.string() {
            return Some(crate::atom::latin1(bytes));
        }
        let (items, tail) = self.list()?;
        if !tail.is_nil() {
            return None;
        }
        let points = items.map(|item| char::from_u32(u32::try_from(item.int()?).ok()?));
        points.collect::<Option<String>>().map(Cow::Owned)
    }

    /// A tuple's elements.
    #[must_use]
    pub fn tuple(self) -> Option<Views<'t>> {
        (self.kind() == Kind::Tuple).then(|| self.parts(self.node().len))
    }

    /// A tuple's element, counted from 0.
    #[must_use]
    pub fn element(self, index: usize) -> Option<View<'t>> {
        self.tuple()?.nth(index)
    }

    /// The elements of a tuple of that size.
    #[must_use]
    pub fn elements<const N: usize>(self) -> Option<[View<'t>; N]> {
        let mut parts = self.tuple()?;
        if parts.len() != N {
            return None;
        }
        let mut found = [self; N];
        for place in &mut found {
            *place = parts.next()?;
        }
        Some(found)
    }

    /// A list's elements and its tail (the empty list, for a proper one). None for one written as a string.
    #[must_use]
    pub fn list(self) -> Option<(Views<'t>, View<'t>)> {
        match self.node().tag {
            tag::NIL => Some((self.parts(0), self)),
            tag::LIST => {
                let items = self.parts(self.node().len);
                let mut rest = self.parts(self.node().len.saturating_add(1));
                let tail = rest.nth(self.node().len as usize)?;
                Some((items, tail))
            }
            _ => None,
        }
    }

    /// A map's keys and values, in the order they were written.
    #[must_use]
    pub fn map(self) -> Option<impl Iterator<Item = (View<'t>, View<'t>)>> {
        if self.node().tag != tag::MAP {
            return None;
        }
        let mut parts = self.parts(self.node().len.saturating_mul(2));
        Some(std::iter::from_fn(move || {
            Some((parts.next()?, parts.next()?))
        }))
    }

    /// A pid.
    #[must_use]
    pub fn pid(self) -> Option<Pid> {
        self.is(Kind::Pid)?.pid().ok()
    }

    /// A port.
    #[must_use]
    pub fn port(self) -> Option<Port> {
        self.is(Kind::Port)?.port().ok()
    }

    /// A reference.
    #[must_use]
    pub fn reference(self) -> Option<Reference> {
        self.is(Kind::Reference)?.reference().ok()
    }

    /// An export.
    pub(crate) fn export(self) -> Option<Export> {
        let mut reader = self.reader();
        if reader.u8().ok()? != tag::EXPORT {
            return None;
        }
        let module = crate::Atom::checked(&reader.atom().ok()?);
        let function = crate::Atom::checked(&reader.atom().ok()?);
        let [_, arity] = reader.array().ok()?;
        Some(Export {
            module,
            function,
            arity,
        })
    }

    /// Arity, uniq and index of a fun.
    pub(crate) fn fun_head(self) -> Option<(u8, [u8; 16], u32)> {
        let mut reader = self.reader();
        if reader.u8().ok()? != tag::NEW_FUN {
            return None;
        }
        reader.u32().ok()?;
        Some((reader.u8().ok()?, reader.array().ok()?, reader.u32().ok()?))
    }

    /// A bit string's bytes and how many bits of the last are used.
    pub(crate) fn bits(self) -> Option<(&'t [u8], u8)> {
        let content = self.content();
        Some((content.get(5..)?, *content.get(4)?))
    }

    /// Whether it is the empty list.
    #[must_use]
    pub fn is_nil(self) -> bool {
        self.node().tag == tag::NIL || (self.node().tag == tag::STRING && self.node().len == 0)
    }

    /// Writes the term as it came, without a version: to pass on what need not be understood.
    pub fn copy_to(self, out: &mut Vec<u8>) {
        let node = self.node();
        match node.tag {
            tag::NIL => out.push(tag::NIL),
            tag::TAIL_BYTE => {
                out.push(tag::SMALL_INTEGER);
                out.extend(self.bytes.get(node.at as usize));
            }
            _ => out.extend_from_slice(
                self.bytes
                    .get(node.at as usize..node.end as usize)
                    .unwrap_or_default(),
            ),
        }
    }

    /// The term as a tree of its own.
    ///
    /// # Errors
    /// When a map in it has a key twice.
    pub fn to_term(self) -> Result<Term, Malformed> {
        build::build(self)
    }

    /// Every term within it and itself, the parts after what they are parts of.
    pub(crate) fn all(self) -> impl DoubleEndedIterator<Item = View<'t>> {
        let end = (self.node().next as usize).min(self.nodes.len());
        (self.index..end).map(move |index| View { index, ..self })
    }

    pub(crate) fn has_maps(self) -> bool {
        self.all().any(|part| part.node().tag == tag::MAP)
    }

    fn parts(self, left: u32) -> Views<'t> {
        Views {
            next: View {
                index: self.index.saturating_add(1),
                ..self
            },
            left,
        }
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to_term() {
            Ok(term) => term.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

/// The parts of a term, one after the other.
#[derive(Clone, Debug)]
pub struct Views<'t> {
    next: View<'t>,
    left: u32,
}

impl<'t> Iterator for Views<'t> {
    type Item = View<'t>;

    fn next(&mut self) -> Option<View<'t>> {
        self.left = self.left.checked_sub(1)?;
        let part = self.next;
        self.next.index = part.node().next as usize;
        Some(part)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Views<'_> {}
