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
use super::names::BranchId;
use super::server::Server;
use super::slots::SlotId;
use super::timers::{Backoff, Time};
use super::wheel::TimerId;
use crate::flow::{Destination, Source};
use crate::message::Message;

/// A server transaction.
#[derive(Debug)]
pub(super) struct Cell<X> {
    /// The caller's, until it takes it back.
    pub(super) data: Option<X>,
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
    /// When the caller has had long enough to decide what it is asked.
    pub(super) patience: Option<Time>,
    /// The next copy of a 2xx to INVITE that the caller gave itself, until its ACK comes (s.13.3.1.4).
    pub(super) own_success: Option<Backoff>,
    /// Every branch ever started, each address of a target one; those that have ended are stale.
    pub(super) branches: SmallVec<[SlotId; 2]>,
    /// Targets ever started: the caller counts these.
    pub(super) targets: usize,
    /// Targets of which an address has failed and the caller is asked for the next one. They count as open.
    pub(super) moving: Vec<Moving>,
    /// Branches whose client transaction is not over.
    pub(super) live: usize,
    /// Targets of which the context does not know yet how they end.
    pub(super) open: usize,
    /// Responses that wait for a verdict.
    pub(super) held: SmallVec<[SlotId; 1]>,
    pub(super) context: Context,
    /// The caller sent CANCEL (or is gone): no new branch may start.
    pub(super) cancelled: bool,
    pub(super) arms: Arms,
    /// How branches ended so far.
    pub(super) finals: Vec<Final>,
    /// Groups to be tried when those before have failed.
    pub(super) queue: VecDeque<Vec<Branch>>,
}

/// A target between two of its addresses.
#[derive(Debug)]
pub(super) struct Moving {
    /// The branch that failed.
    pub(super) failed: BranchId,
    pub(super) target: usize,
    /// When the target's time is over.
    pub(super) answer: Option<Time>,
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
        self.moving = Vec::new();
    }

    /// Whether it goes on only when the caller says how.
    pub(super) fn waits_for_caller(&self) -> bool {
        let asked = matches!(self.context, Context::Deciding | Context::Failing);
        self.server.is_pending() && (asked || !self.held.is_empty() || !self.moving.is_empty())
    }

    /// When time next matters to it.
    pub(super) fn deadline(&self) -> Option<Time> {
        let repeat = self.own_success.map(|repeat| repeat.at);
        [self.server.deadline(), self.patience, repeat]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether nothing can happen any more.
    pub(super) fn is_over(&self) -> bool {
        self.server.is_terminated() && self.live == 0
    }
}
