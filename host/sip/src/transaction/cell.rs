//! One server transaction with its response context: RFC 3261 s.16.6 step 1, s.16.7.
//!
//! Owns what the branches share. Holds little once the final response is out: the request, other responses and further groups go
//! then, and what stays is what copies of the request must be answered with.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::best::Final;
use super::identity::Identity;
use super::io::{Arms, Branch};
use super::server::Server;
use super::slots::SlotId;
use super::timers::Time;
use super::wheel::TimerId;
use crate::flow::{Destination, Source};
use crate::message::Message;

/// A server transaction.
#[derive(Debug)]
pub(super) struct Cell<X> {
    /// The caller's.
    pub(super) data: X,
    pub(super) server: Server,
    pub(super) identity: Identity,
    pub(super) hash: u64,
    pub(super) merge: Option<u64>,
    /// Where answers go.
    pub(super) way: Destination,
    /// The request and where it came from, until the final response is out.
    pub(super) request: Option<(Arc<Message>, Source)>,
    /// The last response, while copies of the request are answered with it.
    pub(super) last: Bytes,
    pub(super) timer: Option<(Time, TimerId)>,
    /// Every branch ever started, by number; those that have ended are stale.
    pub(super) branches: SmallVec<[SlotId; 2]>,
    /// Branches whose client transaction is not over.
    pub(super) live: usize,
    /// Branches of which the context does not know yet how they end.
    pub(super) open: usize,
    /// Responses that wait for a verdict.
    pub(super) held: usize,
    pub(super) context: Context,
    /// The caller sent CANCEL (or is gone): no new branch may start.
    pub(super) cancelled: bool,
    pub(super) arms: Arms,
    /// How branches ended so far.
    pub(super) finals: Vec<Final>,
    /// Groups to be tried when those before have failed.
    pub(super) queue: VecDeque<Vec<Branch>>,
}

/// How far the response context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// It is the caller's to decide what to do with the request.
    Deciding,
    /// Branches are out.
    Waiting,
    /// All branches failed and the caller is asked what to do.
    Failing,
    /// The final response is out.
    Done,
}

impl<X> Cell<X> {
    /// Lets go of all that only a transaction without final response needs.
    pub(super) fn done(&mut self) {
        self.context = Context::Done;
        self.request = None;
        self.finals = Vec::new();
        self.queue = VecDeque::new();
    }

    /// Whether nothing can happen any more.
    pub(super) fn is_over(&self) -> bool {
        self.server.is_terminated() && self.live == 0
    }
}
