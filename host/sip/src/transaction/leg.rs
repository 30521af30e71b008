//! One branch: a client transaction, the request it sent, and its CANCEL. RFC 3261 s.9.1, s.16.6 steps 10 and 11, s.16.8.
//!
//! Owns the branch's timers, Timer C among them. Keeps the bytes of the request until the final response, then those of the ACK while
//! copies of the response are acknowledged.

use bytes::Bytes;

use super::client::{Act, Client};
use super::io::Branch;
use super::non_invite_client::NonInviteClient;
use super::slots::SlotId;
use super::timers::{Time, Timers};
use super::wheel::TimerId;
use crate::flow::Destination;

/// A branch.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) cell: SlotId,
    /// Its place among the branches of the cell.
    pub(super) place: usize,
    /// The target's number in the cell.
    pub(super) target: usize,
    /// Further addresses that the target has.
    pub(super) spare: usize,
    /// Its number in the table.
    pub(super) serial: u64,
    pub(super) client: Client,
    pub(super) destination: Destination,
    /// The request; after a failure response the ACK; else nothing.
    pub(super) bytes: Bytes,
    pub(super) progress: Progress,
    pub(super) cancel: Cancel,
    /// When to give it up: what is left of Timer C and the caller's own waits.
    pub(super) give_up: Option<Time>,
    /// When the target's wait for a final response is over, which ringing does not prolong.
    pub(super) answer: Option<Time>,
    pub(super) timer: Option<(Time, TimerId)>,
    /// The 2xx to INVITE that the caller let go, as far as they are remembered.
    passed: Vec<Passed>,
}

/// A 2xx to INVITE that the caller let go: its copies are no news.
#[derive(Debug)]
struct Passed {
    /// Of its To tag: another tag is another callee's answer (RFC 3261 s.13.2.2.4).
    tag: u64,
    /// As it went upstream; nothing where it went as it came.
    bytes: Bytes,
}

/// So many callees of one branch are remembered; the copies of others are asked about.
const REMEMBERED: usize = 4;

/// Where a branch belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) cell: SlotId,
    pub(super) place: usize,
    pub(super) target: usize,
}

/// What the response context knows of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It may still answer.
    Open,
    /// Its final response waits for the caller's verdict.
    Asked,
    /// Its end is known.
    Settled,
}

/// How far the cancelling of a branch is.
#[derive(Debug)]
pub(super) enum Cancel {
    /// Nobody wants it.
    No,
    /// It has to wait for a provisional response (s.9.1).
    Wanted,
    /// The CANCEL is out.
    Sent(Box<Sent>),
}

/// A CANCEL that is out.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) client: NonInviteClient,
    pub(super) bytes: Bytes,
    /// When to take the INVITE for cancelled though no final response has come.
    pub(super) until: Time,
}

impl Leg {
    /// A branch whose request is about to be sent. `answer` is when the time of its target is over, where an address was tried before.
    pub(super) fn new(
        at: Place,
        branch: Branch,
        answer: Option<Time>,
        invite: bool,
        now: Time,
        timers: &Timers,
    ) -> Leg {
        let reliable = branch.destination.transport.is_reliable();
        let spare = branch.spare;
        let own = branch.wait.answer.map(|span| now + span);
        let shared = (!invite && spare > 0).then(|| now + timers.f);
        let answer = answer.or_else(|| [own, shared].into_iter().flatten().min());
        let first = branch.wait.first.map(|span| now + span);
        let share = answer
            .filter(|_| !invite && spare > 0)
            .map(|end| share(now, end, spare));
        let c = invite.then(|| now + timers.c);
        let Place {
            cell,
            place,
            target,
        } = at;
        Leg {
            cell,
            place,
            target,
            spare,
            serial: branch.id.serial(),
            client: Client::new(invite, now, reliable, timers),
            destination: branch.destination,
            bytes: branch.bytes,
            progress: Progress::Open,
            cancel: Cancel::No,
            give_up: [first, share, answer, c].into_iter().flatten().min(),
            answer,
            timer: None,
            passed: Vec::new(),
        }
    }

    /// A 2xx to INVITE with that To tag goes upstream so; as it came where there are no bytes.
    pub(super) fn remember(&mut self, tag: u64, bytes: Bytes) {
        if self.passed.len() < REMEMBERED {
            self.passed.push(Passed { tag, bytes });
        }
    }

    /// How the 2xx with that To tag went upstream, if the caller let one go.
    pub(super) fn remembered(&self, tag: u64) -> Option<Bytes> {
        let known = self.passed.iter().find(|passed| passed.tag == tag)?;
        Some(known.bytes.clone())
    }

    /// Whether its transport needs no retransmissions.
    pub(super) fn reliable(&self) -> bool {
        self.destination.transport.is_reliable()
    }

    /// A provisional response has come. 101 to 199 start Timer C again (s.16.7 step 2); 100 only ends the wait for any response.
    pub(super) fn heard(&mut self, status: u16, was_silent: bool, now: Time, timers: &Timers) {
        if !matches!(self.client, Client::Invite(_)) {
            if was_silent {
                self.give_up = self.answer;
            }
        } else if was_silent || status > 100 {
            let c = now + timers.c;
            self.give_up = Some(self.answer.map_or(c, |answer| answer.min(c)));
        }
    }

    /// When time next matters to it.
    pub(super) fn deadline(&self) -> Option<Time> {
        let give_up = self.give_up.filter(|_| self.progress == Progress::Open);
        let cancel = match &self.cancel {
            Cancel::Sent(sent) => {
                let until = Some(sent.until).filter(|_| self.client.is_pending());
                [sent.client.deadline(), until].into_iter().flatten().min()
            }
            Cancel::No | Cancel::Wanted => None,
        };
        [self.client.deadline(), give_up, cancel]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether nothing can happen any more.
    pub(super) fn is_over(&self) -> bool {
        let cancelling = match &self.cancel {
            Cancel::Sent(sent) => sent.client != NonInviteClient::Terminated,
            Cancel::No | Cancel::Wanted => false,
        };
        self.client.is_terminated() && !cancelling
    }

    /// A response to its CANCEL has come.
    pub(super) fn cancel_response(&mut self, status: u16) {
        if let Cancel::Sent(sent) = &mut self.cancel {
            let (client, _) = sent.client.response(status);
            sent.client = client;
            if client == NonInviteClient::Terminated {
                sent.bytes = Bytes::new();
            }
        }
    }

    /// Time has come to `now` for its CANCEL: gives what to send again.
    pub(super) fn cancel_timer(&mut self, now: Time, timers: &Timers) -> Option<Bytes> {
        let Cancel::Sent(sent) = &mut self.cancel else {
            return None;
        };
        let (client, act) = sent.client.timer(now, timers);
        sent.client = client;
        (act == Act::Send).then(|| sent.bytes.clone())
    }

    /// Its CANCEL could not be sent.
    pub(super) fn cancel_failed(&mut self) {
        if let Cancel::Sent(sent) = &mut self.cancel {
            let (client, _) = sent.client.transport_error();
            sent.client = client;
        }
    }
}

/// When an address that has said nothing has used up its part of the time until `end`, with so many others to come.
fn share(now: Time, end: Time, spare: usize) -> Time {
    let parts = u64::try_from(spare).unwrap_or(u64::MAX).saturating_add(1);
    Time(now.0.saturating_add(end.0.saturating_sub(now.0) / parts))
}
