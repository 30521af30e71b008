//! Erlang's order of terms and its two equalities.

mod common;

use std::cmp::Ordering;

use proptest::prelude::*;
use switchhook_term::{Big, Bits, Improper, Term, atom, list, map, tuple};

proptest! {
    #[test]
    fn both_orders_are_orders(mut terms in prop::collection::vec(common::term(), 3)) {
        terms.sort();
        prop_assert!(terms.is_sorted());
        prop_assert!(terms[0] <= terms[2]);
        terms.sort_by(Term::compare);
        prop_assert!(terms[0].compare(&terms[2]).is_le());
        prop_assert_eq!(terms[0].compare(&terms[1]), terms[1].compare(&terms[0]).reverse());
    }

    #[test]
    fn equal_is_what_compares_equal(a in common::term(), b in common::term()) {
        prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        prop_assert_eq!(&a, &a.clone());
        if a == b {
            prop_assert_eq!(a.compare(&b), Ordering::Equal);
        }
    }

    #[test]
    fn integers_and_floats_compare_by_value(int: i64, float in common::float()) {
        let exact = Term::Int(int).compare(&Term::Float(float));
        let wide = i128::from(int);
        let whole = float.trunc();
        let expected = if whole.abs() > 1e30 {
            0.0f64.partial_cmp(&whole).unwrap()
        } else {
            wide.cmp(&(whole as i128))
                .then(0.0f64.partial_cmp(&(float - whole)).unwrap())
        };
        prop_assert_eq!(exact, expected);
    }
}

#[test]
fn the_order_of_kinds() {
    let ascending = [
        Big::integer(true, &[0xff; 20]),
        Term::Int(i64::MIN),
        Term::Float(-1.5),
        Term::Int(1),
        Term::Float(1.5),
        Term::Int(2),
        Big::integer(false, &[0xff; 20]),
        Term::Float(1e300),
        atom("a"),
        atom("aa"),
        atom("b"),
        tuple![],
        tuple![9],
        tuple![1, 1],
        tuple![1, 2],
        map! {},
        map! { 2 => 0 },
        map! { 1 => 0, 2 => 0 },
        map! { 1 => 0, 3 => 0 },
        Term::NIL,
        Improper::list(vec![1.into()], 5.into()),
        list![1],
        list![1, 2],
        Improper::list(vec![1.into()], Term::binary("x")),
        "ab".into(),
        Term::List(vec![97.into(), 99.into()]),
        list![atom("a")],
        Term::binary(""),
        Bits::term(vec![0b1000_0000], 1).unwrap(),
        Term::binary([0b1000_0000]),
        Term::binary([0b1000_0001]),
        Bits::term(vec![0b1100_0000], 2).unwrap(),
    ];
    for (index, term) in ascending.iter().enumerate() {
        for (other, later) in ascending.iter().enumerate() {
            let expected = index.cmp(&other);
            assert_eq!(term.compare(later), expected, "{term} and {later}");
        }
    }
}

#[test]
fn one_is_equal_to_one_point_nought_but_not_the_same() {
    let (int, float) = (Term::Int(1), Term::Float(1.0));
    assert_eq!(int.compare(&float), Ordering::Equal);
    assert_ne!(int, float);
    assert!(
        int < float && Term::Int(2) < float,
        "as a map's key an integer comes before any float"
    );
    assert_eq!(tuple![1, 2].compare(&tuple![1.0, 2]), Ordering::Equal);
    assert_ne!(Term::Float(0.0), Term::Float(-0.0));
    assert_eq!(
        Term::Float(0.0).compare(&Term::Float(-0.0)),
        Ordering::Equal
    );
    let both = map! { 1 => "int", 1.0 => "float" };
    assert_eq!(both.as_map().unwrap().len(), 2);
    assert_eq!(both.as_map().unwrap().get(&float), Some(&"float".into()));
}
