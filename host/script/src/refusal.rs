//! Refused calls: `types.error` of the contract, with texts that say what came, what was expected and what to do.

pub use switchhook_bindings::switchhook::script::types::{Error as Refusal, ErrorCode};

use switchhook_sip::message::{EditError, Malformed};
use switchhook_store::vars::VarError;

/// An argument is malformed.
pub(crate) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal {
        code: ErrorCode::Invalid,
        message: message.into(),
    }
}

/// The call makes no sense in this route.
pub(crate) fn not_here(function: &str, here: &str, expected: &str) -> Refusal {
    Refusal {
        code: ErrorCode::NotHere,
        message: format!("{function}: this is {here}, it works in {expected}"),
    }
}

/// What was named does not exist.
pub(crate) fn not_found(message: impl Into<String>) -> Refusal {
    Refusal {
        code: ErrorCode::NotFound,
        message: message.into(),
    }
}

/// The host can't do it now.
pub(crate) fn unavailable(message: impl Into<String>) -> Refusal {
    Refusal {
        code: ErrorCode::Unavailable,
        message: message.into(),
    }
}

/// A limit was reached.
pub(crate) fn limit(message: impl Into<String>) -> Refusal {
    Refusal {
        code: ErrorCode::Limit,
        message: message.into(),
    }
}

/// An edit that cannot be made.
pub(crate) fn of_edit(error: EditError) -> Refusal {
    match error {
        EditError::TooLong => limit(error.to_string()),
        error => invalid(error.to_string()),
    }
}

/// Something that can't be read.
pub(crate) fn of_malformed(error: &Malformed) -> Refusal {
    invalid(error.to_string())
}

/// A variable that was not set.
pub(crate) fn of_var(error: &VarError) -> Refusal {
    let message = error.to_string();
    match error {
        VarError::Full => limit(message),
        VarError::NoSuchIndex { .. } => not_found(message),
        _ => invalid(message),
    }
}
