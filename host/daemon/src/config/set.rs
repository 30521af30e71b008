//! `--set KEY=VALUE`: any setting from the command line, over what the file says.
//!
//! The key is TOML's dotted key. In `script`, `htable` and `location` a name chooses the table of the list:
//! `script.default.config.auth=false`. The value is TOML (`4`, `false`, `["a", "b"]`, `{ x = 1 }`) or else a plain string.
//! A table is merged into what is there, anything else replaces it.

use super::document::{Document, Key, Node, Place, Source, Value, parse_table, same_key};
use super::problem::Problem;
use super::suggest::nearest;

/// The lists whose tables are chosen by name.
const NAMED: [&str; 3] = ["script", "htable", "location"];

/// Lays one `--set` over a document.
pub(crate) fn apply(document: &mut Document, setting: &str) -> Result<(), Problem> {
    let source = document.sources.len();
    document.sources.push(Source {
        name: "--set".to_owned(),
        text: setting.to_owned(),
    });
    let node = parse(setting, source)?;
    let Value::Table(entries) = node.value else {
        return Ok(());
    };
    let Value::Table(root) = &mut document.root.value else {
        return Ok(());
    };
    for (key, value) in entries {
        match NAMED.iter().find(|list| same_key(&key.name, list)) {
            Some(list) => merge_named(root, list, key, value)?,
            None => merge(root, key, value),
        }
    }
    Ok(())
}

fn parse(setting: &str, source: usize) -> Result<Node, Problem> {
    let whole = Place {
        source,
        span: 0..setting.len(),
    };
    let Some((key, value)) = split(setting) else {
        return Err(Problem::new("a setting without a value")
            .at(whole, "expected KEY=VALUE, such as sip.lanes=1"));
    };
    let error = match parse_table(setting, source) {
        Ok(node) => return Ok(node),
        Err(error) => error,
    };
    // Not TOML: a plain string, unless it was clearly meant as TOML, or it is the key that is wrong.
    let meant = value.trim_start().starts_with(['[', '{', '"', '\'']);
    let with_empty = format!("{key}=''");
    let Ok(mut node) = parse_table(&with_empty, source) else {
        let place = Place {
            source,
            span: 0..key.len(),
        };
        return Err(Problem::new("this is not a dotted key").at(
            place,
            "expected names with dots between them, such as sip.lanes",
        ));
    };
    if meant {
        return Err(error);
    }
    let place = Place {
        source,
        span: key.len() + 1..setting.len(),
    };
    set_leaf(&mut node, &place, value.trim());
    Ok(node)
}

/// Key and value, at the first `=` that no quotes hold.
fn split(setting: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, byte) in setting.bytes().enumerate() {
        match (quote, byte) {
            (None, b'=') => return Some((setting.get(..at)?, setting.get(at + 1..)?)),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn set_leaf(node: &mut Node, place: &Place, text: &str) {
    node.place = place.clone();
    match &mut node.value {
        Value::Table(entries) => entries
            .iter_mut()
            .for_each(|(_, value)| set_leaf(value, place, text)),
        leaf => *leaf = Value::String(text.to_owned()),
    }
}

fn merge(table: &mut Vec<(Key, Node)>, key: Key, value: Node) {
    let Some((_, old)) = table
        .iter_mut()
        .find(|(known, _)| same_key(&known.name, &key.name) || same_key(&key.name, &known.name))
    else {
        table.push((key, value));
        return;
    };
    match (&mut old.value, value) {
        (
            Value::Table(old),
            Node {
                value: Value::Table(new),
                ..
            },
        ) => {
            for (key, value) in new {
                merge(old, key, value);
            }
        }
        (_, value) => *old = value,
    }
}

/// `script.NAME.rest=value`; a list given whole (`script=[...]`) replaces the list.
fn merge_named(
    root: &mut Vec<(Key, Node)>,
    list: &str,
    key: Key,
    value: Node,
) -> Result<(), Problem> {
    let Value::Table(chosen) = value.value else {
        merge(root, key, value);
        return Ok(());
    };
    let mut none = Vec::new();
    let items = match root.iter_mut().find(|(known, _)| known.name == list) {
        Some((
            _,
            Node {
                value: Value::Array(items),
                ..
            },
        )) => items,
        _ => &mut none,
    };
    for (name, settings) in chosen {
        let Some(item) = items
            .iter_mut()
            .find(|item| name_of(item) == Some(&name.name))
        else {
            let names: Vec<_> = items.iter().filter_map(name_of).collect();
            let mut problem = Problem::new(format!("no [[{list}]] has the name `{}`", name.name));
            let label = match nearest(&name.name, names.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("expected the name of a [[{list}]]"),
            };
            problem = problem.at(name.place, label);
            return Err(match names.as_slice() {
                [] => problem.help(format!("there is no [[{list}]]")),
                names => problem.help(format!("there is {}", names.join(", "))),
            });
        };
        let (Value::Table(old), Node { place, value }) = (&mut item.value, settings) else {
            continue;
        };
        let Value::Table(new) = value else {
            let label = format!("expected {list}.{}.KEY=VALUE", name.name);
            return Err(Problem::new("a value for a whole table").at(place, label));
        };
        for (key, value) in new {
            merge(old, key, value);
        }
    }
    Ok(())
}

fn name_of(item: &Node) -> Option<&str> {
    let Value::Table(entries) = &item.value else {
        return None;
    };
    match &entries.iter().find(|(key, _)| key.name == "name")?.1.value {
        Value::String(name) => Some(name),
        _ => None,
    }
}
