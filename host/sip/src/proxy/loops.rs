//! Telling a loop from a spiral: a mark in our Via branch over what decides a request's way. RFC 3261 16.3 step 4, 16.6
//! step 8, RFC 5393 section 4.
//!
//! A request that comes back with nothing changed that routing depends on would go the same way for ever: a loop. One whose
//! request URI or Route changed on the way is a spiral, and passes. Via, Max-Forwards, Max-Breadth and Record-Route, which
//! change at each hop, are not covered, nor is the method, so that CANCEL and ACK get the branch of their INVITE.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use super::own::Own;
use crate::message::{HeaderId, Message, Via};

/// The key of the marks: one for all lanes of a process, random, so that nobody can make marks that collide with others'.
#[derive(Clone)]
pub struct LoopKey(ahash::RandomState);

impl fmt::Debug for LoopKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoopKey")
    }
}

/// A mark: 16 hexadecimal digits after the last `.` of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopMark(u64);

impl fmt::Display for LoopMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl LoopMark {
    /// Its digits.
    pub fn digits(self) -> [u8; 16] {
        let mut nibble = 16;
        [0; 16].map(|_: u8| {
            nibble -= 1;
            match (self.0 >> (4 * nibble)) as u8 & 15 {
                digit @ 0..10 => b'0' + digit,
                letter => b'a' - 10 + letter,
            }
        })
    }

    fn is_of(self, branch: &[u8]) -> bool {
        let mut parts = branch.rsplitn(2, |b| *b == b'.');
        let (mark, head) = (parts.next().unwrap_or_default(), parts.next());
        let digits = std::str::from_utf8(mark).unwrap_or_default();
        head.is_some()
            && mark.len() == 16
            && u64::from_str_radix(digits, 16).is_ok_and(|mark| mark == self.0)
    }
}

impl LoopKey {
    /// Of random numbers.
    pub fn new(random: [u64; 2]) -> Self {
        let [a, b] = random;
        Self(ahash::RandomState::with_seeds(a, b, !a, !b))
    }

    /// The mark of a request as it came: request URI, Route, tags, Call-ID, CSeq number, Proxy-Require, Proxy-Authorization.
    pub fn mark(&self, request: &Message) -> LoopMark {
        let mut state = self.narrow(request);
        write(&mut state, request.to_tag().unwrap_or_default());
        for id in [HeaderId::ProxyRequire, HeaderId::ProxyAuthorization] {
            write_all(&mut state, request, id);
        }
        LoopMark(state.finish())
    }

    /// The branch of a request that is forwarded without a transaction (RFC 3261 16.11): the same for a retransmission, for
    /// the CANCEL and for the ACK of a refusal, another for any other transaction.
    pub fn stateless_branch(&self, request: &Message) -> String {
        let mut state = self.0.build_hasher();
        let via = request.via().ok();
        write(&mut state, via.map(|via| via.host).unwrap_or_default());
        match via.and_then(|via| via.magic_branch()) {
            Some(branch) => write(&mut state, branch),
            None => {
                state.write_u64(self.narrow(request).finish());
                write(&mut state, via.map(|via| via.raw).unwrap_or_default());
            }
        }
        let mark = self.stateless_mark(request);
        format!("z9hG4bKs{:016x}.{mark}", state.finish())
    }

    /// Whether the request went through us before and nothing changed since.
    pub(super) fn has_looped(&self, request: &Message, own: &Own) -> bool {
        let mut marks = None;
        let below = request.values(HeaderId::Via).skip(1);
        request
            .via()
            .into_iter()
            .chain(below.filter_map(|value| Via::parse(value).ok()))
            .filter(|via| own.is_own_via(via))
            .filter_map(|via| via.branch())
            .any(|branch| {
                let marks =
                    marks.get_or_insert_with(|| [self.mark(request), self.stateless_mark(request)]);
                marks.iter().any(|mark| mark.is_of(branch))
            })
    }

    /// As [`LoopKey::mark`] without what an ACK or CANCEL does not share with its INVITE: To tag, Proxy-Require and
    /// Proxy-Authorization.
    fn stateless_mark(&self, request: &Message) -> LoopMark {
        LoopMark(self.narrow(request).finish())
    }

    fn narrow(&self, request: &Message) -> impl Hasher + use<> {
        let mut state = self.0.build_hasher();
        write(&mut state, request.request_uri());
        write_all(&mut state, request, HeaderId::Route);
        write(&mut state, request.from_tag().unwrap_or_default());
        write(&mut state, request.call_id().unwrap_or_default());
        state.write_u32(request.cseq().map_or(0, |cseq| cseq.number));
        state
    }
}

/// With its length, so that no two lists of texts give the same bytes.
fn write(state: &mut impl Hasher, text: &[u8]) {
    state.write_usize(text.len());
    state.write(text);
}

fn write_all(state: &mut impl Hasher, request: &Message, id: HeaderId) {
    let mut count = 0;
    for value in request.values(id) {
        write(state, value);
        count += 1;
    }
    state.write_usize(count);
}
