//! `erlang`: terms are read and checked here, the node acts behind the effects.

use std::sync::Arc;
use std::time::Duration;

use switchhook_bindings::switchhook::script::erlang::{Host, Process, RpcFailure};
use switchhook_term::{Atom, Kind, Limits, Pid, Reference, Tape, VERSION, View, write};
use wasmtime::Result;

use super::Answered;
use crate::context::Context;
use crate::erlang::{Call, CallFailure, ErlangNode, ReplyTo, SELF, To};
use crate::event::Route;
use crate::refusal::{Refusal, invalid, not_here};

impl Host for Context {
    fn reply(&mut self, message: Vec<u8>) -> Answered<()> {
        self.enter(message.len())?;
        Ok(self.answer(&message))
    }

    fn send(&mut self, to: Vec<u8>, message: Vec<u8>) -> Answered<()> {
        self.enter(to.len() + message.len())?;
        Ok(self
            .with_node(|node, process| node.send(process, &To::Pid(pid(&to)?), &bare(&message)?)))
    }

    fn reg_send(&mut self, name: String, node: String, message: Vec<u8>) -> Answered<()> {
        self.enter(name.len() + node.len() + message.len())?;
        let to = registered(&name, &node);
        Ok(self.with_node(|node, process| node.send(process, &to?, &bare(&message)?)))
    }

    async fn rpc(
        &mut self,
        node: String,
        module: String,
        function: String,
        args: Vec<u8>,
        timeout: u32,
    ) -> Result<Result<Vec<u8>, RpcFailure>> {
        self.enter(node.len() + module.len() + function.len() + args.len())?;
        let called = self.with_node(|erlang, process| {
            Ok(erlang.call(Call {
                process: process.to_owned(),
                node: at(&node)?,
                module: atom(&module)?,
                function: atom(&function)?,
                args: arguments(&args)?,
                timeout: (timeout > 0).then(|| Duration::from_millis(timeout.into())),
            }))
        });
        let result = match called {
            Ok(called) => called.await.map_err(failure),
            Err(refusal) => Err(RpcFailure::Refused(refusal)),
        };
        self.copy(match &result {
            Ok(term) | Err(RpcFailure::Raised(term)) => term.len(),
            Err(_) => 0,
        })?;
        Ok(result)
    }

    fn self_(&mut self) -> Answered<Vec<u8>> {
        self.enter(0)?;
        let pid = self.with_node(|node, process| {
            let found = node.pid(process).or_else(|| node.pid(SELF));
            found.ok_or_else(|| invalid("erlang.self: the node has no process of that name"))
        });
        self.given(pid.map(|pid| one(|out| write::pid(out, &pid))))
    }

    fn whereis(&mut self, name: String) -> Answered<Option<Vec<u8>>> {
        self.enter(name.len())?;
        let found = self.with_node(|node, _| Ok(node.pid(&name)));
        let found = found.map(|pid| pid.map(|pid| one(|out| write::pid(out, &pid))));
        self.copy(found.iter().flatten().map(Vec::len).sum())?;
        Ok(found)
    }

    fn make_ref(&mut self) -> Answered<Vec<u8>> {
        self.enter(0)?;
        let made = self.with_node(|node, _| Ok(node.reference()));
        self.given(made.map(|reference| one(|out| write::reference(out, &reference))))
    }

    fn node_of(&mut self, identity: Vec<u8>) -> Answered<String> {
        self.enter(identity.len())?;
        let found = self.with_node(|node, _| {
            read(&identity, "a pid, port or reference", |view| {
                match view.kind() {
                    Kind::Pid => view.pid().map(|pid| pid.node),
                    Kind::Port => view.port().map(|port| port.node),
                    Kind::Reference => view.reference().map(|reference| reference.node),
                    _ => view.is_nil().then(|| node.name()),
                }
            })
        });
        let found = found.map(|node| node.as_str().to_owned());
        self.copy(found.as_ref().map_or(0, String::len))?;
        Ok(found)
    }

    fn nodes(&mut self) -> Answered<Vec<String>> {
        self.enter(0)?;
        let nodes = self.with_node(|node, _| Ok(node.nodes()));
        let nodes = nodes.map(|nodes| {
            nodes
                .iter()
                .map(|node| node.as_str().to_owned())
                .collect::<Vec<_>>()
        });
        let length = |node: &String| node.len() + size_of::<String>();
        self.copy(nodes.iter().flatten().map(length).sum())?;
        Ok(nodes)
    }

    async fn connect(&mut self, node: String) -> Answered<()> {
        self.enter(node.len())?;
        let connected = self.with_node(|erlang, _| Ok(erlang.connect(atom(&node)?)));
        Ok(match connected {
            Ok(connected) => connected.await,
            Err(refusal) => Err(refusal),
        })
    }

    fn disconnect(&mut self, node: String) -> Answered<bool> {
        self.enter(node.len())?;
        Ok(self.with_node(|erlang, _| Ok(erlang.disconnect(&atom(&node)?))))
    }

    fn link(&mut self, to: Vec<u8>) -> Answered<()> {
        self.enter(to.len())?;
        Ok(self.with_node(|node, process| node.link(process, &pid(&to)?)))
    }

    fn unlink(&mut self, to: Vec<u8>) -> Answered<()> {
        self.enter(to.len())?;
        Ok(self.with_node(|node, process| node.unlink(process, &pid(&to)?)))
    }

    fn monitor(&mut self, process: Process) -> Answered<Vec<u8>> {
        let (to, length) = match &process {
            Process::Pid(term) => (pid(term).map(To::Pid), term.len()),
            Process::Registered((name, node)) => (registered(name, node), name.len() + node.len()),
        };
        self.enter(length)?;
        let made = self.with_node(|node, process| node.monitor(process, &to?));
        self.given(made.map(|reference| one(|out| write::reference(out, &reference))))
    }

    fn demonitor(&mut self, reference: Vec<u8>) -> Answered<bool> {
        self.enter(reference.len())?;
        Ok(self.with_node(|node, process| {
            let found: Reference = read(&reference, "a reference", |view| view.reference())?;
            node.demonitor(process, &found)
        }))
    }

    fn exit(&mut self, to: Vec<u8>, reason: Vec<u8>) -> Answered<()> {
        self.enter(to.len() + reason.len())?;
        Ok(self.with_node(|node, process| node.exit(process, &pid(&to)?, &bare(&reason)?)))
    }
}

impl Context {
    /// Runs something on the node, in the name of this event's process.
    fn with_node<T>(
        &mut self,
        act: impl FnOnce(&dyn ErlangNode, &str) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let node: Arc<dyn ErlangNode> = self.effects().erlang()?;
        let process = match self.try_event().map(|event| &event.route) {
            Some(Route::ErlangMessage { name, .. }) => Arc::clone(name),
            _ => SELF.into(),
        };
        act(&*node, &process)
    }

    /// Counts a term that goes to the guest.
    fn given(&mut self, term: Result<Vec<u8>, Refusal>) -> Answered<Vec<u8>> {
        self.copy(term.as_ref().map_or(0, Vec::len))?;
        Ok(term)
    }

    fn answer(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let message = bare(message)?;
        let node = self.effects().erlang()?;
        let event = self.event("erlang.reply")?;
        let here = event.here();
        let Route::ErlangMessage { name, message: to } = &mut event.route else {
            return Err(not_here("erlang.reply", here, "erlang routes"));
        };
        let nobody = || {
            not_here(
                "erlang.reply",
                "a message that nobody waits for",
                "calls and messages with a sender",
            )
        };
        match to.reply_to.as_ref().ok_or_else(nobody)? {
            ReplyTo::Sender(pid) => node.send(name, &To::Pid(pid.clone()), &message),
            ReplyTo::Call { to: caller, tag } => {
                let mut reply = Vec::with_capacity(tag.len() + message.len() + 2);
                write::tuple(&mut reply, 2);
                reply.extend_from_slice(tag);
                reply.extend_from_slice(&message);
                node.send(name, caller, &reply)?;
                to.reply_to = None;
                Ok(())
            }
        }
    }
}

fn failure(failure: CallFailure) -> RpcFailure {
    match failure {
        CallFailure::NoConnection => RpcFailure::NoConnection,
        CallFailure::Timeout => RpcFailure::Timeout,
        CallFailure::Raised(reason) => RpcFailure::Raised(reason),
        CallFailure::Refused(refusal) => RpcFailure::Refused(refusal),
    }
}

/// A term with its version byte.
fn one(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut term = vec![VERSION];
    put(&mut term);
    term
}

/// Reads a guest's term.
fn read<T>(
    term: &[u8],
    expected: &str,
    get: impl FnOnce(View<'_>) -> Option<T>,
) -> Result<T, Refusal> {
    let mut tape = Tape::new();
    let view = tape
        .decode(term, &Limits::default())
        .map_err(|error| invalid(format!("erlang: no term: {error}")))?;
    get(view).ok_or_else(|| invalid(format!("erlang: expected {expected}, got {view:?}")))
}

fn pid(term: &[u8]) -> Result<Pid, Refusal> {
    read(term, "a pid", |view| view.pid())
}

/// A guest's term without its version byte, such that no peer refuses it: with a map's key twice OTP would close the link.
fn bare(term: &[u8]) -> Result<Vec<u8>, Refusal> {
    checked(term, |_| true)
}

/// The same for the list of arguments.
fn arguments(term: &[u8]) -> Result<Vec<u8>, Refusal> {
    let is_list = |view: View<'_>| {
        view.string().is_some() || view.list().is_some_and(|(_, tail)| tail.is_nil())
    };
    checked(term, is_list)
}

fn checked(term: &[u8], is_right: impl FnOnce(View<'_>) -> bool) -> Result<Vec<u8>, Refusal> {
    let mut tape = Tape::new();
    let limits = Limits::default();
    let malformed = |error| invalid(format!("erlang: no term: {error}"));
    tape.check(term, &limits).map_err(malformed)?;
    let mut bare = Vec::with_capacity(term.len());
    let view = tape.decode(term, &limits).map_err(malformed)?;
    if !is_right(view) {
        return Err(invalid(format!(
            "erlang: expected the list of arguments, got {view:?}"
        )));
    }
    view.copy_to(&mut bare);
    Ok(bare)
}

fn atom(text: &str) -> Result<Atom, Refusal> {
    Atom::new(text).map_err(|error| invalid(format!("erlang: {error}")))
}

/// A node's name; the empty one means the active node.
fn at(node: &str) -> Result<Option<Atom>, Refusal> {
    (!node.is_empty()).then(|| atom(node)).transpose()
}

fn registered(name: &str, node: &str) -> Result<To, Refusal> {
    Ok(To::Registered {
        name: atom(name)?,
        node: at(node)?,
    })
}
