//! The order in which a table is told to one that joins: list by list, as Kamailio keeps it, at several places at once.
//!
//! Kamailio keeps hash tables and contacts in a power of two of lists; the low bits of a hash of an entry's name say in which, and it walks
//! that list for each entry that comes, under the list's lock. Told in any order, each entry needs another list, which has left the processor's
//! caches since it was last walked: measured, that is three times the work for the receiver. So entries are told by that hash with its
//! bits reversed, which has all entries of a list together whatever the number of lists.
//!
//! Its workers would then be at one list at the same time and wait for each other. So a table is told in [`STRANDS`]: each has the lists
//! with those lowest bits of the hash, and of each only one message is under way (`sync`).
//!
//! Names only are gathered; what they stand for is read when it is told. Limits: at most twice [`MAX`] names are held; the table is gone
//! through once for each [`MAX`] of its entries.

use switchhook_sip::dialog::entry_of;

/// Parts of a table that are told beside each other: a power of two.
pub(super) const STRANDS: usize = 4;
/// The most names that are gathered by going through a table once.
const MAX: usize = 131_072;

/// Where an entry comes: its place in its strand and, in the lowest bits, which strand that is; then its name in the table.
type Place = (u32, Box<str>);

/// How far the telling of a table has come.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Who comes next in each strand; the very next is the last one.
    next: [Vec<Place>; STRANDS],
    /// The strand whose turn it is.
    turn: usize,
    /// The last of those that were gathered so far.
    reached: Option<Place>,
    /// Nobody comes behind those in `next`.
    all: bool,
}

impl Order {
    /// The strand to go on with; none when all have come. `each_name` goes through the table: for every entry it gives the text that
    /// Kamailio hashes, and the name in the table, which is what comes out here.
    pub(super) fn strand(
        &mut self,
        each_name: impl FnOnce(&mut dyn FnMut(&str, &str)),
    ) -> Option<usize> {
        if self.next.iter().all(Vec::is_empty) && !self.all {
            self.gather(MAX, each_name);
        }
        let from = self.turn;
        let mut turns = (from..from + STRANDS).map(|turn| turn % STRANDS);
        let strand = turns.find(|strand| self.peek(*strand).is_some())?;
        self.turn = strand + 1;
        Some(strand)
    }

    /// The next name of a strand.
    pub(super) fn peek(&self, strand: usize) -> Option<&str> {
        let (_, name) = self.next.get(strand)?.last()?;
        Some(name)
    }

    /// The next one of a strand has been told.
    pub(super) fn told(&mut self, strand: usize) {
        if let Some(next) = self.next.get_mut(strand) {
            next.pop();
        }
    }

    fn gather(&mut self, max: usize, each_name: impl FnOnce(&mut dyn FnMut(&str, &str))) {
        let mut found = Vec::new();
        let mut bound = None;
        each_name(&mut |hashed, name| {
            let place = (place(hashed), name);
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
        for place in found {
            let strand = place.0 as usize % STRANDS;
            if let Some(next) = self.next.get_mut(strand) {
                next.push(place);
            }
        }
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

/// Kamailio's hash of a text, the lowest bit first, but those that name the strand last.
fn place(text: &str) -> u32 {
    // Of 2^32 entries: none of its bits is left out.
    let hash = entry_of(text.as_bytes(), 0);
    hash.reverse_bits().rotate_left(STRANDS.ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which Kamailio 5.6.3 told a table of 4096 lists: the first, and one each from further on.
    const TOLD: [(&str, u32); 3] = [("key-65609", 0), ("key-26308", 0), ("user967", 0)];

    /// Tells the next, if there is one.
    fn tell(order: &mut Order, strand: usize) -> Option<String> {
        let name = order.peek(strand)?.to_owned();
        order.told(strand);
        Some(name)
    }

    /// Tells up to so many of the strand whose turn it is.
    fn some(order: &mut Order, count: usize, names: &[String]) -> (usize, Vec<String>) {
        let strand = order.strand(|each| names.iter().for_each(|name| each(name, name)));
        let Some(strand) = strand else {
            return (0, Vec::new());
        };
        let told = (0..count).map_while(|_| tell(order, strand));
        (strand, told.collect())
    }

    #[test]
    fn entries_of_one_list_come_together() {
        for (name, list) in TOLD {
            assert_eq!(entry_of(name.as_bytes(), 1024), list, "{name}");
        }
        let names: Vec<_> = (0..5000).map(|n| format!("key-{n}")).collect();
        let (mut order, mut told) = (Order::default(), [const { Vec::new() }; STRANDS]);
        loop {
            let (strand, names) = some(&mut order, 30, &names);
            if names.is_empty() {
                break;
            }
            told[strand].extend(names);
        }
        assert_eq!(told.iter().map(Vec::len).sum::<usize>(), names.len());
        for lists in [2, 256, 1024] {
            let mut runs = 0;
            let mut all: Vec<_> = told
                .iter()
                .flat_map(|told| {
                    let of = told.iter().map(|name| entry_of(name.as_bytes(), lists));
                    let mut of: Vec<_> = of.collect();
                    of.dedup();
                    runs += of.len();
                    of
                })
                .collect();
            all.sort_unstable();
            all.dedup();
            // Where there are more lists than strands, no two strands are ever at one list.
            let most = all.len().max(STRANDS);
            assert!(runs <= most, "each of {lists} lists once: {runs}");
        }
    }

    #[test]
    fn strands_are_told_in_turns() {
        let names: Vec<_> = (0..4000).map(|n| format!("key-{n}")).collect();
        let mut order = Order::default();
        let turns: Vec<_> = (0..2 * STRANDS)
            .map(|_| some(&mut order, 10, &names).0)
            .collect();
        assert_eq!(turns, [0, 1, 2, 3, 0, 1, 2, 3]);
    }

    #[test]
    fn all_are_told_once_however_few_are_gathered_at_a_time() {
        let names: Vec<_> = (0..1000).map(|n| format!("user{n}")).collect();
        let mut order = Order::default();
        let mut told = [const { Vec::new() }; STRANDS];
        while !order.all {
            order.gather(64, |each| {
                names
                    .iter()
                    .for_each(|name| each(name, &format!("sip:{name}")));
            });
            assert!(order.next.iter().map(Vec::len).sum::<usize>() <= 64);
            for (strand, told) in told.iter_mut().enumerate() {
                told.extend(std::iter::from_fn(|| tell(&mut order, strand)));
            }
        }
        let place = |name: &String| place(name.trim_start_matches("sip:"));
        assert!(told.iter().all(|told| told.is_sorted_by_key(place)));
        let mut told = told.concat();
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
            if order.next.iter().all(Vec::is_empty) && !order.all {
                order.gather(10, |each| names.iter().for_each(|name| each(name, name)));
            }
            let (_, some) = some(&mut order, 7, &names);
            told += some.len();
            // Removed and made anew while it goes on: neither stops it.
            names.retain(|name| !name.starts_with("new"));
            names.push(format!("new{round}"));
            if some.is_empty() {
                break;
            }
        }
        assert!(told >= 100, "{told}");
    }
}
