//! Processes of other nodes: messages, links, monitors, exits.

use super::{Pid, Reference, Term, identity, reference, to_bytes};
use crate::error::{Error, Result};
use crate::host::erlang;

/// A process to watch.
#[derive(Debug, Clone, Copy)]
pub enum Process<'a> {
    /// By its pid.
    Pid(&'a Pid),
    /// By its name on a node; the empty node means the active one.
    Registered(&'a str, &'a str),
}

fn bytes(term: impl Into<Term>) -> Vec<u8> {
    to_bytes(&term.into())
}

/// Sends a message to a pid; `erl_send`. Done when it is queued; refused where its node is not connected or reads too slowly.
pub fn send(to: &Pid, message: impl Into<Term>) -> Result<()> {
    erlang::send(&bytes(to.clone()), &bytes(message)).map_err(Error::host)
}

/// Sends a message to a registered process; `erl_reg_send`. The empty node means the active one.
pub fn reg_send(name: &str, node: &str, message: impl Into<Term>) -> Result<()> {
    erlang::reg_send(name, node, &bytes(message)).map_err(Error::host)
}

/// Links the process of this event to a pid.
pub fn link(to: &Pid) -> Result<()> {
    erlang::link(&bytes(to.clone())).map_err(Error::host)
}

/// Takes a link back.
pub fn unlink(to: &Pid) -> Result<()> {
    erlang::unlink(&bytes(to.clone())).map_err(Error::host)
}

/// Watches a process, and gives the reference that the `down` event will carry.
pub fn monitor(process: Process<'_>) -> Result<Reference> {
    let process = match process {
        Process::Pid(pid) => erlang::Process::Pid(bytes(pid.clone())),
        Process::Registered(name, node) => {
            erlang::Process::Registered((name.to_owned(), node.to_owned()))
        }
    };
    identity(&erlang::monitor(&process).map_err(Error::host)?, reference)
}

/// Takes a monitor back; tells whether there was one.
pub fn demonitor(reference: &Reference) -> Result<bool> {
    erlang::demonitor(&bytes(reference.clone())).map_err(Error::host)
}

/// Sends an exit signal to a pid; `exit/2`.
pub fn exit(to: &Pid, reason: impl Into<Term>) -> Result<()> {
    erlang::exit(&bytes(to.clone()), &bytes(reason)).map_err(Error::host)
}
