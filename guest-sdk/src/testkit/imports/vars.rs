//! The host's own variables.

use switchhook_store::vars;

pub use crate::bindings::switchhook::script::vars::Value;
use crate::host::types::Error;
use crate::testkit::message::invalid;
use crate::testkit::world::{event, not_here};

pub(crate) fn get(path: &str) -> Option<Value> {
    event(|event| event.vars.get(path).map(to_guest)).flatten()
}

pub(crate) fn set(path: &str, value: &Value) -> Result<(), Error> {
    change(|vars| vars.set(path, to_host(value)))
}

pub(crate) fn push(path: &str, value: &Value) -> Result<(), Error> {
    change(|vars| vars.push(path, to_host(value)))
}

pub(crate) fn append(path: &str, value: &Value) -> Result<(), Error> {
    change(|vars| vars.append(path, to_host(value)))
}

pub(crate) fn count(path: &str) -> u32 {
    event(|event| event.vars.count(path) as u32).unwrap_or_default()
}

pub(crate) fn remove(path: &str) -> u32 {
    event(|event| event.vars.remove(path) as u32).unwrap_or_default()
}

pub(crate) fn names(path: &str) -> Vec<String> {
    event(|event| {
        let names = event.vars.names(path);
        names.into_iter().map(str::to_owned).collect()
    })
    .unwrap_or_default()
}

fn change(act: impl FnOnce(&mut vars::Vars) -> Result<(), vars::VarError>) -> Result<(), Error> {
    event(|event| act(&mut event.vars).map_err(invalid)).unwrap_or_else(|| Err(not_here("init")))
}

fn to_guest(value: &vars::Value) -> Value {
    match value {
        vars::Value::Null => Value::Null,
        vars::Value::Boolean(value) => Value::Boolean(*value),
        vars::Value::Integer(value) => Value::Integer(*value),
        vars::Value::Float(value) => Value::Float(*value),
        vars::Value::Text(value) => Value::Text(value.to_string()),
        vars::Value::Bytes(value) => Value::Bytes(value.to_vec()),
        vars::Value::Nested(_) => Value::Nested,
    }
}

fn to_host(value: &Value) -> vars::Value {
    match value {
        Value::Null => vars::Value::Null,
        Value::Boolean(value) => vars::Value::Boolean(*value),
        Value::Integer(value) => vars::Value::Integer(*value),
        Value::Float(value) => vars::Value::Float(*value),
        Value::Text(value) => vars::Value::Text(value.as_str().into()),
        Value::Bytes(value) => vars::Value::Bytes(value.as_slice().into()),
        Value::Nested => vars::Value::nested(),
    }
}
