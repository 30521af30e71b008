//! What goes wrong in a script, and how a route ends.

use std::fmt;

use crate::host::types;

pub use types::ErrorCode;

/// A refused host call, or whatever error of its own a route ends with.
///
/// `?` makes one of any [`std::error::Error`]. A route that ends with an error gets it logged, and a request is answered with the
/// script's error reply (`error-reply` in switchhook.toml, 500 as shipped).
///
/// ```
/// use switchhook_sdk::prelude::*;
///
/// fn digits(text: &str) -> Result<u32> {
///     Ok(text.parse()?)
/// }
/// assert_eq!(digits("12x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Error {
    code: Option<ErrorCode>,
    message: String,
}

/// The result of what may be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a route comes to.
///
/// `Ok(Done)` is Kamailio's `exit`, `Ok(Drop)` its `drop`, and `Ok(Next)` the `return` of a block that leaves the request to
/// whoever called it. Nothing ends a route but its return.
pub type Outcome = Result<End>;

/// How a route, or one of the blocks it is made of, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not decided here: the caller goes on. At the end of an event's own route the same as [`Done`](End::Done).
    Next,
    /// The host carries out what was decided. A request for which nothing was decided gets the script's error reply: a caller is
    /// never left in silence.
    Done,
    /// The request gets no answer, the reply or branch goes no further.
    Drop,
}

/// Runs a block of a route and goes on only where it decided nothing: `route(NAME)` of kamailio.cfg.
///
/// `route!(withindlg(req));` reads: run `withindlg`; where it comes to [`Done`](End::Done) or [`Drop`](End::Drop) so does this
/// route, where it fails so does this route, where it says [`Next`](End::Next) the next line runs.
///
/// ```
/// use switchhook_sdk::prelude::*;
///
/// fn small(number: u32) -> Outcome {
///     if number < 10 { Ok(Done) } else { Ok(Next) }
/// }
/// fn whole(number: u32) -> Outcome {
///     route!(small(number));
///     Ok(Drop)
/// }
/// assert_eq!(whole(1).unwrap(), Done);
/// assert_eq!(whole(100).unwrap(), Drop);
/// ```
#[macro_export]
macro_rules! route {
    ($block:expr) => {
        match $block? {
            $crate::End::Next => {}
            end => return ::core::result::Result::Ok(end),
        }
    };
}

impl Error {
    /// An error of the script's own.
    pub fn new(message: impl Into<String>) -> Error {
        Error {
            code: None,
            message: message.into(),
        }
    }

    /// Why the host refused, or what an error of the kind means; none for any other of the script's own.
    pub fn code(&self) -> Option<ErrorCode> {
        self.code
    }

    /// What came, what was expected, what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// An error of the script's own that means the same as a refusal of that kind.
    pub(crate) fn coded(code: ErrorCode, message: String) -> Error {
        Error {
            code: Some(code),
            message,
        }
    }

    pub(crate) fn into_message(self) -> String {
        self.message
    }

    pub(crate) fn host(error: types::Error) -> Error {
        Error {
            code: Some(error.code),
            message: error.message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Not an [`std::error::Error`] itself, so that it can be made of every one.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        Error::new(error.to_string())
    }
}
