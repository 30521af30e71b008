//! Erlang's order of terms: number < atom < reference < fun < port < pid < tuple < map < empty list < list < bit string.
//!
//! There are two: that of `==` and `<`, where an integer equals the float of its value ([`Term::compare`]); and that of `=:=` and of map
//! keys, where integers come before floats, whatever their values, and -0.0 before 0.0 (`Eq`, `Ord`).

use std::cmp::Ordering;

use crate::{Fun, Pid, Port, Reference, Term};

impl Term {
    /// Erlang's `<`, `==` and `>`: `1 == 1.0`.
    #[must_use]
    pub fn compare(&self, other: &Term) -> Ordering {
        order(self, other, false)
    }
}

/// Erlang's `=:=`.
impl PartialEq for Term {
    fn eq(&self, other: &Term) -> bool {
        match (self, other) {
            (Term::Int(a), Term::Int(b)) => a == b,
            (Term::Atom(a), Term::Atom(b)) => a == b,
            (Term::Binary(a), Term::Binary(b)) | (Term::String(a), Term::String(b)) => a == b,
            (Term::Tuple(a), Term::Tuple(b)) | (Term::List(a), Term::List(b)) => a == b,
            _ => self.cmp(other) == Ordering::Equal,
        }
    }
}

impl Eq for Term {}

impl PartialOrd for Term {
    fn partial_cmp(&self, other: &Term) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of map keys.
impl Ord for Term {
    fn cmp(&self, other: &Term) -> Ordering {
        order(self, other, true)
    }
}

fn order(a: &Term, b: &Term, exact: bool) -> Ordering {
    match (a, b) {
        (Term::Int(a), Term::Int(b)) => a.cmp(b),
        (Term::Atom(a), Term::Atom(b)) => a.cmp(b),
        (Term::Tuple(a), Term::Tuple(b)) => a
            .len()
            .cmp(&b.len())
            .then_with(|| sequence(a.iter().zip(b), exact)),
        (Term::Map(a), Term::Map(b)) => {
            let keys = || a.pairs().iter().map(|pair| &pair.0);
            let other_keys = b.pairs().iter().map(|pair| &pair.0);
            let values = || a.pairs().iter().map(|pair| &pair.1);
            let other_values = b.pairs().iter().map(|pair| &pair.1);
            a.len()
                .cmp(&b.len())
                .then_with(|| sequence(keys().zip(other_keys), true))
                .then_with(|| sequence(values().zip(other_values), exact))
        }
        (Term::Pid(a), Term::Pid(b)) => pids(a, b),
        (Term::Port(a), Term::Port(b)) => ports(a, b),
        (Term::Reference(a), Term::Reference(b)) => references(a, b),
        (Term::Fun(a), Term::Fun(b)) => funs(a, b, exact),
        (Term::Export(a), Term::Export(b)) => a.cmp(b),
        (Term::Fun(_), Term::Export(_)) => Ordering::Less,
        (Term::Export(_), Term::Fun(_)) => Ordering::Greater,
        _ => match rank(a).cmp(&rank(b)) {
            Ordering::Equal => match rank(a) {
                NUMBER => numbers(a, b, exact),
                LIST => lists(a, b, exact),
                BITS => bits(a, b),
                _ => Ordering::Equal, // both are the empty list
            },
            other => other,
        },
    }
}

const NUMBER: u8 = 0;
const NIL: u8 = 8;
const LIST: u8 = 9;
const BITS: u8 = 10;

fn rank(term: &Term) -> u8 {
    match term {
        Term::Int(_) | Term::Big(_) | Term::Float(_) => NUMBER,
        Term::Atom(_) => 1,
        Term::Reference(_) => 2,
        Term::Fun(_) | Term::Export(_) => 3,
        Term::Port(_) => 4,
        Term::Pid(_) => 5,
        Term::Tuple(_) => 6,
        Term::Map(_) => 7,
        Term::List(_) | Term::String(_) if term.is_nil() => NIL,
        Term::List(_) | Term::String(_) | Term::Improper(_) => LIST,
        Term::Binary(_) | Term::Bits(_) => BITS,
    }
}

fn sequence<'a>(pairs: impl Iterator<Item = (&'a Term, &'a Term)>, exact: bool) -> Ordering {
    pairs
        .map(|(a, b)| order(a, b, exact))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn numbers(a: &Term, b: &Term, exact: bool) -> Ordering {
    match (a, b) {
        (Term::Big(a), Term::Big(b)) => a.cmp(b),
        (Term::Big(a), Term::Int(_)) => sign(a.is_negative()),
        (Term::Int(_), Term::Big(b)) => sign(b.is_negative()).reverse(),
        (Term::Float(a), Term::Float(b)) => match a.partial_cmp(b) {
            Some(order) if !exact || order.is_ne() => order,
            _ => a.total_cmp(b),
        },
        (Term::Int(_) | Term::Big(_), Term::Float(_)) if exact => Ordering::Less,
        (Term::Int(a), Term::Float(b)) => int_with_float(*a, *b),
        (Term::Big(a), Term::Float(b)) => a.compare_float(*b),
        (Term::Float(_), _) => numbers(b, a, exact).reverse(),
        _ => Ordering::Equal,
    }
}

fn sign(negative: bool) -> Ordering {
    if negative {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// Exactly, also where the integer has more digits than a float.
#[allow(clippy::cast_possible_truncation)] // the float is within the integer's range there
fn int_with_float(int: i64, float: f64) -> Ordering {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() || float >= EDGE {
        Ordering::Less
    } else if float < -EDGE {
        Ordering::Greater
    } else {
        let whole = float.trunc();
        int.cmp(&(whole as i64)).then_with(|| {
            // equal to the whole part: what is left decides
            0.0.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)
        })
    }
}

fn bits(a: &Term, b: &Term) -> Ordering {
    fn parts(term: &Term) -> (&[u8], u8) {
        match term {
            Term::Binary(bytes) => (bytes, 8),
            Term::Bits(bits) => (bits.bytes(), bits.last()),
            _ => (&[], 8),
        }
    }
    // bit by bit; where one is the beginning of the other, the shorter comes first
    let ((a, a_last), (b, b_last)) = (parts(a), parts(b));
    let length = |bytes: &[u8], last: u8| {
        bytes
            .len()
            .saturating_mul(8)
            .saturating_sub(usize::from(8 - last.min(8)))
    };
    a.cmp(b)
        .then_with(|| length(a, a_last).cmp(&length(b, b_last)))
}

/// Where a list ends, as the other goes on.
enum Rest<'a> {
    Element(Element<'a>),
    Tail(Option<&'a Term>),
}

enum Element<'a> {
    Term(&'a Term),
    Byte(u8),
}

/// The `index`th step along a list: an element or its tail.
fn step(list: &Term, index: usize) -> Rest<'_> {
    let (element, tail) = match list {
        Term::List(items) => (items.get(index).map(Element::Term), None),
        Term::String(bytes) => (bytes.get(index).map(|byte| Element::Byte(*byte)), None),
        Term::Improper(list) => (
            list.items().get(index).map(Element::Term),
            Some(list.tail()),
        ),
        _ => (None, None),
    };
    element.map_or(Rest::Tail(tail), Rest::Element)
}

fn lists(a: &Term, b: &Term, exact: bool) -> Ordering {
    for index in 0.. {
        let order = match (step(a, index), step(b, index)) {
            (Rest::Element(a), Rest::Element(b)) => elements(&a, &b, exact),
            (Rest::Element(_), Rest::Tail(tail)) => LIST.cmp(&tail.map_or(NIL, rank)),
            (Rest::Tail(tail), Rest::Element(_)) => tail.map_or(NIL, rank).cmp(&LIST),
            (Rest::Tail(a), Rest::Tail(b)) => {
                return order(a.unwrap_or(&Term::NIL), b.unwrap_or(&Term::NIL), exact);
            }
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn elements(a: &Element<'_>, b: &Element<'_>, exact: bool) -> Ordering {
    match (a, b) {
        (Element::Byte(a), Element::Byte(b)) => a.cmp(b),
        (Element::Term(a), Element::Term(b)) => order(a, b, exact),
        (Element::Term(a), Element::Byte(b)) => order(a, &Term::Int(i64::from(*b)), exact),
        (Element::Byte(a), Element::Term(b)) => order(&Term::Int(i64::from(*a)), b, exact),
    }
}

/// Numbers first, then the node, as OTP does.
fn pids(a: &Pid, b: &Pid) -> Ordering {
    (a.serial, a.id, &a.node, a.creation).cmp(&(b.serial, b.id, &b.node, b.creation))
}

fn ports(a: &Port, b: &Port) -> Ordering {
    (&a.node, a.creation, a.id).cmp(&(&b.node, b.creation, b.id))
}

/// The node first, then the number from its highest word.
fn references(a: &Reference, b: &Reference) -> Ordering {
    (&a.node, a.creation)
        .cmp(&(&b.node, b.creation))
        .then_with(|| a.ids.len().cmp(&b.ids.len()))
        .then_with(|| a.ids.iter().rev().cmp(b.ids.iter().rev()))
}

fn funs(a: &Fun, b: &Fun, exact: bool) -> Ordering {
    let key = |fun: &Fun| (fun.module.clone(), fun.index, fun.old_uniq);
    let rest = |fun: &Fun| (fun.arity, fun.uniq, fun.old_index, fun.free.len());
    key(a)
        .cmp(&key(b))
        .then_with(|| rest(a).cmp(&rest(b)))
        .then_with(|| sequence(a.free.iter().zip(&b.free), exact))
        .then_with(|| pids(&a.creator, &b.creator))
}
