//! A peer's bytes as a term: never a panic, never more than the limits; what is taken is written and read again as the same term, and a
//! view shows what the tree has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use switchhook_term::{Kind, Limits, Malformed, Tape, View, decode, to_bytes};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        depth: 64,
        count: 10_000,
        bytes: 1 << 20,
    };
    let mut tape = Tape::new();
    let Ok((view, end)) = tape.decode_prefix(bytes, &limits) else {
        return;
    };
    assert!(end <= bytes.len(), "it ends beyond the bytes");
    walk(view);
    let mut copy = vec![131];
    view.copy_to(&mut copy);
    match view.to_term() {
        Ok(term) => {
            let written = to_bytes(&term);
            assert_eq!(decode(&written).as_ref(), Ok(&term), "written and read");
            assert_eq!(decode(&copy).as_ref(), Ok(&term), "copied and read");
            assert!(term.compare(&term).is_eq() && term.cmp(&term).is_eq());
            let _ = term.to_string();
        }
        Err(error) => {
            assert!(
                matches!(error, Malformed::DuplicateKey | Malformed::Part { .. }),
                "{error}"
            );
        }
    }
});

/// Everything that a view says it has is there.
fn walk(view: View<'_>) {
    match view.kind() {
        Kind::Tuple => view.tuple().expect("a tuple").for_each(walk),
        Kind::List => {
            let (items, tail) = view.list().expect("a list");
            items.for_each(walk);
            if !tail.is_nil() {
                walk(tail);
            }
        }
        Kind::Map => view.map().expect("a map").for_each(|(key, value)| {
            walk(key);
            walk(value);
        }),
        Kind::Integer => drop(view.integer().expect("an integer")),
        Kind::Float => assert!(view.float().expect("a float").is_finite()),
        Kind::Atom => assert!(view.atom().expect("an atom").chars().count() <= 255),
        Kind::String => drop(view.string().expect("a string")),
        Kind::Binary => drop(view.binary().expect("a binary")),
        Kind::Pid => drop(view.pid().expect("a pid")),
        Kind::Port => drop(view.port().expect("a port")),
        Kind::Reference => drop(view.reference().expect("a reference")),
        Kind::Bits | Kind::Fun => {}
    }
}
