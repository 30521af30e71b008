//! Random schedules: callers and callees with transactions of their own, a proxy with a moody script in the middle, and a network
//! that loses, doubles and reorders. Whatever happens, each request ends exactly once at its caller, and nothing is left.
//!
//! A run is made from its seed alone; a failure names it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_sip::flow::{Destination, FlowId, Source, Transport};
use switchhook_sip::message::{Edits, HeaderId, Message, Method, render, response};
use switchhook_sip::transaction::client::{Act as ClientAct, Client};
use switchhook_sip::transaction::server::{Act as ServerAct, Server};
use switchhook_sip::transaction::timers::Time;
use switchhook_sip::transaction::{
    Arms, Arrival, Branch, Config, Key, Manager, NonInviteClient, Origin, Output, ReplyId, Timers,
    Wait,
};

use crate::lane::{message, start};

const SEEDS: u64 = 4_000;

#[test]
fn a_perfect_network() {
    run_all(0..SEEDS, Net { loss: 0, double: 0 });
}

#[test]
fn a_network_that_loses() {
    run_all(
        10_000..10_000 + SEEDS,
        Net {
            loss: 20,
            double: 0,
        },
    );
}

#[test]
fn a_network_that_loses_doubles_and_reorders() {
    run_all(
        20_000..20_000 + SEEDS,
        Net {
            loss: 15,
            double: 25,
        },
    );
}

/// Runs each seed and names the one that fails.
fn run_all(seeds: std::ops::Range<u64>, net: Net) {
    for seed in seeds {
        let run = std::panic::catch_unwind(|| World::new(seed, net).run());
        assert!(run.is_ok(), "seed {seed} failed, with {net:?}");
    }
}

/// Percentages, of datagrams.
#[derive(Clone, Copy, Debug)]
struct Net {
    loss: u64,
    double: u64,
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

enum Event {
    Arrives {
        to: SocketAddr,
        from: SocketAddr,
        bytes: Bytes,
    },
    Calls(usize),
    Cancels(usize),
    Says(usize, u16),
    Decides(Key),
    Judges(ReplyId, u16),
    FailureJudged(Key),
    Breaks(Origin),
}

struct World {
    seed: u64,
    net: Net,
    rng: Rng,
    start: Instant,
    now: u64,
    serial: u64,
    events: BTreeMap<(u64, u64), Event>,
    /// Over a reliable transport nothing overtakes: when the last message from here to there arrives.
    streams: HashMap<(SocketAddr, SocketAddr), u64>,
    upstream: Transport,
    downstream: Transport,
    timers: Timers,
    tm: Manager<u64>,
    callers: Vec<Caller>,
    uas: Vec<Uas>,
    /// Of each transaction made: its request, and whether its data has come back.
    made: HashMap<Key, (Arc<Message>, Seen)>,
    created: u64,
    ended: HashSet<u64>,
    /// Branches that have sent a provisional, or a final response.
    rung: HashSet<Vec<u8>>,
    failed: HashSet<Vec<u8>>,
}

/// What went upstream for one transaction.
#[derive(Default)]
struct Seen {
    failure: Option<u16>,
    success: bool,
}

struct Caller {
    request: Message,
    client: Option<Client>,
    cancel: Option<(NonInviteClient, Message)>,
    ack: Option<Bytes>,
    /// How it ended: the status, or 0 when nothing came.
    ends: Vec<u16>,
}

struct Uas {
    address: SocketAddr,
    branch: Vec<u8>,
    request: Message,
    server: Server,
    last: Bytes,
    /// The 2xx to INVITE, repeated until the ACK comes (s.13.3.1.4).
    success: Option<(Bytes, u64, u64, u64)>,
}

const PROXY: &str = "10.0.2.1:5060";

impl World {
    fn new(seed: u64, net: Net) -> World {
        let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x1234_5678);
        let start = start();
        let config = Config {
            max_held: rng.pick(&[1, 16]),
            ..Config::default()
        };
        World {
            seed,
            net,
            start,
            now: 0,
            serial: 0,
            events: BTreeMap::new(),
            streams: HashMap::new(),
            upstream: rng.pick(&[Transport::Udp, Transport::Udp, Transport::Tcp]),
            downstream: rng.pick(&[Transport::Udp, Transport::Udp, Transport::Tcp]),
            timers: Timers::default(),
            tm: Manager::new(start, [seed, 1, 2, 3], config),
            callers: Vec::new(),
            uas: Vec::new(),
            made: HashMap::new(),
            created: 0,
            ended: HashSet::new(),
            rung: HashSet::new(),
            failed: HashSet::new(),
            rng,
        }
    }

    fn run(mut self) {
        for caller in 0..1 + self.rng.below(4) as usize {
            let invite = self.rng.percent(70);
            self.callers.push(Caller {
                request: self.request(caller, if invite { "INVITE" } else { "MESSAGE" }),
                client: None,
                cancel: None,
                ack: None,
                ends: Vec::new(),
            });
            let at = self.rng.below(2_000);
            self.at(at, Event::Calls(caller));
            if invite && self.rng.percent(40) {
                let at = at + self.rng.below(30_000);
                self.at(at, Event::Cancels(caller));
            }
        }
        let mut steps = 0;
        while let Some(at) = self.next() {
            assert!(at >= self.now, "time goes back");
            self.now = at;
            self.step();
            self.drain();
            steps += 1;
            assert!(steps < 100_000, "it never ends");
        }
        self.check_the_end();
    }

    fn check_the_end(&self) {
        assert!(self.tm.is_idle(), "left over: {:?}", self.tm.usage());
        assert_eq!(self.ended.len() as u64, self.created, "data given back");
        for caller in &self.callers {
            let invite = caller.request.method() == Method::Invite;
            let failures = caller.ends.iter().filter(|end| !success(**end)).count();
            let ends = caller.ends.len();
            assert!(
                ends == 1 || (invite && failures == 0 && ends > 1),
                "{} of seed {} ended as {:?}",
                caller.request.method(),
                self.seed,
                caller.ends
            );
            if self.net.loss == 0 && invite {
                assert!(!caller.ends.contains(&0), "nobody told the caller");
            }
            assert!(caller.client.is_none_or(|client| client.is_terminated()));
        }
        // Where a connection may break, a CANCEL may be what breaks.
        if self.net.loss == 0 && !self.downstream.is_reliable() {
            for uas in &self.uas {
                let heard_of = self.rung.contains(&uas.branch);
                let invite = uas.request.method() == Method::Invite;
                assert!(
                    !(invite && heard_of && uas.server.is_pending()),
                    "a phone rings for ever"
                );
            }
        }
    }

    /// When anything happens next.
    fn next(&self) -> Option<u64> {
        let tm = self.tm.deadline().map(|at| self.ms(at).max(self.now));
        let event = self.events.keys().next().map(|(at, _)| *at);
        let callers = self.callers.iter().filter_map(|caller| {
            let call = caller.client.and_then(|client| client.deadline());
            let cancel = caller.cancel.as_ref();
            let cancel = cancel.and_then(|(client, _)| client.deadline());
            call.into_iter().chain(cancel).min().map(|at| at.0)
        });
        let uas = self.uas.iter().filter_map(|uas| {
            let repeat = uas.success.as_ref().map(|(_, at, _, _)| *at);
            let server = uas.server.deadline().map(|at| at.0);
            repeat.into_iter().chain(server).min()
        });
        let people = callers.chain(uas).min();
        [tm, event, people].into_iter().flatten().min()
    }

    fn step(&mut self) {
        self.tm.on_timer(self.instant());
        for caller in 0..self.callers.len() {
            self.caller_timer(caller);
        }
        for uas in 0..self.uas.len() {
            self.uas_timer(uas);
        }
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let event = entry.remove();
            self.happens(event);
            self.drain();
        }
    }

    fn happens(&mut self, event: Event) {
        let now = self.instant();
        match event {
            Event::Arrives { to, from, bytes } => {
                let message = Message::parse(bytes).unwrap();
                if to == proxy() {
                    self.proxy_hears(&message, from);
                } else if message.is_request() {
                    self.uas_hears(to, message);
                } else {
                    self.caller_hears(to, &message);
                }
            }
            Event::Calls(caller) => {
                let this = &mut self.callers[caller];
                let invite = this.request.method() == Method::Invite;
                let reliable = self.upstream.is_reliable();
                this.client = Some(Client::new(invite, Time(self.now), reliable, &self.timers));
                let bytes = this.request.bytes().clone();
                self.send(caller_address(caller), proxy(), bytes);
            }
            Event::Cancels(caller) => self.caller_cancels(caller),
            Event::Says(uas, status) => self.uas_says(uas, status),
            Event::Decides(key) => self.decide(key),
            Event::Judges(id, status) => {
                if status == 180 && self.rng.percent(20) || self.rng.percent(3) {
                    let _ = self.tm.withhold(now, id);
                } else {
                    let _ = self.tm.pass(now, id, None);
                }
            }
            Event::FailureJudged(key) => match self.rng.below(4) {
                0 => self.relay(key),
                1 => {
                    let _ = self.tm.answer(now, key, 404, "", &[]);
                }
                _ => {
                    let _ = self.tm.forward_best(now, key);
                }
            },
            Event::Breaks(origin) => self.tm.on_transport_error(now, origin),
        }
    }

    // The proxy and its script.

    fn proxy_hears(&mut self, message: &Message, from: SocketAddr) {
        let now = self.instant();
        if !message.is_request() {
            let branch = message.via().unwrap().branch().unwrap().to_vec();
            if message.cseq().unwrap().method != Method::Cancel {
                if message.status() < 200 {
                    self.rung.insert(branch);
                } else {
                    self.failed.insert(branch);
                }
            }
            self.tm.on_response(now, message);
            return;
        }
        let source = self.source(from);
        match self.tm.on_request(now, message, &source).unwrap() {
            Arrival::New { .. } => {
                let request = Arc::new(message.clone());
                let number = self.created;
                let made = self.tm.create(now, request.clone(), &source, number);
                let key = made.unwrap();
                self.created += 1;
                self.made.insert(key, (request, Seen::default()));
                let arms = Arms {
                    failure: self.rng.percent(30),
                    replies: self.rng.percent(30),
                };
                self.tm.arm(key, arms);
                if self.rng.percent(60) {
                    self.decide(key);
                } else if !self.forgets() {
                    let delay = self.rng.below(3_000);
                    self.at(self.now + delay, Event::Decides(key));
                }
            }
            Arrival::Ack { .. } => self.forward_ack(message),
            Arrival::CancelUnmatched => {
                let sent = self.tm.answer_without_state(message, &source, 481, "", &[]);
                sent.unwrap();
            }
            Arrival::Absorbed | Arrival::Cancelled(_) => {}
        }
    }

    /// A script that never comes back.
    fn forgets(&mut self) -> bool {
        self.rng.percent(3)
    }

    fn decide(&mut self, key: Key) {
        if self.rng.percent(10) {
            let status = self.rng.pick(&[200, 404, 603]);
            // A 2xx of the proxy's own to INVITE would have to be repeated by it.
            let invite = self.made[&key].0.method() == Method::Invite;
            let status = if invite && status == 200 { 403 } else { status };
            let now = self.instant();
            let _ = self.tm.answer(now, key, status, "", &[]);
        } else {
            self.relay(key);
            for _ in 0..self.rng.below(3) {
                let group = self.branches(key);
                let _ = self.tm.queue(key, group);
            }
        }
    }

    fn relay(&mut self, key: Key) {
        let branches = self.branches(key);
        let now = self.instant();
        let _ = self.tm.relay(now, key, branches);
    }

    fn branches(&mut self, key: Key) -> Vec<Branch> {
        let request = self.made[&key].0.clone();
        (0..1 + self.rng.below(3))
            .map(|_| self.branch(&request))
            .collect()
    }

    fn branch(&mut self, request: &Message) -> Branch {
        let id = self.tm.next_branch();
        let mut edits = Edits::default();
        let via = format!("SIP/2.0/{} {PROXY};branch={id}", self.downstream);
        edits
            .prepend_value(request, HeaderId::Via, via.as_bytes())
            .unwrap();
        let mut bytes = Vec::new();
        render(request, &edits, &mut bytes);
        let callee = self.rng.below(4) as u16;
        let mut wait = |percent, most| {
            let short = self.rng.percent(percent);
            short.then(|| Duration::from_millis(self.rng.below(most)))
        };
        let wait = Wait {
            first: wait(10, 5_000),
            answer: wait(30, 40_000),
        };
        Branch {
            id,
            bytes: bytes.into(),
            destination: Destination {
                transport: self.downstream,
                remote: SocketAddr::new([10, 0, 1, 1].into(), 2_000 + callee),
                local: None,
                flow: None,
            },
            wait,
        }
    }

    /// The ACK to a 2xx goes to whoever gave the To tag.
    fn forward_ack(&mut self, ack: &Message) {
        let tag = ack.to().unwrap().tag().unwrap_or_default();
        let number = std::str::from_utf8(tag).unwrap().strip_prefix('t');
        let Some(uas) = number.and_then(|number| number.parse::<usize>().ok()) else {
            return;
        };
        let mut edits = Edits::default();
        let via = format!("SIP/2.0/{} {PROXY};branch=z9hG4bK0", self.downstream);
        edits
            .prepend_value(ack, HeaderId::Via, via.as_bytes())
            .unwrap();
        let mut bytes = Vec::new();
        render(ack, &edits, &mut bytes);
        let to = self.uas[uas].address;
        self.send(proxy(), to, bytes.into());
    }

    fn drain(&mut self) {
        while let Some(output) = self.tm.poll() {
            match output {
                Output::Send {
                    bytes,
                    destination,
                    origin,
                } => {
                    self.check_sent(&bytes, origin);
                    let broken = destination.transport.is_reliable() && self.rng.percent(2);
                    if broken && origin != Origin::Nobody {
                        self.at(self.now + 1, Event::Breaks(origin));
                        if matches!(origin, Origin::Server(_)) {
                            self.nobody_hears(destination.remote);
                        }
                    } else {
                        self.send(proxy(), destination.remote, bytes);
                    }
                }
                Output::Reply { id, message, .. } => {
                    let delay = if self.rng.percent(50) {
                        0
                    } else {
                        self.rng.below(4_000)
                    };
                    let status = message.status();
                    // A 2xx let go when its callee no longer repeats it could get lost for good.
                    if success(status) || !self.forgets() {
                        self.at(self.now + delay, Event::Judges(id, status));
                    }
                }
                Output::Failure { key, best } => {
                    assert!(best.status >= 300);
                    let delay = self.rng.below(4_000);
                    if !self.forgets() {
                        self.at(self.now + delay, Event::FailureJudged(key));
                    }
                }
                Output::Terminated { key, data } => {
                    assert!(self.tm.data(key).is_none());
                    assert!(self.ended.insert(data), "data given back twice");
                }
            }
        }
    }

    /// What may go out, and when.
    fn check_sent(&mut self, bytes: &Bytes, origin: Origin) {
        let message = Message::parse(bytes.clone()).unwrap();
        let branch = message.via().unwrap().branch().unwrap().to_vec();
        match message.method() {
            Method::Cancel if message.is_request() => {
                assert!(self.rung.contains(&branch), "CANCEL before a provisional");
            }
            Method::Ack => assert!(self.failed.contains(&branch), "ACK before a failure"),
            _ => {}
        }
        let status = message.status();
        if let Origin::Server(key) = origin {
            let (request, seen) = self.made.get_mut(&key).unwrap();
            assert_eq!(message.values(HeaderId::Via).count(), 1);
            if request.method() != Method::Invite {
                assert!(status == 100 || status >= 200, "RFC 4320 s.4.1");
                assert_ne!(status, 408, "RFC 4320 s.4.2");
            }
            if status < 200 {
                assert!(seen.failure.is_none() && !seen.success, "1xx after all");
            } else if success(status) {
                seen.success = true;
            } else {
                assert!(!seen.success, "a failure after a 2xx");
                assert_eq!(*seen.failure.get_or_insert(status), status, "two failures");
            }
        }
    }

    /// A caller whose connection broke as its answer was sent knows that there will be none.
    fn nobody_hears(&mut self, to: SocketAddr) {
        let Some(this) = caller_at(to).and_then(|caller| self.callers.get_mut(caller)) else {
            return;
        };
        if let Some(client) = &mut this.client {
            if client.is_pending() {
                this.ends.push(503);
            }
            client.abandon();
        }
        this.cancel = None;
    }

    // Callers.

    fn caller_hears(&mut self, to: SocketAddr, reply: &Message) {
        let caller = caller_at(to).unwrap();
        let (now, reliable) = (Time(self.now), self.upstream.is_reliable());
        let this = &mut self.callers[caller];
        let status = reply.status();
        if reply.cseq().unwrap().method == Method::Cancel {
            if let Some((client, _)) = &mut this.cancel {
                *client = client.response(status, now, reliable, &self.timers).0;
            }
            return;
        }
        let Some(client) = &mut this.client else {
            return;
        };
        let act = client.response(status, now, reliable, &self.timers);
        match act {
            ClientAct::Pass | ClientAct::AckAndPass if status >= 200 => {
                let accepted = this.ends.iter().any(|end| success(*end));
                if !(accepted && success(status)) {
                    this.ends.push(status);
                }
            }
            _ => {}
        }
        let hop = matches!(act, ClientAct::AckAndPass | ClientAct::Ack);
        let invite = this.request.method() == Method::Invite;
        if hop || (invite && success(status) && act == ClientAct::Pass) {
            let ack = ack_of(&this.request, reply, hop, self.serial);
            this.ack = Some(ack.clone());
            self.send(to, proxy(), ack);
        }
    }

    fn caller_cancels(&mut self, caller: usize) {
        let this = &mut self.callers[caller];
        let Some(client) = &this.client else { return };
        if client.is_silent() || !client.is_pending() {
            return;
        }
        let text = std::str::from_utf8(this.request.bytes()).unwrap();
        let cancel = message(&text.replace("INVITE", "CANCEL"));
        let reliable = self.upstream.is_reliable();
        let transaction = NonInviteClient::new(Time(self.now), reliable, &self.timers);
        this.cancel = Some((transaction, cancel.clone()));
        self.send(caller_address(caller), proxy(), cancel.bytes().clone());
    }

    fn caller_timer(&mut self, caller: usize) {
        let now = Time(self.now);
        let this = &mut self.callers[caller];
        let mut sends = Vec::new();
        if let Some(client) = &mut this.client {
            match client.timer(now, &self.timers) {
                ClientAct::Send => sends.push(this.request.bytes().clone()),
                ClientAct::TimedOut => this.ends.push(0),
                _ => {}
            }
        }
        if let Some((client, cancel)) = &mut this.cancel {
            let (state, act) = client.timer(now, &self.timers);
            *client = state;
            if act == ClientAct::Send {
                sends.push(cancel.bytes().clone());
            }
        }
        for bytes in sends {
            self.send(caller_address(caller), proxy(), bytes);
        }
    }

    // Callees.

    fn uas_hears(&mut self, to: SocketAddr, request: Message) {
        let now = Time(self.now);
        let reliable = self.downstream.is_reliable();
        let branch = request.via().unwrap().branch().unwrap().to_vec();
        let known = self
            .uas
            .iter()
            .position(|uas| uas.branch == branch && uas.address == to);
        match (request.method(), known) {
            (Method::Ack, Some(uas)) => {
                let _ = self.uas[uas].server.ack(now, reliable, &self.timers);
            }
            (Method::Ack, None) => {
                let tag = request.to().unwrap().tag().unwrap().to_vec();
                let number = std::str::from_utf8(&tag[1..]).unwrap();
                self.uas[number.parse::<usize>().unwrap()].success = None;
            }
            (Method::Cancel, known) => {
                let status = if known.is_some() { 200 } else { 481 };
                let reply = response(&request, status, "", Some("c")).finish();
                self.send(to, proxy(), reply);
                if let Some(uas) = known {
                    self.uas_says(uas, 487);
                }
            }
            (_, Some(uas)) => {
                let this = &mut self.uas[uas];
                if this.server.request() == ServerAct::Resend {
                    let last = this.last.clone();
                    self.send(to, proxy(), last);
                }
            }
            (method, None) => {
                let invite = method == Method::Invite;
                let uas = self.uas.len();
                self.behave(uas, invite);
                self.uas.push(Uas {
                    address: to,
                    branch,
                    server: Server::new(invite, now, &self.timers),
                    request,
                    last: Bytes::new(),
                    success: None,
                });
            }
        }
    }

    /// What a callee will do with this request.
    fn behave(&mut self, uas: usize, invite: bool) {
        let mut at = self.now + self.rng.below(300);
        if invite && self.rng.percent(70) {
            self.at(at, Event::Says(uas, 180));
            at += self.rng.below(30_000);
        } else if self.rng.percent(10) {
            at += self.rng.below(40_000);
        }
        // One in ten never makes up its mind.
        if !self.rng.percent(10) {
            let finals = [200, 200, 202, 302, 401, 404, 407, 408, 486, 487, 503, 603];
            let status = self.rng.pick(&finals);
            self.at(at, Event::Says(uas, status));
        }
    }

    fn uas_says(&mut self, uas: usize, status: u16) {
        let now = Time(self.now);
        let reliable = self.downstream.is_reliable();
        let this = &mut self.uas[uas];
        let act = this.server.respond(status, now, reliable, &self.timers);
        if act != ServerAct::Send {
            return;
        }
        let tag = format!("t{uas}");
        let bytes = response(&this.request, status, "", Some(&tag)).finish();
        if this.server.is_invite() && success(status) {
            this.success = Some((bytes.clone(), self.now + 500, 500, self.now + 32_000));
        } else {
            this.last = bytes.clone();
        }
        let from = this.address;
        self.send(from, proxy(), bytes);
    }

    fn uas_timer(&mut self, uas: usize) {
        let this = &mut self.uas[uas];
        let mut sends = Vec::new();
        match this.server.timer(Time(self.now), &self.timers) {
            ServerAct::Resend => sends.push(this.last.clone()),
            ServerAct::Trying => {
                let trying = response(&this.request, 100, "", None).finish();
                this.last = trying.clone();
                sends.push(trying);
            }
            _ => {}
        }
        if let Some((bytes, at, every, until)) = this.success.take() {
            if at > self.now {
                this.success = Some((bytes, at, every, until));
            } else if self.now < until {
                sends.push(bytes.clone());
                let every = (every * 2).min(4_000);
                this.success = Some((bytes, self.now + every, every, until));
            }
        }
        let from = this.address;
        for bytes in sends {
            self.send(from, proxy(), bytes);
        }
    }

    // The network.

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let above = caller_at(from).is_some() || caller_at(to).is_some();
        let transport = if above {
            self.upstream
        } else {
            self.downstream
        };
        if transport.is_reliable() {
            let at = self.now + 1 + self.rng.below(100);
            let last = self.streams.entry((from, to)).or_default();
            *last = at.max(*last);
            let at = *last;
            self.at(at, Event::Arrives { to, from, bytes });
            return;
        }
        let copies = if self.rng.percent(self.net.loss) {
            0
        } else if self.rng.percent(self.net.double) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let delay = 1 + self.rng.below(if self.net.double > 0 { 600 } else { 60 });
            let bytes = bytes.clone();
            self.at(self.now + delay, Event::Arrives { to, from, bytes });
        }
    }

    fn at(&mut self, at: u64, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn ms(&self, at: Instant) -> u64 {
        (at - self.start).as_millis() as u64
    }

    fn source(&self, from: SocketAddr) -> Source {
        Source {
            transport: self.upstream,
            remote: from,
            local: proxy(),
            flow: FlowId::new(1),
        }
    }

    fn request(&self, caller: usize, method: &str) -> Message {
        message(&format!(
            "{method} sip:bob@example.test SIP/2.0\r\n\
             Via: SIP/2.0/{} {};branch=z9hG4bK{}-{caller}\r\n\
             From: <sip:alice@example.test>;tag=a{caller}\r\n\
             To: <sip:bob@example.test>\r\n\
             Call-ID: {caller}\r\n\
             CSeq: 1 {method}\r\n\
             Content-Length: 0\r\n\r\n",
            self.upstream,
            caller_address(caller),
            self.seed,
        ))
    }
}

fn success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn proxy() -> SocketAddr {
    PROXY.parse().unwrap()
}

fn caller_address(caller: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, 1].into(), 1_000 + caller as u16)
}

fn caller_at(address: SocketAddr) -> Option<usize> {
    address
        .port()
        .checked_sub(1_000)
        .map(usize::from)
        .filter(|caller| *caller < 1_000)
}

/// A caller's ACK: on the INVITE's branch for a failure, on a new one for a 2xx.
fn ack_of(invite: &Message, reply: &Message, hop: bool, serial: u64) -> Bytes {
    let text = |id| std::str::from_utf8(reply.header(id).unwrap()).unwrap();
    let via = std::str::from_utf8(invite.header(HeaderId::Via).unwrap()).unwrap();
    let via = if hop {
        via.to_owned()
    } else {
        format!("{via}-ack-{serial}")
    };
    Bytes::from(format!(
        "ACK sip:bob@example.test SIP/2.0\r\nVia: {via}\r\nFrom: {}\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
        text(HeaderId::From),
        text(HeaderId::To),
        text(HeaderId::CallId),
    ))
}
