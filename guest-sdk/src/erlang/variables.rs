//! Kamailio's container variables, for those who port scripts: `$erl_atom`, `$erl_list`, `$erl_tuple`, `$erl_xbuff`, `$erl_pid` and `$erl_ref`.
//!
//! ```
//! # use switchhook_sdk::prelude::*;
//! # use switchhook_sdk::testkit::{Site, request};
//! use switchhook_sdk::erlang::variables::{erl_atom, erl_tuple};
//!
//! # #[switchhook_sdk::script]
//! # mod routes {
//! #     #[request_route]
//! #     fn main(req: &mut Request) -> Outcome {
//! // $erl_atom(example) = "example"; $erl_tuple(M) = "message"; $erl_tuple(M) = $erl_atom(example);
//! erl_atom("example").set("example")?;
//! erl_tuple("M").prepend("message")?;
//! erl_tuple("M").prepend(erl_atom("example").get()?)?;
//! assert_eq!(erl_tuple("M").format()?, r#"{example,"message"}"#);
//! assert_eq!((erl_tuple("M").kind()?, erl_tuple("M").length()?), ("tuple", 2));
//! #         req.reply(200, "OK")
//! #     }
//! # }
//! # fn main() { assert_eq!(Site::new(routes::Script, "{}").receive(request("OPTIONS", "sip:a@example.test")).status(), Some(200)); }
//! ```
//!
//! A variable holds one term, in one of three contexts: that of the transaction (a variable of [`vars`], the default), that of the
//! current dialog ([`Variable::of_dialog`]), or a shared hash table ([`Variable::shared`]). A dialog's variables are text: the term is
//! kept there as the Erlang shell prints it, which reads back as the same; of all terms only a fun can't be kept so. The others hold the
//! external format.
//!
//! Assignment as Kamailio has it: without an index, a tuple or list gets a new first element; with one, that element
//! is replaced; [`erl_xbuff`] is replaced whole, and takes any term.

use super::{Atom, Improper, Pid, Reference, Term, given, parse, to_bytes};
use crate::error::{Error, Result};
use crate::{dialog, htable, vars};

/// Where a variable lives.
#[derive(Debug, Clone, Copy)]
pub enum Context<'a> {
    /// With the transaction.
    Transaction,
    /// With the current dialog, at every node that shares dialogs: [`Context::DIALOG`].
    Dialog(Dialog),
    /// In the shared hash table of that name, as `[[htable]]` declares it.
    Shared(&'a str),
}

/// The way to a dialog's variables: by pointers, so that a script which never takes it does not import `dialog` and needs no grant.
#[derive(Debug, Clone, Copy)]
pub struct Dialog {
    get: fn(&str) -> Result<Option<String>>,
    set: fn(&str, String) -> Result<()>,
    remove: fn(&str) -> Result<()>,
}

impl Context<'_> {
    /// With the current dialog.
    pub const DIALOG: Self = Context::Dialog(Dialog {
        get: dialog::var,
        set: |name, value| dialog::set_var(name, value),
        remove: dialog::remove_var,
    });
}

/// What a variable may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Atom,
    List,
    Tuple,
    Xbuff,
    Pid,
    Reference,
}

impl Class {
    /// As Kamailio names the variable.
    fn name(self) -> &'static str {
        match self {
            Class::Atom => "erl_atom",
            Class::List => "erl_list",
            Class::Tuple => "erl_tuple",
            Class::Xbuff => "erl_xbuff",
            Class::Pid => "erl_pid",
            Class::Reference => "erl_ref",
        }
    }

    fn holds(self, term: &Term) -> bool {
        match self {
            Class::Atom => term.as_atom().is_some(),
            Class::List => matches!(term.type_name(), "list"),
            Class::Tuple => term.as_tuple().is_some(),
            Class::Xbuff => true,
            Class::Pid => term.as_pid().is_some(),
            Class::Reference => term.as_reference().is_some(),
        }
    }
}

/// A variable of one of the classes, by name.
#[derive(Debug, Clone, Copy)]
pub struct Variable<'a> {
    class: Class,
    name: &'a str,
    context: Context<'a>,
}

macro_rules! classes {
    ($($function:ident $class:ident $doc:literal)*) => {$(
        #[doc = $doc]
        pub const fn $function(name: &str) -> Variable<'_> {
            Variable { class: Class::$class, name, context: Context::Transaction }
        }
    )*};
}

classes! {
    erl_atom Atom "`$erl_atom(name)`: an atom; text becomes one when it is set."
    erl_list List "`$erl_list(name)`: a list."
    erl_tuple Tuple "`$erl_tuple(name)`: a tuple."
    erl_xbuff Xbuff "`$erl_xbuff(name)`: any term."
    erl_pid Pid "`$erl_pid(name)`: a pid."
    erl_ref Reference "`$erl_ref(name)`: a reference."
}

impl<'a> Variable<'a> {
    /// The variable of that name in a shared hash table, which all transactions, scripts and lanes see.
    #[must_use]
    pub const fn shared(self, table: &'a str) -> Variable<'a> {
        self.within(Context::Shared(table))
    }

    /// The variable of that name of the current dialog, which all its transactions see.
    #[must_use]
    pub const fn of_dialog(self) -> Variable<'a> {
        self.within(Context::DIALOG)
    }

    /// The variable of that name in another context.
    #[must_use]
    pub const fn within(self, context: Context<'a>) -> Variable<'a> {
        Variable { context, ..self }
    }

    /// The term; an error where it is not set.
    pub fn get(self) -> Result<Term> {
        self.find()?
            .ok_or_else(|| Error::new(format!("{self} is not set")))
    }

    /// The term, where it is set; `$erl_xxx(name) != $null`.
    pub fn find(self) -> Result<Option<Term>> {
        let bytes = match self.context {
            Context::Transaction => match vars::get(&self.key()) {
                Some(vars::Value::Bytes(bytes)) => bytes,
                _ => return Ok(None),
            },
            Context::Dialog(dialog) => {
                let text = (dialog.get)(&self.key())?;
                let unread = |error| Error::new(format!("{self} of the dialog: {error}"));
                return text.map(|text| parse(&text).map_err(unread)).transpose();
            }
            Context::Shared(table) => match htable::table(table).get(&self.key())? {
                Some(htable::Value::Bytes(bytes)) => bytes,
                _ => return Ok(None),
            },
        };
        given(&bytes).map(Some)
    }

    /// Replaces the whole term. An atom takes text too.
    pub fn set(self, term: impl Into<Term>) -> Result<()> {
        let mut term = term.into();
        if self.class == Class::Atom
            && let Some(text) = term.as_text()
        {
            term = Atom::new(&text)?.into();
        }
        if !self.class.holds(&term) {
            return Err(self.mismatch(&term));
        }
        match self.context {
            Context::Transaction => vars::set(&self.key(), to_bytes(&term)),
            Context::Dialog(dialog) => {
                let text = term.to_string();
                if parse(&text).is_ok_and(|read| read == term) {
                    return (dialog.set)(&self.key(), text);
                }
                Err(Error::new(format!(
                    "{self} of the dialog: {text} can't be kept as text"
                )))
            }
            Context::Shared(table) => htable::table(table).set(&self.key(), to_bytes(&term)),
        }
    }

    /// What an assignment without index does: a tuple or list gets a new first element, made where there is none; anything else
    /// is replaced.
    pub fn prepend(self, term: impl Into<Term>) -> Result<()> {
        let term = term.into();
        match (self.class, self.find()?) {
            (Class::Tuple, rest) => {
                let mut parts = vec![term];
                if let Some(Term::Tuple(rest)) = rest {
                    parts.extend(rest);
                }
                self.set(Term::Tuple(parts))
            }
            (Class::List, rest) => self.set(Improper::list(vec![term], rest.unwrap_or(Term::NIL))),
            _ => self.set(term),
        }
    }

    /// `$erl_tuple(name[index])`: an element, counted from 0.
    pub fn element(self, index: usize) -> Result<Term> {
        let term = self.get()?;
        let parts = self.parts(&term)?;
        let missing = || Error::new(format!("{self}[{index}]: there are {}", parts.len()));
        parts.get(index).cloned().ok_or_else(missing)
    }

    /// `$erl_tuple(name[index]) = term`: replaces an element.
    pub fn set_element(self, index: usize, term: impl Into<Term>) -> Result<()> {
        let whole = self.get()?;
        let mut parts = self.parts(&whole)?;
        let count = parts.len();
        let missing = || Error::new(format!("{self}[{index}]: there are {count}"));
        *parts.get_mut(index).ok_or_else(missing)? = term.into();
        self.set(match whole {
            Term::Tuple(_) => Term::Tuple(parts),
            _ => Term::List(parts),
        })
    }

    /// Takes the term away; `= $null`. Tells whether there was one.
    pub fn unset(self) -> Result<bool> {
        match self.context {
            Context::Transaction => Ok(vars::remove(&self.key()) > 0),
            Context::Dialog(dialog) => {
                let there = (dialog.get)(&self.key())?.is_some();
                if there {
                    (dialog.remove)(&self.key())?;
                }
                Ok(there)
            }
            Context::Shared(table) => htable::table(table).remove(&self.key()),
        }
    }

    /// `=>type`: what the term is: `tuple`, `list`, `atom`, `integer` ...
    pub fn kind(self) -> Result<&'static str> {
        Ok(self.get()?.type_name())
    }

    /// `=>length`: elements of a tuple or list, pairs of a map, bytes of a binary, characters of an atom; 1 for anything else.
    pub fn length(self) -> Result<usize> {
        Ok(match &self.get()? {
            Term::Tuple(parts) | Term::List(parts) => parts.len(),
            Term::String(bytes) | Term::Binary(bytes) => bytes.len(),
            Term::Improper(list) => list.items().len() + 1,
            Term::Map(map) => map.len(),
            Term::Atom(atom) => atom.chars().count(),
            _ => 1,
        })
    }

    /// `=>format`: the term as the Erlang shell prints it.
    pub fn format(self) -> Result<String> {
        Ok(self.get()?.to_string())
    }

    /// The pid that an `erl_pid` holds.
    pub fn pid(self) -> Result<Pid> {
        let term = self.get()?;
        term.as_pid().cloned().ok_or_else(|| self.mismatch(&term))
    }

    /// The reference that an `erl_ref` holds.
    pub fn reference(self) -> Result<Reference> {
        let term = self.get()?;
        let found = term.as_reference().cloned();
        found.ok_or_else(|| self.mismatch(&term))
    }

    /// One name in each context: the classes are spaces of their own, as in Kamailio.
    fn key(self) -> String {
        format!("{}=>{}", self.class.name(), self.name)
    }

    fn parts(self, term: &Term) -> Result<Vec<Term>> {
        if let Some(parts) = term.as_tuple() {
            return Ok(parts.to_vec());
        }
        match term.as_list() {
            Some(items) => Ok(items.map(std::borrow::Cow::into_owned).collect()),
            None => Err(Error::new(format!("{self}: {term} has no elements"))),
        }
    }

    fn mismatch(self, term: &Term) -> Error {
        Error::new(format!(
            "{self}: {term} is no {}",
            self.class.name().trim_start_matches("erl_")
        ))
    }
}

/// As Kamailio writes it.
impl std::fmt::Display for Variable<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}({})", self.class.name(), self.name)
    }
}
