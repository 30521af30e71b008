//! Atoms: names of at most 255 characters. Up to 23 bytes they are kept without an allocation. There is no table of atoms, so a
//! flood of them costs no more than their bytes.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;

use smol_str::SmolStr;

use crate::Term;

/// An atom; its text is UTF-8 of at most 255 characters. Ordered as Erlang orders atoms: by code points.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom(SmolStr);

/// A text of more than 255 characters is no atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text of {characters} characters is no atom, at most 255 are")]
pub struct AtomTooLong {
    /// How many it has.
    pub characters: usize,
}

impl Atom {
    /// Of any text.
    ///
    /// # Errors
    /// When it has more than 255 characters.
    pub fn new(text: &str) -> Result<Atom, AtomTooLong> {
        if text.len() > 255 {
            let characters = text.chars().count();
            if characters > 255 {
                return Err(AtomTooLong { characters });
            }
        }
        Ok(Atom(SmolStr::new(text)))
    }

    /// Of a text in the program; one that is too long does not compile where this is a constant.
    ///
    /// # Panics
    /// When it has more than 255 bytes.
    #[must_use]
    pub const fn from_static(text: &'static str) -> Atom {
        assert!(text.len() <= 255, "an atom has at most 255 characters");
        Atom(SmolStr::new_static(text))
    }

    /// `true` or `false`.
    #[must_use]
    pub const fn boolean(value: bool) -> Atom {
        Atom::from_static(if value { "true" } else { "false" })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Of a text that was found to be short enough when it was read.
    pub(crate) fn checked(text: &str) -> Atom {
        Atom(SmolStr::new(text))
    }
}

/// The atom term of a text in the program: `atom("ok")`.
///
/// # Panics
/// When it has more than 255 bytes. Text that is not the program's own goes through [`Atom::new`].
#[must_use]
pub const fn atom(text: &'static str) -> Term {
    Term::Atom(Atom::from_static(text))
}

impl Deref for Atom {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Atom {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Atom {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Atom {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Atom {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<&str> for Atom {
    type Error = AtomTooLong;

    fn try_from(text: &str) -> Result<Atom, AtomTooLong> {
        Atom::new(text)
    }
}

impl TryFrom<String> for Atom {
    type Error = AtomTooLong;

    fn try_from(text: String) -> Result<Atom, AtomTooLong> {
        Atom::new(&text)
    }
}

/// As Erlang prints it, quoted where needed.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::text::print_atom(self.as_str(), f)
    }
}

impl fmt::Debug for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Latin-1 is the first 256 code points.
pub(crate) fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.is_ascii()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())
}
