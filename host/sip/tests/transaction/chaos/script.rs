//! The proxy and its moody script: it decides late, judges as it likes and sometimes forgets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use switchhook_sip::flow::Destination;
use switchhook_sip::message::{Edits, HeaderId, Message, Method, render};
use switchhook_sip::transaction::{Arms, Arrival, Branch, BranchId, Key, Wait};

use super::world::{Event, PROXY, Seen, World, proxy};

impl World {
    pub(super) fn proxy_hears(&mut self, message: &Message, from: SocketAddr) {
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
    pub(super) fn forgets(&mut self) -> bool {
        self.rng.percent(3)
    }

    pub(super) fn decide(&mut self, key: Key) {
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

    pub(super) fn relay(&mut self, key: Key) {
        let branches = self.branches(key);
        let now = self.instant();
        let _ = self.tm.relay(now, key, branches);
    }

    pub(super) fn branches(&mut self, key: Key) -> Vec<Branch> {
        let request = self.made[&key].0.clone();
        (0..1 + self.rng.below(3))
            .map(|_| self.branch(&request))
            .collect()
    }

    pub(super) fn branch(&mut self, request: &Message) -> Branch {
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
            spare: if self.rng.percent(30) { 2 } else { 0 },
        }
    }

    /// Another address of a target, or after all none.
    pub(super) fn move_on(&mut self, key: Key, failed: BranchId) {
        let now = self.instant();
        if self.rng.percent(20) {
            let _ = self.tm.give_up(now, key, failed);
            return;
        }
        let request = self.made[&key].0.clone();
        let mut branch = self.branch(&request);
        branch.spare = self.rng.below(2) as usize;
        let _ = self.tm.retry(now, key, failed, branch);
    }

    /// The ACK to a 2xx goes to whoever gave the To tag.
    pub(super) fn forward_ack(&mut self, ack: &Message) {
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
}
