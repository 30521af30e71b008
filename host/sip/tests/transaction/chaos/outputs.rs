//! What the manager asks for is done, and checked: what may go out, and when.

use std::net::SocketAddr;

use bytes::Bytes;
use switchhook_sip::message::{HeaderId, Message, Method};
use switchhook_sip::transaction::{Origin, Output};

use super::callers::caller_at;
use super::world::{Event, World, proxy, success};

impl World {
    pub(super) fn drain(&mut self) {
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
                Output::NextAddress { key, failed } => {
                    let delay = self.rng.below(2_000);
                    if !self.forgets() {
                        self.at(self.now + delay, Event::MovesOn(key, failed));
                    }
                }
                Output::Terminated { key, data } => {
                    assert!(self.tm.data(key).is_none());
                    assert!(self.ended.insert(data.unwrap()), "data given back twice");
                }
            }
        }
    }

    /// What may go out, and when.
    pub(super) fn check_sent(&mut self, bytes: &Bytes, origin: Origin) {
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
    pub(super) fn nobody_hears(&mut self, to: SocketAddr) {
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
}
