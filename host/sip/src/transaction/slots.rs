//! A slab whose names go stale: what was removed is not found again under its old name, whoever has its slot now.
//!
//! Owns cells and branches. Slots are used again, so a lane in a steady state allocates none.

const NONE: u32 = u32::MAX;

/// Names one thing in a [`Slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SlotId {
    index: u32,
    generation: u32,
}

/// The slab.
#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Entry<T>>,
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
            entries: Vec::new(),
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
        if let Some(entry) = self.entries.get_mut(index as usize) {
            self.free = entry.next_free;
            entry.value = Some(value);
            return SlotId {
                index,
                generation: entry.generation,
            };
        }
        let index = self.entries.len() as u32;
        self.entries.push(Entry {
            generation: 0,
            next_free: NONE,
            value: Some(value),
        });
        SlotId {
            index,
            generation: 0,
        }
    }

    /// Takes a thing out.
    pub(super) fn remove(&mut self, id: SlotId) -> Option<T> {
        let entry = self.entries.get_mut(id.index as usize)?;
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
        let entry = self.entries.get(id.index as usize)?;
        entry
            .value
            .as_ref()
            .filter(|_| entry.generation == id.generation)
    }

    /// Changes a thing.
    pub(super) fn get_mut(&mut self, id: SlotId) -> Option<&mut T> {
        let entry = self.entries.get_mut(id.index as usize)?;
        if entry.generation != id.generation {
            return None;
        }
        entry.value.as_mut()
    }

    /// All that is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }
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
        assert_eq!(slots.entries.len(), 1, "the slot is used again");
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(slots.len(), 1);
    }
}
