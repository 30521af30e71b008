//! Terms to values.

use std::borrow::Cow;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Visitor};

use super::{RAW, Unfit, snake};
use crate::{Term, to_bytes};

pub(super) struct Deserializer<'t>(pub(super) &'t Term);

/// The text of an atom, a string or a binary.
fn text(term: &Term) -> Option<Cow<'_, str>> {
    match term {
        Term::Atom(atom) => Some(Cow::Borrowed(atom.as_str())),
        term => term.as_text(),
    }
}

/// What Erlang programs write for nothing.
fn is_nothing(term: &Term) -> bool {
    term.as_atom()
        .is_some_and(|atom| ["undefined", "nil", "null"].contains(&atom.as_str()))
}

/// The one of these names that a term means, as it is or in snake case.
fn named(term: &Term, names: &'static [&'static str]) -> Option<&'static str> {
    let found = text(term)?;
    names
        .iter()
        .copied()
        .find(|name| **name == *found || snake(name) == *found)
}

/// The pairs of a map or a proplist; an atom alone in that means `{Atom, true}`.
fn pairs(term: &Term) -> Option<Vec<(Cow<'_, Term>, Cow<'_, Term>)>> {
    const TRUE: Term = crate::atom("true");
    match term {
        Term::Map(map) => Some(
            map.pairs()
                .iter()
                .map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value)))
                .collect(),
        ),
        Term::List(items) => items
            .iter()
            .map(|item| match item {
                Term::Atom(_) => Some((Cow::Borrowed(item), Cow::Owned(TRUE))),
                Term::Tuple(pair) => match pair.as_slice() {
                    [key, value] => Some((Cow::Borrowed(key), Cow::Borrowed(value))),
                    _ => None,
                },
                _ => None,
            })
            .collect(),
        Term::String(bytes) if bytes.is_empty() => Some(Vec::new()),
        _ => None,
    }
}

/// The elements of a list or tuple.
fn items(term: &Term) -> Option<Vec<Cow<'_, Term>>> {
    match term {
        Term::Tuple(parts) => Some(parts.iter().map(Cow::Borrowed).collect()),
        term => term.as_list().map(Iterator::collect),
    }
}

impl<'t> Deserializer<'t> {
    fn expected(&self, what: &str) -> Unfit {
        Unfit::expected(what, self.0)
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Term::Int(number) => visitor.visit_i64(*number),
            Term::Float(number) => visitor.visit_f64(*number),
            Term::Big(number) if number.magnitude().len() <= 8 && !number.is_negative() => {
                let mut bytes = [0; 8];
                for (to, from) in bytes.iter_mut().zip(number.magnitude()) {
                    *to = *from;
                }
                visitor.visit_u64(u64::from_le_bytes(bytes))
            }
            _ => Err(self.expected("a number")),
        }
    }

    fn sequence<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let items = items(self.0).ok_or_else(|| self.expected("a list"))?;
        visitor.visit_seq(Sequence {
            items: items.into_iter().enumerate(),
        })
    }
}

macro_rules! numbers {
    ($($function:ident)*) => {$(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            self.number(visitor)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Deserializer<'_> {
    type Error = Unfit;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Term::Int(_) | Term::Big(_) | Term::Float(_) => self.number(visitor),
            term if is_nothing(term) => visitor.visit_unit(),
            Term::Atom(atom) => match self.0.as_bool() {
                Some(value) => visitor.visit_bool(value),
                None => visitor.visit_str(atom),
            },
            Term::String(_) => self.deserialize_str(visitor),
            Term::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_str(text),
                Err(_) => visitor.visit_bytes(bytes),
            },
            Term::Tuple(_) | Term::List(_) => self.sequence(visitor),
            Term::Map(_) => self.deserialize_map(visitor),
            _ => Err(self.expected("a plain value")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let value = self.0.as_bool();
        visitor.visit_bool(value.ok_or_else(|| self.expected("true or false"))?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match text(self.0) {
            Some(text) => visitor.visit_str(&text),
            None => Err(self.expected("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Term::Binary(bytes) | Term::String(bytes) => visitor.visit_bytes(bytes),
            term if term.is_nil() => visitor.visit_bytes(&[]),
            _ => Err(self.expected("a binary")),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if is_nothing(self.0) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if is_nothing(self.0) || self.0.is_atom("ok") {
            visitor.visit_unit()
        } else {
            Err(self.expected("undefined or ok"))
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if self.0.is_atom(&snake(name)) {
            visitor.visit_unit()
        } else {
            Err(self.expected(&snake(name)))
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if name == RAW {
            visitor.visit_bytes(&to_bytes(self.0))
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfit> {
        match items(self.0) {
            Some(items) if items.len() == len => self.sequence(visitor),
            _ => Err(self.expected(&format!("a tuple of {len}"))),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        match self.0.as_record(&snake(name)) {
            Some(fields) if fields.len() == len => visit_fields(fields, visitor),
            _ => Err(self.expected(&format!("the record {} of {len}", snake(name)))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let pairs = pairs(self.0).ok_or_else(|| self.expected("a map"))?;
        visitor.visit_map(Mapping {
            pairs: pairs.into_iter(),
            value: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        if let Term::Tuple(_) = self.0 {
            return match self.0.as_record(&snake(name)) {
                Some(values) if values.len() == fields.len() => {
                    visit_record(fields, values, visitor)
                }
                _ => Err(self.expected(&format!("the record {} of {}", snake(name), fields.len()))),
            };
        }
        let what = || self.expected(&format!("the record {}, a map or a proplist", snake(name)));
        let pairs = pairs(self.0).ok_or_else(what)?;
        visitor.visit_map(Mapping {
            pairs: pairs.into_iter(),
            value: None,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let (name, values) = match self.0 {
            Term::Tuple(parts) => match parts.split_first() {
                Some((name, values)) => (name, values),
                None => (self.0, &[][..]),
            },
            term => (term, &[][..]),
        };
        let Some(name) = named(name, variants) else {
            let names: Vec<String> = variants.iter().map(|name| snake(name)).collect();
            return Err(self.expected(&format!("one of {}", names.join(", "))));
        };
        visitor.visit_enum(Variant { name, values })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }
}

struct Sequence<I> {
    items: std::iter::Enumerate<I>,
}

impl<'de, 't, I: Iterator<Item = Cow<'t, Term>>> de::SeqAccess<'de> for Sequence<I> {
    type Error = Unfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unfit> {
        let Some((index, item)) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(Deserializer(&item))
            .map(Some)
            .map_err(|error| error.within(index))
    }
}

struct Mapping<'t, I> {
    pairs: I,
    value: Option<(Cow<'t, Term>, Cow<'t, Term>)>,
}

impl<'de, 't, I> de::MapAccess<'de> for Mapping<'t, I>
where
    I: Iterator<Item = (Cow<'t, Term>, Cow<'t, Term>)>,
{
    type Error = Unfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unfit> {
        let Some(pair) = self.pairs.next() else {
            return Ok(None);
        };
        let key = seed.deserialize(Deserializer(&pair.0))?;
        self.value = Some(pair);
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        let Some((key, value)) = self.value.take() else {
            return Err(Unfit::new("a value before its key"));
        };
        seed.deserialize(Deserializer(&value)).map_err(|error| {
            error.within(text(&key).unwrap_or_else(|| Cow::Owned(key.to_string())))
        })
    }
}

/// The values of a tuple struct.
fn visit_fields<'de, V: Visitor<'de>>(values: &[Term], visitor: V) -> Result<V::Value, Unfit> {
    visitor.visit_seq(Sequence {
        items: values.iter().map(Cow::Borrowed).enumerate(),
    })
}

/// The values of a record by the names of its fields, so that an error names the field.
fn visit_record<'de, V: Visitor<'de>>(
    fields: &'static [&'static str],
    values: &[Term],
    visitor: V,
) -> Result<V::Value, Unfit> {
    visitor.visit_map(Record {
        fields: fields.iter().copied().zip(values),
        value: None,
    })
}

struct Record<'t, I> {
    fields: I,
    value: Option<(&'static str, &'t Term)>,
}

impl<'de, 't, I> de::MapAccess<'de> for Record<'t, I>
where
    I: Iterator<Item = (&'static str, &'t Term)>,
{
    type Error = Unfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unfit> {
        let Some(field) = self.fields.next() else {
            return Ok(None);
        };
        self.value = Some(field);
        seed.deserialize(StrDeserializer::<Unfit>::new(field.0))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        let Some((name, value)) = self.value.take() else {
            return Err(Unfit::new("a value before its key"));
        };
        seed.deserialize(Deserializer(value))
            .map_err(|error| error.within(name))
    }
}

struct Variant<'t> {
    name: &'static str,
    values: &'t [Term],
}

impl<'de> de::EnumAccess<'de> for Variant<'_> {
    type Error = Unfit;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Unfit> {
        let name = seed.deserialize(StrDeserializer::<Unfit>::new(self.name))?;
        Ok((name, self))
    }
}

impl Variant<'_> {
    fn counted(&self, expected: usize) -> Result<(), Unfit> {
        if self.values.len() == expected {
            return Ok(());
        }
        Err(Unfit::new(format_args!(
            "expected {} with {expected} values, got {}",
            snake(self.name),
            self.values.len()
        )))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_> {
    type Error = Unfit;

    fn unit_variant(self) -> Result<(), Unfit> {
        self.counted(0)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Unfit> {
        self.counted(1)?;
        let nothing = Term::NIL;
        let value = self.values.first().unwrap_or(&nothing);
        seed.deserialize(Deserializer(value))
            .map_err(|error| error.within(snake(self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.counted(len)?;
        visit_fields(self.values, visitor).map_err(|error| error.within(snake(self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        let result = match self.values {
            [inner @ (Term::Map(_) | Term::List(_))] if pairs(inner).is_some() => {
                de::Deserializer::deserialize_map(Deserializer(inner), visitor)
            }
            values => {
                self.counted(fields.len())?;
                visit_record(fields, values, visitor)
            }
        };
        result.map_err(|error| error.within(snake(self.name)))
    }
}
