//! Pids and references: what a node hands out and another can only send back.

use std::fmt;

use bytes::Bytes;

use crate::name::NodeName;
use crate::wire::read::Reader;
use crate::wire::scan::{BadTerm, VERSION};

/// A process, on whatever node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    /// Its node.
    pub node: NodeName,
    /// Its number there.
    pub id: u32,
    /// Counts on when numbers run out.
    pub serial: u32,
    /// Which life of the node.
    pub creation: u32,
}

/// A reference, unique in its node's life.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The node that made it.
    pub node: NodeName,
    /// Which life of the node.
    pub creation: u32,
    /// Its number: one to five words, the lowest first.
    pub ids: Words,
}

/// The words of a reference, one to five of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Words {
    count: u8,
    words: [u32; 5],
}

impl Words {
    /// `None` where there are none or more than five.
    pub fn new(words: &[u32]) -> Option<Self> {
        let count = u8::try_from(words.len()).ok()?;
        let mut all = [0; 5];
        all.get_mut(..words.len())?.copy_from_slice(words);
        (count > 0).then_some(Self { count, words: all })
    }

    /// The words, the lowest first.
    pub fn as_slice(&self) -> &[u32] {
        self.words.get(..self.count.into()).unwrap_or_default()
    }
}

impl From<[u32; 3]> for Words {
    fn from([a, b, c]: [u32; 3]) -> Self {
        Self {
            count: 3,
            words: [a, b, c, 0, 0],
        }
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}.{}>", self.node, self.id, self.serial)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#Ref<{}", self.node)?;
        for word in self.ids.as_slice().iter().rev() {
            write!(f, ".{word}")?;
        }
        f.write_str(">")
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl Pid {
    /// Appends the pid as a term, without a version byte.
    pub fn write(&self, out: &mut Vec<u8>) {
        crate::wire::write::pid(out, self);
    }

    /// As a term of its own.
    pub fn to_term(&self) -> Bytes {
        let mut out = vec![VERSION];
        self.write(&mut out);
        out.into()
    }

    /// Reads a term that is a pid.
    pub fn from_term(bytes: &[u8]) -> Result<Self, BadTerm> {
        whole(bytes, Reader::pid)
    }
}

impl Reference {
    /// Appends the reference as a term, without a version byte.
    pub fn write(&self, out: &mut Vec<u8>) {
        crate::wire::write::reference(out, self);
    }

    /// As a term of its own.
    pub fn to_term(&self) -> Bytes {
        let mut out = vec![VERSION];
        self.write(&mut out);
        out.into()
    }

    /// Reads a term that is a reference.
    pub fn from_term(bytes: &[u8]) -> Result<Self, BadTerm> {
        whole(bytes, Reader::reference)
    }
}

fn whole<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, BadTerm>,
) -> Result<T, BadTerm> {
    let mut reader = Reader::new(bytes, &[]);
    reader.version()?;
    let value = read(&mut reader)?;
    if reader.rest().is_empty() {
        Ok(value)
    } else {
        Err(BadTerm::Size)
    }
}
