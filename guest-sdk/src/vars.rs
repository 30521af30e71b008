//! Variables of the current transaction, as Kamailio's `$xavp`: named values and nested lists of named values. Every route of
//! the transaction sees them; they end with it.
//!
//! A path names a value: `name`, `name[2]`, `outer=>inner`, `outer[1]=>inner[0]`. Without an index the newest is meant.

use crate::error::{Error, Result};
use crate::host::vars;
use crate::value;

pub use vars::Value;

/// The value at a path.
pub fn get(path: &str) -> Option<Value> {
    vars::get(path)
}

/// The text at a path; none where there is nothing or something else.
pub fn text(path: &str) -> Option<String> {
    match vars::get(path)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// The integer at a path; none where there is nothing or something else.
pub fn integer(path: &str) -> Option<i64> {
    match vars::get(path)? {
        Value::Integer(number) => Some(number),
        _ => None,
    }
}

/// Whether the value at a path is `true`.
pub fn is_set(path: &str) -> bool {
    matches!(vars::get(path), Some(Value::Boolean(true)))
}

/// Replaces the value at a path; creates it and its outer lists where absent.
pub fn set(path: &str, value: impl Into<Value>) -> Result<()> {
    vars::set(path, &value.into()).map_err(Error::host)
}

/// Adds a value before those of that name, as an assignment to `$xavp(name)` does.
pub fn push(path: &str, value: impl Into<Value>) -> Result<()> {
    vars::push(path, &value.into()).map_err(Error::host)
}

/// Adds a value after those of that name.
pub fn append(path: &str, value: impl Into<Value>) -> Result<()> {
    vars::append(path, &value.into()).map_err(Error::host)
}

/// How many values have that name.
pub fn count(path: &str) -> u32 {
    vars::count(path)
}

/// Removes the value at a path with an index, all values of the name without; tells how many went.
pub fn remove(path: &str) -> u32 {
    vars::remove(path)
}

/// The names in the list at a path (the top level for the empty path), each once, newest first.
pub fn names(path: &str) -> Vec<String> {
    vars::names(path)
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) | (Value::Nested, Value::Nested) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            _ => false,
        }
    }
}

value::from! {
    bool => Boolean,
    i64 => Integer,
    i32 => Integer,
    u32 => Integer,
    f64 => Float,
    &str => Text,
    String => Text,
    Vec<u8> => Bytes,
}
