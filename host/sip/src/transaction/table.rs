//! Finds transactions: server transactions by identity, branches by number, first comers by merge hash.
//!
//! Hashes of what peers send are keyed by the lane's seed, so that nobody can choose requests that fall into one chain; and of
//! requests that are alike in what is hashed only a few are let in ([`Table::has_room`], first comers only among merges).
//! Branch numbers are our own and counted up; they are looked up by a number whose proof has been checked.

use ahash::RandomState;
use hashbrown::HashTable;

use super::slots::SlotId;

/// Transactions of one branch and sent-by.
const ALIKE: usize = 8;

/// Where things are. An entry keeps its hash, so that growing reads nothing else.
#[derive(Debug, Default)]
pub(super) struct Table {
    servers: HashTable<Entry>,
    merges: HashTable<Entry>,
    branches: HashTable<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    id: SlotId,
}

impl Table {
    /// Whether one more transaction of that hash may come: an exchange is a request and perhaps its CANCEL, so a peer that
    /// sends one branch with ever new methods builds a chain.
    pub(super) fn has_room(&self, hash: u64) -> bool {
        let alike = self.servers.iter_hash(hash);
        alike.filter(|entry| entry.hash == hash).take(ALIKE).count() < ALIKE
    }

    /// Adds a server transaction.
    pub(super) fn add_server(&mut self, hash: u64, merge: Option<u64>, id: SlotId) {
        add(&mut self.servers, hash, id);
        if let Some(merge) = merge {
            add(&mut self.merges, merge, id);
        }
    }

    /// Takes a server transaction out.
    pub(super) fn remove_server(&mut self, hash: u64, merge: Option<u64>, id: SlotId) {
        remove(&mut self.servers, hash, id);
        if let Some(merge) = merge {
            remove(&mut self.merges, merge, id);
        }
    }

    /// The server transaction of that hash that `is` knows for the one.
    pub(super) fn server(&self, hash: u64, is: impl Fn(SlotId) -> bool) -> Option<SlotId> {
        self.servers
            .find(hash, |entry| entry.hash == hash && is(entry.id))
            .map(|entry| entry.id)
    }

    /// A transaction whose request has that merge hash.
    pub(super) fn merged(&self, merge: u64) -> Option<SlotId> {
        self.merges
            .find(merge, |entry| entry.hash == merge)
            .map(|entry| entry.id)
    }

    /// Adds a branch.
    pub(super) fn add_branch(&mut self, serial: u64, id: SlotId) {
        add(&mut self.branches, spread(serial), id);
    }

    /// Takes a branch out.
    pub(super) fn remove_branch(&mut self, serial: u64, id: SlotId) {
        remove(&mut self.branches, spread(serial), id);
    }

    /// The branch of that number.
    pub(super) fn branch(&self, serial: u64) -> Option<SlotId> {
        let hash = spread(serial);
        self.branches
            .find(hash, |entry| entry.hash == hash)
            .map(|entry| entry.id)
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.merges.is_empty() && self.branches.is_empty()
    }
}

fn add(table: &mut HashTable<Entry>, hash: u64, id: SlotId) {
    table.insert_unique(hash, Entry { hash, id }, |entry| entry.hash);
}

fn remove(table: &mut HashTable<Entry>, hash: u64, id: SlotId) {
    if let Ok(entry) = table.find_entry(hash, |entry| entry.id == id) {
        entry.remove();
    }
}

/// Spreads counted numbers over the table; one to one, so that equal hashes are equal numbers.
fn spread(serial: u64) -> u64 {
    let mixed = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

/// The lane's hash keys.
pub(super) fn keys(seed: [u64; 4]) -> RandomState {
    let [a, b, c, d] = seed;
    RandomState::with_seeds(a, b, c, d)
}
