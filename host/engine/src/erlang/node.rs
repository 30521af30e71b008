//! The node as scripts act through it. Nothing here blocks: it is called on lanes.

use std::time::Duration;

use switchhook_erlang::node::{Process, RequestFault, SendFault};
use switchhook_erlang::{NodeName, TermBytes, Who};
use switchhook_net::erlang::{Handle, Snapshot};
use switchhook_script::erlang::{Call, CallFailure, Called, Connected, ErlangNode, SELF, To};
use switchhook_script::{ErrorCode, Refusal};
use switchhook_term::{Atom, Pid, Reference};

use super::identity::{atom, from_pid, from_reference, node_name, to_pid, to_reference};

/// The nodes of a site, as one: what goes to a node goes by the first of ours that is connected to it.
pub struct Face {
    first: Handle,
    others: Vec<Handle>,
    timeout: Duration,
}

impl Face {
    /// `timeout` is for calls that give none.
    pub fn new(first: Handle, others: Vec<Handle>, timeout: Duration) -> Self {
        Self {
            first,
            others,
            timeout,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Handle> {
        [&self.first].into_iter().chain(&self.others)
    }

    /// The one of ours by which a node is reached.
    fn by(&self, node: &NodeName) -> &Handle {
        let reaches = |snapshot: &Snapshot| {
            snapshot.name == *node || snapshot.nodes.iter().any(|(name, _)| name == node)
        };
        let found = self.all().find(|handle| reaches(&handle.snapshot()));
        found.unwrap_or(&self.first)
    }

    /// A node that was named, or the active one.
    fn node(&self, node: Option<&Atom>) -> Result<NodeName, Refusal> {
        match node {
            Some(name) => node_name(name).ok_or_else(|| {
                refusal(
                    ErrorCode::Invalid,
                    format!("`{}` is no node's name", name.as_str()),
                )
            }),
            None => {
                let active = self
                    .all()
                    .find_map(|handle| handle.snapshot().active.clone());
                active.ok_or_else(|| refusal(ErrorCode::Unavailable, "no Erlang node is connected"))
            }
        }
    }

    fn target(&self, to: &To) -> Result<(NodeName, Who), Refusal> {
        match to {
            To::Pid(pid) => {
                let pid = pid_of(pid)?;
                Ok((pid.node.clone(), Who::Pid(pid)))
            }
            To::Registered { name, node } => {
                let node = self.node(node.as_ref())?;
                Ok((node, Who::Name(name.as_str().to_owned())))
            }
            To::Alias(_) => Err(refusal(ErrorCode::Invalid, "an alias can't be watched")),
        }
    }
}

impl ErlangNode for Face {
    fn name(&self) -> Atom {
        atom(&self.first.snapshot().name)
    }

    fn pid(&self, process: &str) -> Option<Pid> {
        let snapshot = self.first.snapshot();
        snapshot.pids.get(&self::process(process)).map(to_pid)
    }

    fn reference(&self) -> Reference {
        to_reference(&self.first.make_ref())
    }

    fn nodes(&self) -> Vec<Atom> {
        let mut names: Vec<NodeName> = Vec::new();
        for handle in self.all() {
            let snapshot = handle.snapshot();
            let there = snapshot.nodes.iter().map(|(name, _)| name);
            for name in snapshot.active.iter().chain(there) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names.iter().map(atom).collect()
    }

    fn send(&self, process: &str, to: &To, message: &[u8]) -> Result<(), Refusal> {
        let from = self::process(process);
        let message = standing(message);
        let sent = match to {
            To::Pid(pid) => {
                let pid = pid_of(pid)?;
                self.by(&pid.node).send(&from, pid, message)
            }
            To::Registered { name, node } => {
                let node = self.node(node.as_ref())?;
                let by = self.by(&node);
                by.reg_send(&from, node, name.as_str().to_owned(), message)
            }
            To::Alias(reference) => {
                let alias = from_reference(reference).ok_or_else(bad_identity)?;
                self.by(&alias.node).alias_send(&from, alias, message)
            }
        };
        sent.map_err(refused)
    }

    fn call(&self, call: Call) -> Called {
        let node = match self.node(call.node.as_ref()) {
            Ok(node) => node,
            Err(refusal) if refusal.code == ErrorCode::Unavailable => {
                return Box::pin(async { Err(CallFailure::NoConnection) });
            }
            Err(refusal) => return Box::pin(async { Err(CallFailure::Refused(refusal)) }),
        };
        let by = self.by(&node).clone();
        let timeout = call.timeout.unwrap_or(self.timeout);
        Box::pin(async move {
            let module = call.module.as_str().to_owned();
            let function = call.function.as_str().to_owned();
            let arguments = standing(&call.args);
            let result = by.rpc(node, module, function, arguments, timeout).await;
            result.map(Vec::from).map_err(|fault| match fault {
                RequestFault::Failed(reason) => CallFailure::Raised(reason.into()),
                RequestFault::Timeout => CallFailure::Timeout,
                RequestFault::NotConnected => CallFailure::NoConnection,
                RequestFault::Busy => {
                    CallFailure::Refused(refusal(ErrorCode::Limit, fault.to_string()))
                }
            })
        })
    }

    fn connect(&self, node: Atom) -> Connected {
        let Ok(name) = self.node(Some(&node)) else {
            return Box::pin(async { Err(bad_identity()) });
        };
        let by = self.by(&name).clone();
        Box::pin(async move { by.connect(name).await.map_err(refused) })
    }

    fn disconnect(&self, node: &Atom) -> bool {
        let Some(name) = node_name(node) else {
            return false;
        };
        let by = self.by(&name);
        let there = by.snapshot().nodes.iter().any(|(node, _)| *node == name);
        there && by.disconnect(name).is_ok()
    }

    fn link(&self, process: &str, to: &Pid) -> Result<(), Refusal> {
        let to = pid_of(to)?;
        let by = self.by(&to.node);
        by.link(&self::process(process), to).map_err(refused)
    }

    fn unlink(&self, process: &str, to: &Pid) -> Result<(), Refusal> {
        let to = pid_of(to)?;
        let by = self.by(&to.node);
        by.unlink(&self::process(process), to).map_err(refused)
    }

    fn monitor(&self, process: &str, to: &To) -> Result<Reference, Refusal> {
        let (node, who) = self.target(to)?;
        let by = self.by(&node);
        let made = by.monitor(&self::process(process), node, who);
        made.map(|reference| to_reference(&reference))
            .map_err(refused)
    }

    fn demonitor(&self, _process: &str, reference: &Reference) -> Result<bool, Refusal> {
        let reference = from_reference(reference).ok_or_else(bad_identity)?;
        let name = reference.node.clone();
        let own = self.all().find(|handle| handle.snapshot().name == name);
        match own {
            Some(handle) => handle.demonitor(reference).map(|()| true).map_err(refused),
            None => Ok(false),
        }
    }

    fn exit(&self, process: &str, to: &Pid, reason: &[u8]) -> Result<(), Refusal> {
        let to = pid_of(to)?;
        let by = self.by(&to.node);
        by.exit(&self::process(process), to, standing(reason))
            .map_err(refused)
    }
}

fn process(name: &str) -> Process {
    if name == SELF {
        Process::Own
    } else {
        Process::Named(name.into())
    }
}

/// A term with its version byte.
fn standing(bare: &[u8]) -> TermBytes {
    let mut term = Vec::with_capacity(bare.len() + 1);
    term.push(switchhook_term::VERSION);
    term.extend_from_slice(bare);
    term.into()
}

fn pid_of(pid: &Pid) -> Result<switchhook_erlang::Pid, Refusal> {
    from_pid(pid).ok_or_else(bad_identity)
}

fn bad_identity() -> Refusal {
    refusal(ErrorCode::Invalid, "its node has no name@host")
}

fn refusal(code: ErrorCode, message: impl Into<String>) -> Refusal {
    Refusal {
        code,
        message: message.into(),
    }
}

fn refused(fault: SendFault) -> Refusal {
    let code = match fault {
        SendFault::NotConnected => ErrorCode::Unavailable,
        SendFault::Busy | SendFault::Full | SendFault::TooLong => ErrorCode::Limit,
        SendFault::NoProcess => ErrorCode::NotFound,
    };
    refusal(code, fault.to_string())
}
