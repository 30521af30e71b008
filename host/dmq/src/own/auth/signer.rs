//! The sending side.

use std::collections::HashMap;
use std::hash::Hash;

use super::keyring::{Claim, Keyring, answer_parts, request_parts};
use super::{Covered, WINDOW};
use crate::own::version::NodeId;

/// The most peers whose clocks are remembered.
pub const MAX_PEERS: usize = 1024;

/// A request that was signed: what its answer is signed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// Whose it is.
    pub node: NodeId,
    /// Which one of its life.
    pub count: u64,
}

/// What a genuine answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Who answered.
    pub node: NodeId,
    /// What time it was there.
    pub time: u64,
    /// Which request of ours it answers.
    pub count: u64,
}

/// Signs what a life of this node sends; `P` names a peer.
#[derive(Debug)]
pub struct Signer<P> {
    keys: Keyring,
    node: NodeId,
    count: u64,
    /// By how many milliseconds a peer's clock is ahead of ours.
    ahead: HashMap<P, i64>,
}

impl<P: Copy + Eq + Hash> Signer<P> {
    /// Of that life.
    pub fn new(keys: Keyring, node: NodeId) -> Self {
        Self {
            keys,
            node,
            count: 0,
            ahead: HashMap::new(),
        }
    }

    /// Other keys from now on.
    pub fn set_keys(&mut self, keys: Keyring) {
        self.keys = keys;
    }

    /// Signs a request to a peer: the field, and what its answer is verified with.
    pub fn sign(&mut self, unix_ms: u64, to: P, covered: &Covered<'_>) -> (String, Signed) {
        let ahead = self.ahead.get(&to).copied().unwrap_or(0);
        let time = unix_ms.saturating_add_signed(ahead);
        self.count += 1;
        let (node, count) = (self.node, self.count);
        let field = request_parts(node, (time, count), covered, |parts| {
            let (key, mac) = self.keys.sign(parts);
            format!("key={key};node={node};time={time};count={count};mac={mac}")
        });
        (field, Signed { node, count })
    }

    /// What an answer's field says, where it is genuine and to a request of ours.
    pub fn answered(&self, status: u16, field: Option<&str>, body: &[u8]) -> Option<Answered> {
        let claim = Claim::read(field?)?;
        let (node, time, count) = (claim.node, claim.time, claim.count);
        let to = Signed {
            node: self.node,
            count,
        };
        let parts = |parts: &[&[u8]]| self.keys.verifies(claim.key, claim.mac, parts);
        let genuine = count <= self.count && answer_parts((node, time), to, status, body, parts);
        genuine.then_some(Answered { node, time, count })
    }

    /// Notes what time it is at a peer, so that what is signed from now on is in its time. Tells whether that is news.
    pub fn learn(&mut self, unix_ms: u64, peer: P, theirs: u64) -> bool {
        let ahead = i64::try_from(i128::from(theirs) - i128::from(unix_ms));
        let room = self.ahead.len() < MAX_PEERS || self.ahead.contains_key(&peer);
        let (Ok(ahead), true) = (ahead, room) else {
            return false;
        };
        let before = self.ahead.insert(peer, ahead).unwrap_or(0);
        u128::from(before.abs_diff(ahead)) > WINDOW.as_millis() / 2
    }

    /// Forgets a peer.
    pub fn forget(&mut self, peer: P) {
        self.ahead.remove(&peer);
    }
}
