//! Changes made here, told to the members; messages of scripts.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::smallvec;

use super::Bus;
use crate::envelope::MAX_BODY;
use crate::members::{Kind, Member, State};
use crate::node::{Node, Now};
use crate::outbox::{Keys, Parcel, Tag};
use crate::stores::Change;
use crate::{dialog, htable, usrloc};

impl Bus {
    /// A change was made here: it is in the store, and is to be told.
    pub fn change(&mut self, now: Now, change: &Change) {
        if let Change::Contact(usrloc::Change {
            action, contact, ..
        }) = change
        {
            match action {
                usrloc::Action::Remove => self.bury(now, contact),
                usrloc::Action::Save => {
                    let name = self.contact_name(contact);
                    self.contacts_gone.raise(name);
                }
            }
        }
        if let Change::Dialog(dialog::Change::Remove(id)) = change {
            let name = self.dialog_name(*id);
            self.dialogs_gone.bury(now.at, name, ());
        }
        if let Some(own) = &mut self.own {
            own.change(now, change);
        }
        let Some(parcels) = self.parcels(change) else {
            self.counters.untold += 1;
            return;
        };
        // Our own nodes are sent records.
        let told = |member: &&Member| {
            member.kind == Kind::Kamailio && member.state != State::Pending && !member.held
        };
        let members = self.members.iter().filter(told).map(|member| member.node);
        let nodes: Vec<_> = members.chain(self.members.former()).collect();
        for node in nodes {
            for parcel in &parcels {
                self.tell(now, node, parcel.clone());
            }
        }
    }

    /// Changes made here were lost before they came to the bus: every member is told everything.
    pub fn resync(&mut self, now: Now) {
        if let Some(own) = &mut self.own {
            own.lost_track();
        }
        let kamailio = |member: &&mut Member| member.kind == Kind::Kamailio;
        for member in self.members.iter_mut().filter(kamailio) {
            member.behind_us = true;
        }
        let active: Vec<_> = self.members.active().map(|member| member.node).collect();
        for node in active {
            self.tell_everything_missed(now, node);
        }
    }

    fn tell(&mut self, now: Now, node: Node, parcel: Parcel) {
        match self.outbox.push(now.at, node, parcel) {
            Ok(()) => self.counters.told += 1,
            Err(crate::outbox::Full) => match self.members.find_mut(node) {
                Some(member) => member.behind_us = true,
                None => {
                    self.members.lose(node);
                    self.outbox.forget(node);
                }
            },
        }
    }

    /// The messages of a change. `None` where it is not replicated or cannot be written.
    fn parcels(&mut self, change: &Change) -> Option<Vec<Parcel>> {
        match change {
            Change::Htable { table, action } => {
                if !self.config.tables.contains(table) {
                    return None;
                }
                let keys = match action.key() {
                    Some(key) => {
                        Keys::Some(smallvec![self.outbox.key(htable::CHANNEL, table, key)])
                    }
                    None => Keys::All,
                };
                let whole = matches!(
                    action,
                    htable::Action::Set { .. }
                        | htable::Action::Add { .. }
                        | htable::Action::Delete { .. }
                );
                let write = htable::write(table, action)?;
                let mut parcels = vec![self.parcel(htable::CHANNEL, write, keys.clone(), whole)];
                // A write carries no life on the bus: one of its own is told behind it.
                if let htable::Action::Set {
                    key,
                    ttl: Some(ttl),
                    ..
                }
                | htable::Action::Add {
                    key,
                    ttl: Some(ttl),
                    ..
                } = action
                {
                    let expire = htable::Action::Expire {
                        key: Arc::clone(key),
                        ttl: *ttl,
                    };
                    let expire = htable::write(table, &expire)?;
                    parcels.push(self.parcel(htable::CHANNEL, expire, keys, false));
                }
                Some(parcels)
            }
            Change::Contact(usrloc::Change {
                action, contact, ..
            }) => {
                if !self.config.contacts {
                    return None;
                }
                let keys = Keys::Some(smallvec![self.contact_name(contact)]);
                let body = usrloc::write(*action, contact)?;
                Some(vec![self.parcel(usrloc::CHANNEL, body, keys, true)])
            }
            Change::Dialog(change) => {
                if !self.config.dialogs {
                    return None;
                }
                let keys = Keys::Some(smallvec![self.dialog_name(change.id())]);
                let body = dialog::write(change)?;
                Some(vec![self.parcel(dialog::CHANNEL, body, keys, false)])
            }
        }
    }

    pub(super) fn parcel(
        &mut self,
        channel: &str,
        body: impl Into<Bytes>,
        keys: Keys,
        whole: bool,
    ) -> Parcel {
        Parcel {
            channel: self.name(channel),
            content_type: crate::envelope::JSON.into(),
            extra: self.name(""),
            body: body.into(),
            keys,
            whole,
            urgent: false,
            hops: 1,
            tag: Tag::Change,
        }
    }

    /// Sends a script's message to one member, or with `None` to all that answer; the answers come with the caller's number. Tells to
    /// how many it is queued: to none where nobody is there, the message is too long or the channel is no script's.
    pub fn send(
        &mut self,
        now: Now,
        number: u64,
        to: Option<Node>,
        channel: &str,
        content_type: &str,
        body: Bytes,
    ) -> usize {
        if body.len() > MAX_BODY || !is_channel(channel) {
            return 0;
        }
        let active = self.members.active().map(|member| member.node);
        let nodes: Vec<_> = active
            .filter(|node| to.is_none_or(|to| to == *node))
            .collect();
        let parcel = Parcel {
            channel: self.name(channel),
            content_type: content_type.to_owned().into(),
            extra: self.name(""),
            body,
            keys: Keys::None,
            whole: false,
            urgent: false,
            hops: 1,
            tag: Tag::Message(number),
        };
        let mut sent = 0;
        for node in nodes {
            let parcel = Parcel {
                extra: self.own_fields(now, node, channel, &parcel.body),
                ..parcel.clone()
            };
            sent += usize::from(self.outbox.push(now.at, node, parcel).is_ok());
        }
        sent
    }
}

/// Whether a channel may be a script's: a name of its own, of characters that a URI's user takes as they are.
pub fn is_channel(name: &str) -> bool {
    let own = ![
        super::life::CHANNEL,
        htable::CHANNEL,
        usrloc::CHANNEL,
        dialog::CHANNEL,
        crate::own::CHANNEL,
    ]
    .contains(&name);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    own && !name.is_empty() && name.len() <= crate::envelope::MAX_CHANNEL && name.bytes().all(plain)
}
