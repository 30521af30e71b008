//! Reads typed settings from the tree, so that every error knows its place.
//!
//! serde's own errors name no place; here each one gets that of the innermost key or value at which it came up.
//! Keys may be written with `_` for `-`. One string stands for a list of one where it comes from `--set`.

use super::document::{Key, Node, Place, Value, same_key};
use super::problem::Problem;
use super::suggest::{nearest, one_of};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use std::fmt;

/// Reads a `T` from a tree.
pub(crate) fn read<'de, T: serde::Deserialize<'de>>(node: &'de Node) -> Result<T, Problem> {
    T::deserialize(node).map_err(|error| error.0)
}

/// A problem on its way up to where its place is known.
#[derive(Debug)]
pub(crate) struct Error(Problem);

impl Error {
    /// Gives the error a place unless it has one from deeper down.
    fn at(mut self, place: &Place) -> Self {
        if self.0.place.is_none() {
            self.0.place = Some(place.clone());
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.title)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    /// The first line is the title, the second, if any, stands beside the caret.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let (title, label) = message.split_once('\n').unwrap_or((&message, ""));
        let mut problem = Problem::new(title);
        label.clone_into(&mut problem.label);
        Self(problem)
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let mut problem = Problem::new("wrong type of value");
        problem.label = format!("expected {}, found {}", wanted(expected), came(unexpected));
        Self(problem)
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let mut problem = Problem::new("value not allowed here");
        problem.label = format!("expected {}, found {}", wanted(expected), came(unexpected));
        Self(problem)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self(unknown("key", field, expected))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self(unknown("value", variant, expected))
    }

    fn missing_field(field: &'static str) -> Self {
        let mut problem = Problem::new(format!("`{field}` is missing"));
        problem.label = format!("expected a `{field}` in this table");
        Self(problem)
    }

    fn duplicate_field(field: &'static str) -> Self {
        let mut problem = Problem::new(format!("`{field}` is given twice"));
        problem.label = "the second one, in another spelling".to_owned();
        Self(problem)
    }
}

fn unknown(what: &str, name: &str, expected: &[&str]) -> Problem {
    let mut problem = Problem::new(format!("unknown {what} `{name}`"));
    problem.label = match nearest(name, expected.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("not known {}", if what == "key" { "here" } else { "" })
            .trim_end()
            .to_owned(),
    };
    problem.help(format!("expected {}", one_of(expected)))
}

/// serde's words for what it expected, in an operator's.
fn wanted(expected: &dyn de::Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        text if text.starts_with("struct ") => "a table".to_owned(),
        _ => expected,
    }
}

fn came(unexpected: de::Unexpected<'_>) -> String {
    match unexpected {
        de::Unexpected::Str(text) => format!("the string \"{text}\""),
        de::Unexpected::Signed(number) => format!("the number {number}"),
        de::Unexpected::Unsigned(number) => format!("the number {number}"),
        de::Unexpected::Float(number) => format!("the number {number}"),
        de::Unexpected::Bool(value) => format!("`{value}`"),
        de::Unexpected::Map => "a table".to_owned(),
        de::Unexpected::Seq => "a list".to_owned(),
        other => other.to_string(),
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.value {
            Value::String(text) | Value::Datetime(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Array(items) => visitor.visit_seq(Items { items }),
            Value::Table(entries) => visitor.visit_map(Entries {
                entries,
                fields: &[],
                value: None,
            }),
        };
        result.map_err(|error| error.at(&self.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor
            .visit_some(self)
            .map_err(|error| error.at(&self.place))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|error| error.at(&self.place))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.place.source > 0 && matches!(self.value, Value::String(_)) {
            return visitor
                .visit_seq(Items {
                    items: std::slice::from_ref(self),
                })
                .map_err(|error| error.at(&self.place));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::Table(entries) => visitor
                .visit_map(Entries {
                    entries,
                    fields,
                    value: None,
                })
                .map_err(|error| error.at(&self.place)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match &self.value {
            Value::String(text) => visitor.visit_enum(Variant { text }),
            _ => return self.deserialize_any(visitor),
        };
        result.map_err(|error| error.at(&self.place))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    items: &'de [Node],
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((first, rest)) = self.items.split_first() else {
            return Ok(None);
        };
        self.items = rest;
        seed.deserialize(first)
            .map(Some)
            .map_err(|error| error.at(&first.place))
    }
}

struct Entries<'de> {
    entries: &'de [(Key, Node)],
    /// The names a struct knows; none for a free table, whose keys stay as written.
    fields: &'static [&'static str],
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(((key, value), rest)) = self.entries.split_first() else {
            return Ok(None);
        };
        self.entries = rest;
        self.value = Some(value);
        let name = self
            .fields
            .iter()
            .find(|field| same_key(&key.name, field))
            .copied()
            .unwrap_or(&key.name);
        let de: de::value::BorrowedStrDeserializer<'de, Error> =
            de::value::BorrowedStrDeserializer::new(name);
        seed.deserialize(de)
            .map(Some)
            .map_err(|error| error.at(&key.place))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        match self.value.take() {
            Some(value) => seed
                .deserialize(value)
                .map_err(|error| error.at(&value.place)),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }
}

/// A unit variant by its name; the config has no others.
struct Variant<'de> {
    text: &'de str,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: de::value::StrDeserializer<'_, Error> = self.text.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Err(de::Error::custom("expected a plain name"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("expected a plain name"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(de::Error::custom("expected a plain name"))
    }
}
