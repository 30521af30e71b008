//! Calls that peers make: functions here, by spawn requests of `erpc` (OTP 23 and later) and by messages to `rex` (before),
//! and `net_adm:ping`.
//!
//! A few functions are answered here (`erlang:whereis/1` and the like); all others become [`Event::Call`]. A spawn request is
//! acknowledged with a pid at once, and that process ends with the result. Any other spawn is refused with `notsup`.

use std::collections::BTreeMap;
use std::time::Instant;

use super::gen_call::recognise;
use super::processes::{atom, bare, term};
use super::{Answer, CallId, ConnectionId, Event, Gen, Node, Output};
use crate::control::{Bonds, Control, TermBytes, Who};
use crate::ids::{Pid, Reference};
use crate::wire::read::Reader;
use crate::wire::scan::{BadTerm, Scanner};
use crate::wire::write;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Serving {
    calls: BTreeMap<CallId, Call>,
    /// Processes that run a call.
    pids: BTreeMap<u32, CallId>,
    next: u64,
}

#[derive(Debug)]
struct Call {
    connection: ConnectionId,
    to: Pid,
    way: Way,
    module: String,
    function: String,
    arguments: TermBytes,
}

/// How the answer goes back.
#[derive(Debug)]
enum Way {
    /// A started process ends with it.
    Spawn {
        request: Reference,
        process: Pid,
        /// What the result must carry; none where none is wanted.
        result: Option<TermBytes>,
        bonds: Bonds,
    },
    /// As the answer to a call of `gen_server`, with this tag.
    Rex(TermBytes),
    /// Not at all.
    Nowhere,
}

impl Serving {
    /// Whether a call runs as that process.
    pub(super) fn has(&self, pid: &Pid) -> bool {
        self.pids.contains_key(&pid.id)
    }

    pub(super) fn lost(&mut self, connection: ConnectionId) {
        self.calls.retain(|_, call| call.connection != connection);
        let calls = &self.calls;
        self.pids.retain(|_, call| calls.contains_key(call));
    }

    fn take(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        if let Way::Spawn { process, .. } = &call.way {
            self.pids.remove(&process.id);
        }
        Some(call)
    }
}

impl Node {
    /// Answers a call. A caller that is gone gets nothing.
    pub fn answer(&mut self, now: Instant, id: CallId, answer: Answer) {
        let Some(call) = self.serving.take(id) else {
            return;
        };
        match &call.way {
            Way::Nowhere => {}
            Way::Rex(tag) => {
                let reply = rex_reply(&call, answer);
                let from = self.whereis("rex").unwrap_or_else(|| self.processes.rpc());
                let control =
                    self.reply_control(call.connection, from, &call.to, tag, bare(&reply));
                let _ = self.put(now, call.connection, &control);
            }
            Way::Spawn {
                request,
                process,
                result,
                bonds,
            } => {
                let reason = match result {
                    Some(result) => execute_call_reason(&call, result, answer),
                    None => atom("normal"),
                };
                if bonds.monitor {
                    let down = Control::Down {
                        from: Who::Pid(process.clone()),
                        to: call.to.clone(),
                        reference: request.clone(),
                        reason: reason.clone(),
                    };
                    let _ = self.put(now, call.connection, &down);
                }
                if bonds.link {
                    let exit = Control::Exit {
                        from: process.clone(),
                        to: call.to.clone(),
                        reason,
                    };
                    let _ = self.put(now, call.connection, &exit);
                }
            }
        }
    }

    /// A peer wants a process started.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    pub(super) fn spawn(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: Reference,
        from: Pid,
        function: (&str, &str),
        bonds: Bonds,
        arguments: &TermBytes,
    ) {
        let read = match function {
            ("erpc", "execute_call") => execute(arguments, true).ok(),
            ("erpc", "execute_cast") => execute(arguments, false).ok(),
            _ => None,
        };
        let result = match &read {
            None => Err("notsup".to_owned()),
            Some(_) if self.serving.calls.len() >= self.config.limits.calls => {
                Err("system_limit".to_owned())
            }
            Some(_) => {
                let number = self.processes_number();
                Ok(self.processes.pid(number))
            }
        };
        let spawned = Control::Spawned {
            request: request.clone(),
            to: from.clone(),
            bonds: if result.is_ok() {
                bonds
            } else {
                Bonds::default()
            },
            result: result.clone(),
        };
        let sent = self.put(now, connection, &spawned);
        if let (Ok(()), Ok(process), Some(execute)) = (sent, result, read) {
            let way = Way::Spawn {
                request,
                process,
                result: execute.result,
                bonds,
            };
            let call = Call {
                connection,
                to: from,
                way,
                module: execute.module,
                function: execute.function,
                arguments: execute.arguments,
            };
            self.serve(now, call);
        }
    }

    fn processes_number(&mut self) -> u32 {
        let mut number = self.processes.number();
        while self.serving.pids.contains_key(&number) {
            number = self.processes.number();
        }
        number
    }

    /// A caller no longer waits for the process that runs its call.
    pub(super) fn call_unwatched(&mut self, connection: ConnectionId, reference: &Reference) {
        let is = |call: &Call| {
            call.connection == connection
                && matches!(&call.way, Way::Spawn { request, .. } if request == reference)
        };
        let id = self.serving.calls.iter().find(|(_, call)| is(call));
        if let Some(id) = id.map(|(id, _)| *id)
            && let Some(call) = self.serving.calls.get_mut(&id)
            && let Way::Spawn { bonds, .. } = &mut call.way
        {
            bonds.monitor = false;
        }
    }

    /// A message to `rex`: `{call, M, F, A, GroupLeader}` and its like.
    pub(super) fn message_to_rex(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: &TermBytes,
    ) {
        let (to, way, request) = match recognise(message) {
            Some(Gen::Call { from, tag, request }) => (from, Way::Rex(tag), request),
            Some(Gen::Cast { request }) => (self.processes.rpc(), Way::Nowhere, request),
            None => return,
        };
        let Ok(execute) = rex_request(&request) else {
            return;
        };
        if self.serving.calls.len() >= self.config.limits.calls {
            // The caller's own timeout tells it.
            return;
        }
        let call = Call {
            connection,
            to,
            way,
            module: execute.module,
            function: execute.function,
            arguments: execute.arguments,
        };
        self.serve(now, call);
    }

    /// A message to `net_kernel`: `{is_auth, Node}` is what a ping asks.
    pub(super) fn message_to_net_kernel(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: &TermBytes,
    ) {
        let Some(Gen::Call { from, tag, request }) = recognise(message) else {
            return;
        };
        let mut reader = Reader::new(bare(&request), &[]);
        let ping = reader.tuple() == Ok(2) && reader.atom().as_deref() == Ok("is_auth");
        let reply = if ping {
            atom("yes")
        } else {
            term(|out| {
                write::tuple(out, 2);
                write::atom(out, "error");
                write::atom(out, "notsup");
            })
        };
        let own = self
            .whereis("net_kernel")
            .unwrap_or_else(|| self.processes.rpc());
        let control = self.reply_control(connection, own, &from, &tag, bare(&reply));
        let _ = self.put(now, connection, &control);
    }

    fn serve(&mut self, now: Instant, call: Call) {
        self.serving.next += 1;
        let id = CallId(self.serving.next);
        if let Way::Spawn { process, .. } = &call.way {
            self.serving.pids.insert(process.id, id);
        }
        let here = self.answer_here(&call);
        let event = Event::Call {
            id,
            node: call.to.node.clone(),
            module: call.module.clone(),
            function: call.function.clone(),
            arguments: call.arguments.clone(),
        };
        self.serving.calls.insert(id, call);
        match here {
            Some(value) => self.answer(now, id, Answer::Value(value)),
            None => self.outputs.push_back(Output::Event(event)),
        }
    }

    /// What the node itself knows.
    fn answer_here(&self, call: &Call) -> Option<TermBytes> {
        if call.module != "erlang" {
            return None;
        }
        let mut arguments = Reader::new(bare(&call.arguments), &[]);
        let count = arguments.list().ok()?;
        match (call.function.as_str(), count) {
            ("node", 0) => Some(atom(self.ours.name.as_str())),
            ("nodes", 0) => Some(names(self.nodes().iter().map(|name| name.as_str()))),
            ("registered", 0) => Some(names(self.registered())),
            ("whereis", 1) => {
                let name = arguments.atom().ok()?;
                let pid = match self.whereis(&name) {
                    None if name == "self" => self.pid(&super::Process::Own),
                    other => other,
                };
                Some(pid.map_or_else(|| atom("undefined"), |pid| pid.to_term()))
            }
            ("self", 0) => self.pid(&super::Process::Own).map(|pid| pid.to_term()),
            _ => None,
        }
    }
}

/// A function to run.
struct Execute {
    result: Option<TermBytes>,
    module: String,
    function: String,
    arguments: TermBytes,
}

/// `[Result, M, F, A]` of `erpc:execute_call`, or `[M, F, A]` of `execute_cast`.
fn execute(arguments: &TermBytes, with_result: bool) -> Result<Execute, BadTerm> {
    let mut reader = Reader::new(bare(arguments), &[]);
    if reader.list()? != if with_result { 4 } else { 3 } {
        return Err(BadTerm::Kind("the arguments of erpc"));
    }
    let mut scanner = Scanner::default();
    let result = if with_result {
        Some(standing(reader.any(&mut scanner)?))
    } else {
        None
    };
    Ok(Execute {
        result,
        module: reader.atom()?.into_owned(),
        function: reader.atom()?.into_owned(),
        arguments: standing(reader.any(&mut scanner)?),
    })
}

/// `{call | block_call | cast | block_cast, M, F, A, GroupLeader}`.
fn rex_request(request: &TermBytes) -> Result<Execute, BadTerm> {
    let mut reader = Reader::new(bare(request), &[]);
    let kind = BadTerm::Kind("a request of rpc");
    if reader.tuple()? != 5 {
        return Err(kind);
    }
    match reader.atom()?.as_ref() {
        "call" | "block_call" | "cast" | "block_cast" => {}
        _ => return Err(kind),
    }
    Ok(Execute {
        result: None,
        module: reader.atom()?.into_owned(),
        function: reader.atom()?.into_owned(),
        arguments: standing(reader.any(&mut Scanner::default())?),
    })
}

fn standing(bytes: &[u8]) -> TermBytes {
    term(|out| out.extend_from_slice(bytes))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> TermBytes {
    let names: Vec<&str> = names.collect();
    term(|out| {
        if !names.is_empty() {
            write::list(out, names.len() as u32);
            names.iter().for_each(|name| write::atom(out, name));
        }
        write::nil(out);
    })
}

/// `{Result, return, Value}` or `{Result, error, Reason, Stack}`: what a process of `erpc` ends with.
fn execute_call_reason(call: &Call, result: &TermBytes, answer: Answer) -> TermBytes {
    term(|out| {
        let (arity, class) = match answer {
            Answer::Value(_) => (3, "return"),
            Answer::Error(_) | Answer::Undefined => (4, "error"),
        };
        write::tuple(out, arity);
        out.extend_from_slice(bare(result));
        write::atom(out, class);
        match answer {
            Answer::Value(value) => out.extend_from_slice(bare(&value)),
            Answer::Error(reason) => {
                out.extend_from_slice(bare(&reason));
                write::nil(out);
            }
            Answer::Undefined => {
                write::atom(out, "undef");
                stack(out, call);
            }
        }
    })
}

/// The value, or `{badrpc, {'EXIT', {Reason, Stack}}}`.
fn rex_reply(call: &Call, answer: Answer) -> TermBytes {
    let bad = |reason: &dyn Fn(&mut Vec<u8>)| {
        term(|out| {
            write::tuple(out, 2);
            write::atom(out, "badrpc");
            write::tuple(out, 2);
            write::atom(out, "EXIT");
            write::tuple(out, 2);
            reason(out);
        })
    };
    match answer {
        Answer::Value(value) => value,
        Answer::Error(reason) => bad(&|out| {
            out.extend_from_slice(bare(&reason));
            write::nil(out);
        }),
        Answer::Undefined => bad(&|out| {
            write::atom(out, "undef");
            stack(out, call);
        }),
    }
}

/// `[{M, F, A, []}]`.
fn stack(out: &mut Vec<u8>, call: &Call) {
    write::list(out, 1);
    write::tuple(out, 4);
    write::atom(out, &call.module);
    write::atom(out, &call.function);
    out.extend_from_slice(bare(&call.arguments));
    write::nil(out);
    write::nil(out);
}
