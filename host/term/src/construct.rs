//! Terms of Rust's values, and the macros that put them together.

use crate::{Atom, Big, Export, Map, Pid, Port, Reference, Term};

impl Term {
    /// Text as a list of its code points: Erlang's string, as `&str` becomes by itself.
    #[must_use]
    pub fn string(text: &str) -> Term {
        if text.is_ascii() {
            return Term::String(text.as_bytes().to_vec());
        }
        match text.chars().map(u8::try_from).collect() {
            Ok(bytes) => Term::String(bytes),
            Err(_) => Term::List(
                text.chars()
                    .map(|point| Term::Int(i64::from(u32::from(point))))
                    .collect(),
            ),
        }
    }

    /// A binary, of bytes or of text in UTF-8.
    #[must_use]
    pub fn binary(bytes: impl AsRef<[u8]>) -> Term {
        Term::Binary(bytes.as_ref().to_vec())
    }
}

/// Into the case of that name.
macro_rules! from {
    ($($type:ty => |$value:ident| $term:expr,)*) => {$(
        impl From<$type> for Term {
            fn from($value: $type) -> Term {
                $term
            }
        }
    )*};
}

from! {
    i64 => |number| Term::Int(number),
    i32 => |number| Term::Int(number.into()),
    i16 => |number| Term::Int(number.into()),
    u32 => |number| Term::Int(number.into()),
    u16 => |number| Term::Int(number.into()),
    u8 => |number| Term::Int(number.into()),
    u64 => |number| Big::integer(false, &number.to_le_bytes()),
    usize => |number| Big::integer(false, &number.to_le_bytes()),
    i128 => |number| Big::integer(number < 0, &number.unsigned_abs().to_le_bytes()),
    f64 => |number| Term::Float(number),
    bool => |value| Term::Atom(Atom::boolean(value)),
    Atom => |atom| Term::Atom(atom),
    &str => |text| Term::string(text),
    String => |text| Term::string(&text),
    &String => |text| Term::string(text),
    Vec<u8> => |bytes| Term::Binary(bytes),
    &[u8] => |bytes| Term::Binary(bytes.to_vec()),
    Vec<Term> => |items| Term::List(items),
    Map => |map| Term::Map(map),
    Pid => |pid| Term::Pid(Box::new(pid)),
    Port => |port| Term::Port(Box::new(port)),
    Reference => |reference| Term::Reference(Box::new(reference)),
    Export => |export| Term::Export(Box::new(export)),
    &Term => |term| term.clone(),
}

impl FromIterator<Term> for Term {
    /// A list.
    fn from_iter<I: IntoIterator<Item = Term>>(items: I) -> Term {
        Term::List(items.into_iter().collect())
    }
}

/// A tuple: `tuple![atom("hello"), "Erlang", 5]`.
#[macro_export]
macro_rules! tuple {
    ($($part:expr),* $(,)?) => {
        $crate::Term::Tuple(::std::vec![$($crate::Term::from($part)),*])
    };
}

/// A list: `list![1, "two"]`, `list![a, b; tail]` for `[a, b | tail]`.
#[macro_export]
macro_rules! list {
    ($($part:expr),* $(,)?) => {
        $crate::Term::List(::std::vec![$($crate::Term::from($part)),*])
    };
    ($($part:expr),+ ; $tail:expr) => {
        $crate::Improper::list(::std::vec![$($crate::Term::from($part)),+], $crate::Term::from($tail))
    };
}

/// A map: `map! { atom("name") => "alice", 1 => 2.0 }`.
#[macro_export]
macro_rules! map {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::Term::Map($crate::Map::from_pairs(
            ::std::vec![$(($crate::Term::from($key), $crate::Term::from($value))),*],
        ))
    };
}
