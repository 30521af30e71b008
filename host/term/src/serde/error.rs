//! A value that is no term, or a term that is no such value.

use std::fmt::{self, Display};

use crate::Term;

/// Why a term and a type do not fit; it names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// Fields from the outermost in.
    path: Vec<String>,
    message: String,
}

impl Unfit {
    pub(super) fn new(message: impl Display) -> Unfit {
        Unfit {
            path: Vec::new(),
            message: message.to_string(),
        }
    }

    /// Another term was expected.
    pub(super) fn expected(what: &str, term: &Term) -> Unfit {
        const LONGEST: usize = 80;
        let mut got = format!("{term:#}");
        if let Some((cut, _)) = got.char_indices().nth(LONGEST) {
            got.truncate(cut);
            got.push_str("...");
        }
        Unfit::new(format_args!("expected {what}, got {got}"))
    }

    /// In that field.
    pub(super) fn within(mut self, field: impl Display) -> Unfit {
        self.path.insert(0, field.to_string());
        self
    }
}

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path.join("."))?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unfit {}

impl serde::ser::Error for Unfit {
    fn custom<T: Display>(message: T) -> Unfit {
        Unfit::new(message)
    }
}

impl serde::de::Error for Unfit {
    fn custom<T: Display>(message: T) -> Unfit {
        Unfit::new(message)
    }
}
