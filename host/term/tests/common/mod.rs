//! Terms of every kind, for properties.

#![allow(dead_code, clippy::unwrap_used)] // each test program uses its part; a mistake ends the test

use proptest::collection::vec;
use proptest::prelude::*;
use switchhook_term::{Atom, Big, Bits, Export, Fun, Improper, Map, Pid, Port, Reference, Term};

pub(crate) fn atom() -> impl Strategy<Value = Atom> {
    prop_oneof![
        4 => "[a-z][a-zA-Z0-9_@]{0,30}",
        1 => "\\PC{0,20}",
        1 => any::<String>(),
    ]
    .prop_map(|text| Atom::new(&text.chars().take(255).collect::<String>()).unwrap())
}

pub(crate) fn pid() -> impl Strategy<Value = Pid> {
    (atom(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(node, id, serial, creation)| {
        Pid {
            node,
            id,
            serial,
            creation,
        }
    })
}

pub(crate) fn integer() -> impl Strategy<Value = Term> {
    prop_oneof![
        (0i64..256).prop_map(Term::Int),
        any::<i32>().prop_map(Term::from),
        any::<i64>().prop_map(Term::Int),
        (any::<bool>(), vec(any::<u8>(), 0..40))
            .prop_map(|(sign, bytes)| Big::integer(sign, &bytes)),
        (any::<bool>(), vec(any::<u8>(), 250..300))
            .prop_map(|(sign, bytes)| Big::integer(sign, &bytes)),
    ]
}

pub(crate) fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |float| float.is_finite()),
        any::<i32>().prop_map(f64::from),
        any::<i32>().prop_map(|number| f64::from(number) / 1000.0),
    ]
}

/// Terms without parts that are terms; those that can be printed and read again.
pub(crate) fn leaf() -> impl Strategy<Value = Term> {
    prop_oneof![
        integer(),
        float().prop_map(Term::Float),
        atom().prop_map(Term::Atom),
        vec(any::<u8>(), 0..20).prop_map(Term::String),
        any::<String>().prop_map(|text| Term::string(&text)),
        vec(any::<u8>(), 0..20).prop_map(Term::Binary),
        any::<String>().prop_map(Term::binary),
        (vec(any::<u8>(), 0..10), 1u8..=8)
            .prop_map(|(bytes, last)| Bits::term(bytes, last).unwrap()),
        pid().prop_map(Term::from),
        (atom(), any::<u64>(), any::<u32>()).prop_map(|(node, id, creation)| Term::from(Port {
            node,
            id,
            creation
        })),
        (atom(), any::<u32>(), vec(any::<u32>(), 1..=5)).prop_map(|(node, creation, ids)| {
            Term::from(Reference {
                node,
                creation,
                ids: ids.into(),
            })
        }),
        (atom(), atom(), any::<u8>()).prop_map(|(module, function, arity)| Term::from(Export {
            module,
            function,
            arity
        })),
    ]
}

fn nested(leaf: BoxedStrategy<Term>) -> BoxedStrategy<Term> {
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Term::Tuple),
            vec(inner.clone(), 0..6).prop_map(Term::List),
            (vec(inner.clone(), 1..4), inner.clone())
                .prop_map(|(items, tail)| Improper::list(items, tail)),
            vec((inner.clone(), inner), 0..5).prop_map(|pairs| Term::Map(Map::from_pairs(pairs))),
        ]
    })
    .boxed()
}

/// Terms that can be printed and read again: all but funs.
pub(crate) fn printable() -> BoxedStrategy<Term> {
    nested(leaf().boxed())
}

/// Terms of every kind.
pub(crate) fn term() -> BoxedStrategy<Term> {
    let fun = (
        (any::<u8>(), any::<[u8; 16]>(), any::<u32>(), atom()),
        (any::<i32>(), any::<i32>(), pid(), vec(leaf(), 0..3)),
    )
        .prop_map(
            |((arity, uniq, index, module), (old_index, old_uniq, creator, free))| {
                Term::Fun(Box::new(Fun {
                    arity,
                    uniq,
                    index,
                    module,
                    old_index: old_index.into(),
                    old_uniq: old_uniq.into(),
                    creator,
                    free,
                }))
            },
        );
    nested(prop_oneof![8 => leaf(), 1 => fun].boxed())
}
