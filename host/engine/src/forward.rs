//! What keeps a request from being sent to a target, and what the caller is told then. The writing itself is pure and lives in
//! `switchhook_sip::proxy`.

use switchhook_sip::answer::Answer;
use switchhook_sip::flow::Transport;
use switchhook_sip::message::EditError;

/// Why a request can't be sent to a target.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// RFC 3261 16.6 asks for an answer: 483, 440, 416, 400.
    #[error("{} {}", .0.status, .0.reason)]
    Refused(Answer),
    #[error("no listener of ours speaks {0} to that kind of address")]
    NoListener(Transport),
    #[error("`{0}` could not be resolved")]
    Unresolved(String),
    #[error("the transaction has as many branches as it may have")]
    TooMany,
    #[error("{0}")]
    Edit(#[from] EditError),
}

impl Problem {
    /// What the caller is told where no other target is left.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Problem::Refused(answer) => answer.status,
            Problem::NoListener(_) | Problem::Unresolved(_) => 503,
            Problem::TooMany | Problem::Edit(_) => 500,
        }
    }
}

impl From<Answer> for Problem {
    fn from(answer: Answer) -> Problem {
        Problem::Refused(answer)
    }
}
