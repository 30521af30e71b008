//! Terms and Rust's types, by serde (feature `serde`).
//!
//! | Rust | Erlang, written | read too |
//! |---|---|---|
//! | `struct CallDesc { callid, branch }` | the record `{call_desc, Callid, Branch}` | a map or a proplist of its fields |
//! | the same, [`to_map`] | `#{callid => Callid, branch => Branch}` | |
//! | the same, [`to_proplist`] | `[{callid, Callid}, {branch, Branch}]` | |
//! | a unit variant `Outbound` | `outbound` | `"outbound"`, `<<"outbound">>` |
//! | variants with values, `Busy(a, b)`, `Busy { a, b }` | `{busy, A, B}` | the fields of `{busy, #{a => A, b => B}}` |
//! | `String`, `char` | `"text"` | an atom, `<<"text">>` |
//! | `Vec`, arrays of unknown length | a list | a tuple |
//! | tuples, arrays | a tuple | a list |
//! | maps | a map | a proplist |
//! | `bool` | `true`, `false` | |
//! | `Option`, `()` | the value or `undefined` | `nil`, `null` |
//! | `Atom`, `Term` | as they are | |
//! | bytes (`serde_bytes`, or `#[serde(with = "...::binary")]` on a `String` or `Vec<u8>`) | `<<...>>` | a string |
//!
//! Names of structs and variants are written in snake case, so that `CallDesc` is the record `call_desc`; `#[serde(rename = "...")]` gives
//! another.

mod de;
mod error;
mod ser;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Atom, Term};

pub use error::Unfit;

/// Marks a term on its way through serde: its external format.
const RAW: &str = "$switchhook:term";

/// The term of a value: structs as records.
///
/// # Errors
/// When it holds what no term is, such as an infinite float or a name that is too long for an atom.
pub fn to_term<T: Serialize + ?Sized>(value: &T) -> Result<Term, Unfit> {
    value.serialize(ser::Serializer(ser::Shape::Record))
}

/// The same with structs as maps.
///
/// # Errors
/// As [`to_term`].
pub fn to_map<T: Serialize + ?Sized>(value: &T) -> Result<Term, Unfit> {
    value.serialize(ser::Serializer(ser::Shape::Map))
}

/// The same with structs as lists of pairs.
///
/// # Errors
/// As [`to_term`].
pub fn to_proplist<T: Serialize + ?Sized>(value: &T) -> Result<Term, Unfit> {
    value.serialize(ser::Serializer(ser::Shape::Proplist))
}

/// The value of a term.
///
/// # Errors
/// When the term is another than the type asks for; the error names the field.
pub fn from_term<T: DeserializeOwned>(term: &Term) -> Result<T, Unfit> {
    T::deserialize(de::Deserializer(term))
}

/// `CallDesc` is `call_desc`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    let mut before_is_lower = false;
    for point in name.chars() {
        if point.is_uppercase() && before_is_lower {
            snake.push('_');
        }
        before_is_lower = point.is_lowercase() || point.is_ascii_digit();
        snake.extend(point.to_lowercase());
    }
    snake
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(RAW, &Raw(crate::to_bytes(self)))
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Term, D::Error> {
        let Raw(bytes) = Raw::deserialize(deserializer)?;
        crate::decode(&bytes).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Atom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Term::Atom(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Atom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Atom, D::Error> {
        let text = String::deserialize(deserializer)?;
        Atom::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The external format of a term, as bytes.
struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_newtype_struct(RAW, Bytes).map(Raw)
    }
}

/// Takes bytes or text.
struct Bytes;

impl<'de> serde::de::Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }
}

/// For `#[serde(with = "...")]` on a field of text or bytes that is a binary in Erlang.
pub mod binary {
    use serde::{Deserializer, Serializer};

    use super::Bytes;

    /// As a binary.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: AsRef<[u8]>, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(value.as_ref())
    }

    /// Of a binary or a string.
    ///
    /// # Errors
    /// When it is neither, or no text where text is asked for.
    pub fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let bytes = deserializer.deserialize_byte_buf(Bytes)?;
        T::try_from(bytes).map_err(|_| serde::de::Error::custom("expected text in UTF-8"))
    }
}

/// For `#[serde(with = "...")]` on a field of text that is an atom in Erlang.
pub mod as_atom {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::Atom;

    /// As an atom.
    ///
    /// # Errors
    /// When it has more than 255 characters.
    pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
        Atom::new(text)
            .map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }

    /// Of an atom, a string or a binary.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        String::deserialize(deserializer)
    }
}
