//! The order in which a table is told to one that joins: list by list, as Kamailio keeps it.
//!
//! Kamailio keeps hash tables and contacts in a power of two of lists; the low bits of a hash of an entry's name say in which, and it walks
//! that list for each entry that comes. Told in any order, each entry needs another list, which has left the processor's caches
//! since it was last walked: measured, that is three times the work for the receiver. So entries are told by that hash with its
//! bits reversed, which has all entries of a list together whatever the number of lists.
//!
//! Names only are gathered; what they stand for is read when it is told. Limits: at most twice [`MAX`] names are held; the table is gone
//! through once for each [`MAX`] of its entries.

use switchhook_sip::dialog::entry_of;

/// The most names that are gathered by going through a table once.
const MAX: usize = 65_536;

/// Where an entry comes: its reversed hash, and its name in the table.
type Place = (u32, Box<str>);

/// How far the telling of a table has come.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Who comes next; the very next is the last one.
    next: Vec<Place>,
    /// The last of those that were gathered so far.
    reached: Option<Place>,
    /// Nobody comes behind those in `next`.
    all: bool,
}

impl Order {
    /// The names of the next entries, as many as that; none when all have come. `each_name` goes through the table: for every
    /// entry it gives the text that Kamailio hashes, and the name in the table, which is what comes out here.
    pub(super) fn take(
        &mut self,
        count: usize,
        each_name: impl FnOnce(&mut dyn FnMut(&str, &str)),
    ) -> impl Iterator<Item = Box<str>> {
        if self.next.is_empty() && !self.all {
            self.gather(MAX, each_name);
        }
        let from = self.next.len().saturating_sub(count);
        self.next.drain(from..).rev().map(|(_, name)| name)
    }

    fn gather(&mut self, max: usize, each_name: impl FnOnce(&mut dyn FnMut(&str, &str))) {
        let mut found = Vec::new();
        let mut bound = None;
        each_name(&mut |hashed, name| {
            let place = (rank(hashed), name);
            let is_new = self
                .reached
                .as_ref()
                .is_none_or(|last| borrowed(last) < place);
            if is_new && bound.as_ref().is_none_or(|bound| place < borrowed(bound)) {
                found.push((place.0, Box::from(name)));
                if found.len() > 2 * max {
                    bound = cut(&mut found, max);
                }
            }
        });
        if found.len() > max {
            bound = cut(&mut found, max);
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        self.all = bound.is_none();
        self.reached = found.first().cloned();
        self.next = found;
    }
}

/// Leaves the first so many, and gives the one behind them.
fn cut(found: &mut Vec<Place>, max: usize) -> Option<Place> {
    found.select_nth_unstable(max);
    found.truncate(max + 1);
    found.pop()
}

fn borrowed(place: &Place) -> (u32, &str) {
    (place.0, &place.1)
}

/// Kamailio's hash of a text, the lowest bit first.
fn rank(text: &str) -> u32 {
    // Of 2^32 entries: none of its bits is left out.
    entry_of(text.as_bytes(), 0).reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which Kamailio 5.6.3 told a table of 4096 lists: the first, and one each from further on.
    const TOLD: [(&str, u32); 3] = [("key-65609", 0), ("key-26308", 0), ("user967", 0)];

    #[test]
    fn entries_of_one_list_come_together() {
        for (name, list) in TOLD {
            assert_eq!(entry_of(name.as_bytes(), 1024), list, "{name}");
        }
        let names: Vec<_> = (0..5000).map(|n| format!("key-{n}")).collect();
        let mut order = Order::default();
        let told: Vec<_> = order
            .take(10_000, |each| {
                names.iter().for_each(|name| each(name, name))
            })
            .collect();
        assert_eq!(told.len(), names.len());
        for lists in [2, 256, 1024] {
            let mut of: Vec<_> = told
                .iter()
                .map(|name| entry_of(name.as_bytes(), lists))
                .collect();
            of.dedup();
            let runs = of.len();
            of.sort_unstable();
            of.dedup();
            assert_eq!(runs, of.len(), "each of {lists} lists once");
        }
    }

    #[test]
    fn all_are_told_once_however_few_are_gathered_at_a_time() {
        let names: Vec<_> = (0..1000).map(|n| format!("user{n}")).collect();
        let mut order = Order::default();
        let mut told: Vec<Box<str>> = Vec::new();
        while !order.all {
            order.gather(64, |each| {
                names
                    .iter()
                    .for_each(|name| each(name, &format!("sip:{name}")));
            });
            assert!(order.next.len() <= 64);
            told.extend(order.take(64, |_| unreachable!("there are some")));
        }
        let sorted = told.is_sorted_by_key(|name| rank(name.trim_start_matches("sip:")));
        assert!(sorted);
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), names.len());
    }

    #[test]
    fn what_comes_meanwhile_behind_is_told_too() {
        let mut names: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
        let mut order = Order::default();
        let mut told = 0;
        for round in 0.. {
            if order.next.is_empty() && !order.all {
                order.gather(10, |each| names.iter().for_each(|name| each(name, name)));
            }
            let some = order.take(7, |_| {}).count();
            told += some;
            // Removed and made anew while it goes on: neither stops it.
            names.retain(|name| !name.starts_with("new"));
            names.push(format!("new{round}"));
            if some == 0 {
                break;
            }
        }
        assert!(told >= 100, "{told}");
    }
}
