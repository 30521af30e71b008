//! `htable.*`: the shared hash tables. A value is a whole number, a string, or `{"base64": "..."}` for bytes.

use crate::admin::jsonrpc::Fault;
use crate::admin::page::{Page, Paged};
use crate::admin::registry::{Registry, optional, required};
use crate::daemon::Daemon;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};
use switchhook_store::{Htable, Value};

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Key {
    table: String,
    key: Text,
}

#[derive(Deserialize)]
struct Add {
    table: String,
    key: Text,
    by: Option<i64>,
}

#[derive(Deserialize)]
struct Set {
    table: String,
    key: Text,
    value: Json,
    ttl: Option<u32>,
}

#[derive(Deserialize)]
struct Dump {
    table: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// A key, which the command line takes for a number where it looks like one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(i64),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    registry.add(
        "htable.list",
        &[],
        "The tables, with their limits and how full they are.",
        |daemon: &Daemon, Nothing {}| {
            let now = Instant::now();
            let tables = daemon
                .services
                .htables
                .names()
                .filter_map(|name| daemon.services.htables.table(name));
            Ok(tables.map(|table| describe(table, now)).collect::<Vec<_>>())
        },
    );
    let params = const {
        &[
            required("table", "its name"),
            required("key", "the item's key"),
        ]
    };
    registry.add_short(
        "htable.get",
        params,
        "An item's value; null where there is none.",
        |daemon: &Daemon, Key { table, key }| {
            let value = find(daemon, &table)?.get(Instant::now(), &String::from(key));
            Ok(value.as_ref().map_or(Json::Null, to_json))
        },
    );
    registry.add_short(
        "htable.remove",
        params,
        "Removes an item; tells whether it was there.",
        |daemon: &Daemon, Key { table, key }| Ok(find(daemon, &table)?.remove(&String::from(key))),
    );
    let params = const {
        &[
            required("table", "its name"),
            required("key", "the item's key"),
            required("value", "a whole number, a string or {\"base64\": \"...\"}"),
            optional("ttl", "seconds to live; without it the table's own"),
        ]
    };
    registry.add_short(
        "htable.set",
        params,
        "Sets an item.",
        |daemon: &Daemon,
         Set {
             table,
             key,
             value,
             ttl,
         }| {
            let ttl = ttl.map(|seconds| Duration::from_secs(seconds.into()));
            let value = from_json(&value)?;
            find(daemon, &table)?
                .set(Instant::now(), &String::from(key), value, ttl)
                .map_err(|error| Fault::refused(error.to_string()))
        },
    );
    let params = const {
        &[
            required("table", "its name"),
            required("key", "the item's key"),
            optional("by", "a whole number, 1 without it"),
        ]
    };
    registry.add_short(
        "htable.add",
        params,
        "Adds to an item that is a whole number, 0 where it is not there; gives the sum.",
        |daemon: &Daemon, Add { table, key, by }| {
            find(daemon, &table)?
                .add(Instant::now(), &String::from(key), by.unwrap_or(1))
                .map_err(|error| Fault::refused(error.to_string()))
        },
    );
    let params = const {
        &[
            required("table", "its name"),
            optional("after", "the `next` of the page before"),
            optional("limit", "items of a page, 1000 without it"),
        ]
    };
    registry.add(
        "htable.dump",
        params,
        "A page of a table: {items, next}.",
        |daemon: &Daemon, args: Dump| dump(daemon, args),
    );
}

fn find<'a>(daemon: &'a Daemon, name: &str) -> Result<&'a Htable, Fault> {
    daemon.services.htables.table(name).ok_or_else(|| {
        let names: Vec<_> = daemon.services.htables.names().collect();
        let known = if names.is_empty() {
            "none is configured".to_owned()
        } else {
            format!("there is {}", names.join(", "))
        };
        Fault::not_found(format!("no [[htable]] has the name `{name}`; {known}"))
    })
}

fn describe(table: &Htable, now: Instant) -> Json {
    let config = table.config();
    json!({
        "name": config.name,
        "items": table.len(now),
        "max_items": config.max_items,
        "max_bytes": config.max_bytes,
        "expire": config.expire.as_secs(),
    })
}

fn dump(
    daemon: &Daemon,
    Dump {
        table,
        after,
        limit,
    }: Dump,
) -> Result<Paged, Fault> {
    let (now, table) = (Instant::now(), find(daemon, &table)?);
    let page = Page::gather(after.as_deref(), limit, |part, page| {
        table.each_of_part(now, part, |key, value, ttl| {
            page.slot(key, || (to_json(value), ttl.map(|ttl| ttl.as_secs())));
        })
    })?;
    Ok(page.finish(|key, (value, ttl)| json!({ "key": key, "value": value, "ttl": ttl })))
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Integer(number) => (*number).into(),
        Value::Text(text) => Json::String(text.to_string()),
        Value::Bytes(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

fn from_json(value: &Json) -> Result<Value, Fault> {
    let wrong = |value: &Json| {
        Fault::invalid_params(format!(
            "`value`: expected a whole number, a string or {{\"base64\": \"...\"}}, found {value}"
        ))
    };
    match value {
        Json::String(text) => Ok(Value::Text(text.as_str().into())),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Integer)
            .ok_or_else(|| wrong(value)),
        Json::Object(object) => match object.get("base64") {
            Some(Json::String(text)) if object.len() == 1 => {
                let bytes = STANDARD
                    .decode(text)
                    .map_err(|error| Fault::invalid_params(format!("`value`: {error}")))?;
                Ok(Value::Bytes(bytes.into()))
            }
            _ => Err(wrong(value)),
        },
        _ => Err(wrong(value)),
    }
}
