//! Reads the few kinds of term that the protocol itself is made of; whatever else there is stays as bytes.
//!
//! For bytes that went through [`super::scan`]: plain terms without references to the atom cache.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::scan::{BadTerm, Scanner, check_atom};
use crate::ids::{Pid, Reference, Words};
use crate::name::NodeName;

/// A place in a term.
pub(crate) struct Reader<'a> {
    cursor: Cursor<'a>,
    /// Names that come again and again: they are shared, not read.
    known: &'a [NodeName],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], known: &'a [NodeName]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
            known,
        }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    /// The version byte of a term that stands alone.
    pub(crate) fn version(&mut self) -> Result<(), BadTerm> {
        match self.tag()? {
            super::scan::VERSION => Ok(()),
            other => Err(BadTerm::Version(other)),
        }
    }

    /// A tuple's number of elements.
    pub(crate) fn tuple(&mut self) -> Result<usize, BadTerm> {
        match self.tag()? {
            b'h' => Ok(short(self.cursor.u8())?.into()),
            b'i' => Ok(short(self.cursor.u32())? as usize),
            _ => Err(BadTerm::Kind("a tuple")),
        }
    }

    /// A list's number of elements, its tail not counted; the empty list has no tail.
    pub(crate) fn list(&mut self) -> Result<usize, BadTerm> {
        match self.tag()? {
            b'j' => Ok(0),
            b'l' => Ok(short(self.cursor.u32())? as usize),
            _ => Err(BadTerm::Kind("a list")),
        }
    }

    /// An integer that the protocol counts with.
    pub(crate) fn integer(&mut self) -> Result<u64, BadTerm> {
        let kind = BadTerm::Kind("an integer");
        match self.tag()? {
            b'a' => Ok(short(self.cursor.u8())?.into()),
            b'b' => {
                let value = short(self.cursor.u32())? as i32;
                u64::try_from(value).map_err(|_| kind)
            }
            b'n' => {
                let count = short(self.cursor.u8())?;
                let sign = short(self.cursor.u8())?;
                let digits = short(self.cursor.take(count.into()))?;
                if sign != 0 || count > 8 {
                    return Err(kind);
                }
                let mut bytes = [0; 8];
                for (to, from) in bytes.iter_mut().zip(digits) {
                    *to = *from;
                }
                Ok(u64::from_le_bytes(bytes))
            }
            _ => Err(kind),
        }
    }

    /// An atom's text.
    pub(crate) fn atom(&mut self) -> Result<Cow<'a, str>, BadTerm> {
        let tag = self.tag()?;
        let length = match tag {
            b'd' | b'v' => short(self.cursor.u16())?.into(),
            b's' | b'w' => short(self.cursor.u8())?.into(),
            _ => return Err(BadTerm::Kind("an atom")),
        };
        let text = short(self.cursor.take(length))?;
        let utf8 = matches!(tag, b'v' | b'w');
        check_atom(text, utf8)?;
        if utf8 || text.is_ascii() {
            let text = std::str::from_utf8(text).map_err(|_| BadTerm::Atom)?;
            Ok(Cow::Borrowed(text))
        } else {
            Ok(Cow::Owned(text.iter().copied().map(char::from).collect()))
        }
    }

    /// A pid, in its new form or the one before OTP 23.
    pub(crate) fn pid(&mut self) -> Result<Pid, BadTerm> {
        let tag = self.tag()?;
        if !matches!(tag, b'X' | b'g') {
            return Err(BadTerm::Kind("a pid"));
        }
        let node = self.node()?;
        let (id, serial) = (short(self.cursor.u32())?, short(self.cursor.u32())?);
        let creation = if tag == b'X' {
            short(self.cursor.u32())?
        } else {
            short(self.cursor.u8())?.into()
        };
        Ok(Pid {
            node,
            id,
            serial,
            creation,
        })
    }

    /// A reference.
    pub(crate) fn reference(&mut self) -> Result<Reference, BadTerm> {
        let tag = self.tag()?;
        if !matches!(tag, b'Z' | b'r') {
            return Err(BadTerm::Kind("a reference"));
        }
        let count = usize::from(short(self.cursor.u16())?);
        let node = self.node()?;
        let creation = if tag == b'Z' {
            short(self.cursor.u32())?
        } else {
            short(self.cursor.u8())?.into()
        };
        let mut words = [0; 5];
        let words = words.get_mut(..count).ok_or(BadTerm::Size)?;
        for word in words.iter_mut() {
            *word = short(self.cursor.u32())?;
        }
        let ids = Words::new(words).ok_or(BadTerm::Size)?;
        Ok(Reference {
            node,
            creation,
            ids,
        })
    }

    /// A pid or an atom: who is meant by a monitor.
    pub(crate) fn who(&mut self) -> Result<Who<'a>, BadTerm> {
        match self.cursor.rest().first() {
            Some(b'X' | b'g') => self.pid().map(Who::Pid),
            _ => self.atom().map(Who::Name),
        }
    }

    /// The bytes of whatever term is next.
    pub(crate) fn any(&mut self, scanner: &mut Scanner) -> Result<&'a [u8], BadTerm> {
        let length = scanner.length(self.cursor.rest())?;
        short(self.cursor.take(length))
    }

    fn node(&mut self) -> Result<NodeName, BadTerm> {
        let known = self.known;
        let text = self.atom()?;
        match known.iter().find(|name| name.as_str() == text) {
            Some(name) => Ok(name.clone()),
            None => NodeName::new(&text).map_err(|_| BadTerm::Kind("a node's name")),
        }
    }

    fn tag(&mut self) -> Result<u8, BadTerm> {
        short(self.cursor.u8())
    }
}

/// A pid or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who<'a> {
    Pid(Pid),
    Name(Cow<'a, str>),
}

fn short<T>(read: Option<T>) -> Result<T, BadTerm> {
    read.ok_or(BadTerm::Short)
}
