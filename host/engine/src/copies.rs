//! Copies of requests that were sent to other servers (`tm.replicate`): client transactions (RFC 3261 17.1.2) that nobody waits for.
//!
//! Owns what repeats them until they are answered. A copy has the request's Call-ID, so its answer comes to the same lane; it is known by
//! its branch and goes no further. At most [`MAX`] are under way on a lane; a further one is sent once and never again.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use ahash::RandomState;
use bytes::Bytes;
use switchhook_sip::flow::Destination;
use switchhook_sip::message::Message;
use switchhook_sip::transaction::client::Act;
use switchhook_sip::transaction::timers::{Clock, Time};
use switchhook_sip::transaction::{NonInviteClient, Timers};

use crate::forward::Problem;
use crate::lane::Lane;

/// The most copies under way.
const MAX: usize = 65_536;
/// What their branches begin with.
const BRANCH: &str = "z9hG4bKcopy.";

/// See the module's header.
pub(crate) struct Copies {
    timers: Timers,
    clock: Clock,
    /// Makes branches that nobody guesses.
    keys: RandomState,
    next: u64,
    under_way: HashMap<u64, UnderWay>,
    due: BTreeSet<(Time, u64)>,
}

struct UnderWay {
    client: NonInviteClient,
    destination: Destination,
    bytes: Bytes,
}

impl Lane {
    /// A copy is written, or could not be.
    pub(crate) fn send_copy(
        &mut self,
        now: Instant,
        number: u64,
        written: Option<(Destination, Bytes)>,
        problem: Option<Problem>,
    ) {
        match (written, problem) {
            (Some((destination, bytes)), _) => {
                self.counters.copies.count();
                self.copies.sent(now, number, destination, bytes.clone());
                self.send(destination, bytes);
            }
            (None, Some(problem)) => {
                tracing::warn!(%problem, "a copy of a request can't be sent");
            }
            // An onsend route dropped it.
            (None, None) => {}
        }
    }

    /// Sends again what is due.
    pub(crate) fn repeat_copies(&mut self, now: Instant) {
        let (again, lost) = self.copies.repeat(now);
        for (destination, bytes) in again {
            self.counters.copies_again.count();
            self.send(destination, bytes);
        }
        for _ in 0..lost {
            self.counters.copies_lost.count();
            tracing::warn!("a copy of a request was not answered");
        }
    }

    /// Takes a reply to a copy.
    pub(crate) fn is_of_copy(&mut self, reply: &Message) -> bool {
        match self.copies.answered(reply) {
            Answered::Other => false,
            Answered::Taken => true,
            Answered::Refused => {
                self.counters.copies_refused.count();
                tracing::warn!(status = reply.status(), "a copy of a request was refused");
                true
            }
        }
    }
}

/// What became of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// That message answers no copy of ours.
    Other,
    /// It does, or did: it goes no further.
    Taken,
    /// It is the first final answer, a refusal.
    Refused,
}

impl Copies {
    pub(crate) fn new(now: Instant, timers: Timers) -> Copies {
        Copies {
            timers,
            clock: Clock::new(now),
            keys: RandomState::new(),
            next: 0,
            under_way: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// The number of a further copy.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The branch of a copy.
    pub(crate) fn branch(&self, number: u64) -> String {
        format!("{BRANCH}{:016x}.{number:x}", self.keys.hash_one(number))
    }

    /// A copy has just been sent there.
    pub(crate) fn sent(
        &mut self,
        now: Instant,
        number: u64,
        destination: Destination,
        bytes: Bytes,
    ) {
        if self.under_way.len() >= MAX {
            return;
        }
        let reliable = destination.transport.is_reliable();
        let client = NonInviteClient::new(self.clock.time(now), reliable, &self.timers);
        self.due
            .extend(client.deadline().map(|deadline| (deadline, number)));
        self.under_way.insert(
            number,
            UnderWay {
                client,
                destination,
                bytes,
            },
        );
    }

    /// A reply has come.
    pub(crate) fn answered(&mut self, reply: &Message) -> Answered {
        let branch = reply.via().ok().and_then(|via| via.branch());
        let Some(number) = branch.and_then(|branch| self.read(branch)) else {
            return Answered::Other;
        };
        let status = reply.status();
        let Some(copy) = self.under_way.get_mut(&number) else {
            return Answered::Taken;
        };
        if status < 200 {
            let before = copy.client.deadline();
            (copy.client, _) = copy.client.response(status);
            let after = copy.client.deadline();
            self.rearm(number, before, after);
            return Answered::Taken;
        }
        // Copies of the answer are known by the branch alone.
        self.end(number);
        match status {
            ..300 => Answered::Taken,
            _ => Answered::Refused,
        }
    }

    /// When [`Copies::repeat`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (first, _) = self.due.first()?;
        Some(self.clock.instant(*first))
    }

    /// Gives what is to be sent again, and how many copies were given up without an answer.
    pub(crate) fn repeat(&mut self, now: Instant) -> (Vec<(Destination, Bytes)>, usize) {
        let now = self.clock.time(now);
        let (mut again, mut lost) = (Vec::new(), 0);
        while let Some((due, number)) = self.due.first().copied()
            && due <= now
        {
            let Some(copy) = self.under_way.get_mut(&number) else {
                self.due.remove(&(due, number));
                continue;
            };
            let (client, act) = copy.client.timer(now, &self.timers);
            copy.client = client;
            match act {
                Act::Send => again.push((copy.destination, copy.bytes.clone())),
                Act::TimedOut => lost += 1,
                _ => {}
            }
            let after = client.deadline();
            match client {
                NonInviteClient::Terminated => self.end(number),
                _ => self.rearm(number, Some(due), after),
            }
            self.due.remove(&(due, number));
        }
        (again, lost)
    }

    fn rearm(&mut self, number: u64, before: Option<Time>, after: Option<Time>) {
        if before != after {
            before.map(|before| self.due.remove(&(before, number)));
            self.due.extend(after.map(|after| (after, number)));
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(copy) = self.under_way.remove(&number)
            && let Some(deadline) = copy.client.deadline()
        {
            self.due.remove(&(deadline, number));
        }
    }

    /// The number in a branch of ours.
    fn read(&self, branch: &[u8]) -> Option<u64> {
        let branch = std::str::from_utf8(branch).ok()?;
        let (proof, number) = branch.strip_prefix(BRANCH)?.split_once('.')?;
        let number = u64::from_str_radix(number, 16).ok()?;
        (u64::from_str_radix(proof, 16).ok()? == self.keys.hash_one(number)).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use switchhook_sip::flow::Transport;

    use super::*;

    fn copies(now: Instant) -> (Copies, u64) {
        let mut copies = Copies::new(now, Timers::default());
        let number = copies.number();
        let to = Destination {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5060).into(),
            local: None,
            flow: None,
        };
        copies.sent(now, number, to, Bytes::from_static(b"copy"));
        (copies, number)
    }

    fn reply(status: u16, branch: &str) -> Message {
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={branch}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn a_copy_is_repeated_until_it_is_answered() {
        let now = Instant::now();
        let (mut copies, number) = copies(now);
        let branch = copies.branch(number);
        let later = |millis| now + Duration::from_millis(millis);
        assert_eq!(copies.deadline(), Some(later(500)));
        assert_eq!(copies.repeat(later(500)).0.len(), 1);
        assert_eq!(copies.repeat(later(501)).0.len(), 0);
        let trying = reply(100, &branch);
        assert_eq!(copies.answered(&trying), Answered::Taken);
        assert_eq!(copies.repeat(later(1500)).0.len(), 1);
        assert_eq!(copies.repeat(later(4000)).0.len(), 0, "now every T2");
        let ok = reply(200, &branch);
        assert_eq!(copies.answered(&ok), Answered::Taken);
        assert_eq!(copies.deadline(), None);
        assert_eq!(copies.answered(&ok), Answered::Taken);
    }

    #[test]
    fn silence_ends_it_and_a_refusal_is_told_once() {
        let now = Instant::now();
        let (mut copies, number) = copies(now);
        let (_, lost) = copies.repeat(now + Duration::from_secs(33));
        assert_eq!((lost, copies.deadline()), (1, None));
        assert_eq!(
            copies.answered(&reply(503, &copies.branch(number))),
            Answered::Taken
        );
        let (mut copies, number) = self::copies(now);
        let refusal = reply(403, &copies.branch(number));
        assert_eq!(copies.answered(&refusal), Answered::Refused);
        assert_eq!(copies.answered(&refusal), Answered::Taken);
    }

    #[test]
    fn replies_to_others_and_forged_branches_are_not_taken() {
        let now = Instant::now();
        let (mut copies, number) = copies(now);
        let real = copies.branch(number);
        for branch in [
            "z9hG4bK1",
            "z9hG4bKcopy.",
            "z9hG4bKcopy.0000000000000000.1",
            &real[..real.len() - 2],
        ] {
            assert_eq!(copies.answered(&reply(200, branch)), Answered::Other);
        }
    }
}
