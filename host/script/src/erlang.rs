//! The Erlang node as scripts have it: what it must do for them, and what it brings to them.
//!
//! Owns the shapes on both sides of that boundary, no connection and no process. [`ErlangNode`] is implemented over the node
//! service and reached through [`crate::Effects`]; its functions are called on lanes: none of them blocks, what waits is a future.
//!
//! Terms that go out are *bare*, without version byte, checked (limits, no map with a key twice), so that they can be put into a
//! larger term; terms that come in for a guest have theirs (131).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use switchhook_term::{Atom, Pid, Reference};

use crate::refusal::Refusal;
pub use crate::wit::{ErlangEvent, MessageKind};

/// The process of events that are not for a process of their own.
pub const SELF: &str = "self";

/// Whom something goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A process by its pid.
    Pid(Pid),
    /// A registered process; no node means the active one.
    Registered {
        /// Its name.
        name: Atom,
        /// Its node.
        node: Option<Atom>,
    },
    /// Whoever made that alias (OTP 24), on the node of the reference.
    Alias(Reference),
}

/// A call of a function on another node.
#[derive(Debug, Clone)]
pub struct Call {
    /// Our process that calls.
    pub process: String,
    /// The node; none means the active one.
    pub node: Option<Atom>,
    /// The module.
    pub module: Atom,
    /// The function.
    pub function: Atom,
    /// The list of arguments, a bare term. Checked to be a proper list.
    pub args: Vec<u8>,
    /// How long to wait; none means the config's time.
    pub timeout: Option<Duration>,
}

/// Why a call gave no result.
#[derive(Debug, Clone)]
pub enum CallFailure {
    /// No such node is connected, or it was lost meanwhile.
    NoConnection,
    /// It did not answer in time.
    Timeout,
    /// The Reason of `{badrpc, Reason}`, with its version byte.
    Raised(Vec<u8>),
    /// Not called at all.
    Refused(Refusal),
}

/// What a call comes to: the term that the function returned, with its version byte.
pub type Called = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallFailure>> + Send>>;
/// What connecting comes to.
pub type Connected = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

/// An Erlang node, for scripts. `process` is always the name of one of our processes: an `erlang-route`'s, or [`SELF`].
///
/// Refusals are `unavailable` where a node is not connected, `limit` where it reads too slowly or a bound was reached, `not-found`
/// for a process that is none of ours.
pub trait ErlangNode: Send + Sync + 'static {
    /// Our name.
    fn name(&self) -> Atom;
    /// The pid of a process of ours; none where no loaded script has it. There is always one for [`SELF`].
    fn pid(&self, process: &str) -> Option<Pid>;
    /// A new reference.
    fn reference(&self) -> Reference;
    /// The connected nodes, the active one first.
    fn nodes(&self) -> Vec<Atom>;
    /// Queues a message.
    fn send(&self, process: &str, to: &To, message: &[u8]) -> Result<(), Refusal>;
    /// Calls a function. A future that is dropped gives up waiting.
    fn call(&self, call: Call) -> Called;
    /// Connects, or finds that it is connected.
    fn connect(&self, node: Atom) -> Connected;
    /// Ends a connection; tells whether there was one.
    fn disconnect(&self, node: &Atom) -> bool;
    /// Links a process of ours.
    fn link(&self, process: &str, to: &Pid) -> Result<(), Refusal>;
    /// Takes a link back.
    fn unlink(&self, process: &str, to: &Pid) -> Result<(), Refusal>;
    /// Watches a process; never an alias.
    fn monitor(&self, process: &str, to: &To) -> Result<Reference, Refusal>;
    /// Takes a monitor back; tells whether there was one.
    fn demonitor(&self, process: &str, reference: &Reference) -> Result<bool, Refusal>;
    /// Sends an exit signal.
    fn exit(&self, process: &str, to: &Pid, reason: &[u8]) -> Result<(), Refusal>;
}

/// Where the answer to a message goes.
#[derive(Debug, Clone)]
pub enum ReplyTo {
    /// To a `gen_server:call`: `{Tag, Reply}`, once.
    Call {
        /// The caller, or the alias of its tag.
        to: To,
        /// The tag as it came, a bare term.
        tag: Vec<u8>,
    },
    /// To the sender of a plain message.
    Sender(Pid),
}

/// A message to one of our processes.
#[derive(Debug, Clone)]
pub struct Message {
    /// How it was sent.
    pub kind: MessageKind,
    /// Who sent it, where that is known.
    pub sender: Option<Pid>,
    /// The node it came from.
    pub node: String,
    /// The message, of a call or cast what is inside, with its version byte.
    pub content: Vec<u8>,
    /// Where an answer goes. A call's is taken by the first.
    pub reply_to: Option<ReplyTo>,
}
