//! The store as the bus sees it: members' changes are made as another node's, and nobody is told of them again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use switchhook_dmq::dialog::Dialog;
use switchhook_dmq::htable::{self, Action, Item, Of, Value};
use switchhook_dmq::usrloc::{self, Contact};
use switchhook_dmq::{Change, Now, Refused, Stores, own};
use switchhook_script::Services;
use switchhook_sip::dialog::State;
use switchhook_sip::message::Uri;
use switchhook_sip::registrar::{Binding, same_uri};
use switchhook_store::{Htable, Locations, Value as Stored};

use super::dialogs;
use super::wire::{Aors, from_wire, name, to_wire, unix_of, value};

/// The longest life that a member gives an item of a table whose items live for ever.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);
/// The most contacts of an address of record that members may bring it to.
const MAX_CONTACTS: usize = 64;

/// See the module's header.
pub struct Tables {
    services: Arc<Services>,
    htables: BTreeSet<Arc<str>>,
    location: Option<String>,
    dialogs: bool,
    aors: Aors,
}

impl Tables {
    /// The hash tables of those names, the location table of that name, and dialogs or not.
    pub fn new(
        services: Arc<Services>,
        htables: BTreeSet<Arc<str>>,
        location: Option<String>,
        dialogs: bool,
        aors: Aors,
    ) -> Self {
        Self {
            services,
            htables,
            location,
            dialogs,
            aors,
        }
    }

    fn htable(&self, name: &str) -> Option<&Htable> {
        self.htables.get(name)?;
        self.services.htables.table(name)
    }

    fn locations(&self) -> Option<&Locations> {
        self.services.locations.get(self.location.as_ref()?)
    }
}

impl Stores for &Tables {
    fn apply(&mut self, now: Now, change: &Change) -> Result<(), Refused> {
        match change {
            Change::Htable { table, action } => {
                let table = self.htable(table).ok_or(Refused::Unknown)?;
                write(now, table, action)
            }
            Change::Contact(change) => {
                let locations = self.locations().ok_or(Refused::Unknown)?;
                moved(now, locations, &self.aors, change)
            }
            Change::Dialog(change) => match self.dialogs {
                true => dialogs::apply(now, &self.services.dialogs, change),
                false => Err(Refused::Unknown),
            },
        }
    }

    fn put(&mut self, now: Now, item: &own::Item) -> Result<(), Refused> {
        let table = self.htable(&item.table).ok_or(Refused::Unknown)?;
        let replica = table.replica();
        let Some(value) = &item.value else {
            replica.remove(&item.key);
            return Ok(());
        };
        let put = replica.put(now.at, &item.key, &stored(value), item.life, item.left);
        put.map_err(|_| Refused::Full)
    }

    fn htable_part(&self, now: Now, table: &str, part: usize) -> Option<Vec<Item>> {
        let mut items = Vec::new();
        let table = self.htable(table)?;
        let is_part = table.each_of_part(now.at, part, |key, stored, ttl| {
            items.extend(value(stored).map(|value| Item {
                key: key.into(),
                value,
                ttl,
            }));
        });
        is_part.then_some(items)
    }

    fn htable_names(&self, now: Now, table: &str, each: &mut dyn FnMut(&str)) {
        if let Some(table) = self.htable(table) {
            table.each(now.at, |key, _, _| each(key));
        }
    }

    fn htable_item(&self, now: Now, table: &str, key: &str) -> Option<Item> {
        let (stored, ttl) = self.htable(table)?.item(now.at, key)?;
        let key = key.into();
        value(&stored).map(|value| Item { key, value, ttl })
    }

    fn contacts_part(&self, now: Now, part: usize) -> Option<Vec<Contact>> {
        let mut contacts = Vec::new();
        let is_part = self
            .locations()?
            .each_of_part(now.at, part, |aor, binding| {
                contacts.push(to_wire(now, &self.aors, aor, binding));
            });
        is_part.then_some(contacts)
    }

    fn aors(&self, now: Now, each: &mut dyn FnMut(&str, &str)) {
        if let Some(locations) = self.locations() {
            locations.each_aor(now.at, |aor| each(self.aors.to_wire(aor), aor));
        }
    }

    fn contacts_of(&self, now: Now, aor: &str) -> Vec<Contact> {
        let Some(locations) = self.locations() else {
            return Vec::new();
        };
        locations.read(now.at, aor, |live| {
            live.map(|binding| to_wire(now, &self.aors, aor, binding))
                .collect()
        })
    }

    fn dialogs_part(&self, now: Now, part: usize) -> Option<Vec<Dialog>> {
        if !self.dialogs {
            return None;
        }
        let mut told = Vec::new();
        let table = &self.services.dialogs;
        let is_part = table.each_of_part(part, |dialog| {
            // One that has ended is told of no more.
            if dialog.state != State::Deleted {
                told.push(dialogs::to_wire(now, dialog));
            }
        });
        is_part.then_some(told)
    }
}

fn write(now: Now, table: &Htable, action: &Action) -> Result<(), Refused> {
    let replica = table.replica();
    match action {
        Action::Set { key, value, ttl } => return set(now, table, key, &stored(value), *ttl),
        Action::Add { key, sum, ttl, .. } => {
            return set(now, table, key, &Stored::Integer(*sum), *ttl);
        }
        // One that is not there has no life to change.
        Action::Expire { key, ttl } => drop(replica.expire(now.at, key, *ttl)),
        Action::Delete { key } => drop(replica.remove(key)),
        Action::DeletePattern { of, pattern } => {
            let pattern = htable::compile(pattern).map_err(|_| Refused::Bad)?;
            replica.remove_if(|key, value| is(*of, key, value, |text| pattern.is_match(text)));
        }
        Action::DeletePrefix { of, prefix } => {
            replica.remove_if(|key, value| is(*of, key, value, |text| text.starts_with(&**prefix)));
        }
    }
    Ok(())
}

/// Sets a key with a life that is not longer than the table's own.
fn set(
    now: Now,
    table: &Htable,
    key: &str,
    value: &Stored,
    ttl: Option<Duration>,
) -> Result<(), Refused> {
    let longest = match table.config().expire {
        Duration::ZERO => LONGEST,
        expire => expire,
    };
    let ttl = ttl.map(|ttl| ttl.min(longest));
    let set = table.replica().set(now.at, key, value, ttl);
    set.map_err(|_| Refused::Full)
}

fn stored(value: &Value) -> Stored {
    match value {
        Value::Integer(number) => Stored::Integer(*number),
        Value::Text(text) => Stored::Text((**text).into()),
    }
}

/// Whether a key, or a value that is text, is what is looked for.
fn is(of: Of, key: &str, value: &Stored, test: impl Fn(&str) -> bool) -> bool {
    match (of, value) {
        (Of::Name, _) => test(key),
        (Of::Value, Stored::Text(text)) => test(text),
        (Of::Value, _) => false,
    }
}

fn moved(
    now: Now,
    locations: &Locations,
    aors: &Aors,
    change: &usrloc::Change,
) -> Result<(), Refused> {
    let usrloc::Change {
        action,
        contact,
        behind,
    } = change;
    let aor = aors.ours(&contact.aor).ok_or(Refused::Bad)?;
    let new = match action {
        usrloc::Action::Remove => None,
        usrloc::Action::Save => Some(from_wire(now, contact, *behind).ok_or(Refused::Bad)?),
    };
    let changed = locations.update_replica(now.at, &aor, |current| {
        let at = current
            .iter()
            .position(|old| is_contact(&aor, old, contact));
        let mut all = current.to_vec();
        match (at.and_then(|at| Some((at, all.get(at)?))), new) {
            (Some((at, _)), None) => drop(all.remove(at)),
            (None, None) => return (None, Ok(())),
            (Some((at, old)), Some(new)) => {
                if !is_newer(now, contact, *behind, old) {
                    return (None, Ok(()));
                }
                if let Some(old) = all.get_mut(at) {
                    *old = new;
                }
            }
            (None, Some(_)) if all.len() >= MAX_CONTACTS => return (None, Err(Refused::Full)),
            (None, Some(new)) => all.push(new),
        }
        (Some(all), Ok(()))
    });
    changed.map_err(|_| Refused::Full)?
}

/// The same contact: by its name, by its phone's flow, by its URI.
fn is_contact(aor: &str, old: &Binding, contact: &Contact) -> bool {
    if !contact.ruid.is_empty() && name(aor, old) == contact.ruid {
        return true;
    }
    if !contact.instance.is_empty()
        && contact.reg_id > 0
        && old.reg_id() > 0
        && !old.instance().is_empty()
    {
        return old.instance() == contact.instance.as_bytes() && old.reg_id() == contact.reg_id;
    }
    let same = |a: &[u8], b: &[u8]| {
        let (a, b) = (Uri::parse(a).ok()?, Uri::parse(b).ok()?);
        Some(same_uri(&a, &b))
    };
    same(old.uri(), contact.uri.as_bytes()).unwrap_or(false)
}

fn is_newer(now: Now, contact: &Contact, behind: i64, old: &Binding) -> bool {
    let call_id = String::from_utf8_lossy(old.call_id());
    let modified = unix_of(now, old.modified()).saturating_add_signed(-behind);
    contact.is_newer(&call_id, old.cseq(), modified)
}
