//! The Erlang node, as the site's fake one has it: terms are really encoded, checked and decoded.

use switchhook_term::{Atom, Limits, Pid, Tape, Term, decode, to_bytes};

pub(crate) use crate::bindings::switchhook::script::erlang::{Process, RpcFailure};
use crate::erlang::RpcError;
use crate::host::types::Error;
use crate::testkit::erlang::{Fake, ReplyTo, Sent, To};
use crate::testkit::message::invalid;
use crate::testkit::world::{not_here, unavailable, world};

pub(crate) fn reply(message: &[u8]) -> Result<(), Error> {
    let message = term(message)?;
    node(|node| match node.reply_to.take() {
        None => Err(not_here("a message that nobody waits for")),
        Some(ReplyTo::Call) => {
            node.replies.push(message);
            Ok(())
        }
        Some(ReplyTo::Sender(pid)) => {
            node.replies.push(message);
            node.reply_to = Some(ReplyTo::Sender(pid));
            Ok(())
        }
    })
}

pub(crate) fn send(to: &[u8], message: &[u8]) -> Result<(), Error> {
    let (to, message) = (pid(to)?, term(message)?);
    node(|node| {
        node.connected(to.node.as_str())?;
        node.send(To::Pid(to), message);
        Ok(())
    })
}

pub(crate) fn reg_send(name: &str, at: &str, message: &[u8]) -> Result<(), Error> {
    let message = term(message)?;
    node(|node| {
        let at = node.connected(at)?;
        node.send(To::Registered(name.to_owned(), at), message);
        Ok(())
    })
}

pub(crate) fn rpc(
    at: &str,
    module: &str,
    function: &str,
    args: &[u8],
    _timeout: u32,
) -> Result<Vec<u8>, RpcFailure> {
    let args = term(args).map_err(RpcFailure::Refused)?;
    let Some(args) = args.as_list() else {
        let error = invalid(format!("expected the list of arguments, got {args}"));
        return Err(RpcFailure::Refused(error));
    };
    let args: Vec<Term> = args.map(std::borrow::Cow::into_owned).collect();
    let function = node(|node| {
        if node.connected(at).is_err() {
            return Ok(None);
        }
        Ok(Some(node.function(module, function)))
    });
    match function.map_err(RpcFailure::Refused)? {
        None => Err(RpcFailure::NoConnection),
        Some(function) => {
            function(&args)
                .map(|term| to_bytes(&term))
                .map_err(|error| match error {
                    RpcError::NoConnection => RpcFailure::NoConnection,
                    RpcError::Timeout => RpcFailure::Timeout,
                    RpcError::Raised(reason) => RpcFailure::Raised(to_bytes(&reason)),
                    RpcError::Refused(message) => RpcFailure::Refused(invalid(message)),
                })
        }
    }
}

pub(crate) fn self_() -> Result<Vec<u8>, Error> {
    node(|node| Ok(bytes(node.pid(&node.process.clone()))))
}

pub(crate) fn whereis(name: &str) -> Result<Option<Vec<u8>>, Error> {
    let known = name == "self"
        || world(|world| {
            world.handlers.iter().any(|(family, handled)| {
                *family == crate::routes::Family::ErlangRoute && handled == name
            })
        });
    node(|node| Ok(known.then(|| bytes(node.pid(name)))))
}

pub(crate) fn make_ref() -> Result<Vec<u8>, Error> {
    node(|node| Ok(bytes(node.reference())))
}

pub(crate) fn node_of(identity: &[u8]) -> Result<String, Error> {
    let identity = term(identity)?;
    node(|_| match &identity {
        Term::Pid(pid) => Ok(pid.node.as_str().to_owned()),
        Term::Port(port) => Ok(port.node.as_str().to_owned()),
        Term::Reference(reference) => Ok(reference.node.as_str().to_owned()),
        term if term.is_nil() => Ok(Fake::NAME.to_owned()),
        term => Err(invalid(format!(
            "expected a pid, port or reference, got {term}"
        ))),
    })
}

pub(crate) fn nodes() -> Result<Vec<String>, Error> {
    node(|node| Ok(node.nodes.clone()))
}

pub(crate) fn connect(at: &str) -> Result<(), Error> {
    node(|node| {
        if node.reachable.iter().any(|known| known == at) && !node.nodes.iter().any(|n| n == at) {
            node.nodes.push(at.to_owned());
        }
        node.connected(at).map(drop)
    })
}

pub(crate) fn disconnect(at: &str) -> Result<bool, Error> {
    node(|node| {
        let before = node.nodes.len();
        node.nodes.retain(|known| known != at);
        Ok(node.nodes.len() < before)
    })
}

pub(crate) fn link(to: &[u8]) -> Result<(), Error> {
    let to = pid(to)?;
    node(|node| {
        node.links.push(to);
        Ok(())
    })
}

pub(crate) fn unlink(to: &[u8]) -> Result<(), Error> {
    let to = pid(to)?;
    node(|node| {
        node.links.retain(|linked| *linked != to);
        Ok(())
    })
}

pub(crate) fn monitor(process: &Process) -> Result<Vec<u8>, Error> {
    let to = match process {
        Process::Pid(term) => To::Pid(pid(term)?),
        Process::Registered((name, at)) => To::Registered(name.clone(), at.clone()),
    };
    node(|node| {
        let reference = node.reference();
        node.monitors.push((reference.clone(), to));
        Ok(bytes(reference))
    })
}

pub(crate) fn demonitor(reference: &[u8]) -> Result<bool, Error> {
    let reference = term(reference)?;
    node(|node| {
        let before = node.monitors.len();
        node.monitors
            .retain(|(made, _)| Some(made) != reference.as_reference());
        Ok(node.monitors.len() < before)
    })
}

pub(crate) fn exit(to: &[u8], reason: &[u8]) -> Result<(), Error> {
    let (to, reason) = (pid(to)?, term(reason)?);
    node(|node| {
        node.sent.push(Sent::exit(to, reason));
        Ok(())
    })
}

fn node<R>(act: impl FnOnce(&mut Fake) -> Result<R, Error>) -> Result<R, Error> {
    world(|world| act(&mut world.erlang))
}

fn term(bytes: &[u8]) -> Result<Term, Error> {
    Tape::new()
        .check(bytes, &Limits::default())
        .map_err(invalid)?;
    decode(bytes).map_err(invalid)
}

fn pid(bytes: &[u8]) -> Result<Pid, Error> {
    match term(bytes)? {
        Term::Pid(pid) => Ok(*pid),
        term => Err(invalid(format!("expected a pid, got {term}"))),
    }
}

fn bytes(term: impl Into<Term>) -> Vec<u8> {
    to_bytes(&term.into())
}

impl Fake {
    /// The node of that name, the active one for the empty name, where it is connected.
    fn connected(&self, node: &str) -> Result<String, Error> {
        let found = if node.is_empty() {
            self.nodes.first()
        } else {
            self.nodes.iter().find(|known| *known == node)
        };
        found.cloned().ok_or_else(|| match node {
            "" => unavailable("no Erlang node is connected"),
            node => unavailable(&format!("the Erlang node {node} is not connected")),
        })
    }

    fn pid(&self, process: &str) -> Pid {
        // the same number for the same name
        let id = process.bytes().fold(7u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into()) & 0x7fff
        });
        Pid {
            node: Atom::from_static(Fake::NAME),
            id,
            serial: 0,
            creation: 1,
        }
    }
}
