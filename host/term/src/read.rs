//! A place in the bytes of a term, and the parts that are read there.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::atom::latin1;
use crate::{Atom, Malformed, Pid, Port, Reference, tag};

/// Bytes and a place in them. A read either moves on or fails with what was missing.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Reader<'a> {
        Reader { bytes, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes back, to read something whole.
    pub(crate) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.saturating_add(count);
        match self.bytes.get(self.at..end) {
            Some(bytes) => {
                self.at = end;
                Ok(bytes)
            }
            None => Err(Malformed::Truncated {
                at: self.bytes.len(),
                wanted: end.saturating_sub(self.bytes.len()),
            }),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(Malformed::Truncated {
                at: self.bytes.len(),
                wanted: N.saturating_sub(rest.len()),
            }),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A four-byte length.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<usize, Malformed> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }

    /// The text of an atom whose tag was read.
    #[inline]
    pub(crate) fn atom_text(&mut self, kind: u8) -> Result<Cow<'a, str>, Malformed> {
        let at = self.at.saturating_sub(1);
        let length = match kind {
            tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM => usize::from(self.u8()?),
            tag::ATOM_UTF8 | tag::ATOM => usize::from(self.u16()?),
            _ => return Err(Malformed::Atom { at }),
        };
        let bytes = self.take(length)?;
        if kind == tag::SMALL_ATOM || kind == tag::ATOM {
            if length > 255 {
                return Err(Malformed::Atom { at });
            }
            return Ok(latin1(bytes));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if length <= 255 || text.chars().count() <= 255 => Ok(Cow::Borrowed(text)),
            _ => Err(Malformed::Atom { at }),
        }
    }

    /// An atom with its tag.
    pub(crate) fn atom(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let kind = self.u8()?;
        self.atom_text(kind)
    }

    fn node(&mut self) -> Result<Atom, Malformed> {
        Ok(Atom::checked(&self.atom()?))
    }

    fn creation(&mut self, wide: bool) -> Result<u32, Malformed> {
        if wide {
            self.u32()
        } else {
            Ok(u32::from(self.u8()?))
        }
    }

    /// A pid with its tag.
    pub(crate) fn pid(&mut self) -> Result<Pid, Malformed> {
        let at = self.at;
        let kind = self.u8()?;
        if kind != tag::NEW_PID && kind != tag::PID {
            return Err(Malformed::Part { at, kind: "pid" });
        }
        Ok(Pid {
            node: self.node()?,
            id: self.u32()?,
            serial: self.u32()?,
            creation: self.creation(kind == tag::NEW_PID)?,
        })
    }

    /// A port with its tag.
    pub(crate) fn port(&mut self) -> Result<Port, Malformed> {
        let at = self.at;
        let kind = self.u8()?;
        let node = match kind {
            tag::NEW_PORT | tag::PORT | tag::V4_PORT => self.node()?,
            _ => return Err(Malformed::Part { at, kind: "port" }),
        };
        let id = if kind == tag::V4_PORT {
            u64::from_be_bytes(self.array()?)
        } else {
            u64::from(self.u32()?)
        };
        Ok(Port {
            node,
            id,
            creation: self.creation(kind != tag::PORT)?,
        })
    }

    /// A reference with its tag. On the wire its first word is the lowest.
    pub(crate) fn reference(&mut self) -> Result<Reference, Malformed> {
        let at = self.at;
        let malformed = Malformed::Part {
            at,
            kind: "reference",
        };
        let kind = self.u8()?;
        let words = match kind {
            tag::NEWER_REFERENCE | tag::NEW_REFERENCE => usize::from(self.u16()?),
            tag::REFERENCE => 1,
            _ => return Err(malformed),
        };
        if words == 0 || words > Reference::MAX_IDS {
            return Err(malformed);
        }
        let node = self.node()?;
        let mut ids = SmallVec::new();
        if kind == tag::REFERENCE {
            ids.push(self.u32()?);
            let creation = self.creation(false)?;
            return Ok(Reference {
                node,
                creation,
                ids,
            });
        }
        let creation = self.creation(kind == tag::NEWER_REFERENCE)?;
        for _ in 0..words {
            ids.push(self.u32()?);
        }
        Ok(Reference {
            node,
            creation,
            ids,
        })
    }

    /// What follows the tag of a float.
    pub(crate) fn float(&mut self, kind: u8) -> Result<f64, Malformed> {
        let at = self.at;
        let float = if kind == tag::NEW_FLOAT {
            f64::from_be_bytes(self.array()?)
        } else {
            let text = self.array::<31>()?;
            let used = text.iter().position(|byte| *byte == 0).unwrap_or(31);
            text.get(..used)
                .and_then(|text| std::str::from_utf8(text).ok())
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(f64::NAN)
        };
        if float.is_finite() {
            Ok(float)
        } else {
            Err(Malformed::Float { at })
        }
    }
}
