//! Any order of requests, responses, decisions, verdicts, errors and time: the transaction layer neither panics nor hangs, asks only of
//! transactions that are there, gives each one's data back once, and is empty when all of them are over.
//!
//! Input: one byte an action, then what the action reads: numbers, or the bytes of a message.
#![no_main]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use switchhook_sip::flow::{Destination, FlowId, Source, Transport};
use switchhook_sip::message::{Edits, HeaderId, Message, render, response};
use switchhook_sip::transaction::{
    Arms, Arrival, Branch, BranchId, Config, Key, Manager, Origin, Output, ReplyId, Wait,
};

/// Longer runs meet nothing that shorter ones do not.
const LONGEST: usize = 512;

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    let mut input = Input(data.get(..LONGEST).unwrap_or(data));
    while let Some(action) = input.byte() {
        world.act(action, &mut input);
        world.drain();
    }
    world.ends();
});

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self, below: usize) -> usize {
        usize::from(self.byte().unwrap_or(0)) % below.max(1)
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.number(of.len())).cloned()
    }

    /// The bytes up to the next zero.
    fn text(&mut self) -> Bytes {
        let end = self.0.iter().position(|byte| *byte == 0);
        let (text, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        Bytes::copy_from_slice(text)
    }
}

struct World {
    tm: Manager<u64>,
    now: Instant,
    made: u64,
    ended: HashSet<u64>,
    keys: Vec<(Key, Arc<Message>)>,
    /// Requests that went downstream, what is asked, and whose messages went out.
    sent: Vec<Message>,
    questions: Vec<ReplyId>,
    origins: Vec<Origin>,
    /// Branches that wait for another address.
    moves: Vec<(Key, BranchId)>,
}

impl World {
    fn new() -> World {
        let now = Instant::now();
        let config = Config {
            max_transactions: 8,
            max_branches: 6,
            max_held: 3,
            ..Config::default()
        };
        World {
            tm: Manager::new(now, [1, 2, 3, 4], config),
            now,
            made: 0,
            ended: HashSet::new(),
            keys: Vec::new(),
            sent: Vec::new(),
            questions: Vec::new(),
            origins: Vec::new(),
            moves: Vec::new(),
        }
    }

    fn act(&mut self, action: u8, input: &mut Input<'_>) {
        let now = self.now;
        let transport = if action & 0x80 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        match action & 0x0f {
            0 => self.request(&request(input), transport),
            1 => {
                if let Ok(message) = Message::parse(input.text()) {
                    if message.is_request() {
                        self.request(&message, transport);
                    } else {
                        self.tm.on_response(now, &message);
                    }
                }
            }
            2 | 3 => {
                let statuses = [
                    100, 180, 183, 200, 202, 302, 401, 407, 408, 486, 487, 503, 603,
                ];
                let (Some(sent), Some(status)) = (input.some(&self.sent), input.some(&statuses))
                else {
                    return;
                };
                let tag = if action & 0x10 == 0 { "a" } else { "b" };
                let reply = response(&sent, status, "", Some(tag)).finish();
                if let Ok(reply) = Message::parse(reply) {
                    self.tm.on_response(now, &reply);
                }
            }
            4 | 5 => {
                let ms = 1u64 << input.number(19);
                self.now += Duration::from_millis(ms);
                self.tm.on_timer(self.now);
            }
            6 | 7 => {
                let Some((key, request)) = input.some(&self.keys) else {
                    return;
                };
                let count = input.number(4);
                let wait = Wait {
                    first: (action & 0x10 != 0).then(|| Duration::from_secs(2)),
                    answer: (action & 0x20 != 0).then(|| Duration::from_secs(9)),
                };
                let branches = (0..count).filter_map(|_| self.branch(&request, transport, wait));
                let mut branches: Vec<_> = branches.collect();
                for branch in &mut branches {
                    branch.spare = usize::from(action & 0x40 != 0);
                }
                if action & 1 == 0 {
                    let _ = self.tm.relay(now, key, branches);
                } else {
                    let _ = self.tm.queue(key, branches);
                }
            }
            8 => {
                if let Some((key, _)) = input.some(&self.keys) {
                    let statuses = [100, 180, 200, 302, 404, 408, 603, 0, 700];
                    let status = input.some(&statuses).unwrap_or(200);
                    let _ = self.tm.answer(now, key, status, "", &[]);
                }
            }
            9 | 10 => {
                if self.questions.is_empty() {
                    return;
                }
                let at = input.number(self.questions.len());
                let id = self.questions.swap_remove(at);
                let verdict = if action & 1 == 0 {
                    self.tm.pass(now, id, None)
                } else {
                    self.tm.withhold(now, id)
                };
                let _ = verdict.map_err(|refusal| refusal.to_string());
            }
            11 if action & 0x10 != 0 => {
                let Some((key, failed)) = self.moves.pop() else {
                    return;
                };
                let request = self.keys.iter().find(|(other, _)| *other == key);
                let request = request.map(|(_, request)| request.clone());
                let branch =
                    request.and_then(|request| self.branch(&request, transport, Wait::default()));
                let _ = match branch.filter(|_| action & 0x20 == 0) {
                    Some(branch) => self.tm.retry(now, key, failed, branch),
                    None => self.tm.give_up(now, key, failed),
                };
            }
            11 => {
                if let Some((key, _)) = input.some(&self.keys) {
                    let _ = self.tm.forward_best(now, key);
                }
            }
            12 => {
                if let Some((key, _)) = input.some(&self.keys) {
                    let _ = self.tm.cancel(now, key);
                    let _ = self.tm.cancel_branch(now, key, input.number(4));
                }
            }
            13 => {
                if let Some(origin) = input.some(&self.origins) {
                    self.tm.on_transport_error(now, origin);
                }
            }
            14 => {
                if let Some((key, _)) = input.some(&self.keys) {
                    self.tm.terminate(key);
                }
            }
            _ => {
                if let Some((key, _)) = input.some(&self.keys) {
                    let arms = Arms {
                        failure: action & 0x10 != 0,
                        replies: action & 0x20 != 0,
                    };
                    self.tm.arm(key, arms);
                }
            }
        }
    }

    fn request(&mut self, request: &Message, transport: Transport) {
        let source = Source {
            transport,
            remote: ([192, 0, 2, 1], 5060).into(),
            local: ([192, 0, 2, 100], 5060).into(),
            flow: FlowId::new(1),
        };
        match self.tm.on_request(self.now, request, &source) {
            Ok(Arrival::New { merged }) => {
                if let Some(key) = merged {
                    assert!(self.tm.data(key).is_some(), "merged with what is over");
                }
                let request = Arc::new(request.clone());
                let made = self
                    .tm
                    .create(self.now, request.clone(), &source, self.made);
                if let Ok(key) = made {
                    self.made += 1;
                    self.keys.push((key, request));
                }
            }
            Ok(Arrival::Ack { of: Some(key) } | Arrival::Cancelled(key)) => {
                assert!(self.tm.data(key).is_some(), "matched what is over");
            }
            Ok(Arrival::CancelUnmatched) => {
                let _ = self.tm.answer_without_state(request, &source, 481, "", &[]);
            }
            Ok(Arrival::Absorbed | Arrival::Ack { of: None }) => {}
            Err(malformed) => drop(malformed.to_string()),
        }
    }

    fn branch(&mut self, request: &Message, transport: Transport, wait: Wait) -> Option<Branch> {
        let id = self.tm.next_branch();
        let mut edits = Edits::default();
        let via = format!("SIP/2.0/{transport} 192.0.2.100;branch={id}");
        edits
            .prepend_value(request, HeaderId::Via, via.as_bytes())
            .ok()?;
        let mut bytes = Vec::new();
        render(request, &edits, &mut bytes);
        Some(Branch {
            id,
            bytes: bytes.into(),
            destination: Destination {
                transport,
                remote: ([192, 0, 2, 2], 5060).into(),
                local: None,
                flow: None,
            },
            wait,
            spare: 0,
        })
    }

    fn drain(&mut self) {
        while let Some(output) = self.tm.poll() {
            match output {
                Output::Send { bytes, origin, .. } => {
                    let Ok(message) = Message::parse(bytes) else {
                        panic!("what is sent can be read");
                    };
                    if message.is_request() && self.sent.len() < 64 {
                        self.sent.push(message);
                    }
                    if self.origins.len() < 64 {
                        self.origins.push(origin);
                    }
                }
                Output::Reply { key, id, .. } => {
                    assert!(self.tm.data(key).is_some(), "asked of what is over");
                    self.questions.push(id);
                }
                Output::Failure { .. } => {}
                Output::NextAddress { key, failed } => {
                    assert!(self.tm.data(key).is_some(), "asked of what is over");
                    self.moves.push((key, failed));
                }
                Output::Terminated { key, data } => {
                    let data = data.expect("nobody took it back");
                    assert!(self.tm.data(key).is_none());
                    assert!(self.ended.insert(data), "data given back twice");
                }
            }
        }
    }

    /// Whatever was forgotten, time ends it.
    fn ends(&mut self) {
        let mut steps = 0;
        while let Some(at) = self.tm.deadline() {
            self.now = self.now.max(at);
            self.tm.on_timer(self.now);
            self.drain();
            steps += 1;
            assert!(steps < 20_000, "it never ends");
        }
        assert!(self.tm.is_idle(), "left over: {:?}", self.tm.usage());
        assert_eq!(self.ended.len() as u64, self.made);
        assert_eq!(self.tm.deadline(), None);
    }
}

/// One of a few requests, so that they meet.
fn request(input: &mut Input<'_>) -> Message {
    let method = ["INVITE", "ACK", "CANCEL", "MESSAGE", "REGISTER"][input.number(5)];
    let cookie = ["z9hG4bK", ""][input.number(2)];
    let branch = input.number(3);
    let call = input.number(2);
    let to = ["", ";tag=a"][input.number(2)];
    let text = format!(
        "{method} sip:bob@example.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;branch={cookie}{branch}\r\n\
         From: <sip:alice@example.test>;tag=x\r\nTo: <sip:bob@example.test>{to}\r\n\
         Call-ID: {call}\r\nCSeq: 1 {method}\r\n\r\n"
    );
    match Message::parse(text.into()) {
        Ok(message) => message,
        Err(malformed) => panic!("{malformed}"),
    }
}
