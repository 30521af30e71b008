//! One page of a table that may hold millions: the first keys after a given one.
//!
//! A pass over the whole table keeps only the page, so that memory is bounded by it and a table that changes meanwhile gives each
//! item that stays exactly once.

use super::jsonrpc::Fault;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Items of a page unless asked for otherwise.
const USUAL: usize = 1000;
/// The most items of a page.
const MOST: usize = 10_000;

/// A page being gathered.
pub(crate) struct Page<T> {
    after: Option<String>,
    limit: usize,
    items: BTreeMap<String, T>,
    more: bool,
}

/// A page as it is answered.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Paged {
    pub(crate) items: Vec<Value>,
    /// What to give as `after` for the next page; null at the end.
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    pub(crate) fn new(after: Option<String>, limit: Option<usize>) -> Result<Self, Fault> {
        match limit.unwrap_or(USUAL) {
            limit if (1..=MOST).contains(&limit) => Ok(Self {
                after,
                limit,
                items: BTreeMap::new(),
                more: false,
            }),
            limit => Err(Fault::invalid_params(format!(
                "`limit`: expected 1 to {MOST}, found {limit}"
            ))),
        }
    }

    /// The place for a key's item if it belongs to the page as far as is known; `make` gives it where it is new.
    pub(crate) fn slot(&mut self, key: &str, make: impl FnOnce() -> T) -> Option<&mut T> {
        if self.after.as_deref().is_some_and(|after| key <= after) {
            return None;
        }
        if !self.items.contains_key(key) {
            if self.items.len() == self.limit {
                self.more = true;
                let last = self.items.last_entry()?;
                if last.key().as_str() < key {
                    return None;
                }
                last.remove();
            }
            self.items.insert(key.to_owned(), make());
        }
        self.items.get_mut(key)
    }

    pub(crate) fn finish(self, mut shape: impl FnMut(String, T) -> Value) -> Paged {
        let next = self
            .more
            .then(|| self.items.last_key_value().map(|(key, _)| key.clone()))
            .flatten();
        Paged {
            items: self
                .items
                .into_iter()
                .map(|(key, item)| shape(key, item))
                .collect(),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(table: &[&str], after: Option<&str>, limit: usize) -> (Vec<String>, Option<String>) {
        let mut page = Page::new(after.map(str::to_owned), Some(limit)).unwrap();
        for key in table {
            page.slot(key, || ());
        }
        let paged = page.finish(|key, ()| key.into());
        (
            paged
                .items
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect(),
            paged.next,
        )
    }

    #[test]
    fn pages_give_every_key_once_in_order() {
        let table = ["d", "a", "e", "c", "b"];
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (items, next) = page(&table, after.as_deref(), 2);
            assert!(items.len() <= 2);
            all.extend(items);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_page_that_just_fits_is_the_last() {
        assert_eq!(
            page(&["b", "a"], None, 2),
            (vec!["a".to_owned(), "b".to_owned()], None)
        );
        assert_eq!(page(&[], None, 2), (vec![], None));
    }

    #[test]
    fn what_is_added_to_an_item_stays_with_it() {
        let mut page = Page::new(None, Some(1)).unwrap();
        for (key, value) in [("b", 1), ("a", 2), ("b", 3), ("a", 4)] {
            if let Some(values) = page.slot(key, Vec::new) {
                values.push(value);
            }
        }
        let paged = page.finish(|key, values| serde_json::json!({ key: values }));
        assert_eq!(paged.items, [serde_json::json!({ "a": [2, 4] })]);
        assert_eq!(paged.next.as_deref(), Some("a"));
    }

    #[test]
    fn a_limit_is_bounded() {
        assert!(Page::<()>::new(None, Some(0)).is_err());
        assert!(Page::<()>::new(None, Some(MOST + 1)).is_err());
    }
}
