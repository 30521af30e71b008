//! A tree of a tape: its nodes from the last to the first, so that the parts of a term are ready when it comes. No recursion.

use crate::{Atom, Bits, Fun, Improper, Kind, Malformed, Map, Term, View, tag};

pub(crate) fn build(view: View<'_>) -> Result<Term, Malformed> {
    let mut ready = Vec::new();
    for part in view.all().rev() {
        let term = term(part, &mut ready)?;
        ready.push(term);
    }
    ready.pop().ok_or_else(|| impossible(view))
}

fn term(view: View<'_>, ready: &mut Vec<Term>) -> Result<Term, Malformed> {
    let count = view.node().len as usize;
    let leaf = match view.kind() {
        Kind::Tuple => return Ok(Term::Tuple(parts(ready, count))),
        Kind::List if view.node().tag == tag::NIL => Some(Term::NIL),
        Kind::List => {
            let items = parts(ready, count);
            let tail = ready.pop().unwrap_or(Term::NIL);
            return Ok(Improper::list(items, tail));
        }
        Kind::Map => {
            let mut pairs = Vec::with_capacity(count.min(ready.len()));
            for _ in 0..count {
                let (Some(key), Some(value)) = (ready.pop(), ready.pop()) else {
                    return Err(impossible(view));
                };
                pairs.push((key, value));
            }
            return Map::unique(pairs).map(Term::Map);
        }
        Kind::Fun if view.node().tag == tag::NEW_FUN => fun(view, parts(ready, count)),
        Kind::Fun => view.export().map(|export| Term::Export(Box::new(export))),
        Kind::Integer => view.integer(),
        Kind::Float => view.float().map(Term::Float),
        Kind::Atom => view.atom().map(|text| Term::Atom(Atom::checked(&text))),
        Kind::String => view.string().map(|bytes| Term::String(bytes.to_vec())),
        Kind::Binary => view.binary().map(|bytes| Term::Binary(bytes.to_vec())),
        Kind::Bits => view
            .bits()
            .and_then(|(bytes, last)| Bits::term(bytes.to_vec(), last)),
        Kind::Pid => view.pid().map(|pid| Term::Pid(Box::new(pid))),
        Kind::Port => view.port().map(|port| Term::Port(Box::new(port))),
        Kind::Reference => view
            .reference()
            .map(|reference| Term::Reference(Box::new(reference))),
    };
    leaf.ok_or_else(|| impossible(view))
}

/// The parts of a term: those made last, in their order.
fn parts(ready: &mut Vec<Term>, count: usize) -> Vec<Term> {
    let first = ready.len().saturating_sub(count);
    ready.drain(first..).rev().collect()
}

fn fun(view: View<'_>, parts: Vec<Term>) -> Option<Term> {
    let (arity, uniq, index) = view.fun_head()?;
    let mut parts = parts.into_iter();
    let (Term::Atom(module), old_index, old_uniq, Term::Pid(creator)) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    else {
        return None;
    };
    Some(Term::Fun(Box::new(Fun {
        arity,
        uniq,
        index,
        module,
        old_index: old_index.as_int()?,
        old_uniq: old_uniq.as_int()?,
        creator: *creator,
        free: parts.collect(),
    })))
}

/// The tape checks what is read here, except that numbers of a fun fit 64 bits.
fn impossible(view: View<'_>) -> Malformed {
    Malformed::Part {
        at: view.node().at as usize,
        kind: "term",
    }
}
