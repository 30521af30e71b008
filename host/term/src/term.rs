//! The owned term.

use std::borrow::Cow;

use crate::{Atom, Big, Bits, Export, Fun, Improper, Map, Pid, Port, Reference};

/// An Erlang term. `==` is Erlang's `=:=`; see [`Term::compare`] for its `==` and `<`.
#[derive(Clone)]
pub enum Term {
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond 64 bits; made by [`Big::integer`].
    Big(Box<Big>),
    /// A float. Erlang knows no infinity and no NaN.
    Float(f64),
    /// An atom.
    Atom(Atom),
    /// A tuple.
    Tuple(Vec<Term>),
    /// A proper list; the empty list.
    List(Vec<Term>),
    /// A list of bytes: equal to the `List` of the same integers, kept in a byte each. Erlang's string of Latin-1.
    String(Vec<u8>),
    /// A list whose tail is no list; made by [`Improper::list`].
    Improper(Box<Improper>),
    /// A map.
    Map(Map),
    /// A binary.
    Binary(Vec<u8>),
    /// A bit string that is no binary; made by [`Bits::term`].
    Bits(Box<Bits>),
    /// A pid.
    Pid(Box<Pid>),
    /// A port.
    Port(Box<Port>),
    /// A reference.
    Reference(Box<Reference>),
    /// A fun of a process.
    Fun(Box<Fun>),
    /// `fun Module:Function/Arity`.
    Export(Box<Export>),
}

impl Term {
    /// The empty list.
    pub const NIL: Term = Term::List(Vec::new());

    /// An integer of 64 bits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Term::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A float.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Term::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// An atom.
    #[must_use]
    pub fn as_atom(&self) -> Option<&Atom> {
        match self {
            Term::Atom(atom) => Some(atom),
            _ => None,
        }
    }

    /// Whether it is the atom of that name.
    #[must_use]
    pub fn is_atom(&self, name: &str) -> bool {
        matches!(self, Term::Atom(atom) if atom == name)
    }

    /// The atoms `true` and `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_atom()?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A tuple's elements.
    #[must_use]
    pub fn as_tuple(&self) -> Option<&[Term]> {
        match self {
            Term::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// The fields of a record `{tag, Field, ...}`: the elements after its tag.
    #[must_use]
    pub fn as_record(&self, tag: &str) -> Option<&[Term]> {
        let (first, fields) = self.as_tuple()?.split_first()?;
        first.is_atom(tag).then_some(fields)
    }

    /// A binary's bytes.
    #[must_use]
    pub fn as_binary(&self) -> Option<&[u8]> {
        match self {
            Term::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A map.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Term::Map(map) => Some(map),
            _ => None,
        }
    }

    /// A pid.
    #[must_use]
    pub fn as_pid(&self) -> Option<&Pid> {
        match self {
            Term::Pid(pid) => Some(pid),
            _ => None,
        }
    }

    /// A reference.
    #[must_use]
    pub fn as_reference(&self) -> Option<&Reference> {
        match self {
            Term::Reference(reference) => Some(reference),
            _ => None,
        }
    }

    /// The elements of a proper list, also of one kept as a string.
    #[must_use]
    pub fn as_list(&self) -> Option<Elements<'_>> {
        match self {
            Term::List(items) => Some(Elements::Terms(items.iter())),
            Term::String(bytes) => Some(Elements::Bytes(bytes.iter())),
            _ => None,
        }
    }

    /// Whether it is the empty list.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        match self {
            Term::List(items) => items.is_empty(),
            Term::String(bytes) => bytes.is_empty(),
            _ => false,
        }
    }

    /// The text of a string, a list of code points or a UTF-8 binary: what Erlang programs mean by text. Not that of an atom.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Term::Binary(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Term::String(bytes) => Some(crate::atom::latin1(bytes)),
            Term::List(items) => items
                .iter()
                .map(|item| char::from_u32(u32::try_from(item.as_int()?).ok()?))
                .collect::<Option<String>>()
                .map(Cow::Owned),
            _ => None,
        }
    }

    /// What the term is, as Kamailio's `=>type` names it: `integer`, `float`, `atom`, `tuple`, `list`, `map`, `binary`, `bitstring`, `pid`,
    /// `port`, `reference` or `function`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Term::Int(_) | Term::Big(_) => "integer",
            Term::Float(_) => "float",
            Term::Atom(_) => "atom",
            Term::Tuple(_) => "tuple",
            Term::List(_) | Term::String(_) | Term::Improper(_) => "list",
            Term::Map(_) => "map",
            Term::Binary(_) => "binary",
            Term::Bits(_) => "bitstring",
            Term::Pid(_) => "pid",
            Term::Port(_) => "port",
            Term::Reference(_) => "reference",
            Term::Fun(_) | Term::Export(_) => "function",
        }
    }
}

/// The elements of a proper list, each as a term.
#[derive(Clone, Debug)]
pub enum Elements<'a> {
    /// Of a list.
    Terms(std::slice::Iter<'a, Term>),
    /// Of a list kept as a string.
    Bytes(std::slice::Iter<'a, u8>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Cow<'a, Term>;

    fn next(&mut self) -> Option<Cow<'a, Term>> {
        match self {
            Elements::Terms(items) => items.next().map(Cow::Borrowed),
            Elements::Bytes(bytes) => bytes
                .next()
                .map(|byte| Cow::Owned(Term::Int(i64::from(*byte)))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Elements::Terms(items) => items.size_hint(),
            Elements::Bytes(bytes) => bytes.size_hint(),
        }
    }
}

impl ExactSizeIterator for Elements<'_> {}
