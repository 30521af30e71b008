//! How much may be on its way to a peer, in which pieces, and when to send again.
//!
//! Owns the requests that are not answered. Room and the size of messages grow with answers and shrink with losses, the size
//! faster: a path that loses packets loses messages of many packets first. The time to wait follows the answers' (RFC 6298), so
//! a busy peer is not sent copies. The first copies go at that pace, because a lost datagram is the likely reason; then ever
//! slower, because a dead peer is; after [`GIVE_UP`] the peer is silent.
//!
//! Limits: [`MAX_FLIGHTS`] messages, [`MAX_BYTES`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The most requests on their way to one peer.
pub const MAX_FLIGHTS: usize = 64;
/// The most bytes on their way to one peer: what a receiver's socket has room for by default.
pub const MAX_BYTES: usize = 192 * 1024;
/// An unanswered request says after this time that nobody is there.
pub const GIVE_UP: Duration = Duration::from_secs(8);
/// The size of messages on a path that loses them: one packet.
const SMALL: usize = 1300;
const LEAST_BYTES: usize = 64 * 1024;
const LEAST_WAIT: Duration = Duration::from_millis(200);
const MOST_WAIT: Duration = Duration::from_millis(1600);
/// Copies that go at the pace of the answers.
const PROMPT: u32 = 8;

/// A request on its way; `K` is what its answer is for.
#[derive(Debug)]
pub(super) struct Flight<K> {
    pub kind: K,
    pub body: Bytes,
    sent: Instant,
    due: Instant,
    first: Instant,
    copies: u32,
}

#[derive(Debug)]
pub(super) struct Window<K> {
    flights: BTreeMap<u64, Flight<K>>,
    /// Bytes in them; bytes that may be in them; bytes answered since that grew.
    bytes: usize,
    room: usize,
    answered: usize,
    size: usize,
    most: usize,
    rtt: Option<(Duration, Duration)>,
}

impl<K> Window<K> {
    /// Empty; messages have at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            flights: BTreeMap::new(),
            bytes: 0,
            room: MAX_BYTES / 2,
            answered: 0,
            size: most,
            most,
            rtt: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.flights.len() < MAX_FLIGHTS && self.bytes + self.size <= self.room
    }

    /// The bytes that a message should have.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn send(&mut self, now: Instant, id: u64, kind: K, body: Bytes) {
        let flight = Flight {
            kind,
            body,
            sent: now,
            due: now + self.wait(),
            first: now,
            copies: 0,
        };
        self.bytes += flight.body.len();
        self.flights.insert(id, flight);
    }

    /// The request that was answered, if it was not before.
    pub(super) fn answered(&mut self, now: Instant, id: u64) -> Option<Flight<K>> {
        let flight = self.flights.remove(&id)?;
        self.bytes -= flight.body.len();
        if flight.copies == 0 {
            self.measure(now.saturating_duration_since(flight.sent));
            self.answered += flight.body.len();
            if self.answered >= self.room / 2 {
                self.answered = 0;
                self.room = (self.room + self.most).min(MAX_BYTES);
                self.size = (self.size + self.size / 4).min(self.most);
            }
        }
        Some(flight)
    }

    /// A request whose copy is due, if there is one.
    pub(super) fn again(&mut self, now: Instant) -> Option<(u64, Bytes)> {
        let wait = self.wait();
        let (id, flight) = self
            .flights
            .iter_mut()
            .find(|(_, flight)| flight.due <= now)?;
        flight.copies += 1;
        let slower = flight.copies.saturating_sub(PROMPT).min(8);
        flight.due = now + (wait * (1 << slower)).min(MOST_WAIT.max(wait));
        let copy = (*id, flight.body.clone());
        self.room = (self.room - self.room / 8).max(LEAST_BYTES);
        self.size = (self.size / 2).max(SMALL.min(self.most));
        self.answered = 0;
        Some(copy)
    }

    /// Whether a request has had no answer for too long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let mut flights = self.flights.values();
        flights.any(|flight| flight.first + GIVE_UP <= now)
    }

    /// Makes every copy due: the peer was heard again.
    pub(super) fn wake(&mut self, now: Instant) {
        for flight in self.flights.values_mut().filter(|f| f.copies > PROMPT) {
            (flight.due, flight.copies) = (now, 1);
        }
    }

    /// Forgets all requests.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = K> + use<K> {
        self.bytes = 0;
        let flights = std::mem::take(&mut self.flights);
        flights.into_values().map(|flight| flight.kind)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let flights = self.flights.values();
        flights.map(|f| f.due.min(f.first + GIVE_UP)).min()
    }

    fn wait(&self) -> Duration {
        let wait = self
            .rtt
            .map_or(LEAST_WAIT, |(mean, spread)| mean + 4 * spread);
        wait.clamp(LEAST_WAIT, MOST_WAIT)
    }

    fn measure(&mut self, took: Duration) {
        self.rtt = Some(match self.rtt {
            None => (took, took / 2),
            Some((mean, spread)) => (
                mean - mean / 8 + took / 8,
                spread - spread / 4 + took.abs_diff(mean) / 4,
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn answers_open_it_and_losses_close_it() {
        let (mut window, mut now) = (Window::new(28_000), Instant::now());
        let mut id = 0;
        for _ in 0..400 {
            while window.has_room() {
                id += 1;
                window.send(now, id, (), vec![0; window.size()].into());
                assert!(window.bytes <= MAX_BYTES);
            }
            now += ms(1);
            let first = *window.flights.keys().next().unwrap();
            assert!(window.answered(now, first).is_some());
            assert!(window.answered(now, first).is_none(), "once");
        }
        assert_eq!((window.room, window.size()), (MAX_BYTES, 28_000));
        for _ in 0..20 {
            now += ms(500);
            while window.again(now).is_some() {}
        }
        assert_eq!((window.room, window.size()), (LEAST_BYTES, SMALL));
        drop(window.clear());
        assert_eq!(window.bytes, 0);
    }

    #[test]
    fn copies_go_at_the_pace_of_answers_then_slower_then_nobody_is_there() {
        let (mut window, start) = (Window::new(28_000), Instant::now());
        window.send(start, 1, "ask", Bytes::from_static(b"x"));
        let (mut now, mut copies) = (start, Vec::new());
        while !window.is_silent(now) {
            now = window.deadline().unwrap();
            while let Some((id, body)) = window.again(now) {
                assert_eq!((id, &*body), (1, &b"x"[..]));
                copies.push((now - start).as_millis());
            }
        }
        assert_eq!(
            copies[..10],
            [200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2200]
        );
        assert!(copies.len() < 16, "{copies:?}");
        assert_eq!(now, start + GIVE_UP);
        assert_eq!(window.clear().collect::<Vec<_>>(), ["ask"]);
    }

    #[test]
    fn a_slow_peer_is_sent_no_copies() {
        let (mut window, mut now) = (Window::new(28_000), Instant::now());
        for id in 0..100 {
            window.send(now, id, (), Bytes::new());
            // Ever slower, as one that gets busy.
            now += ms(10 + 5 * id);
            assert!(window.again(now).is_none(), "{id}");
            window.answered(now, id);
        }
    }
}
