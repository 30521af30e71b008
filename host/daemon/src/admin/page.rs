//! One page of a table that may hold millions: the keys after a place in it.
//!
//! A table falls into parts, and a key is always in the same one. A page goes on in the part where the one before ended, in the order of its
//! keys, so that each page costs itself and one part, only one part is locked at a time, and a table that changes meanwhile gives each
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
    /// The part at work.
    part: usize,
    /// What the page before ended with.
    after: Option<(usize, String)>,
    limit: usize,
    items: BTreeMap<(usize, String), T>,
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
    /// Gathers a page; `visit` gives [`Page::slot`] each key of the part it is asked for, and says whether there is such a part.
    pub(crate) fn gather(
        after: Option<&str>,
        limit: Option<usize>,
        mut visit: impl FnMut(usize, &mut Self) -> bool,
    ) -> Result<Self, Fault> {
        let limit = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(Fault::invalid_params(format!(
                "`limit`: expected 1 to {MOST}, found {limit}"
            )));
        }
        let mut page = Self {
            part: 0,
            after: after.map(place).transpose()?,
            limit,
            items: BTreeMap::new(),
            more: false,
        };
        let first = page.after.as_ref().map_or(0, |(part, _)| *part);
        for part in first.. {
            page.part = part;
            if !visit(part, &mut page) || page.more {
                break;
            }
        }
        Ok(page)
    }

    /// The place for a key's item if it belongs to the page as far as is known; `make` gives it where it is new.
    pub(crate) fn slot(&mut self, key: &str, make: impl FnOnce() -> T) -> Option<&mut T> {
        let part = self.part;
        let before = |(at, last): &(usize, String)| (part, key) <= (*at, last.as_str());
        if self.after.as_ref().is_some_and(before) {
            return None;
        }
        let full = self.items.len() == self.limit;
        if full
            && let Some(((at, last), _)) = self.items.last_key_value()
            && (*at, last.as_str()) < (part, key)
        {
            self.more = true;
            return None;
        }
        let place = (part, key.to_owned());
        if full && !self.items.contains_key(&place) {
            self.more = true;
            self.items.pop_last();
        }
        Some(self.items.entry(place).or_insert_with(make))
    }

    pub(crate) fn finish(self, mut shape: impl FnMut(String, T) -> Value) -> Paged {
        let last = self.items.last_key_value().filter(|_| self.more);
        let next = last.map(|((part, key), _)| format!("{part}/{key}"));
        let items = self.items.into_iter();
        Paged {
            items: items.map(|((_, key), item)| shape(key, item)).collect(),
            next,
        }
    }
}

/// `PART/KEY`, as `next` was given.
fn place(after: &str) -> Result<(usize, String), Fault> {
    let split = after.split_once('/');
    let place = split.and_then(|(part, key)| Some((part.parse().ok()?, key.to_owned())));
    place.ok_or_else(|| {
        Fault::invalid_params(format!(
            "`after`: expected the `next` of the page before, found `{after}`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One page of a table of parts; gives what `next` was, too, and how many parts were looked at.
    fn page(
        table: &[&[&str]],
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<String>, Option<String>, usize) {
        let mut visited = 0;
        let page = Page::gather(after, Some(limit), |part, page| {
            let Some(keys) = table.get(part) else {
                return false;
            };
            visited += 1;
            for key in *keys {
                page.slot(key, || ());
            }
            true
        });
        let paged = page.unwrap().finish(|key, ()| key.into());
        let items = paged
            .items
            .iter()
            .map(|item| item.as_str().unwrap().to_owned());
        (items.collect(), paged.next, visited)
    }

    #[test]
    fn pages_give_every_key_once_and_go_on_where_they_ended() {
        let table: [&[&str]; 4] = [&["d", "a/1"], &[], &["e", "c", "b"], &["f"]];
        let (mut all, mut after, mut visits) = (Vec::new(), None, Vec::new());
        loop {
            let (items, next, visited) = page(&table, after.as_deref(), 2);
            assert!(items.len() <= 2);
            all.extend(items);
            visits.push(visited);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(all, ["a/1", "d", "b", "c", "e", "f"]);
        assert_eq!(
            visits,
            [3, 3, 2],
            "parts that are done are not walked again"
        );
    }

    #[test]
    fn a_page_that_just_fits_is_the_last() {
        let two = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(page(&[&["b", "a"]], None, 2), (two, None, 1));
        assert_eq!(page(&[&[]], None, 2), (vec![], None, 1));
    }

    #[test]
    fn what_is_added_to_an_item_stays_with_it() {
        let page = Page::gather(None, Some(1), |part, page| {
            for (key, value) in [("b", 1), ("a", 2), ("b", 3), ("a", 4)] {
                if let Some(values) = page.slot(key, Vec::new) {
                    values.push(value);
                }
            }
            part < 1
        });
        let paged = page
            .unwrap()
            .finish(|key, values| serde_json::json!({ key: values }));
        assert_eq!(paged.items, [serde_json::json!({ "a": [2, 4] })]);
        assert_eq!(paged.next.as_deref(), Some("0/a"));
    }

    #[test]
    fn a_limit_is_bounded_and_a_place_is_one_that_was_given() {
        let gather = |after, limit| Page::<()>::gather(after, Some(limit), |_, _| false).is_ok();
        assert!(!gather(None, 0) && !gather(None, MOST + 1) && gather(None, MOST));
        assert!(!gather(Some("a"), 1) && !gather(Some("x/a"), 1) && gather(Some("0/a"), 1));
        assert!(gather(Some("99/a"), 1), "past the end there is nothing");
    }
}
