//! Changes of the tables as records, and records as changes of the tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::repair::Place;
use super::version::{NodeId, Record, Stamp, Value, Version};
use crate::dialog::{self, Dialog};
use crate::htable;
use crate::node::Now;
use crate::stores::Change;
use crate::usrloc::{self, Contact};

/// The set that has the contacts. No table has that name: a table's has no colon.
pub(super) const CONTACTS: &str = "usrloc:contacts";

/// The set that has the dialogs.
pub(super) const DIALOGS: &str = "dialog:dialogs";
/// How long a dialog that is not answered is remembered.
const UNANSWERED: Duration = Duration::from_secs(600);
/// How much longer than it may last a dialog that was answered is remembered.
const GRACE: Duration = Duration::from_secs(60);
/// The longest life of a dialog.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// A dialog's key: its name, as it stands in a Record-Route.
pub(super) fn dialog_key(id: dialog::Id) -> String {
    dialog::route_param(id)
}

/// A dialog as a value: the time of its writing, by the clock that its own times are of, then the dialog.
pub(super) fn dialog_value(now: Now, dialog: &Dialog) -> Option<Value> {
    let text = dialog::write(&dialog::Change::Save(Box::new(dialog.clone())))?;
    Some(Value::Text(format!("{}\n{text}", now.unix()).into()))
}

/// How long a dialog's record lives from its last write.
pub(super) fn dialog_life(dialog: &Dialog) -> Duration {
    match dialog.state.is_confirmed() && dialog.lifetime > 0 {
        true => (Duration::from_secs(dialog.lifetime.into()) + GRACE).min(LONGEST),
        false => UNANSWERED,
    }
}

/// A record as the dialog that it is, its times by our clock: the writer's may be wrong.
pub(super) fn read_dialog(now: Now, record: &Record) -> Option<Box<Dialog>> {
    let Some(Value::Text(text)) = record.value(now.at) else {
        return None;
    };
    let (written, text) = text.split_once('\n')?;
    let written: u64 = written.parse().ok()?;
    let dialog::Message::Change(dialog::Change::Save(mut dialog)) =
        dialog::read(text.as_bytes()).ok()?
    else {
        return None;
    };
    let left = left(now.at, record).unwrap_or_default();
    let passed = dialog_life(&dialog).saturating_sub(left).as_secs();
    let ours = |theirs: u64| {
        let before = written.saturating_sub(theirs);
        now.unix().saturating_sub(passed).saturating_sub(before)
    };
    dialog.begun = ours(dialog.begun);
    if dialog.answered > 0 {
        dialog.answered = ours(dialog.answered);
    }
    Some(dialog)
}

/// What the dialogs are to be told of a record.
pub(super) fn dialog(now: Now, key: &str, record: &Record) -> Option<Change> {
    let change = match record.is_live(now.at) {
        true => dialog::Change::Save(read_dialog(now, record)?),
        false => dialog::Change::Remove(dialog::read_route_param(key)?),
    };
    Some(Change::Dialog(change))
}

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
