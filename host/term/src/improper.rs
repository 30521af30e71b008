//! Lists that end in something else than the empty list: `[a, b | c]`.

use crate::Term;

/// A list with at least one element whose tail is no list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Improper {
    items: Vec<Term>,
    tail: Term,
}

impl Improper {
    /// The list `[items ... | tail]`: proper when the tail is a proper list, the tail itself where there are no items.
    #[must_use]
    pub fn list(mut items: Vec<Term>, tail: Term) -> Term {
        if items.is_empty() {
            return tail;
        }
        match tail {
            Term::List(more) => {
                items.extend(more);
                Term::List(items)
            }
            Term::String(bytes) => {
                items.extend(bytes.into_iter().map(|byte| Term::Int(byte.into())));
                Term::List(items)
            }
            Term::Improper(rest) => {
                items.extend(rest.items);
                Term::Improper(Box::new(Improper {
                    items,
                    tail: rest.tail,
                }))
            }
            tail => Term::Improper(Box::new(Improper { items, tail })),
        }
    }

    /// The elements before the tail.
    #[must_use]
    pub fn items(&self) -> &[Term] {
        &self.items
    }

    /// What stands after the bar.
    #[must_use]
    pub fn tail(&self) -> &Term {
        &self.tail
    }
}
