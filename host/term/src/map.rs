//! Maps, kept in the order of their keys.

use crate::{Malformed, Term};

/// A map: each key once, in Erlang's order of keys (integers before floats).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map(Vec<(Term, Term)>);

impl Map {
    /// An empty map.
    #[must_use]
    pub fn new() -> Map {
        Map::default()
    }

    /// Of pairs in any order; a later pair takes the place of an earlier one with its key.
    #[must_use]
    pub fn from_pairs(mut pairs: Vec<(Term, Term)>) -> Map {
        pairs.sort_by(|a, b| a.0.cmp(&b.0)); // stable: of equal keys the last one is the newest
        pairs.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Map(pairs)
    }

    /// Of pairs in any order.
    ///
    /// # Errors
    /// When a key is there twice.
    pub fn unique(mut pairs: Vec<(Term, Term)>) -> Result<Map, Malformed> {
        pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if pairs
            .iter()
            .zip(pairs.iter().skip(1))
            .any(|(a, b)| a.0 == b.0)
        {
            return Err(Malformed::DuplicateKey);
        }
        Ok(Map(pairs))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &Term) -> Option<&Term> {
        let found = self.0.binary_search_by(|pair| pair.0.cmp(key)).ok()?;
        self.0.get(found).map(|pair| &pair.1)
    }

    /// The value of an atom key.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Term> {
        let found = self.0.iter().find(|pair| pair.0.is_atom(name))?;
        Some(&found.1)
    }

    /// Sets the value of a key; gives the value before.
    pub fn insert(&mut self, key: Term, value: Term) -> Option<Term> {
        match self.0.binary_search_by(|pair| pair.0.cmp(&key)) {
            Ok(found) => self
                .0
                .get_mut(found)
                .map(|pair| std::mem::replace(&mut pair.1, value)),
            Err(place) => {
                self.0.insert(place, (key, value));
                None
            }
        }
    }

    /// Takes a key and its value away.
    pub fn remove(&mut self, key: &Term) -> Option<Term> {
        let found = self.0.binary_search_by(|pair| pair.0.cmp(key)).ok()?;
        Some(self.0.remove(found).1)
    }

    /// How many keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs in the order of their keys.
    #[must_use]
    pub fn pairs(&self) -> &[(Term, Term)] {
        &self.0
    }

    /// The pairs, taken out.
    #[must_use]
    pub fn into_pairs(self) -> Vec<(Term, Term)> {
        self.0
    }
}

impl FromIterator<(Term, Term)> for Map {
    fn from_iter<I: IntoIterator<Item = (Term, Term)>>(pairs: I) -> Map {
        Map::from_pairs(pairs.into_iter().collect())
    }
}
