//! Who is a member: joining, pings, silence, goodbye.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use switchhook_sip::message::Message;

use super::{Bus, Event};
use crate::htable::CHANNEL as HTABLE;
use crate::list::{self, Status};
use crate::members::{Kind, State};
use crate::node::{Node, Now};
use crate::outbox::{Done, Keys, Parcel, Tag};
use crate::own::Heard;
use crate::own::version::NodeId;
use crate::{dialog, htable, usrloc};

/// The channel of node lists.
pub(super) const CHANNEL: &str = "notification_peer";

impl Bus {
    /// Adds a member by hand, or enables it again.
    pub fn add_node(&mut self, now: Now, node: Node) {
        if node == self.config.own {
            return;
        }
        if let Some(member) = self.members.add(now.at, node) {
            member.held = false;
            member.ping_at = now.at;
        }
        self.live(now);
    }

    /// Removes a member by hand. It may come back by itself.
    pub fn remove_node(&mut self, node: Node) -> bool {
        self.outbox.forget(node);
        self.syncs.forget(node);
        self.forget_ours(node);
        let removed = self.members.remove(node).is_some();
        if removed {
            self.event(Event::Down(node));
        }
        removed
    }

    /// Disables a member by hand: it is told nothing until it is added again.
    pub fn disable_node(&mut self, now: Now, node: Node) -> bool {
        let Some(member) = self.members.find_mut(node) else {
            return false;
        };
        member.held = true;
        self.disable(now.at, node);
        true
    }

    /// Tells all that we leave. Afterwards nothing but answers is sent.
    pub fn shutdown(&mut self, now: Now) {
        let active: Vec<_> = self.members.active().map(|member| member.node).collect();
        for node in active {
            self.notify(now, node, 1, Status::Disabled);
        }
        self.leaving = true;
    }

    /// True when nothing waits for an answer of an active member.
    pub fn is_quiet(&self) -> bool {
        let mut active = self.members.active();
        active.all(|member| self.outbox.waiting(member.node) == 0)
    }

    /// Says hello and pings where it is time.
    pub(super) fn live(&mut self, now: Now) {
        if self.leaving {
            return;
        }
        let at = now.at;
        for node in self.members.lose_old(at) {
            self.outbox.forget(node);
        }
        if at >= self.join_at {
            self.join_at = at + self.config.ping;
            for peer in self.config.peers.clone() {
                if peer == self.config.own {
                    continue;
                }
                if self.members.find(peer).is_none() {
                    self.notify(now, peer, 2, Status::Active);
                }
            }
        }
        let due = |member: &&mut crate::members::Member| member.ping_at <= at && !member.held;
        let mut pings = Vec::new();
        for member in self.members.iter_mut().filter(due) {
            member.ping_at = at + self.config.ping;
            pings.push(member.node);
        }
        for node in pings {
            self.notify(now, node, 1, Status::Active);
        }
    }

    pub(super) fn life_deadline(&self) -> Option<Instant> {
        if self.leaving {
            return None;
        }
        let free = self.members.iter().filter(|member| !member.held);
        let ping = free.map(|member| member.ping_at).min();
        let join = (!self.config.peers.is_empty()).then_some(self.join_at);
        ping.into_iter().chain(join).min()
    }

    /// The list as we tell it: each time another part, where there are more nodes than it may have.
    pub(super) fn list(&mut self, own: Status) -> Bytes {
        let active: Vec<_> = self.members.active().map(|member| member.node).collect();
        let first = self.turn.checked_rem(active.len()).unwrap_or(0);
        if active.len() >= list::MAX_NODES {
            self.turn = self.turn.wrapping_add(list::MAX_NODES / 2);
        }
        let nodes = active.iter().cycle().skip(first).take(active.len());
        list::write(self.config.own, own, nodes.copied()).into()
    }

    /// A message says which life of one of our own nodes it is of.
    pub(super) fn heard_ours(&mut self, now: Now, node: Node, life: NodeId) {
        if self.members.find(node).is_none() {
            let _ = self.members.add(now.at, node);
        }
        self.members.set_kind(node, Kind::Own);
        if let Some(own) = self
            .own
            .as_mut()
            .filter(|_| self.members.find(node).is_some())
        {
            own.saw(now, node, life);
        }
    }

    fn forget_ours(&mut self, node: Node) {
        if let Some(own) = &mut self.own {
            own.gone(node);
        }
    }

    /// The same for an answer.
    pub(super) fn is_ours(&mut self, now: Now, node: Node, message: &Message) {
        let own = self.own.as_mut();
        match own.map_or(Heard::Nothing, |own| own.heard(now, node, message)) {
            Heard::Life(life) => self.heard_ours(now, node, life),
            Heard::Clock => self.notify(now, node, 2, Status::Active),
            Heard::Nothing => {}
        }
    }

    /// Header fields that only our own nodes read, each with its line end.
    pub(super) fn own_fields(
        &mut self,
        now: Now,
        to: Node,
        channel: &str,
        body: &[u8],
    ) -> Arc<str> {
        let own = self.own.as_mut();
        let fields = own.map(|own| own.fields(now, to, channel, body));
        fields.unwrap_or_default().into()
    }

    fn notify(&mut self, now: Now, node: Node, hops: u8, own: Status) {
        let body = self.list(own);
        let parcel = Parcel {
            channel: self.name(CHANNEL),
            content_type: list::CONTENT_TYPE.into(),
            extra: self.own_fields(now, node, CHANNEL, &body),
            body,
            keys: Keys::None,
            whole: false,
            urgent: true,
            hops,
            tag: Tag::Notify,
        };
        // What is urgent is never refused.
        let _ = self.outbox.push(now.at, node, parcel);
    }

    /// A list has come: in a request, or in the answer to one.
    pub(super) fn listed(&mut self, now: Now, from: Node, body: &[u8], hops: u8) {
        let list = list::read(body);
        let mut new = Vec::new();
        for (node, status) in list.nodes {
            if node == self.config.own {
                continue;
            }
            if node == from {
                if status == Status::Disabled {
                    self.disable(now.at, from);
                }
                continue;
            }
            let known = self.members.find(node).is_some();
            if status != Status::Active || known || !self.config.allows(node.address.ip()) {
                continue;
            }
            if self.members.add(now.at, node).is_some() {
                new.push(node);
            }
        }
        self.live(now);
        if hops > 1 {
            let others = self.members.active().map(|member| member.node);
            let others: Vec<_> = others.filter(|node| *node != from).collect();
            for node in others {
                self.notify(now, node, 1, Status::Active);
            }
        }
    }

    /// A member has been heard of. One that is new, or back, is asked for what it has.
    pub(super) fn heard(&mut self, now: Now, node: Node) {
        let missed = self.outbox.keys(node);
        let Some(member) = self.members.add(now.at, node) else {
            return;
        };
        if member.state == State::Active || member.held || self.leaving {
            return;
        }
        (member.state, member.since) = (State::Active, now.at);
        member.ping_at = now.at + self.config.ping;
        (member.missed, member.fills) = (missed, member.behind_us);
        member.asked = None;
        self.event(Event::Up(node));
        self.outbox.pause(now.at, node, false);
        self.ask(now, node);
        self.tell_everything_missed(now, node);
    }

    fn disable(&mut self, now: Instant, node: Node) {
        let Some(member) = self.members.find_mut(node) else {
            return;
        };
        let before = member.state;
        if before != State::Disabled {
            (member.state, member.since) = (State::Disabled, now);
            member.ping_at = now + self.config.ping;
        }
        // Whatever it left unanswered: the rest is told when it is back.
        member.behind_us |= self.syncs.forget(node);
        self.outbox.pause(now, node, true);
        if before == State::Active {
            self.event(Event::Disabled(node));
        }
    }

    /// A request of ours was answered or given up.
    pub(super) fn done(&mut self, now: Now, done: Done, body: Option<&[u8]>) {
        let Done {
            node,
            tag,
            status,
            sent,
        } = done;
        match tag {
            Tag::Message(number) => self.event(Event::Answered {
                number,
                node,
                status,
            }),
            Tag::Ask if status == 408 => {
                if let Some(member) = self.members.find_mut(node) {
                    member.asked = None;
                }
            }
            _ => {}
        }
        if status == 408 {
            return self.silent(now, node, sent);
        }
        if tag == Tag::Notify && !self.leaving {
            // A hello to somebody who is no member yet makes it one.
            if let Some(body) = body {
                self.heard(now, node);
                self.listed(now, node, body, 1);
            }
        }
    }

    /// A member left a request unanswered that was sent at that time.
    fn silent(&mut self, now: Now, node: Node, sent: Instant) {
        let Some(member) = self.members.find(node) else {
            return;
        };
        // What was sent before it came to be as it is says nothing new, and goes again.
        if sent < member.since || member.held {
            let holds = member.state != State::Active;
            return self.outbox.pause(now.at, node, holds);
        }
        let (state, kind) = (member.state, member.kind);
        match state {
            State::Active => self.disable(now.at, node),
            State::Disabled | State::Pending => {
                let left_out = self.syncs.forget(node);
                if let Some(member) = self.members.find_mut(node) {
                    member.behind_us |= left_out;
                }
                if kind == Kind::Own {
                    // Digests tell what it missed, not a queue.
                    self.outbox.forget(node);
                    self.forget_ours(node);
                    self.members.remove(node);
                    return self.event(Event::Down(node));
                }
                self.outbox.retire(node);
                if let Some(forgotten) = self.members.retire(now.at, node) {
                    self.outbox.forget(forgotten);
                }
                self.event(Event::Down(node));
            }
        }
    }

    /// Asks a member for all its data, once.
    fn ask(&mut self, now: Now, node: Node) {
        let Some(member) = self.members.find_mut(node) else {
            return;
        };
        if member.asked.is_some() {
            return;
        }
        member.asked = Some(now.at);
        let ours = member.kind == Kind::Own;
        let mut asks = Vec::new();
        if self.config.dialogs && !ours {
            asks.push((dialog::CHANNEL, dialog::ask()));
        }
        if self.config.contacts && !ours {
            asks.push((usrloc::CHANNEL, usrloc::ask()));
        }
        if !self.config.tables.is_empty() && !ours {
            asks.push((HTABLE, htable::ask()));
        }
        for (channel, body) in asks {
            let parcel = Parcel {
                channel: self.name(channel),
                content_type: crate::envelope::JSON.into(),
                extra: self.name(""),
                body: body.into(),
                keys: Keys::None,
                whole: false,
                urgent: true,
                hops: 1,
                tag: Tag::Ask,
            };
            let _ = self.outbox.push(now.at, node, parcel);
        }
    }
}
