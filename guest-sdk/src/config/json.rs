//! JSON (RFC 8259) for serde. Strict; nesting is limited to 64.

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::ConfigError;

type Result<T> = std::result::Result<T, ConfigError>;

const DEPTH: u32 = 64;

pub(super) fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
    let mut reader = Reader {
        rest: json,
        depth: 0,
    };
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(ConfigError::new("there is more JSON than one value")),
    }
}

struct Reader<'de> {
    rest: &'de str,
    depth: u32,
}

impl<'de> Reader<'de> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.bytes().next()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        there
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(broken())
        }
    }

    fn word(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn string(&mut self) -> Result<String> {
        self.expect(b'"')?;
        let mut string = String::new();
        loop {
            let end = self.rest.find(['"', '\\']).ok_or_else(broken)?;
            let (plain, rest) = self.rest.split_at_checked(end).ok_or_else(broken)?;
            if plain.bytes().any(|b| b < b' ') {
                return Err(broken());
            }
            string.push_str(plain);
            let mut letters = rest.chars();
            let quote = letters.next() == Some('"');
            self.rest = letters.as_str();
            if quote {
                return Ok(string);
            }
            string.push(self.escape()?);
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next().ok_or_else(broken)?;
        self.rest = letters.as_str();
        Ok(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&unit) && self.word("\\u") {
                    let low = self.hex()?;
                    0x10000 + ((unit & 0x3ff) << 10 | low & 0x3ff)
                } else {
                    unit
                };
                char::from_u32(code).ok_or_else(broken)?
            }
            _ => return Err(broken()),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or_else(broken)?;
        self.rest = rest;
        digits.chars().try_fold(0, |unit, digit| {
            let digit = digit.to_digit(16).ok_or_else(broken)?;
            Ok(unit << 4 | digit)
        })
    }

    /// The text of a number.
    fn number(&mut self) -> &'de str {
        let end = self
            .rest
            .find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        number
    }

    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if !matches!(self.peek(), Some(b'0'..=b'9' | b'-')) {
            return Err(self.unexpected(&visitor));
        }
        let number = self.number();
        if let Ok(number) = number.parse() {
            visitor.visit_u64(number)
        } else if let Ok(number) = number.parse() {
            visitor.visit_i64(number)
        } else {
            Err(ConfigError::invalid_type(Unexpected::Float(0.0), &visitor))
        }
    }

    fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if !matches!(self.peek(), Some(b'0'..=b'9' | b'-')) {
            return Err(self.unexpected(&visitor));
        }
        visitor.visit_f64(self.number().parse().map_err(|_| broken())?)
    }

    fn boolean<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.peek();
        if self.word("true") {
            visitor.visit_bool(true)
        } else if self.word("false") {
            visitor.visit_bool(false)
        } else {
            Err(self.unexpected(&visitor))
        }
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if !self.take(b'[') {
            return Err(self.unexpected(&visitor));
        }
        self.nested(|reader| {
            let value = visitor.visit_seq(List {
                reader,
                first: true,
            })?;
            reader.expect(b']')?;
            Ok(value)
        })
    }

    fn table<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if !self.take(b'{') {
            return Err(self.unexpected(&visitor));
        }
        self.nested(|reader| {
            let value = visitor.visit_map(Table {
                reader,
                first: true,
                key: String::new(),
            })?;
            reader.expect(b'}')?;
            Ok(value)
        })
    }

    fn nested<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEPTH {
            return Err(ConfigError::new("nested too deeply"));
        }
        self.depth += 1;
        let value = act(self);
        self.depth -= 1;
        value
    }

    /// What is here is not what the visitor wants.
    fn unexpected<V: Visitor<'de>>(&mut self, visitor: &V) -> ConfigError {
        let got = match self.peek() {
            Some(b'"') => Unexpected::Str(""),
            Some(b'[') => Unexpected::Seq,
            Some(b'{') => Unexpected::Map,
            Some(b't' | b'f') => Unexpected::Bool(true),
            Some(b'n') => Unexpected::Unit,
            Some(b'0'..=b'9' | b'-') => Unexpected::Float(0.0),
            _ => return broken(),
        };
        ConfigError::invalid_type(got, visitor)
    }
}

fn broken() -> ConfigError {
    ConfigError::new("broken JSON")
}

macro_rules! all {
    ($how:ident: $($function:ident)*) => {$(
        fn $function<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.$how(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = ConfigError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => visitor.visit_string(self.string()?),
            Some(b'[') => self.list(visitor),
            Some(b'{') => self.table(visitor),
            Some(b't' | b'f') => self.boolean(visitor),
            Some(b'n') => self.deserialize_unit(visitor),
            Some(b'0'..=b'9' | b'-') => {
                let start = self.rest;
                let whole = !self.number().contains(['.', 'e', 'E']);
                self.rest = start;
                if whole {
                    self.integer(visitor)
                } else {
                    self.float(visitor)
                }
            }
            _ => Err(broken()),
        }
    }

    all! { boolean: deserialize_bool }
    all! { integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 }
    all! { float: deserialize_f32 deserialize_f64 }
    all! { list: deserialize_seq }
    all! { table: deserialize_map }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => visitor.visit_string(self.string()?),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.peek();
        if self.word("null") {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.peek();
        if self.word("null") {
            visitor.visit_unit()
        } else {
            Err(self.unexpected(&visitor))
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.table(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.list(visitor)
    }

    /// `"variant"`, or `{"variant": value}`.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.peek() {
            Some(b'"') => {
                let name: StringDeserializer<ConfigError> = self.string()?.into_deserializer();
                visitor.visit_enum(name)
            }
            Some(b'{') => {
                self.take(b'{');
                self.nested(|reader| {
                    let value = visitor.visit_enum(Variant(reader))?;
                    reader.expect(b'}')?;
                    Ok(value)
                })
            }
            _ => Err(self.unexpected(&visitor)),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit_struct tuple_struct ignored_any
    }
}

struct List<'a, 'de> {
    reader: &'a mut Reader<'de>,
    first: bool,
}

impl<'de> SeqAccess<'de> for List<'_, 'de> {
    type Error = ConfigError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.reader.peek() == Some(b']') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(b',')?;
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

struct Table<'a, 'de> {
    reader: &'a mut Reader<'de>,
    first: bool,
    /// The key whose value comes next.
    key: String,
}

impl<'de> MapAccess<'de> for Table<'_, 'de> {
    type Error = ConfigError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.reader.peek() == Some(b'}') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.expect(b',')?;
        }
        self.key = self.reader.string()?;
        self.reader.expect(b':')?;
        let key: StringDeserializer<ConfigError> = self.key.clone().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.reader)
            .map_err(|error| error.under(&self.key))
    }
}

struct Variant<'a, 'de>(&'a mut Reader<'de>);

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = ConfigError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name: StringDeserializer<ConfigError> = self.0.string()?.into_deserializer();
        let variant = seed.deserialize(name)?;
        self.0.expect(b':')?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = ConfigError;

    fn unit_variant(self) -> Result<()> {
        serde::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.0.list(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.0.table(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::read;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        on: bool,
        small: u8,
        below: Option<i32>,
        share: f64,
        names: Vec<String>,
        pairs: BTreeMap<String, (u16, String)>,
        mode: Mode,
        ways: Vec<Mode>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        Plain,
        Every(u32),
        Between { from: u32, to: u32 },
    }

    const GOOD: &str = r#"{ "on": true, "small": 200, "below": -5, "share": 2.5e-1,
        "names": ["a\"\\\/\b\f\n\r\t", "\u00e9\ud83d\ude00", "é😀"], "pairs": {"x": [1, "one"]},
        "mode": "plain", "ways": [{"every": 3}, {"between": {"from": 1, "to": 2}}, "plain"] }"#;

    #[test]
    fn every_shape_is_read() {
        let config: Config = read(GOOD).unwrap();
        let same: Config = serde_json::from_str(GOOD).unwrap();
        assert_eq!(config, same);
    }

    #[test]
    fn an_error_names_the_key() {
        let wrong = |from: &str, to: &str| {
            let json = GOOD.replacen(from, to, 1);
            assert_ne!(json, GOOD);
            read::<Config>(&json).unwrap_err().to_string()
        };
        assert_eq!(
            wrong("true", "\"yes\""),
            "config.on: expected a boolean, got string"
        );
        assert_eq!(
            wrong("200", "256"),
            "config.small: expected u8, got another integer"
        );
        assert_eq!(
            wrong("[1, \"one\"]", "[1, 2]"),
            "config.pairs.x: expected a string, got number"
        );
        assert!(wrong("\"small\"", "\"smal\"").contains("unknown field `smal`"));
        assert_eq!(
            wrong("\"small\": 200,", ""),
            "config: missing field `small`"
        );
        assert_eq!(
            wrong("\"to\": 2", "\"to\": \"2\""),
            "config.ways.to: expected u32, got string"
        );
    }

    #[test]
    fn what_is_no_json_is_refused_wherever_it_ends() {
        for end in 0..GOOD.len() {
            if let Some(cut) = GOOD.get(..end) {
                assert!(read::<Config>(cut).is_err(), "{cut}");
            }
        }
        for more in ["x", ",", "}", "{}"] {
            assert!(read::<Config>(&[GOOD, more].concat()).is_err());
        }
        let deep = "[".repeat(1000);
        assert!(read::<serde_json::Value>(&deep).is_err());
    }
}
