//! Links and monitors between our processes and others.
//!
//! A monitor of a process that is not there is answered `noproc` at once; when a connection ends, everything that hung on it
//! gets `noconnection`. Unlinking waits for its acknowledgement: an exit that crosses it is not delivered.

use std::collections::BTreeMap;
use std::time::Instant;

use super::processes::{Role, atom};
use super::{ConnectionId, Event, Node, Output, Process, SendFault};
use crate::control::{Control, TermBytes, Who};
use crate::flags::Flags;
use crate::ids::{Pid, Reference};
use crate::name::NodeName;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Bonds {
    /// Their monitors of our processes.
    watched: BTreeMap<Reference, Watched>,
    /// Our monitors of theirs.
    watching: BTreeMap<Reference, Watching>,
    /// Links, by our process and theirs.
    links: BTreeMap<(u32, Pid), Link>,
    unlinks: u64,
}

#[derive(Debug)]
struct Watched {
    connection: ConnectionId,
    by: Pid,
    /// As it was asked.
    who: Who,
    process: u32,
}

#[derive(Debug)]
struct Watching {
    connection: ConnectionId,
    by: u32,
    who: Who,
}

#[derive(Debug)]
struct Link {
    connection: ConnectionId,
    /// We undid it under this id, and wait.
    undone: Option<u64>,
}

impl Bonds {
    fn len(&self) -> usize {
        self.watched.len() + self.watching.len() + self.links.len()
    }
}

impl Node {
    /// A process of ours watches another node's, by a reference that never was before. That one's end comes as
    /// [`Event::ProcessDown`].
    pub fn monitor(
        &mut self,
        now: Instant,
        process: &Process,
        node: &NodeName,
        who: Who,
        reference: &Reference,
    ) -> Result<(), SendFault> {
        let (by, connection) = self.ends(process, node)?;
        let control = Control::Monitor {
            from: self.processes.pid(by),
            to: who.clone(),
            reference: reference.clone(),
        };
        self.offer(now, connection, &control)?;
        let watching = Watching {
            connection,
            by,
            who,
        };
        self.bonds.watching.insert(reference.clone(), watching);
        Ok(())
    }

    /// Watches no longer. False where there is no such monitor.
    pub fn demonitor(&mut self, now: Instant, reference: &Reference) -> bool {
        let Some(watching) = self.bonds.watching.remove(reference) else {
            return false;
        };
        let control = Control::Demonitor {
            from: self.processes.pid(watching.by),
            to: watching.who,
            reference: reference.clone(),
        };
        // Where the connection ended meanwhile there is nothing to undo.
        let _ = self.put(now, watching.connection, &control);
        true
    }

    /// Links a process of ours to another node's. The end of that one comes as [`Event::Exit`].
    pub fn link(&mut self, now: Instant, process: &Process, to: &Pid) -> Result<(), SendFault> {
        let (from, connection) = self.ends(process, &to.node)?;
        let control = Control::Link {
            from: self.processes.pid(from),
            to: to.clone(),
        };
        self.offer(now, connection, &control)?;
        let link = Link {
            connection,
            undone: None,
        };
        self.bonds.links.insert((from, to.clone()), link);
        Ok(())
    }

    /// Undoes a link. False where there is none.
    pub fn unlink(&mut self, now: Instant, process: &Process, to: &Pid) -> bool {
        let Some(from) = self.processes.id_of(process) else {
            return false;
        };
        let key = (from, to.clone());
        let Some(link) = self.bonds.links.get_mut(&key) else {
            return false;
        };
        let connection = link.connection;
        let entry = self.connections.get(&connection);
        let flags = entry.map(|entry| entry.connection.flags());
        let id = if flags.is_some_and(|flags| flags.has(Flags::UNLINK_ID)) {
            self.bonds.unlinks += 1;
            link.undone = Some(self.bonds.unlinks);
            link.undone
        } else {
            self.bonds.links.remove(&key);
            None
        };
        let control = Control::Unlink {
            id,
            from: self.processes.pid(from),
            to: to.clone(),
        };
        let _ = self.put(now, connection, &control);
        true
    }

    /// Sends an exit signal: `exit(Pid, Reason)`.
    pub fn exit(
        &mut self,
        now: Instant,
        process: &Process,
        to: &Pid,
        reason: TermBytes,
    ) -> Result<(), SendFault> {
        let from = self.pid(process).ok_or(SendFault::NoProcess)?;
        let connection = self
            .connection_to(&to.node)
            .ok_or(SendFault::NotConnected)?;
        let to = to.clone();
        self.offer(now, connection, &Control::Exit2 { from, to, reason })
    }

    fn ends(&self, process: &Process, node: &NodeName) -> Result<(u32, ConnectionId), SendFault> {
        let id = self.processes.id_of(process).ok_or(SendFault::NoProcess)?;
        let connection = self.connection_to(node).ok_or(SendFault::NotConnected)?;
        if self.bonds.len() >= self.config.limits.bonds {
            return Err(SendFault::Full);
        }
        Ok((id, connection))
    }

    /// A peer watches a process of ours.
    pub(super) fn watched(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        by: Pid,
        who: Who,
        reference: Reference,
    ) {
        let process = self.processes.by_who(&who);
        let serves = matches!(&who, Who::Pid(pid) if self.serving.has(pid));
        let reason = match process {
            _ if serves => return,
            Some((process, _)) if self.bonds.len() < self.config.limits.bonds => {
                let watched = Watched {
                    connection,
                    by,
                    who,
                    process,
                };
                self.bonds.watched.insert(reference, watched);
                return;
            }
            Some(_) => "system_limit",
            None => "noproc",
        };
        let down = Control::Down {
            from: who,
            to: by,
            reference,
            reason: atom(reason),
        };
        let _ = self.put(now, connection, &down);
    }

    /// A peer watches no longer.
    pub(super) fn unwatched(&mut self, connection: ConnectionId, reference: &Reference) {
        let theirs = |watched: &Watched| watched.connection == connection;
        if self.bonds.watched.get(reference).is_some_and(theirs) {
            self.bonds.watched.remove(reference);
        }
    }

    /// A process that we watched ended. False where that is no monitor of scripts.
    pub(super) fn ended(
        &mut self,
        connection: ConnectionId,
        reference: &Reference,
        reason: &TermBytes,
    ) -> bool {
        let ours = |watching: &Watching| watching.connection == connection;
        if !self.bonds.watching.get(reference).is_some_and(ours) {
            return false;
        }
        if let Some(watching) = self.bonds.watching.remove(reference)
            && let Some(node) = self
                .connections
                .get(&connection)
                .and_then(|e| e.name.clone())
        {
            self.tell_down(reference.clone(), watching, node, reason.clone());
        }
        true
    }

    fn tell_down(
        &mut self,
        reference: Reference,
        watching: Watching,
        node: NodeName,
        reason: TermBytes,
    ) {
        let pid = self.processes.pid(watching.by);
        if let Some((_, Role::Script(to))) = self.processes.by_pid(&pid) {
            self.outputs.push_back(Output::Event(Event::ProcessDown {
                to,
                reference,
                who: watching.who,
                node,
                reason,
            }));
        }
    }

    /// A peer links a process of its own to one of ours.
    pub(super) fn linked(&mut self, now: Instant, connection: ConnectionId, from: Pid, to: Pid) {
        let process = self.processes.by_pid(&to);
        let room = self.bonds.len() < self.config.limits.bonds;
        match process {
            Some((process, _)) if room => {
                let link = Link {
                    connection,
                    undone: None,
                };
                self.bonds.links.insert((process, from), link);
            }
            other => {
                let reason = if other.is_some() {
                    "system_limit"
                } else {
                    "noproc"
                };
                let exit = Control::Exit {
                    from: to,
                    to: from,
                    reason: atom(reason),
                };
                let _ = self.put(now, connection, &exit);
            }
        }
    }

    /// A peer undoes a link.
    pub(super) fn unlinked(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: Option<u64>,
        from: Pid,
        to: Pid,
    ) {
        let key = (to.id, from.clone());
        if self
            .bonds
            .links
            .get(&key)
            .is_some_and(|l| l.undone.is_none())
        {
            self.bonds.links.remove(&key);
        }
        if let Some(id) = id {
            let ack = Control::UnlinkAck {
                id,
                from: to,
                to: from,
            };
            let _ = self.put(now, connection, &ack);
        }
    }

    /// A peer acknowledges that a link is undone.
    pub(super) fn unlink_acked(&mut self, id: u64, from: Pid, to: &Pid) {
        let key = (to.id, from);
        if self
            .bonds
            .links
            .get(&key)
            .is_some_and(|l| l.undone == Some(id))
        {
            self.bonds.links.remove(&key);
        }
    }

    /// A linked process ended.
    pub(super) fn exited(&mut self, from: Pid, to: &Pid, reason: TermBytes) {
        let undone = self.bonds.links.remove(&(to.id, from.clone()));
        if undone.is_some_and(|link| link.undone.is_none()) {
            self.tell_exit(from, to, reason);
        }
    }

    /// Somebody sent an exit signal. `kill` can't be held up: the process ends, and starts anew.
    pub(super) fn told_to_exit(&mut self, now: Instant, from: Pid, to: &Pid, reason: TermBytes) {
        let kill = reason == atom("kill");
        match self.processes.by_pid(to) {
            Some((id, Role::Script(_))) if kill => {
                self.processes.restart(id);
                self.process_ended(now, id, &atom("killed"));
            }
            _ => self.tell_exit(from, to, reason),
        }
    }

    fn tell_exit(&mut self, from: Pid, to: &Pid, reason: TermBytes) {
        if let Some((_, Role::Script(to))) = self.processes.by_pid(to) {
            self.outputs
                .push_back(Output::Event(Event::Exit { to, from, reason }));
        }
    }

    /// A process of ours ended: whoever is bound to it learns it.
    pub(super) fn process_ended(&mut self, now: Instant, process: u32, reason: &TermBytes) {
        let pid = self.processes.pid(process);
        let mut tell = Vec::new();
        self.bonds.watched.retain(|reference, watched| {
            let goes = watched.process == process;
            if goes {
                let down = Control::Down {
                    from: watched.who.clone(),
                    to: watched.by.clone(),
                    reference: reference.clone(),
                    reason: reason.clone(),
                };
                tell.push((watched.connection, down));
            }
            !goes
        });
        self.bonds.links.retain(|(ours, theirs), link| {
            let goes = *ours == process;
            if goes && link.undone.is_none() {
                let exit = Control::Exit {
                    from: pid.clone(),
                    to: theirs.clone(),
                    reason: reason.clone(),
                };
                tell.push((link.connection, exit));
            }
            !goes
        });
        self.bonds.watching.retain(|reference, watching| {
            let goes = watching.by == process;
            if goes {
                let undo = Control::Demonitor {
                    from: pid.clone(),
                    to: watching.who.clone(),
                    reference: reference.clone(),
                };
                tell.push((watching.connection, undo));
            }
            !goes
        });
        for (connection, control) in tell {
            let _ = self.put(now, connection, &control);
        }
    }

    /// A connection ended: everything that hung on it gets `noconnection`.
    pub(super) fn bonds_lost(&mut self, connection: ConnectionId, node: &NodeName) {
        self.bonds.watched.retain(|_, w| w.connection != connection);
        let lost = |link: &Link| link.connection == connection;
        let exits: Vec<_> = self
            .bonds
            .links
            .extract_if(.., |_, link| lost(link))
            .filter(|(_, link)| link.undone.is_none())
            .map(|((ours, theirs), _)| (ours, theirs))
            .collect();
        for (ours, theirs) in exits {
            let to = self.processes.pid(ours);
            self.tell_exit(theirs, &to, atom("noconnection"));
        }
        let downs: Vec<_> = self
            .bonds
            .watching
            .extract_if(.., |_, watching| watching.connection == connection)
            .collect();
        for (reference, watching) in downs {
            self.tell_down(reference, watching, node.clone(), atom("noconnection"));
        }
    }
}
