//! The config as a tree in which each key and value remembers where it was written.
//!
//! Owns: the sources (the file, and each `--set`), the tree that they make together, and the lookup of a path's place.
//! Never knows what the settings mean: that is `Config`'s, which is read from this tree by [`super::de`].

use super::problem::{Problem, Problems};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// One text that settings come from: the file, or one `--set`.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// What errors call it: the file's path, or `--set`.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Some bytes of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: usize,
    pub(crate) span: Range<usize>,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A table's key and its place.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// TOML's values.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
    Array(Vec<Node>),
    Table(Vec<(Key, Node)>),
}

/// The sources and the tree they make.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) sources: Vec<Source>,
    pub(crate) root: Node,
}

impl Document {
    /// Reads a TOML text.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let sources = vec![Source {
            name: name.to_owned(),
            text: text.to_owned(),
        }];
        match parse_table(text, 0) {
            Ok(root) => Ok(Self { sources, root }),
            Err(problem) => Err(Problems::one(sources, problem)),
        }
    }

    /// Where a path such as `["script", "0", "path"]` was written; where it was not, its deepest ancestor that was.
    pub(crate) fn place(&self, path: &[&str]) -> Option<Place> {
        let mut node = &self.root;
        let mut found = None;
        for step in path {
            let next = match &node.value {
                Value::Table(entries) => entries.iter().find(|(key, _)| same_key(&key.name, step)),
                Value::Array(items) => {
                    match step
                        .parse::<usize>()
                        .ok()
                        .and_then(|index| items.get(index))
                    {
                        Some(item) => {
                            node = item;
                            found = Some(item.place.clone());
                            continue;
                        }
                        None => None,
                    }
                }
                _ => None,
            };
            let Some((key, value)) = next else { break };
            // A table's own place is its header, which says less than its key where it was set in between.
            found = Some(if matches!(value.value, Value::Table(_)) {
                key.place.clone()
            } else {
                value.place.clone()
            });
            node = value;
        }
        found
    }
}

/// Keys are written with `-`; `_` means the same.
pub(crate) fn same_key(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left
            .bytes()
            .zip(right.bytes())
            .all(|(l, r)| l == r || (l == b'_' && r == b'-'))
}

/// Reads a TOML text as the table of a source.
pub(crate) fn parse_table(text: &str, source: usize) -> Result<Node, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map(|span| Place { source, span });
        Problem::new("this is not TOML").maybe_at(place, error.message())
    })?;
    let span = table.span();
    table_node(table.into_inner(), Place { source, span })
}

fn table_node(table: DeTable<'_>, place: Place) -> Result<Node, Problem> {
    let source = place.source;
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let place = Place {
            source,
            span: key.span(),
        };
        let key = Key {
            name: key.into_inner().into_owned(),
            place,
        };
        let span = value.span();
        entries.push((key, value_node(value.into_inner(), Place { source, span })?));
    }
    Ok(Node {
        place,
        value: Value::Table(entries),
    })
}

fn value_node(value: DeValue<'_>, place: Place) -> Result<Node, Problem> {
    let value = match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                return Err(
                    Problem::new("this number is too big").at(place, "expected 64 bits, signed")
                );
            }
        },
        DeValue::Float(digits) => match digits.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => {
                return Err(
                    Problem::new("this number can't be read").at(place, "expected a number")
                );
            }
        },
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(value) => Value::Datetime(value.to_string()),
        DeValue::Array(items) => {
            let source = place.source;
            let items = items.into_iter().map(|item| {
                let span = item.span();
                value_node(item.into_inner(), Place { source, span })
            });
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => return table_node(table, place),
    };
    Ok(Node { place, value })
}
