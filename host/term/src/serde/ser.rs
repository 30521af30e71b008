//! Values to terms.

use serde::ser::{self, Serialize};

use super::{RAW, Unfit, snake};
use crate::{Atom, Map, Term, decode};

/// What a struct becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Record,
    Map,
    Proplist,
}

#[derive(Clone, Copy)]
pub(super) struct Serializer(pub(super) Shape);

fn atom(text: &str) -> Result<Term, Unfit> {
    Atom::new(text).map(Term::Atom).map_err(Unfit::new)
}

fn tag(name: &str) -> Result<Term, Unfit> {
    atom(&snake(name))
}

const UNDEFINED: Term = crate::atom("undefined");

macro_rules! plain {
    ($($function:ident: $type:ty,)*) => {$(
        fn $function(self, value: $type) -> Result<Term, Unfit> {
            Ok(Term::from(value))
        }
    )*};
}

impl ser::Serializer for Serializer {
    type Ok = Term;
    type Error = Unfit;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Pairs;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    plain! {
        serialize_bool: bool,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_str: &str,
        serialize_bytes: &[u8],
    }

    fn serialize_i8(self, value: i8) -> Result<Term, Unfit> {
        Ok(Term::Int(value.into()))
    }

    fn serialize_u128(self, value: u128) -> Result<Term, Unfit> {
        Ok(crate::Big::integer(false, &value.to_le_bytes()))
    }

    fn serialize_f32(self, value: f32) -> Result<Term, Unfit> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Term, Unfit> {
        if value.is_finite() {
            Ok(Term::Float(value))
        } else {
            Err(Unfit::new(format_args!("{value} is no Erlang float")))
        }
    }

    fn serialize_char(self, value: char) -> Result<Term, Unfit> {
        Ok(Term::string(value.encode_utf8(&mut [0; 4])))
    }

    fn serialize_none(self) -> Result<Term, Unfit> {
        Ok(UNDEFINED)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Term, Unfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Term, Unfit> {
        Ok(UNDEFINED)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Term, Unfit> {
        tag(name)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Term, Unfit> {
        tag(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Term, Unfit> {
        let term = value.serialize(self)?;
        match term {
            Term::Binary(bytes) if name == RAW => decode(&bytes).map_err(Unfit::new),
            term => Ok(term),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Term, Unfit> {
        let value = value
            .serialize(self)
            .map_err(|error| error.within(variant))?;
        Ok(Term::Tuple(vec![tag(variant)?, value]))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, Unfit> {
        Ok(Items::new(self, true, None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, Unfit> {
        Ok(Items::new(self, false, None))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Items, Unfit> {
        Ok(Items::new(self, false, Some(tag(name)?)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items, Unfit> {
        Ok(Items::new(self, false, Some(tag(variant)?)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Pairs, Unfit> {
        Ok(Pairs {
            serializer: self,
            pairs: Vec::new(),
            key: None,
        })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields, Unfit> {
        Fields::new(self, name, false)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields, Unfit> {
        Fields::new(self, variant, true)
    }
}

/// Elements of a list or tuple.
pub(super) struct Items {
    serializer: Serializer,
    is_list: bool,
    items: Vec<Term>,
}

impl Items {
    fn new(serializer: Serializer, is_list: bool, tag: Option<Term>) -> Items {
        Items {
            serializer,
            is_list,
            items: tag.into_iter().collect(),
        }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        let item = value.serialize(self.serializer)?;
        self.items.push(item);
        Ok(())
    }

    fn term(self) -> Term {
        if self.is_list {
            Term::List(self.items)
        } else {
            Term::Tuple(self.items)
        }
    }
}

macro_rules! items {
    ($($of:ident $function:ident)*) => {$(
        impl ser::$of for Items {
            type Ok = Term;
            type Error = Unfit;

            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
                self.push(value)
            }

            fn end(self) -> Result<Term, Unfit> {
                Ok(self.term())
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

/// Pairs of a map.
pub(super) struct Pairs {
    serializer: Serializer,
    pairs: Vec<(Term, Term)>,
    key: Option<Term>,
}

impl ser::SerializeMap for Pairs {
    type Ok = Term;
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        self.key = Some(key.serialize(self.serializer)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        let key = self.key.take().unwrap_or(UNDEFINED);
        let value = value
            .serialize(self.serializer)
            .map_err(|error| error.within(&key))?;
        self.pairs.push((key, value));
        Ok(())
    }

    fn end(self) -> Result<Term, Unfit> {
        Ok(Term::Map(Map::from_pairs(self.pairs)))
    }
}

/// Fields of a struct.
pub(super) struct Fields {
    serializer: Serializer,
    tag: Term,
    is_variant: bool,
    fields: Vec<(Term, Term)>,
}

impl Fields {
    fn new(serializer: Serializer, name: &str, is_variant: bool) -> Result<Fields, Unfit> {
        Ok(Fields {
            serializer,
            tag: tag(name)?,
            is_variant,
            fields: Vec::new(),
        })
    }

    fn push<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unfit> {
        let value = value
            .serialize(self.serializer)
            .map_err(|error| error.within(name))?;
        self.fields.push((atom(name)?, value));
        Ok(())
    }

    fn term(self) -> Term {
        let inner = match self.serializer.0 {
            Shape::Record => {
                let values = self.fields.into_iter().map(|(_, value)| value);
                return Term::Tuple(std::iter::once(self.tag).chain(values).collect());
            }
            Shape::Map => Term::Map(Map::from_pairs(self.fields)),
            Shape::Proplist => self
                .fields
                .into_iter()
                .map(|(name, value)| Term::Tuple(vec![name, value]))
                .collect(),
        };
        if self.is_variant {
            Term::Tuple(vec![self.tag, inner])
        } else {
            inner
        }
    }
}

macro_rules! fields {
    ($($of:ident)*) => {$(
        impl ser::$of for Fields {
            type Ok = Term;
            type Error = Unfit;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Unfit> {
                self.push(name, value)
            }

            fn end(self) -> Result<Term, Unfit> {
                Ok(self.term())
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }
