//! Edits that cannot be made, and why.

use super::super::malformed::Malformed;
use super::text::ARENA_LIMIT;

/// An edit that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A header name that is no token.
    #[error("header name: expected a token, got `{}`", .0.escape_ascii())]
    Name(Box<[u8]>),
    /// A value with a line break that is no fold.
    #[error("header value: expected no line break but before white space, got `{}`", .0.escape_ascii())]
    LineBreak(Box<[u8]>),
    /// A parameter's value that would end it.
    #[error("parameter: expected a value without white space, quotes, `;` and `,`, got `{}`", .0.escape_ascii())]
    Value(Box<[u8]>),
    /// Content-Length follows the body; it is not set by hand.
    #[error("Content-Length: expected it to be left to the body's own edit")]
    ContentLength,
    /// The field is not there, or not any more.
    #[error("field: expected one that is in the message, got one that is not")]
    NoField,
    /// A request's part of a response, or the other way round.
    #[error("{part}: expected {expected}, got the other kind of message")]
    Kind {
        /// What was to be set.
        part: &'static str,
        /// The kind of message that has it.
        expected: &'static str,
    },
    /// A status code out of range.
    #[error("status code: expected 100 to 699, got {0}")]
    Status(u16),
    /// The new text is too long.
    #[error("edits: expected at most {ARENA_LIMIT} bytes of new text")]
    TooLong,
    /// Something that is to be edited, or the new text for it, cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}
