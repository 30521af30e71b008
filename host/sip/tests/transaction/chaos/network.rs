//! The network: it loses, doubles and reorders datagrams, and only delays what goes over a connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use switchhook_sip::flow::{FlowId, Source};

use super::callers::caller_at;
use super::world::{Event, World, proxy};

/// Percentages, of datagrams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Net {
    pub(super) loss: u64,
    pub(super) double: u64,
}

impl World {
    pub(super) fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
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

    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    pub(super) fn instant(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    pub(super) fn ms(&self, at: Instant) -> u64 {
        (at - self.start).as_millis() as u64
    }

    pub(super) fn source(&self, from: SocketAddr) -> Source {
        Source {
            transport: self.upstream,
            remote: from,
            local: proxy(),
            flow: FlowId::new(1),
        }
    }
}
