//! One manager with a virtual clock, and people at fixed addresses around it.
//!
//! What the manager sends is noted as `"180 -> alice"` or `"INVITE -> bob"`, with the message kept for the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_sip::flow::{Destination, FlowId, Source, Transport};
use switchhook_sip::message::{Edits, HeaderId, Message, Method, render, response};
use switchhook_sip::transaction::{
    Arms, Arrival, Best, Branch, BranchId, Config, Key, Manager, Matched, NotCreated, Output,
    Refusal, ReplyId, Wait,
};

pub(crate) const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Where somebody is.
pub(crate) fn address(name: &str) -> SocketAddr {
    let host = PEOPLE.iter().position(|person| *person == name).unwrap() + 1;
    SocketAddr::new([192, 0, 2, host as u8].into(), 5060)
}

fn name(address: SocketAddr) -> &'static str {
    PEOPLE
        .into_iter()
        .find(|person| self::address(person) == address)
        .unwrap()
}

/// A message that the manager sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: u64,
    pub(crate) to: &'static str,
    pub(crate) message: Message,
}

impl Sent {
    pub(crate) fn what(&self) -> String {
        if self.message.is_request() {
            self.message.method().to_string()
        } else {
            self.message.status().to_string()
        }
    }
}

/// A question that the manager asked.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) id: ReplyId,
    pub(crate) branch: usize,
    pub(crate) status: u16,
    pub(crate) message: Arc<Message>,
}

/// The lane.
pub(crate) struct Lane {
    pub(crate) tm: Manager<&'static str>,
    start: Instant,
    pub(crate) now: Instant,
    /// Upstream's transport, and downstream's.
    pub(crate) transport: Transport,
    pub(crate) downstream: Transport,
    /// Everything sent, ever.
    pub(crate) sent: Vec<Sent>,
    told: usize,
    pub(crate) questions: Vec<Question>,
    pub(crate) failures: Vec<(Key, Best)>,
    /// Addresses that are still to be tried, and the branches that failed and wait for one.
    pub(crate) seeking: Vec<&'static str>,
    pub(crate) asked_on: Vec<(Key, BranchId)>,
    pub(crate) ended: Vec<&'static str>,
}

impl Lane {
    pub(crate) fn new() -> Lane {
        Lane::with(Transport::Udp, Transport::Udp, Config::default())
    }

    pub(crate) fn tcp() -> Lane {
        Lane::with(Transport::Tcp, Transport::Tcp, Config::default())
    }

    pub(crate) fn with(upstream: Transport, downstream: Transport, config: Config) -> Lane {
        let start = start();
        Lane {
            tm: Manager::new(start, [1, 2, 3, 4], config),
            start,
            now: start,
            transport: upstream,
            downstream,
            sent: Vec::new(),
            told: 0,
            questions: Vec::new(),
            failures: Vec::new(),
            seeking: Vec::new(),
            asked_on: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub(crate) fn source(&self, who: &str) -> Source {
        Source {
            transport: self.transport,
            remote: address(who),
            local: "192.0.2.100:5060".parse().unwrap(),
            flow: FlowId::new(1),
        }
    }

    /// Alice's request comes.
    pub(crate) fn receives(&mut self, request: &Message) -> Arrival {
        let source = self.source("alice");
        let arrival = self.tm.on_request(self.now, request, &source).unwrap();
        self.drain();
        arrival
    }

    /// Alice's request comes, is new, and gets a transaction.
    pub(crate) fn takes(&mut self, request: &Message) -> Key {
        assert_eq!(self.receives(request), Arrival::New { merged: None });
        let key = self.create(request).unwrap();
        self.drain();
        key
    }

    pub(crate) fn create(&mut self, request: &Message) -> Result<Key, NotCreated<&'static str>> {
        let source = self.source("alice");
        self.tm
            .create(self.now, Arc::new(request.clone()), &source, "data")
    }

    /// The request as it goes to each of them.
    pub(crate) fn branches(&mut self, request: &Message, to: &[&str]) -> Vec<Branch> {
        to.iter()
            .map(|who| self.branch(request, who, Wait::default()))
            .collect()
    }

    pub(crate) fn branch(&mut self, request: &Message, who: &str, wait: Wait) -> Branch {
        let id = self.tm.next_branch();
        let mut edits = Edits::default();
        edits
            .set_request_uri(request, format!("sip:{who}@{}", address(who)).as_bytes())
            .unwrap();
        let transport = self.downstream.as_str();
        let via = format!("SIP/2.0/{transport} 192.0.2.100;branch={id}.loop");
        edits
            .prepend_value(request, HeaderId::Via, via.as_bytes())
            .unwrap();
        let mut bytes = Vec::new();
        render(request, &edits, &mut bytes);
        Branch {
            id,
            bytes: bytes.into(),
            destination: Destination {
                transport: self.downstream,
                remote: address(who),
                local: None,
                flow: None,
            },
            wait,
            spare: 0,
        }
    }

    /// Alice's request goes to the first of them; the others are further addresses of the same target.
    pub(crate) fn seeks(
        &mut self,
        request: &Message,
        wait: Wait,
        addresses: &[&'static str],
    ) -> Key {
        let key = self.takes(request);
        self.seeks_in(key, request, wait, addresses);
        key
    }

    /// As [`Lane::seeks`], for a transaction that is there.
    pub(crate) fn seeks_in(
        &mut self,
        key: Key,
        request: &Message,
        wait: Wait,
        addresses: &[&'static str],
    ) {
        let (first, rest) = addresses.split_first().unwrap();
        let mut branch = self.branch(request, first, wait);
        branch.spare = rest.len();
        self.seeking = rest.to_vec();
        self.tm.relay(self.now, key, [branch]).unwrap();
        self.drain();
    }

    /// The next address that the manager asked for is tried.
    pub(crate) fn moves_on(&mut self, request: &Message, wait: Wait) -> Result<(), Refusal> {
        let (key, failed) = self.asked_on.pop().unwrap();
        let who = self.seeking.remove(0);
        let mut branch = self.branch(request, who, wait);
        branch.spare = self.seeking.len();
        let moved = self.tm.retry(self.now, key, failed, branch);
        self.drain();
        moved
    }

    /// The request comes and is forwarded to them at once.
    pub(crate) fn forwards(&mut self, request: &Message, to: &[&str]) -> Key {
        let key = self.takes(request);
        let branches = self.branches(request, to);
        self.tm.relay(self.now, key, branches).unwrap();
        self.drain();
        key
    }

    /// As [`Lane::forwards`], armed.
    pub(crate) fn forwards_armed(&mut self, request: &Message, to: &[&str], arms: Arms) -> Key {
        let key = self.takes(request);
        self.tm.arm(key, arms);
        let branches = self.branches(request, to);
        self.tm.relay(self.now, key, branches).unwrap();
        self.drain();
        key
    }

    pub(crate) fn relays(
        &mut self,
        key: Key,
        request: &Message,
        to: &[&str],
    ) -> Result<(), Refusal> {
        let branches = self.branches(request, to);
        let relayed = self.tm.relay(self.now, key, branches);
        self.drain();
        relayed
    }

    pub(crate) fn queues(&mut self, key: Key, request: &Message, to: &[&str]) {
        let branches = self.branches(request, to);
        self.tm.queue(key, branches).unwrap();
    }

    /// Somebody answers the last request of that method that was sent there.
    pub(crate) fn answers(&mut self, who: &str, method: Method<'_>, status: u16) -> Matched {
        self.answers_with(who, method, status, &[])
    }

    pub(crate) fn answers_with(
        &mut self,
        who: &str,
        method: Method<'_>,
        status: u16,
        extra: &[(&str, &str)],
    ) -> Matched {
        let request = self.last(who, method);
        let mut reply = response(&request, status, "Because", Some(who));
        for (name, value) in extra {
            reply = reply.header(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let reply = Message::parse(reply.finish()).unwrap();
        let matched = self.tm.on_response(self.now, &reply);
        self.drain();
        matched
    }

    /// Somebody answers the INVITE.
    pub(crate) fn says(&mut self, who: &str, status: u16) -> Matched {
        self.answers(who, Method::Invite, status)
    }

    /// The last request of that method that was sent there.
    pub(crate) fn last(&self, who: &str, method: Method<'_>) -> Message {
        let is = |sent: &&Sent| {
            sent.to == who && sent.message.is_request() && sent.message.method() == method
        };
        self.sent.iter().rev().find(is).unwrap().message.clone()
    }

    /// The last response that alice got.
    pub(crate) fn heard(&self) -> Message {
        let is = |sent: &&Sent| sent.to == "alice" && !sent.message.is_request();
        self.sent.iter().rev().find(is).unwrap().message.clone()
    }

    /// What was sent since this was last asked: `180 -> alice`.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let new = self.sent[self.told..]
            .iter()
            .map(|sent| format!("{} -> {}", sent.what(), sent.to))
            .collect();
        self.told = self.sent.len();
        new
    }

    /// As [`Lane::told`], with the milliseconds since the start: `500 INVITE -> bob`.
    pub(crate) fn told_when(&mut self) -> Vec<String> {
        let new = self.sent[self.told..]
            .iter()
            .map(|sent| format!("{} {} -> {}", sent.at, sent.what(), sent.to))
            .collect();
        self.told = self.sent.len();
        new
    }

    /// Time goes on, from deadline to deadline.
    pub(crate) fn wait(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(at) = self.tm.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.tm.on_timer(self.now);
            self.drain();
        }
        self.now = end;
        self.tm.on_timer(self.now);
        self.drain();
    }

    /// Milliseconds since the start.
    pub(crate) fn time(&self) -> u64 {
        (self.now - self.start).as_millis() as u64
    }

    /// Time goes on until nothing is left, and nothing is.
    pub(crate) fn rests(&mut self) {
        self.drain();
        while let Some(at) = self.tm.deadline() {
            self.now = self.now.max(at);
            self.tm.on_timer(self.now);
            self.drain();
        }
        assert!(self.tm.is_idle(), "left over: {:?}", self.tm.usage());
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.tm.poll() {
            match output {
                Output::Send {
                    bytes, destination, ..
                } => self.sent.push(Sent {
                    at: (self.now - self.start).as_millis() as u64,
                    to: name(destination.remote),
                    message: Message::parse(bytes).unwrap(),
                }),
                Output::Reply {
                    branch,
                    id,
                    message,
                    ..
                } => self.questions.push(Question {
                    id,
                    branch,
                    status: message.status(),
                    message,
                }),
                Output::NextAddress { key, failed } => self.asked_on.push((key, failed)),
                Output::Failure { key, best } => self.failures.push((key, best)),
                Output::Terminated { data, .. } => self.ended.extend(data),
            }
        }
    }
}

/// A request of alice's: its method, its branch, and what else is in it.
pub(crate) fn request(method: &str, branch: &str) -> Message {
    let cseq = match method {
        "ACK" | "CANCEL" => "INVITE",
        other => other,
    };
    request_of(method, &format!("z9hG4bK-{cseq}-{branch}"), branch, "")
}

pub(crate) fn request_of(method: &str, branch: &str, call: &str, to_params: &str) -> Message {
    message(&format!(
        "{method} sip:bob@example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch={branch}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@example.test>;tag=alice\r\n\
         To: <sip:bob@example.test>{to_params}\r\n\
         Call-ID: {call}\r\n\
         CSeq: 1 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    ))
}

pub(crate) fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.to_owned())).unwrap()
}

pub(crate) fn invite() -> Message {
    request("INVITE", "1")
}

pub(crate) fn cancel() -> Message {
    request("CANCEL", "1")
}

pub(crate) fn ack() -> Message {
    request("ACK", "1")
}

/// Where virtual time starts: the only reading of a real clock.
#[allow(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
pub(crate) fn start() -> Instant {
    Instant::now()
}
