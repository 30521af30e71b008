//! The world of one run: who is in it, what is to happen and when, and how it must end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use switchhook_sip::flow::Transport;
use switchhook_sip::message::{Message, Method};
use switchhook_sip::transaction::client::Client;
use switchhook_sip::transaction::timers::Time;
use switchhook_sip::transaction::{BranchId, Config, Key, Manager, Origin, ReplyId, Timers};

use super::callees::Uas;
use super::callers::{Caller, caller_address};
use super::network::Net;
use super::rng::Rng;
use crate::lane::start;

/// What is to happen.
pub(super) enum Event {
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
    MovesOn(Key, BranchId),
    Breaks(Origin),
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) net: Net,
    pub(super) rng: Rng,
    pub(super) start: Instant,
    pub(super) now: u64,
    pub(super) serial: u64,
    pub(super) events: BTreeMap<(u64, u64), Event>,
    /// Over a reliable transport nothing overtakes: when the last message from here to there arrives.
    pub(super) streams: HashMap<(SocketAddr, SocketAddr), u64>,
    pub(super) upstream: Transport,
    pub(super) downstream: Transport,
    pub(super) timers: Timers,
    pub(super) tm: Manager<u64>,
    pub(super) callers: Vec<Caller>,
    pub(super) uas: Vec<Uas>,
    /// Of each transaction made: its request, and whether its data has come back.
    pub(super) made: HashMap<Key, (Arc<Message>, Seen)>,
    pub(super) created: u64,
    pub(super) ended: HashSet<u64>,
    /// Branches that have sent a provisional, or a final response.
    pub(super) rung: HashSet<Vec<u8>>,
    pub(super) failed: HashSet<Vec<u8>>,
}

/// What went upstream for one transaction.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) failure: Option<u16>,
    pub(super) success: bool,
}

impl World {
    pub(super) fn new(seed: u64, net: Net) -> World {
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

    pub(super) fn run(mut self) {
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

    pub(super) fn check_the_end(&self) {
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
    pub(super) fn next(&self) -> Option<u64> {
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

    pub(super) fn step(&mut self) {
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

    pub(super) fn happens(&mut self, event: Event) {
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
            Event::MovesOn(key, failed) => self.move_on(key, failed),
            Event::Breaks(origin) => self.tm.on_transport_error(now, origin),
        }
    }
}

pub(super) fn success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Where the proxy is.
pub(super) const PROXY: &str = "10.0.2.1:5060";

pub(super) fn proxy() -> SocketAddr {
    PROXY.parse().unwrap()
}
