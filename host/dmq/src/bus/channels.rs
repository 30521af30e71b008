//! What the messages of the channels do to our tables.

use super::{Bus, EARLY, MAX_EARLY, sync::What};
use crate::dialog;
use crate::envelope::Reply;
use crate::htable::{self, Action};
use crate::node::{Node, Now};
use crate::stores::{Change, Refused, Stores};
use crate::usrloc::{self, Contact};

/// For so long after a member was asked for all its data, what it sends says nothing about its clock.
const SETTLING: std::time::Duration = std::time::Duration::from_secs(60);

/// What is remembered of a contact that was removed.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    call_id: String,
    cseq: u32,
    changed: u64,
}

impl Bus {
    pub(super) fn htable(
        &mut self,
        now: Now,
        from: Node,
        body: &[u8],
        stores: &mut dyn Stores,
    ) -> Reply {
        match htable::read(now, body) {
            Err(_) => Reply::BAD,
            Ok(htable::Message::Ask(table)) => {
                let tables = self.config.tables.iter();
                let asked: Vec<_> = match &table {
                    Some(table) => tables.filter(|name| *name == table).cloned().collect(),
                    None => tables.cloned().collect(),
                };
                if asked.is_empty() && table.is_some() {
                    return Reply::FAILED;
                }
                self.syncs.start(now.at, from, What::Tables(asked));
                Reply::OK
            }
            Ok(htable::Message::Write(table, action)) => {
                if !self.config.tables.contains(&table) {
                    return Reply::FAILED;
                }
                self.apply(now, &Change::Htable { table, action }, stores)
            }
            Ok(htable::Message::Cells(cells)) => {
                let member = self.members.find(from);
                let fills = member.is_some_and(|member| member.fills);
                let missed = member
                    .map(|member| member.missed.clone())
                    .unwrap_or_default();
                for (table, item) in cells {
                    let key = || self.outbox.key(htable::CHANNEL, &table, &item.key);
                    if !self.config.tables.contains(&table)
                        || (!missed.is_empty() && missed.contains(&key()))
                        || (fills && stores.htable_item(now, &table, &item.key).is_some())
                    {
                        continue;
                    }
                    let action = Action::Set {
                        key: item.key,
                        value: item.value,
                        ttl: item.ttl,
                    };
                    // One that has no room is counted; the others may have.
                    self.apply(now, &Change::Htable { table, action }, stores);
                }
                Reply::OK
            }
        }
    }

    pub(super) fn usrloc(
        &mut self,
        now: Now,
        from: Node,
        body: &[u8],
        stores: &mut dyn Stores,
    ) -> Reply {
        match usrloc::read(body) {
            Err(_) => Reply::BAD,
            Ok(usrloc::Message::Ask) => {
                self.syncs.start(now.at, from, What::Contacts);
                Reply::OK
            }
            Ok(usrloc::Message::One(action, contact)) => {
                self.note_clock(now, from, contact.last_modified);
                self.contact(now, from, action, contact, stores)
            }
            Ok(usrloc::Message::Many(many)) => {
                for (action, contact) in many {
                    self.contact(now, from, action, Box::new(contact), stores);
                }
                Reply::OK
            }
        }
    }

    fn note_clock(&mut self, now: Now, from: Node, theirs: u64) {
        if let Some(member) = self.members.find_mut(from)
            && theirs > 0
            && member
                .asked
                .is_none_or(|at| now.at.saturating_duration_since(at) >= SETTLING)
        {
            member.saw_clock(now, theirs);
        }
    }

    fn contact(
        &mut self,
        now: Now,
        from: Node,
        action: usrloc::Action,
        contact: Box<Contact>,
        stores: &mut dyn Stores,
    ) -> Reply {
        let behind = self
            .members
            .find(from)
            .map_or(0, |member| member.clock_behind());
        let name = self.contact_name(&contact);
        match action {
            usrloc::Action::Remove => self.bury(now, &contact),
            usrloc::Action::Save => {
                if contact.left(now, behind).is_zero() {
                    self.counters.outdated += 1;
                    return Reply::OK;
                }
                if let Some(gone) = self.contacts_gone.find(now.at, name) {
                    // The very REGISTER that was undone, come late, is not newer than its removal.
                    let newer = contact.is_newer(&gone.call_id, gone.cseq, gone.changed)
                        && (contact.call_id != gone.call_id || contact.cseq > gone.cseq);
                    if !newer {
                        self.counters.outdated += 1;
                        return Reply::OK;
                    }
                    self.contacts_gone.raise(name);
                }
            }
        }
        let change = usrloc::Change {
            action,
            contact,
            behind,
        };
        self.apply(now, &Change::Contact(change), stores)
    }

    /// Remembers a removal.
    pub(super) fn bury(&mut self, now: Now, contact: &Contact) {
        let gone = Gone {
            call_id: contact.call_id.clone(),
            cseq: contact.cseq,
            changed: contact.last_modified,
        };
        let name = self.contact_name(contact);
        self.contacts_gone.bury(now.at, name, gone);
    }

    pub(super) fn contact_name(&self, contact: &Contact) -> u64 {
        let name = if contact.ruid.is_empty() {
            &contact.uri
        } else {
            &contact.ruid
        };
        self.outbox.key(usrloc::CHANNEL, &contact.aor, name)
    }

    pub(super) fn dialog(
        &mut self,
        now: Now,
        from: Node,
        body: &[u8],
        stores: &mut dyn Stores,
    ) -> Reply {
        let change = match dialog::read(body) {
            Err(_) => return Reply::BAD,
            Ok(dialog::Message::Ask) => {
                self.syncs.start(now.at, from, What::Dialogs);
                return Reply::OK;
            }
            Ok(dialog::Message::Change(change)) => change,
        };
        let id = change.id();
        let name = self.dialog_name(id);
        match change {
            dialog::Change::Save(dialog)
                if dialog::entry_of(dialog.call_id.as_bytes(), self.config.dialog_entries)
                    != id.entry =>
            {
                self.counters.failed += 1;
                if self.other_entries.len() < crate::members::MAX_MEMBERS
                    && self.other_entries.insert(from)
                {
                    self.event(super::Event::OtherEntries(from));
                }
                Reply::FAILED
            }
            dialog::Change::Save(dialog) => {
                if self.dialogs_gone.find(now.at, name).is_some() {
                    self.counters.outdated += 1;
                    return Reply::OK;
                }
                let saved = dialog::Change::Save(dialog);
                let reply = self.apply(now, &Change::Dialog(saved), stores);
                // What came before it.
                for update in self
                    .early
                    .remove(&id)
                    .map(|(_, early)| early)
                    .unwrap_or_default()
                {
                    let update = dialog::Change::State(Box::new(update));
                    self.apply(now, &Change::Dialog(update), stores);
                }
                reply
            }
            dialog::Change::State(update) => {
                if self.dialogs_gone.find(now.at, name).is_some() {
                    self.counters.outdated += 1;
                    return Reply::OK;
                }
                let change = Change::Dialog(dialog::Change::State(update.clone()));
                match stores.apply(now, &change) {
                    Ok(()) => self.made(now, &change),
                    // Its dialog is on the way.
                    Err(Refused::Unknown) if self.early.len() < MAX_EARLY => {
                        let (_, early) = self
                            .early
                            .entry(id)
                            .or_insert_with(|| (now.at + EARLY, Vec::new()));
                        if early.len() < 4 {
                            early.push(*update);
                        }
                        Reply::OK
                    }
                    Err(_) => {
                        self.counters.failed += 1;
                        Reply::FAILED
                    }
                }
            }
            dialog::Change::Remove(_) => {
                self.early.remove(&id);
                self.dialogs_gone.bury(now.at, name, ());
                // One that is not there is as gone as it should be.
                let change = Change::Dialog(change);
                match stores.apply(now, &change) {
                    Ok(()) => self.made(now, &change),
                    Err(_) => Reply::OK,
                }
            }
        }
    }

    pub(super) fn dialog_name(&self, id: dialog::Id) -> u64 {
        self.outbox
            .key(dialog::CHANNEL, "", &dialog::route_param(id))
    }

    fn apply(&mut self, now: Now, change: &Change, stores: &mut dyn Stores) -> Reply {
        match stores.apply(now, change) {
            Ok(()) => self.made(now, change),
            Err(Refused::Bad) => Reply::BAD,
            Err(Refused::Unknown | Refused::Full) => {
                self.counters.failed += 1;
                Reply::FAILED
            }
        }
    }
    /// A member's change was made here.
    fn made(&mut self, now: Now, change: &Change) -> Reply {
        self.counters.applied += 1;
        if let Some(own) = &mut self.own {
            own.learned(now, change);
        }
        Reply::OK
    }
}
