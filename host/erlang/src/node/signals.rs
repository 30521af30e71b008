//! What peers send, and what scripts send to them.

use std::time::Instant;

use super::gen_call::recognise;
use super::processes::Role;
use super::{ConnectionId, Event, Node, Output, Process, SendFault};
use crate::control::{Control, TermBytes};
use crate::ids::{Pid, Reference};
use crate::name::NodeName;

impl Node {
    /// Sends a message to a pid.
    pub fn send(
        &mut self,
        now: Instant,
        from: &Process,
        to: &Pid,
        message: TermBytes,
    ) -> Result<(), SendFault> {
        let from = self.pid(from).ok_or(SendFault::NoProcess)?;
        if to.node == self.ours.name {
            return self.send_here(self.processes.by_pid(to), from, message);
        }
        let id = self
            .connection_to(&to.node)
            .ok_or(SendFault::NotConnected)?;
        let control = Control::Send {
            from: Some(from),
            to: to.clone(),
            message,
        };
        self.offer(now, id, &control)
    }

    /// Sends a message to a name that is registered on a node.
    pub fn reg_send(
        &mut self,
        now: Instant,
        from: &Process,
        node: &NodeName,
        to: &str,
        message: TermBytes,
    ) -> Result<(), SendFault> {
        let from = self.pid(from).ok_or(SendFault::NoProcess)?;
        if *node == self.ours.name {
            return self.send_here(self.processes.by_name(to), from, message);
        }
        let id = self.connection_to(node).ok_or(SendFault::NotConnected)?;
        let control = Control::RegSend {
            from,
            to: to.to_owned(),
            message,
        };
        self.offer(now, id, &control)
    }

    /// Sends a message to an alias of a process.
    pub fn alias_send(
        &mut self,
        now: Instant,
        from: &Process,
        to: &Reference,
        message: TermBytes,
    ) -> Result<(), SendFault> {
        let from = self.pid(from).ok_or(SendFault::NoProcess)?;
        let id = self
            .connection_to(&to.node)
            .ok_or(SendFault::NotConnected)?;
        let to = to.clone();
        self.offer(now, id, &Control::AliasSend { from, to, message })
    }

    /// From a process of ours to another.
    fn send_here(
        &mut self,
        to: Option<(u32, Role)>,
        from: Pid,
        message: TermBytes,
    ) -> Result<(), SendFault> {
        match to {
            Some((_, Role::Script(to))) => {
                self.deliver(to, Some(from), message);
                Ok(())
            }
            _ => Err(SendFault::NoProcess),
        }
    }

    fn deliver(&mut self, to: Process, from: Option<Pid>, message: TermBytes) {
        let gen_server = recognise(&message);
        self.outputs.push_back(Output::Event(Event::Message {
            to,
            from,
            message,
            gen_server,
        }));
    }

    /// A control message came in.
    pub(super) fn signal(&mut self, now: Instant, id: ConnectionId, control: Control) {
        match control {
            Control::Send { from, to, message } => {
                let role = self.processes.by_pid(&to);
                self.message(now, id, role, from, message);
            }
            Control::RegSend { from, to, message } => {
                let role = self.processes.by_name(&to);
                self.message(now, id, role, Some(from), message);
            }
            // The only aliases that we give away are the references of our own calls.
            Control::AliasSend { message, .. } => self.message_to_rpc(now, id, &message),
            // Calls are no processes that could be ended.
            Control::AliasExit { .. } => {}
            Control::Link { from, to } => self.linked(now, id, from, to),
            Control::Unlink { id: ack, from, to } => self.unlinked(now, id, ack, from, to),
            Control::UnlinkAck { id: ack, from, to } => self.unlink_acked(ack, from, &to),
            Control::Exit { from, to, reason } => self.exited(from, &to, reason),
            Control::Exit2 { from, to, reason } => self.told_to_exit(now, from, &to, reason),
            Control::Monitor {
                from,
                to,
                reference,
            } => self.watched(now, id, from, to, reference),
            Control::Demonitor { reference, .. } => {
                self.unwatched(id, &reference);
                self.call_unwatched(id, &reference);
            }
            Control::Down {
                reference, reason, ..
            } => {
                if !self.request_ended(id, &reference, &reason) {
                    self.ended(id, &reference, &reason);
                }
            }
            // Our processes have no output of their own.
            Control::GroupLeader { .. } => {}
            Control::Spawn {
                request,
                from,
                module,
                function,
                bonds,
                arguments,
                ..
            } => {
                let function = (module.as_str(), function.as_str());
                self.spawn(now, id, request, from, function, bonds, &arguments);
            }
            Control::Spawned {
                request, result, ..
            } => {
                if let Err(error) = result {
                    self.spawned(now, id, &request, &error);
                }
            }
        }
    }

    /// A message for a process of ours; one for a process that is not there is dropped, as everywhere in Erlang.
    fn message(
        &mut self,
        now: Instant,
        id: ConnectionId,
        to: Option<(u32, Role)>,
        from: Option<Pid>,
        message: TermBytes,
    ) {
        match to.map(|(_, role)| role) {
            Some(Role::Script(to)) => self.deliver(to, from, message),
            Some(Role::Rex) => self.message_to_rex(now, id, &message),
            Some(Role::NetKernel) => self.message_to_net_kernel(now, id, &message),
            Some(Role::Rpc) => self.message_to_rpc(now, id, &message),
            None => {}
        }
    }
}
