//! The channel `htable`: writes of hash tables, and whole tables for those that join.
//!
//! One write is `{"action":2,"htname":"t","cname":"k","type":2,"strval":"v","mode":1}`; many items are `{"cells":[...]}`, `cells`
//! being the first key. What we write has exactly the keys Kamailio knows, in its order. What we read may have others, and
//! lacks none that the action needs: otherwise it is refused as a whole.
//!
//! Kamailio's numbers are 32 bits wide up to 5.6; a number beyond is written as text, which keeps it whole.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::body::{Added, Body};
use crate::envelope::MAX_BODY;
use crate::node::Now;

/// The channel.
pub const CHANNEL: &str = "htable";
/// The longest pattern that is compiled.
pub const MAX_PATTERN: usize = 256;

const SYNC: i64 = 1;
const SET: i64 = 2;
const EXPIRE: i64 = 3;
const DELETE: i64 = 4;
const DELETE_PATTERN: i64 = 5;
const DELETE_PREFIX: i64 = 6;
const INTEGER: i64 = 0;
const TEXT: i64 = 2;

/// An item's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(Arc<str>),
}

/// What a removal of many looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The key.
    Name,
    /// The value, where it is text.
    Value,
}

/// What is done to a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A key is set.
    Set {
        /// The key.
        key: Arc<str>,
        /// The value.
        value: Value,
        /// How long it lives; `None`: as long as the table says.
        ttl: Option<Duration>,
    },
    /// A number was added to a key. Kamailio members are told the sum.
    Add {
        /// The key.
        key: Arc<str>,
        /// What was added.
        delta: i64,
        /// The value now.
        sum: i64,
        /// How long it lives; `None`: as long as the table says.
        ttl: Option<Duration>,
    },
    /// A key gets another life from now on.
    Expire {
        /// The key.
        key: Arc<str>,
        /// The life; zero: for ever.
        ttl: Duration,
    },
    /// A key is removed.
    Delete {
        /// The key.
        key: Arc<str>,
    },
    /// Every item is removed that a regular expression matches.
    DeletePattern {
        /// What is looked at.
        of: Of,
        /// The expression.
        pattern: Arc<str>,
    },
    /// Every item is removed that begins so.
    DeletePrefix {
        /// What is looked at.
        of: Of,
        /// How it begins.
        prefix: Arc<str>,
    },
}

impl Action {
    /// The one key that it writes; `None`: any.
    pub fn key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Set { key, .. }
            | Self::Add { key, .. }
            | Self::Expire { key, .. }
            | Self::Delete { key } => Some(key),
            Self::DeletePattern { .. } | Self::DeletePrefix { .. } => None,
        }
    }
}

/// An item as it is told to one that joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: Arc<str>,
    /// Its value.
    pub value: Value,
    /// How long it still lives; `None`: for ever.
    pub ttl: Option<Duration>,
}

/// A message of the channel, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// All items are asked for, of one table or of all.
    Ask(Option<Arc<str>>),
    /// A write of a table.
    Write(Arc<str>, Action),
    /// Items of tables. Those whose life is over are left out.
    Cells(Vec<(Arc<str>, Item)>),
}

/// A body that is no message of the channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

fn lacks(what: &str) -> Malformed {
    Malformed(format!("expected the key `{what}`"))
}

#[derive(Deserialize)]
struct Wire {
    action: Option<i64>,
    htname: Option<Box<str>>,
    cname: Option<Box<str>>,
    #[serde(rename = "type")]
    kind: Option<i64>,
    strval: Option<Box<str>>,
    intval: Option<i64>,
    mode: Option<i64>,
    cells: Option<Vec<Wire>>,
    expire: Option<i64>,
}

impl Wire {
    fn value(&self) -> Result<Value, Malformed> {
        match self.kind.ok_or_else(|| lacks("type"))? {
            kind if kind & TEXT != 0 => Ok(Value::Text(self.text()?)),
            _ => Ok(Value::Integer(self.intval.ok_or_else(|| lacks("intval"))?)),
        }
    }

    fn table(&self) -> Result<Arc<str>, Malformed> {
        let name = self.htname.as_deref();
        Ok(name.ok_or_else(|| lacks("htname"))?.into())
    }

    fn key(&self) -> Result<Arc<str>, Malformed> {
        let name = self.cname.as_deref();
        Ok(name.ok_or_else(|| lacks("cname"))?.into())
    }

    fn text(&self) -> Result<Arc<str>, Malformed> {
        let text = self.strval.as_deref();
        Ok(text.ok_or_else(|| lacks("strval"))?.into())
    }

    fn of(&self) -> Of {
        match self.mode {
            Some(1) => Of::Value,
            _ => Of::Name,
        }
    }

    fn read(self, now: Now) -> Result<Message, Malformed> {
        if let Some(cells) = self.cells {
            let mut table = None;
            let cells = cells.into_iter().map(|cell| cell.item(now, &mut table));
            let cells: Result<Vec<_>, _> = cells.collect();
            return Ok(Message::Cells(cells?.into_iter().flatten().collect()));
        }
        let action = match self.action.ok_or_else(|| lacks("action"))? {
            SYNC => return Ok(Message::Ask(self.htname.as_deref().map(Arc::from))),
            SET => Action::Set {
                key: self.key()?,
                value: self.value()?,
                ttl: None,
            },
            EXPIRE => Action::Expire {
                key: self.key()?,
                ttl: seconds(self.intval.ok_or_else(|| lacks("intval"))?),
            },
            DELETE => Action::Delete { key: self.key()? },
            DELETE_PATTERN => {
                let pattern = self.text()?;
                compile(&pattern)?;
                Action::DeletePattern {
                    of: self.of(),
                    pattern,
                }
            }
            DELETE_PREFIX => Action::DeletePrefix {
                of: self.of(),
                prefix: self.text()?,
            },
            other => {
                return Err(Malformed(format!(
                    "expected an action of 1 to 6, got {other}"
                )));
            }
        };
        Ok(Message::Write(self.table()?, action))
    }

    /// A cell's table, of which nearly always the cell before was too, and its item; `None` where its life is over.
    fn item(
        self,
        now: Now,
        before: &mut Option<Arc<str>>,
    ) -> Result<Option<(Arc<str>, Item)>, Malformed> {
        let ttl = match self.expire {
            None | Some(0) => None,
            Some(at) => {
                let left = at.saturating_sub_unsigned(now.unix());
                if left <= 0 {
                    return Ok(None);
                }
                Some(seconds(left))
            }
        };
        let item = Item {
            key: self.key()?,
            value: self.value()?,
            ttl,
        };
        let table = match before {
            Some(table) if self.htname.as_deref() == Some(&**table) => Arc::clone(table),
            _ => Arc::clone(before.insert(self.table()?)),
        };
        Ok(Some((table, item)))
    }
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}

/// Compiles a pattern of a member: small, and linear in time on whatever it is tried.
pub fn compile(pattern: &str) -> Result<regex::Regex, Malformed> {
    if pattern.len() > MAX_PATTERN {
        let got = pattern.len();
        return Err(Malformed(format!(
            "pattern: expected at most {MAX_PATTERN} bytes, got {got}"
        )));
    }
    let built = regex::RegexBuilder::new(pattern)
        .size_limit(1 << 18)
        .build();
    built.map_err(|error| Malformed(error.to_string()))
}

/// Reads a body.
pub fn read(now: Now, body: &[u8]) -> Result<Message, Malformed> {
    let wire: Wire = serde_json::from_slice(body)?;
    wire.read(now)
}

/// `{"action":1}`: asks for all items.
pub(crate) fn ask() -> String {
    format!("{{\"action\":{SYNC}}}")
}

#[derive(Serialize)]
struct Cell<'a> {
    htname: &'a str,
    cname: &'a str,
    #[serde(rename = "type")]
    kind: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    strval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intval: Option<i64>,
    expire: u64,
}

#[derive(Serialize)]
struct Write<'a> {
    action: i64,
    htname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cname: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strval: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intval: Option<i64>,
    mode: i64,
}

/// Type, text and number of a value. A number that older members would spoil is written as text.
fn typed(value: &Value) -> (i64, Option<std::borrow::Cow<'_, str>>, Option<i64>) {
    match value {
        Value::Integer(number) if i32::try_from(*number).is_ok() => (INTEGER, None, Some(*number)),
        Value::Integer(number) => (TEXT, Some(number.to_string().into()), None),
        Value::Text(text) => (TEXT, Some((&**text).into()), None),
    }
}

/// The body of a write. `None` where it would be longer than a message may be.
pub fn write(table: &str, action: &Action) -> Option<String> {
    let mut write = Write {
        action: SET,
        htname: table,
        cname: None,
        kind: None,
        strval: None,
        intval: None,
        mode: 0,
    };
    let text;
    match action {
        Action::Set { key, value, .. } => {
            let kind;
            (kind, text, write.intval) = typed(value);
            (write.cname, write.kind, write.mode) = (Some(&**key), Some(kind), 1);
            write.strval = text.as_deref();
        }
        Action::Add { key, sum, .. } => {
            let sum = Value::Integer(*sum);
            let (kind, text, number) = typed(&sum);
            (write.cname, write.kind, write.mode) = (Some(&**key), Some(kind), 1);
            let set = Write {
                strval: text.as_deref(),
                intval: number,
                ..write
            };
            return within(&set);
        }
        Action::Expire { key, ttl } => {
            (write.action, write.cname) = (EXPIRE, Some(&**key));
            write.kind = Some(INTEGER);
            write.intval = Some(i64::from(i32::try_from(ttl.as_secs()).unwrap_or(i32::MAX)));
        }
        Action::Delete { key } => (write.action, write.cname) = (DELETE, Some(&**key)),
        Action::DeletePattern { of, pattern: what } | Action::DeletePrefix { of, prefix: what } => {
            let pattern = matches!(action, Action::DeletePattern { .. });
            write.action = if pattern {
                DELETE_PATTERN
            } else {
                DELETE_PREFIX
            };
            (write.kind, write.strval) = (Some(TEXT), Some(&**what));
            write.mode = i64::from(*of == Of::Value);
        }
    }
    within(&write)
}

fn within(write: &Write<'_>) -> Option<String> {
    // Writing into a string cannot fail.
    let body = serde_json::to_string(write).ok()?;
    (body.len() <= MAX_BODY).then_some(body)
}

const HEAD: &str = "{\"cells\":[";
const TAIL: &str = "]}";

/// A body for items.
pub(crate) fn cells() -> Body {
    Body::new(HEAD, TAIL, usize::MAX)
}

/// Adds an item to such a body.
pub(crate) fn add_cell(cells: &mut Body, now: Now, table: &str, item: &Item) -> Added {
    let (kind, text, number) = typed(&item.value);
    let ttl = item.ttl.map(|ttl| ttl.as_millis().div_ceil(1000));
    let cell = Cell {
        htname: table,
        cname: &item.key,
        kind,
        strval: text.as_deref(),
        intval: number,
        expire: ttl.map_or(0, |ttl| {
            now.unix().saturating_add(u64::try_from(ttl).unwrap_or(0))
        }),
    };
    cells.add(|_, out| serde_json::to_writer(out, &cell))
}

#[cfg(test)]
mod tests;
