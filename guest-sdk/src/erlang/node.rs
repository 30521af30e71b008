//! Nodes, and functions that are called on them.

use std::fmt;
use std::time::Duration;

use super::{Pid, Reference, Term, given, identity, pid, reference, to_bytes};
use crate::error::{Error, Result};
use crate::host::erlang;

/// Why a function on another node gave no result.
#[derive(Debug, Clone, PartialEq)]
pub enum RpcError {
    /// No such node is connected, or it was lost before it answered.
    NoConnection,
    /// It did not answer in time; it may have done what it was asked.
    Timeout,
    /// The function raised or is not there: the Reason of `{badrpc, Reason}`.
    Raised(Term),
    /// Not called at all; what was wrong with the call.
    Refused(String),
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RpcError::NoConnection => f.write_str("the Erlang node is not connected"),
            RpcError::Timeout => f.write_str("the Erlang node did not answer in time"),
            RpcError::Raised(reason) => write!(f, "{{badrpc,{reason}}}"),
            RpcError::Refused(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for RpcError {}

/// Calls a function on a node, with the config's timeout, and gives what it returns; `erl_rpc`. The empty node means the active one.
///
/// ```no_run
/// # use switchhook_sdk::erlang::{self, list, tuple};
/// # fn main() -> Result<(), switchhook_sdk::Error> {
/// let tuple = erlang::rpc("", "erlang", "list_to_tuple", list![list!["one", "two"]])?;
/// assert_eq!(tuple, tuple!["one", "two"]);
/// # Ok(()) }
/// ```
pub fn rpc(
    node: &str,
    module: &str,
    function: &str,
    args: impl Into<Term>,
) -> Result<Term, RpcError> {
    call(node, module, function, &args.into(), 0)
}

/// The same, waiting at most so long (in whole milliseconds, one at least).
pub fn rpc_for(
    timeout: Duration,
    node: &str,
    module: &str,
    function: &str,
    args: impl Into<Term>,
) -> Result<Term, RpcError> {
    let milliseconds = u32::try_from(timeout.as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    call(node, module, function, &args.into(), milliseconds)
}

fn call(
    node: &str,
    module: &str,
    function: &str,
    args: &Term,
    milliseconds: u32,
) -> Result<Term, RpcError> {
    let term = |bytes: Vec<u8>| given(&bytes).map_err(|e| RpcError::Refused(e.into_message()));
    match erlang::rpc(node, module, function, &to_bytes(args), milliseconds) {
        Ok(bytes) => term(bytes),
        Err(erlang::RpcFailure::NoConnection) => Err(RpcError::NoConnection),
        Err(erlang::RpcFailure::Timeout) => Err(RpcError::Timeout),
        Err(erlang::RpcFailure::Raised(reason)) => Err(RpcError::Raised(term(reason)?)),
        Err(erlang::RpcFailure::Refused(error)) => Err(RpcError::Refused(error.message)),
    }
}

/// The pid of the process that this event runs as.
pub fn self_pid() -> Result<Pid> {
    identity(&erlang::self_().map_err(Error::host)?, pid)
}

/// The name of this node.
pub fn self_node() -> Result<String> {
    node_of(Term::NIL)
}

/// The pid of a process of this host: `self`, or the name of an `erlang:NAME` route.
pub fn whereis(name: &str) -> Result<Option<Pid>> {
    let found = erlang::whereis(name).map_err(Error::host)?;
    found.map(|bytes| identity(&bytes, pid)).transpose()
}

/// A reference that no other call of any node gives.
pub fn make_ref() -> Result<Reference> {
    identity(&erlang::make_ref().map_err(Error::host)?, reference)
}

/// The node of a pid, port or reference.
pub fn node_of(identity: impl Into<Term>) -> Result<String> {
    erlang::node_of(&to_bytes(&identity.into())).map_err(Error::host)
}

/// The connected nodes, the active one first.
pub fn nodes() -> Result<Vec<String>> {
    erlang::nodes().map_err(Error::host)
}

/// Connects to a node and waits until it is up.
pub fn connect(node: &str) -> Result<()> {
    erlang::connect(node).map_err(Error::host)
}

/// Ends the connection to a node; tells whether there was one.
pub fn disconnect(node: &str) -> Result<bool> {
    erlang::disconnect(node).map_err(Error::host)
}
