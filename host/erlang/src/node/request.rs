//! Calls that we make: functions of other nodes (`rpc`), and `gen_server`s there.
//!
//! A function is called as OTP 23 and later do it: a spawn request of `erpc:execute_call`, monitored, whose process ends with the
//! result. Where the peer has no spawn requests, or refuses them, the server `rex` is asked. Every call has a deadline; one
//! whose connection ends fails at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::gen_call::{reference_of, reply_parts};
use super::processes::{atom, bare, term};
use super::{ConnectionId, Event, Node, Output, RequestFault, RequestId};
use crate::control::{Bonds, Control, TermBytes, Who};
use crate::flags::Flags;
use crate::ids::Reference;
use crate::name::NodeName;
use crate::wire::read::Reader;
use crate::wire::scan::Scanner;
use crate::wire::write;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: BTreeMap<Reference, Request>,
    deadlines: BTreeSet<(Instant, Reference)>,
    next: u64,
}

#[derive(Debug)]
struct Request {
    id: RequestId,
    connection: ConnectionId,
    deadline: Instant,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A spawn request; the result carries this reference.
    Spawn {
        result: Reference,
        function: Box<Function>,
    },
    /// A message to `rex`.
    Rex,
    /// A message to a server that is watched.
    Server(Who),
}

/// What is called.
#[derive(Debug, Clone)]
struct Function {
    module: String,
    name: String,
    arguments: TermBytes,
}

impl Requests {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn take(&mut self, reference: &Reference) -> Option<Request> {
        let request = self.waiting.remove(reference)?;
        self.deadlines
            .remove(&(request.deadline, reference.clone()));
        Some(request)
    }
}

impl Node {
    /// Calls a function on another node; `arguments` is the list of them. The end comes as [`Event::Answered`], always.
    pub fn rpc(
        &mut self,
        now: Instant,
        node: &NodeName,
        module: &str,
        function: &str,
        arguments: TermBytes,
        deadline: Instant,
    ) -> RequestId {
        let id = self.request_id();
        let function = Function {
            module: module.to_owned(),
            name: function.to_owned(),
            arguments,
        };
        let Some(connection) = self.connection_to(node) else {
            return self.fail(id, RequestFault::NotConnected);
        };
        let entry = self.connections.get(&connection);
        let spawns = entry.is_some_and(|e| e.connection.flags().has(Flags::SPAWN));
        if spawns {
            self.call_by_spawn(now, connection, id, function, deadline)
        } else {
            self.call_by_rex(now, connection, id, &function, deadline)
        }
    }

    /// Calls a `gen_server` on another node. The end comes as [`Event::Answered`], always.
    pub fn call(
        &mut self,
        now: Instant,
        node: &NodeName,
        server: Who,
        request: &TermBytes,
        deadline: Instant,
    ) -> RequestId {
        let id = self.request_id();
        let Some(connection) = self.connection_to(node) else {
            return self.fail(id, RequestFault::NotConnected);
        };
        let reference = self.processes.reference();
        let from = self.processes.rpc();
        let message = term(|out| {
            write::tuple(out, 3);
            write::atom(out, "$gen_call");
            write::tuple(out, 2);
            from.write(out);
            reference.write(out);
            out.extend_from_slice(bare(request));
        });
        let monitor = Control::Monitor {
            from: from.clone(),
            to: server.clone(),
            reference: reference.clone(),
        };
        let send = match server.clone() {
            Who::Pid(to) => Control::Send {
                from: Some(from),
                to,
                message,
            },
            Who::Name(to) => Control::RegSend { from, to, message },
        };
        let kind = Kind::Server(server);
        self.ask(
            now,
            connection,
            id,
            reference,
            &[monitor, send],
            kind,
            deadline,
        )
    }

    fn request_id(&mut self) -> RequestId {
        self.requests.next += 1;
        RequestId(self.requests.next)
    }

    fn fail(&mut self, id: RequestId, fault: RequestFault) -> RequestId {
        self.answered(id, Err(fault));
        id
    }

    fn answered(&mut self, id: RequestId, result: Result<TermBytes, RequestFault>) {
        self.outputs
            .push_back(Output::Event(Event::Answered { id, result }));
    }

    fn call_by_spawn(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: RequestId,
        function: Function,
        deadline: Instant,
    ) -> RequestId {
        let reference = self.processes.reference();
        let result = self.processes.reference();
        let from = self.processes.rpc();
        let arguments = term(|out| {
            write::list(out, 4);
            result.write(out);
            write::atom(out, &function.module);
            write::atom(out, &function.name);
            out.extend_from_slice(bare(&function.arguments));
            write::nil(out);
        });
        let spawn = Control::Spawn {
            request: reference.clone(),
            from: from.clone(),
            group_leader: from,
            module: "erpc".to_owned(),
            function: "execute_call".to_owned(),
            arity: 4,
            bonds: Bonds {
                link: false,
                monitor: true,
            },
            arguments,
        };
        let function = Box::new(function);
        let kind = Kind::Spawn { result, function };
        self.ask(now, connection, id, reference, &[spawn], kind, deadline)
    }

    fn call_by_rex(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: RequestId,
        function: &Function,
        deadline: Instant,
    ) -> RequestId {
        let reference = self.processes.reference();
        let from = self.processes.rpc();
        let message = term(|out| {
            write::tuple(out, 3);
            write::atom(out, "$gen_call");
            write::tuple(out, 2);
            from.write(out);
            reference.write(out);
            write::tuple(out, 5);
            write::atom(out, "call");
            write::atom(out, &function.module);
            write::atom(out, &function.name);
            out.extend_from_slice(bare(&function.arguments));
            from.write(out);
        });
        let send = Control::RegSend {
            from,
            to: "rex".to_owned(),
            message,
        };
        self.ask(now, connection, id, reference, &[send], Kind::Rex, deadline)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn ask(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        id: RequestId,
        reference: Reference,
        controls: &[Control],
        kind: Kind,
        deadline: Instant,
    ) -> RequestId {
        if self.requests.waiting.len() >= self.config.limits.requests {
            return self.fail(id, RequestFault::Busy);
        }
        for control in controls {
            if let Err(fault) = self.offer(now, connection, control) {
                return self.fail(id, fault.into());
            }
        }
        let request = Request {
            id,
            connection,
            deadline,
            kind,
        };
        self.requests
            .deadlines
            .insert((deadline, reference.clone()));
        self.requests.waiting.insert(reference, request);
        id
    }

    /// What became of a spawn request of ours.
    pub(super) fn spawned(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        reference: &Reference,
        error: &str,
    ) {
        if !self.is_waiting(connection, reference) {
            return;
        }
        let Some(request) = self.requests.take(reference) else {
            return;
        };
        match request.kind {
            Kind::Spawn { function, .. } if error == "notsup" => {
                self.call_by_rex(now, connection, request.id, &function, request.deadline);
            }
            _ => self.answered(request.id, Err(RequestFault::Failed(atom(error)))),
        }
    }

    /// A process that a call of ours watched ended. False where there is none.
    pub(super) fn request_ended(
        &mut self,
        connection: ConnectionId,
        reference: &Reference,
        reason: &TermBytes,
    ) -> bool {
        if !self.is_waiting(connection, reference) {
            return false;
        }
        if let Some(request) = self.requests.take(reference) {
            let result = match &request.kind {
                Kind::Spawn { result, .. } => returned(result, reason),
                Kind::Rex | Kind::Server(_) => Err(RequestFault::Failed(reason.clone())),
            };
            self.answered(request.id, result);
        }
        true
    }

    /// A message to the process that calls: an answer, or a request to print something from a function that we called.
    pub(super) fn message_to_rpc(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: &TermBytes,
    ) {
        if let Some((to, reply)) = printed(message) {
            let from = self.processes.rpc();
            let control = Control::Send {
                from: Some(from),
                to,
                message: reply,
            };
            let _ = self.put(now, connection, &control);
            return;
        }
        let Ok((tag, reply)) = reply_parts(message) else {
            return;
        };
        if let Some((reference, _)) = reference_of(&tag) {
            self.replied(now, connection, &reference, reply);
        }
    }

    fn replied(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        reference: &Reference,
        reply: TermBytes,
    ) {
        if !self.is_waiting(connection, reference) {
            return;
        }
        let Some(request) = self.requests.take(reference) else {
            return;
        };
        let result = match request.kind {
            Kind::Server(who) => {
                let demonitor = Control::Demonitor {
                    from: self.processes.rpc(),
                    to: who,
                    reference: reference.clone(),
                };
                let _ = self.put(now, connection, &demonitor);
                Ok(reply)
            }
            Kind::Rex | Kind::Spawn { .. } => match badrpc(&reply) {
                Some(reason) => Err(RequestFault::Failed(reason)),
                None => Ok(reply),
            },
        };
        self.answered(request.id, result);
    }

    fn is_waiting(&self, connection: ConnectionId, reference: &Reference) -> bool {
        let request = self.requests.waiting.get(reference);
        request.is_some_and(|request| request.connection == connection)
    }

    /// Ends the calls whose time is over.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        while let Some((deadline, reference)) = self.requests.deadlines.first().cloned()
            && deadline <= now
        {
            let Some(request) = self.requests.take(&reference) else {
                self.requests.deadlines.pop_first();
                continue;
            };
            let from = self.processes.rpc();
            let to = match request.kind {
                Kind::Server(who) => Some(who),
                Kind::Rex | Kind::Spawn { .. } => None,
            };
            if let Some(to) = to {
                let demonitor = Control::Demonitor {
                    from,
                    to,
                    reference,
                };
                let _ = self.put(now, request.connection, &demonitor);
            }
            self.answered(request.id, Err(RequestFault::Timeout));
        }
    }

    /// A connection ended: so did the calls over it.
    pub(super) fn requests_lost(&mut self, connection: ConnectionId) {
        let lost: Vec<Reference> = self
            .requests
            .waiting
            .iter()
            .filter(|(_, request)| request.connection == connection)
            .map(|(reference, _)| reference.clone())
            .collect();
        for reference in lost {
            if let Some(request) = self.requests.take(&reference) {
                self.answered(request.id, Err(RequestFault::NotConnected));
            }
        }
    }
}

/// The result in a reason of `erpc:execute_call`, as `rpc:call` gives it: what was returned or thrown, or the reason of its
/// `{badrpc, Reason}`.
fn returned(result: &Reference, reason: &TermBytes) -> Result<TermBytes, RequestFault> {
    let read = || {
        let mut scanner = Scanner::default();
        let mut reader = Reader::new(bare(reason), &[]);
        let arity = reader.tuple().ok()?;
        let carried = reader.reference().ok()?;
        let class = reader.atom().ok()?;
        let value = reader.any(&mut scanner).ok()?;
        let stack = match arity {
            3 => None,
            4 => Some(reader.any(&mut scanner).ok()?),
            _ => return None,
        };
        (carried == *result).then_some((class, value, stack))
    };
    match read() {
        Some((class, value, None)) if class == "return" || class == "throw" => {
            Ok(term(|out| out.extend_from_slice(value)))
        }
        Some((_, value, stack)) => Err(RequestFault::Failed(exit(value, stack))),
        None => Err(RequestFault::Failed(exit(bare(reason), None))),
    }
}

/// `{'EXIT', Reason}` or `{'EXIT', {Reason, Stack}}`.
fn exit(reason: &[u8], stack: Option<&[u8]>) -> TermBytes {
    term(|out| {
        write::tuple(out, 2);
        write::atom(out, "EXIT");
        if let Some(stack) = stack {
            write::tuple(out, 2);
            out.extend_from_slice(reason);
            out.extend_from_slice(stack);
        } else {
            out.extend_from_slice(reason);
        }
    })
}

/// The reason in `{badrpc, Reason}`.
fn badrpc(reply: &TermBytes) -> Option<TermBytes> {
    let mut reader = Reader::new(bare(reply), &[]);
    let is = reader.tuple().ok()? == 2 && reader.atom().ok()? == "badrpc";
    let reason = reader.any(&mut Scanner::default()).ok()?;
    is.then(|| term(|out| out.extend_from_slice(reason)))
}

/// `{io_request, From, ReplyAs, Request}`: a function that we called prints. It is told that this worked.
fn printed(message: &TermBytes) -> Option<(crate::ids::Pid, TermBytes)> {
    let mut reader = Reader::new(bare(message), &[]);
    let is = reader.tuple().ok()? == 4 && reader.atom().ok()? == "io_request";
    if !is {
        return None;
    }
    let from = reader.pid().ok()?;
    let reply_as = reader.any(&mut Scanner::default()).ok()?;
    let reply = term(|out| {
        write::tuple(out, 3);
        write::atom(out, "io_reply");
        out.extend_from_slice(reply_as);
        write::atom(out, "ok");
    });
    Some((from, reply))
}
