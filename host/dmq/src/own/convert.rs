//! Changes of the tables as records, and records as changes of the tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::repair::Place;
use super::version::{NodeId, Record, Stamp, Value, Version};
use crate::htable;
use crate::node::Now;
use crate::stores::Change;
use crate::usrloc::{self, Contact};

/// The set that has the contacts. No table has that name: a table's has no colon.
pub(super) const CONTACTS: &str = "usrloc:contacts";

/// A contact's key: its address of record and its name.
pub(super) fn contact_key(contact: &Contact) -> String {
    let name = if contact.ruid.is_empty() {
        &contact.uri
    } else {
        &contact.ruid
    };
    format!("{}\n{name}", contact.aor)
}

/// A contact as a value: its times are left to the record.
pub(super) fn contact_value(contact: &Contact) -> Option<Value> {
    let text = usrloc::write(usrloc::Action::Save, contact)?;
    Some(Value::Text(text.into()))
}

/// A table's value as the bus has it; bytes that are no text are in no table of the bus.
pub(super) fn item_value(value: &htable::Value) -> Value {
    match value {
        htable::Value::Integer(number) => Value::Integer(*number),
        htable::Value::Text(text) => Value::Text((**text).into()),
    }
}

/// The version of what a table begins with: before all that was ever written, the same at every node that begins with the same.
/// So a node that starts again does not undo what others wrote since.
pub(super) fn initial(value: &Value) -> Version {
    let text = match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
    };
    Version {
        stamp: Stamp::new(0, 1).unwrap_or_default(),
        node: NodeId::new(Place::of(&text).number()),
    }
}

/// An item as another of our nodes has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The table.
    pub table: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// Its value; `None`: it is removed, or over.
    pub value: Option<htable::Value>,
    /// What a write renews; zero: for ever.
    pub life: Duration,
    /// What is left of it; `None`: it does not end.
    pub left: Option<Duration>,
}

/// What a table is to be told of a record. `None`: nothing that it could take.
pub(super) fn item(now: Now, table: &Arc<str>, key: &str, record: &Record) -> Option<Item> {
    let value = match record.value(now.at) {
        None => None,
        Some(Value::Integer(number)) => Some(htable::Value::Integer(number)),
        Some(Value::Text(text)) => Some(htable::Value::Text(text.into())),
        Some(Value::Bytes(_)) => return None,
    };
    Some(Item {
        table: Arc::clone(table),
        key: key.into(),
        value,
        life: record.life(),
        left: left(now.at, record),
    })
}

/// What the locations are to be told of a record.
pub(super) fn contact(now: Now, key: &str, record: &Record) -> Option<Change> {
    let (action, contact) = match record.value(now.at) {
        None => {
            let (aor, name) = key.split_once('\n')?;
            let contact = Contact::named(aor, name);
            (usrloc::Action::Remove, Box::new(contact))
        }
        Some(Value::Text(text)) => match usrloc::read(text.as_bytes()).ok()? {
            usrloc::Message::One(action, contact) => (action, contact),
            _ => return None,
        },
        Some(_) => return None,
    };
    let mut change = usrloc::Change {
        action,
        contact,
        behind: 0,
    };
    if let Some(left) = left(now.at, record) {
        // By our clock: the sender's may be wrong.
        let contact = &mut change.contact;
        let granted = contact.expires.saturating_sub(contact.last_modified);
        contact.expires = now.unix().saturating_add(left.as_secs());
        contact.last_modified = contact.expires.saturating_sub(granted.max(left.as_secs()));
    }
    Some(Change::Contact(change))
}

fn left(now: Instant, record: &Record) -> Option<Duration> {
    let left = record.end()?.saturating_duration_since(now);
    Some(left.max(Duration::from_millis(1)))
}
