//! A slab whose names go stale: what was removed is not found again under its old name, whoever has its slot now.
//!
//! Owns cells and branches. Slots are used again, so a lane in a steady state allocates none; a slab that grows gets one more chunk and moves
//! nothing, so that no message waits while a million transactions are copied.

const NONE: u32 = u32::MAX;
/// Slots of a chunk.
const CHUNK: usize = 128;

/// Names one thing in a [`Slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SlotId {
    index: u32,
    generation: u32,
}

/// The slab.
#[derive(Debug)]
pub(super) struct Slots<T> {
    chunks: Vec<Vec<Entry<T>>>,
    free: u32,
    len: usize,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    next_free: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    /// An empty slab.
    pub(super) fn new() -> Slots<T> {
        Slots {
            chunks: Vec::new(),
            free: NONE,
            len: 0,
        }
    }

    /// How many things are in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts a thing in.
    pub(super) fn insert(&mut self, value: T) -> SlotId {
        self.len += 1;
        let index = self.free;
        if let Some(entry) = entry_mut(&mut self.chunks, index) {
            let (next, generation) = (entry.next_free, entry.generation);
            entry.value = Some(value);
            self.free = next;
            return SlotId { index, generation };
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = self.chunks.len().saturating_sub(1) * CHUNK;
        let mut index = full as u32;
        if let Some(last) = self.chunks.last_mut() {
            index += last.len() as u32;
            last.push(Entry {
                generation: 0,
                next_free: NONE,
                value: Some(value),
            });
        }
        SlotId {
            index,
            generation: 0,
        }
    }

    /// Takes a thing out.
    pub(super) fn remove(&mut self, id: SlotId) -> Option<T> {
        let entry = entry_mut(&mut self.chunks, id.index)?;
        if entry.generation != id.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next_free = self.free;
        self.free = id.index;
        self.len -= 1;
        Some(value)
    }

    /// Looks at a thing.
    pub(super) fn get(&self, id: SlotId) -> Option<&T> {
        let index = id.index as usize;
        let entry = self.chunks.get(index / CHUNK)?.get(index % CHUNK)?;
        entry
            .value
            .as_ref()
            .filter(|_| entry.generation == id.generation)
    }

    /// Changes a thing.
    pub(super) fn get_mut(&mut self, id: SlotId) -> Option<&mut T> {
        let entry = entry_mut(&mut self.chunks, id.index)?;
        if entry.generation != id.generation {
            return None;
        }
        entry.value.as_mut()
    }

    /// All that is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let entries = self.chunks.iter().flatten();
        entries.filter_map(|entry| entry.value.as_ref())
    }
}

fn entry_mut<T>(chunks: &mut [Vec<Entry<T>>], index: u32) -> Option<&mut Entry<T>> {
    let index = index as usize;
    chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_does_not_find_the_slots_new_owner() {
        let mut slots = Slots::new();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(slots.chunks[0].len(), 1, "the slot is used again");
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn it_grows_chunk_by_chunk_and_uses_all_of_them_again() {
        let mut slots = Slots::new();
        let names: Vec<_> = (0..3 * CHUNK).map(|n| slots.insert(n)).collect();
        for (n, name) in names.iter().enumerate() {
            assert_eq!(slots.get(*name), Some(&n));
            assert_eq!(slots.remove(*name), Some(n));
        }
        for n in 0..3 * CHUNK {
            let name = slots.insert(n);
            assert_eq!(slots.get_mut(name), Some(&mut { n }));
        }
        assert_eq!(slots.chunks.len(), 3);
        assert_eq!(slots.iter().sum::<usize>(), (0..3 * CHUNK).sum());
    }
}
