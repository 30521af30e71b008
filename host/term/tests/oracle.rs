//! Beside eetf, another codec of the external format.

mod common;

use proptest::prelude::*;
use switchhook_term::{Term, decode, to_bytes};

/// eetf 0.12 writes a list of integers as a string when all are below 256, also where some are below zero.
fn is_written_right(term: &Term) -> bool {
    let small = |item: &Term| item.as_int().is_some_and(|number| number < 256);
    match term {
        Term::List(items) => {
            let is_string = !items.is_empty() && items.iter().all(small);
            let has_negative = items
                .iter()
                .any(|item| item.as_int().is_some_and(i64::is_negative));
            !(is_string && has_negative) && items.iter().all(is_written_right)
        }
        Term::Tuple(parts) => parts.iter().all(is_written_right),
        Term::Improper(list) => {
            list.items().iter().all(is_written_right) && is_written_right(list.tail())
        }
        Term::Map(map) => map
            .pairs()
            .iter()
            .all(|(key, value)| is_written_right(key) && is_written_right(value)),
        Term::Fun(fun) => fun.free.iter().all(is_written_right),
        _ => true,
    }
}

proptest! {
    /// What we write, eetf reads; what it writes of that again, we read as the term we wrote.
    #[test]
    fn eetf_reads_and_writes_the_same(term in common::term().prop_filter("eetf 0.12 errs", is_written_right)) {
        let theirs = eetf::Term::decode(&to_bytes(&term)[..]).unwrap();
        let mut bytes = Vec::new();
        theirs.encode(&mut bytes).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), term);
    }

    /// Both find the end of a term at the same place.
    #[test]
    fn eetf_ends_where_we_do(term in common::term(), after: Vec<u8>) {
        let mut bytes = to_bytes(&term);
        let length = bytes.len();
        bytes.extend(after);
        let mut rest = &bytes[..];
        eetf::Term::decode(&mut rest).unwrap();
        prop_assert_eq!(bytes.len() - rest.len(), length);
    }
}
