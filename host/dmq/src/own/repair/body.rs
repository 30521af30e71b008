//! The bodies of the `switchhook` channel: one JSON object, so that a capture can be read and `jq` takes it apart.
//!
//! ```json
//! {"v":1,"put":[["ht",[["key",1795252740123,0,0,59990,60000,"value"]]]],"nodes":["5f3a…"],"at":[1795252740123,4]}
//! ```
//!
//! | Member | In a request | In its 200 |
//! |---|---|---|
//! | `put` | records of sets: `[key, ms, count, node, left, life, value, [ms, count, node]]` | |
//! | `done` | sets of which all that was pulled is here or was before | |
//! | `roots` | `[set, sum, items]` of each set | the same of the answerer |
//! | `groups` | | `[set, 64 sums]` of the sets whose roots differ, as many as there is room for |
//! | `buckets` | `[set, [[group, 64 sums]...]]`: of groups that differ | |
//! | `differ` | | numbers of the buckets that differ |
//! | `leaf` | `[set, [[first, last]...], [[place, print]...]]`: all that the asker has in ranges of places | |
//! | `want` | | places of what the answerer lacks |
//! | `pull` | name of a set: send all of it | |
//!
//! A version is milliseconds, count and an index into `nodes`; the second one of a record is `touch`, left out where it is equal.
//! `left` is what is left of its life in milliseconds, 0 for ever; `life` is what a write renews. A value is a number, a string,
//! `{"b":"base64"}`, `{"c":[value, [[node, ms, count, up, down]...]]}` for a counter, and null for a removal.
//! Members that are not known are left alone, so that a later version can add some.
//!
//! Limits: the size of the message it came in; a record's parts.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::replica::SetId;
use crate::own::version::{MAX_PARTS, MAX_REMEMBERED, NodeId, Part, Record, Stamp, Value, Version};

const FORMAT: u8 = 1;
/// What [`Put::finish`] adds at most, nodes apart.
const TAIL: usize = 96;
/// What a node adds to the list of them.
const NODE: usize = 19;

/// A body that can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// No JSON, or not of this form.
    #[error("body: expected an object of the `switchhook` channel: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another format.
    #[error("body: expected format {FORMAT}, got {0}")]
    Format(u8),
    /// A stamp that is none.
    #[error("body: expected milliseconds of 48 bits, got {0}")]
    Stamp(u64),
    /// A node that is none, or not in the list.
    #[error("body: expected a node of the list, got {0}")]
    Node(String),
    /// Bytes that are not in base64.
    #[error("body: expected base64 without padding")]
    Bytes,
}

/// A body as it came.
#[derive(Debug, Deserialize)]
pub(super) struct Body<'a> {
    v: u8,
    at: (u64, u16),
    #[serde(borrow, default)]
    nodes: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub put: Vec<(Cow<'a, str>, Vec<Entry<'a>>)>,
    #[serde(borrow, default)]
    pub done: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub roots: Option<Vec<(Cow<'a, str>, u64, u64)>>,
    #[serde(borrow, default)]
    pub groups: Vec<(Cow<'a, str>, Vec<u64>)>,
    #[serde(borrow, default)]
    pub buckets: Option<Buckets<'a>>,
    #[serde(default)]
    pub differ: Vec<usize>,
    #[serde(borrow, default)]
    pub leaf: Option<Leaf<'a>>,
    #[serde(default)]
    pub want: Vec<u64>,
    #[serde(borrow, default)]
    pub pull: Option<Cow<'a, str>>,
}

/// Sums of some groups.
#[derive(Debug, Deserialize)]
pub(super) struct Buckets<'a>(
    #[serde(borrow)] pub Cow<'a, str>,
    pub Vec<(usize, Vec<u64>)>,
);

/// All that the asker has in ranges of places, the last of each included.
#[derive(Debug, Deserialize)]
pub(super) struct Leaf<'a>(
    #[serde(borrow)] pub Cow<'a, str>,
    pub Vec<(u64, u64)>,
    pub Vec<(u64, u64)>,
);

/// A record as it came.
#[derive(Debug, Deserialize)]
pub(super) struct Entry<'a>(
    #[serde(borrow)] pub Cow<'a, str>,
    u64,
    u16,
    usize,
    u64,
    u64,
    #[serde(borrow)] Told<'a>,
    #[serde(default)] Option<(u64, u16, usize)>,
);

#[derive(Debug)]
enum Told<'a> {
    Removed,
    Integer(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, str>),
    Count(Box<Told<'a>>, Vec<ToldPart>),
}

type ToldPart = (usize, u64, u16, u64, u64);

impl<'a> Body<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, BodyError> {
        let body: Self = serde_json::from_slice(bytes)?;
        if body.v == FORMAT {
            Ok(body)
        } else {
            Err(BodyError::Format(body.v))
        }
    }

    /// What the sender's clock showed.
    pub(super) fn at(&self) -> Result<Stamp, BodyError> {
        stamp(self.at.0, self.at.1)
    }

    /// The lives of nodes that its versions name.
    pub(super) fn nodes(&self) -> Result<Vec<NodeId>, BodyError> {
        let nodes = self.nodes.iter();
        nodes
            .map(|text| text.parse().map_err(|_| BodyError::Node(text.to_string())))
            .collect()
    }
}

impl Entry<'_> {
    /// The record, its life counted from now.
    pub(super) fn record(&self, now: Instant, nodes: &[NodeId]) -> Result<Record, BodyError> {
        let base = version(self.1, self.2, self.3, nodes)?;
        let touch = match self.7 {
            Some((ms, count, node)) => version(ms, count, node, nodes)?,
            None => base,
        };
        let (set, told): (_, &[ToldPart]) = match &self.6 {
            Told::Count(set, parts) => (&**set, parts),
            set => (set, &[]),
        };
        let value = set.value()?;
        let parts = told.iter().take(MAX_PARTS).map(|told| {
            let (node, ms, count, up, down) = *told;
            let start = version(ms, count, node, nodes)?;
            Ok(Part { start, up, down })
        });
        let parts: Vec<Part> = parts.collect::<Result<_, BodyError>>()?;
        let gone = value.is_none() && parts.is_empty();
        let life = Duration::from_millis(self.5);
        let most = match (gone, self.5) {
            (true, _) => MAX_REMEMBERED,
            (false, 0) => Duration::MAX,
            (false, _) => life,
        };
        let left = Duration::from_millis(self.4).min(most);
        let end = match self.4 {
            // A removal that is to be remembered for ever is remembered as long as any.
            0 if gone => now.checked_add(MAX_REMEMBERED),
            0 => None,
            _ => now.checked_add(left),
        };
        Ok(Record::told(base, touch, value, (end, life), parts))
    }
}

impl Told<'_> {
    fn value(&self) -> Result<Option<Value>, BodyError> {
        Ok(match self {
            Told::Removed | Told::Count(..) => None,
            Told::Integer(number) => Some(Value::Integer(*number)),
            Told::Text(text) => Some(Value::Text(text.as_ref().into())),
            Told::Bytes(text) => {
                let bytes = STANDARD_NO_PAD.decode(text.as_bytes());
                Some(Value::Bytes(bytes.map_err(|_| BodyError::Bytes)?.into()))
            }
        })
    }
}

fn stamp(ms: u64, count: u16) -> Result<Stamp, BodyError> {
    Stamp::new(ms, count).ok_or(BodyError::Stamp(ms))
}

/// A version that never was has no node.
fn version(ms: u64, count: u16, node: usize, nodes: &[NodeId]) -> Result<Version, BodyError> {
    if (ms, count) == (0, 0) {
        return Ok(Version::default());
    }
    let node = *nodes
        .get(node)
        .ok_or_else(|| BodyError::Node(node.to_string()))?;
    let stamp = stamp(ms, count)?;
    Ok(Version { stamp, node })
}

impl<'de: 'a, 'a> Deserialize<'de> for Told<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Told<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, a string, null, {\"b\":..} or {\"c\":..}")
            }

            fn visit_unit<E>(self) -> Result<Told<'de>, E> {
                Ok(Told::Removed)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Told<'de>, E> {
                Ok(Told::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Told<'de>, E> {
                let number =
                    i64::try_from(number).map_err(|_| E::custom("a number beyond 63 bits"))?;
                Ok(Told::Integer(number))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Told<'de>, E> {
                Ok(Told::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Told<'de>, E> {
                Ok(Told::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told<'de>, A::Error> {
                let told = match map.next_key::<Cow<'de, str>>()?.as_deref() {
                    Some("b") => Told::Bytes(map.next_value()?),
                    Some("c") => {
                        let (set, parts) = map.next_value()?;
                        Told::Count(Box::new(set), parts)
                    }
                    _ => return Err(de::Error::custom("expected a member `b` or `c`")),
                };
                match map.next_key::<Cow<'de, str>>()? {
                    None => Ok(told),
                    Some(_) => Err(de::Error::custom("expected one member")),
                }
            }
        }
        from.deserialize_any(Any)
    }
}

/// Whether a record found room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It is in.
    Taken,
    /// It belongs into the next body.
    Full,
    /// It fits into none.
    TooLarge,
}

/// A body of records that is being written.
#[derive(Debug)]
pub(super) struct Put {
    buf: Vec<u8>,
    limit: usize,
    most: usize,
    set: Option<SetId>,
    nodes: Vec<NodeId>,
}

impl Put {
    /// One of about `limit` bytes: a record that is longer than that goes alone, up to `most` bytes.
    pub(super) fn new(limit: usize, most: usize) -> Self {
        let mut buf = Vec::with_capacity(limit.min(most));
        buf.extend_from_slice(br#"{"v":1,"put":["#);
        Self {
            buf,
            limit: limit.min(most),
            most,
            set: None,
            nodes: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_none()
    }

    /// Adds a record.
    pub(super) fn add(
        &mut self,
        now: Instant,
        set: SetId,
        name: &str,
        key: &str,
        record: &Record,
    ) -> Room {
        let (before, nodes) = (self.buf.len(), self.nodes.len());
        match self.set {
            Some(current) if current == set => self.buf.push(b','),
            current => {
                if current.is_some() {
                    self.buf.extend_from_slice(b"]],");
                }
                self.buf.push(b'[');
                json(&mut self.buf, &name);
                self.buf.extend_from_slice(b",[");
            }
        }
        self.write(now, key, record);
        let size = self.buf.len() + self.nodes.len() * NODE + TAIL;
        let limit = if self.is_empty() {
            self.most
        } else {
            self.limit
        };
        if size <= limit {
            self.set = Some(set);
            return Room::Taken;
        }
        self.buf.truncate(before);
        self.nodes.truncate(nodes);
        if self.is_empty() {
            Room::TooLarge
        } else {
            Room::Full
        }
    }

    fn write(&mut self, now: Instant, key: &str, record: &Record) {
        let (ms, count, node) = self.version(record.base());
        // Rounded up: what is alive here is so there.
        let left = record.end().map_or(0, |end| {
            let left = end.saturating_duration_since(now);
            u64::try_from(left.as_micros().div_ceil(1000))
                .unwrap_or(u64::MAX)
                .max(1)
        });
        let life = u64::try_from(record.life().as_millis()).unwrap_or(u64::MAX);
        self.buf.push(b'[');
        json(&mut self.buf, &key);
        self.buf.push(b',');
        // As a tuple without its brackets.
        let open = self.buf.len();
        json(&mut self.buf, &(ms, count, node, left, life));
        if let Some(bracket) = self.buf.get_mut(open) {
            *bracket = b' ';
        }
        self.buf.pop();
        self.buf.push(b',');
        self.value(record);
        if record.touch() != record.base() {
            let touch = self.version(record.touch());
            self.buf.push(b',');
            json(&mut self.buf, &touch);
        }
        self.buf.push(b']');
    }

    fn value(&mut self, record: &Record) {
        let counts = !record.parts().is_empty();
        if counts {
            self.buf.extend_from_slice(br#"{"c":["#);
        }
        match record.set_value() {
            None => self.buf.extend_from_slice(b"null"),
            Some(Value::Integer(number)) => json(&mut self.buf, number),
            Some(Value::Text(text)) => json(&mut self.buf, text),
            Some(Value::Bytes(bytes)) => {
                self.buf.extend_from_slice(br#"{"b":"#);
                json(&mut self.buf, &STANDARD_NO_PAD.encode(bytes));
                self.buf.push(b'}');
            }
        }
        if counts {
            let parts = record.parts().iter();
            let told: Vec<ToldPart> = parts
                .map(|part| {
                    let (ms, count, node) = self.version(part.start);
                    (node, ms, count, part.up, part.down)
                })
                .collect();
            self.buf.push(b',');
            json(&mut self.buf, &told);
            self.buf.extend_from_slice(b"]}");
        }
    }

    fn version(&mut self, version: Version) -> (u64, u16, usize) {
        if version == Version::default() {
            return (0, 0, 0);
        }
        let at = self.nodes.iter().position(|node| *node == version.node);
        let at = at.unwrap_or_else(|| {
            self.nodes.push(version.node);
            self.nodes.len() - 1
        });
        (version.stamp.ms(), version.stamp.count(), at)
    }

    /// The body; `done` is the set whose last records these are.
    pub(super) fn finish(mut self, at: Stamp, done: Option<&str>) -> Bytes {
        self.buf
            .extend_from_slice(if self.set.is_some() { b"]]]" } else { b"]" });
        if let Some(name) = done {
            put(&mut self.buf, "done", &[name]);
        }
        let nodes: Vec<String> = self.nodes.iter().map(NodeId::to_string).collect();
        put(&mut self.buf, "nodes", &nodes);
        end(&mut self.buf, at);
        self.buf.into()
    }
}

/// A body with one more member than every one has.
pub(super) fn body(at: Stamp, member: &str, value: &impl serde::Serialize) -> Bytes {
    let mut buf = br#"{"v":1"#.to_vec();
    put(&mut buf, member, value);
    end(&mut buf, at);
    buf.into()
}

/// The answer to roots.
pub(super) fn roots(
    at: Stamp,
    roots: &[(String, u64, u64)],
    groups: &[(String, Vec<u64>)],
) -> Bytes {
    let mut buf = br#"{"v":1"#.to_vec();
    put(&mut buf, "roots", roots);
    put(&mut buf, "groups", groups);
    end(&mut buf, at);
    buf.into()
}

fn put(buf: &mut Vec<u8>, member: &str, value: &(impl serde::Serialize + ?Sized)) {
    buf.push(b',');
    json(buf, member);
    buf.push(b':');
    json(buf, value);
}

/// A body that only shows the clock.
pub(super) fn bare(at: Stamp) -> Bytes {
    let mut buf = br#"{"v":1"#.to_vec();
    end(&mut buf, at);
    buf.into()
}

fn end(buf: &mut Vec<u8>, at: Stamp) {
    put(buf, "at", &(at.ms(), at.count()));
    buf.push(b'}');
}

/// Writing to memory what has only strings for keys does not fail.
fn json(buf: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    let _ = serde_json::to_writer(buf, value);
}

/// The most bytes that 64 sums take, with a number or a name of usual length before them.
pub(super) const SUMS: usize = 64 * 21 + 64;
/// The most bytes that a place with a print, or a range, takes in a list.
pub(super) const PAIR: usize = 2 * 20 + 4;

#[cfg(test)]
mod tests;
