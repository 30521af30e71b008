//! Client transactions without a server transaction: RFC 3261 17.1.2, of requests that are sent from here.
//!
//! Owns what repeats a request until it is answered or given up, beside what its sender wants back then; what is sent and told is the
//! sender's business ([`crate::copies`], [`crate::uac`]). A request has a Call-ID of this lane, so its answer comes here; it is known by
//! its branch, which nobody can guess. INVITE has no place here.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use ahash::RandomState;
use bytes::Bytes;
use switchhook_sip::flow::Destination;
use switchhook_sip::message::Message;
use switchhook_sip::transaction::client::Act;
use switchhook_sip::transaction::timers::{Clock, Time};
use switchhook_sip::transaction::{NonInviteClient, Timers};

/// See the module's header. `T` is what the sender keeps with a request.
pub(crate) struct Clients<T> {
    /// What the branches begin with.
    prefix: &'static str,
    timers: Timers,
    clock: Clock,
    /// Makes branches that nobody guesses.
    keys: RandomState,
    next: u64,
    under_way: HashMap<u64, UnderWay<T>>,
    due: BTreeSet<(Time, u64)>,
}

struct UnderWay<T> {
    client: NonInviteClient,
    destination: Destination,
    bytes: Bytes,
    kept: T,
}

/// Whose answer a message is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered<T> {
    /// None of ours.
    Other,
    /// Of one of ours; it goes no further. It is provisional, a copy, or too late.
    Taken,
    /// The first final one: this transaction is over.
    Final(T),
}

impl<T> Clients<T> {
    pub(crate) fn new(prefix: &'static str, now: Instant, timers: Timers) -> Self {
        Clients {
            prefix,
            timers,
            clock: Clock::new(now),
            keys: RandomState::new(),
            next: 0,
            under_way: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// How long one waits where nothing else is said: Timer F.
    pub(crate) fn timer_f(&self) -> Duration {
        self.timers.f
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// The number of a further one.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The branch of that number.
    pub(crate) fn branch(&self, number: u64) -> String {
        format!(
            "{}{:016x}.{number:x}",
            self.prefix,
            self.keys.hash_one(number)
        )
    }

    /// A request has just been sent there. It is given up after the patience, or Timer F.
    pub(crate) fn sent(
        &mut self,
        now: Instant,
        number: u64,
        (destination, bytes): (Destination, Bytes),
        patience: Option<Duration>,
        kept: T,
    ) {
        let reliable = destination.transport.is_reliable();
        let now = self.clock.time(now);
        let client = match patience {
            None => NonInviteClient::new(now, reliable, &self.timers),
            Some(f) => {
                let timers = Timers {
                    f,
                    ..self.timers.clone()
                };
                NonInviteClient::new(now, reliable, &timers)
            }
        };
        self.due
            .extend(client.deadline().map(|deadline| (deadline, number)));
        let under_way = UnderWay {
            client,
            destination,
            bytes,
            kept,
        };
        self.under_way.insert(number, under_way);
    }

    /// A reply has come.
    pub(crate) fn answered(&mut self, reply: &Message) -> Answered<T> {
        let branch = reply.via().ok().and_then(|via| via.branch());
        let Some(number) = branch.and_then(|branch| self.read(branch)) else {
            return Answered::Other;
        };
        let status = reply.status();
        let Some(request) = self.under_way.get_mut(&number) else {
            return Answered::Taken;
        };
        if status < 200 {
            let before = request.client.deadline();
            (request.client, _) = request.client.response(status);
            let after = request.client.deadline();
            self.rearm(number, before, after);
            return Answered::Taken;
        }
        // Copies of the answer are known by the branch alone.
        match self.end(number) {
            Some(kept) => Answered::Final(kept),
            None => Answered::Taken,
        }
    }

    /// The request of that branch could not be sent: gives what was kept with it.
    pub(crate) fn failed(&mut self, branch: &[u8]) -> Option<T> {
        let number = self.read(branch)?;
        self.end(number)
    }

    /// When [`Clients::repeat`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (first, _) = self.due.first()?;
        Some(self.clock.instant(*first))
    }

    /// Gives what is to be sent again, and what was kept with those that are given up.
    pub(crate) fn repeat(&mut self, now: Instant) -> (Vec<(Destination, Bytes)>, Vec<T>) {
        let now = self.clock.time(now);
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        while let Some((due, number)) = self.due.first().copied()
            && due <= now
        {
            let Some(request) = self.under_way.get_mut(&number) else {
                self.due.remove(&(due, number));
                continue;
            };
            let (client, act) = request.client.timer(now, &self.timers);
            request.client = client;
            if act == Act::Send {
                again.push((request.destination, request.bytes.clone()));
            }
            let after = client.deadline();
            match client {
                NonInviteClient::Terminated => lost.extend(self.end(number)),
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

    fn end(&mut self, number: u64) -> Option<T> {
        let request = self.under_way.remove(&number)?;
        if let Some(deadline) = request.client.deadline() {
            self.due.remove(&(deadline, number));
        }
        Some(request.kept)
    }

    /// The number in a branch of ours.
    fn read(&self, branch: &[u8]) -> Option<u64> {
        let branch = std::str::from_utf8(branch).ok()?;
        let (proof, number) = branch.strip_prefix(self.prefix)?.split_once('.')?;
        let number = u64::from_str_radix(number, 16).ok()?;
        (u64::from_str_radix(proof, 16).ok()? == self.keys.hash_one(number)).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use switchhook_sip::flow::Transport;

    use super::*;

    const PREFIX: &str = "z9hG4bKtest.";

    fn sent(now: Instant, patience: Option<Duration>) -> (Clients<&'static str>, String) {
        let mut clients = Clients::new(PREFIX, now, Timers::default());
        let number = clients.number();
        let to = Destination {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5060).into(),
            local: None,
            flow: None,
        };
        let bytes = Bytes::from_static(b"request");
        clients.sent(now, number, (to, bytes), patience, "kept");
        let branch = clients.branch(number);
        (clients, branch)
    }

    fn reply(status: u16, branch: &str) -> Message {
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.9;branch={branch}\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn a_request_is_repeated_until_it_is_answered() {
        let now = Instant::now();
        let (mut clients, branch) = sent(now, None);
        let later = |millis| now + Duration::from_millis(millis);
        assert_eq!(clients.deadline(), Some(later(500)));
        assert_eq!(clients.repeat(later(500)).0.len(), 1);
        assert_eq!(clients.repeat(later(501)).0.len(), 0);
        let trying = reply(100, &branch);
        assert_eq!(clients.answered(&trying), Answered::Taken);
        assert_eq!(clients.repeat(later(1500)).0.len(), 1);
        assert_eq!(clients.repeat(later(4000)).0.len(), 0, "now every T2");
        let ok = reply(200, &branch);
        assert_eq!(clients.answered(&ok), Answered::Final("kept"));
        assert_eq!((clients.deadline(), clients.len()), (None, 0));
        assert_eq!(clients.answered(&ok), Answered::Taken);
    }

    #[test]
    fn silence_ends_it_after_timer_f_or_a_patience_of_its_own() {
        let now = Instant::now();
        for (patience, seconds) in [(None, 32), (Some(Duration::from_secs(3)), 3)] {
            let (mut clients, branch) = sent(now, patience);
            let end = now + Duration::from_secs(seconds);
            assert_eq!(clients.repeat(end - Duration::from_millis(1)).1.len(), 0);
            assert_eq!(clients.repeat(end).1, ["kept"]);
            assert_eq!((clients.deadline(), clients.len()), (None, 0));
            assert_eq!(clients.answered(&reply(503, &branch)), Answered::Taken);
        }
    }

    #[test]
    fn what_can_not_be_sent_ends_once() {
        let (mut clients, branch) = sent(Instant::now(), None);
        assert_eq!(clients.failed(branch.as_bytes()), Some("kept"));
        assert_eq!(clients.failed(branch.as_bytes()), None);
        assert_eq!(clients.deadline(), None);
    }

    #[test]
    fn replies_to_others_and_forged_branches_are_not_taken() {
        let now = Instant::now();
        let (mut clients, real) = sent(now, None);
        for branch in [
            "z9hG4bK1",
            PREFIX,
            "z9hG4bKtest.0000000000000000.1",
            &real[..real.len() - 2],
        ] {
            assert_eq!(clients.answered(&reply(200, branch)), Answered::Other);
        }
    }
}
