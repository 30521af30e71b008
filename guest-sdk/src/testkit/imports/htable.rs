//! Hash tables in which nothing expires.

pub use crate::bindings::switchhook::script::htable::Value;
use crate::host::types::Error;
use crate::testkit::message::invalid;
use crate::testkit::world::{not_found, world};
use std::collections::BTreeMap;

pub(crate) fn get(table: &str, key: &str) -> Result<Option<Value>, Error> {
    within(table, |items| Ok(items.get(key).cloned()))
}

pub(crate) fn set(table: &str, key: &str, value: &Value, _ttl: u32) -> Result<(), Error> {
    within(table, |items| {
        items.insert(key.to_owned(), value.clone());
        Ok(())
    })
}

pub(crate) fn add(table: &str, key: &str, delta: i64) -> Result<i64, Error> {
    within(table, |items| {
        let sum = match items.get(key) {
            None => delta,
            Some(Value::Integer(number)) => number.wrapping_add(delta),
            Some(_) => return Err(invalid(format!("{key}: expected an integer"))),
        };
        items.insert(key.to_owned(), Value::Integer(sum));
        Ok(sum)
    })
}

pub(crate) fn expire(table: &str, key: &str, _ttl: u32) -> Result<bool, Error> {
    within(table, |items| Ok(items.contains_key(key)))
}

pub(crate) fn remove(table: &str, key: &str) -> Result<bool, Error> {
    within(table, |items| Ok(items.remove(key).is_some()))
}

pub(crate) fn remove_prefix(table: &str, prefix: &str) -> Result<u32, Error> {
    within(table, |items| {
        let before = items.len();
        items.retain(|key, _| !key.starts_with(prefix));
        Ok((before - items.len()) as u32)
    })
}

pub(crate) fn size(table: &str) -> Result<u32, Error> {
    within(table, |items| Ok(items.len() as u32))
}

fn within<R>(
    table: &str,
    act: impl FnOnce(&mut BTreeMap<String, Value>) -> Result<R, Error>,
) -> Result<R, Error> {
    world(|world| match world.htables.get_mut(table) {
        Some(items) => act(items),
        None => Err(not_found("htable", table)),
    })
}
