//! Bytes to a tree.

use crate::{Limits, Malformed, Tape, Term};

/// A term alone (version, term, end), within the usual limits.
///
/// # Errors
/// When the bytes are none.
pub fn decode(bytes: &[u8]) -> Result<Term, Malformed> {
    decode_with(bytes, &Limits::default())
}

/// A term alone, within these limits.
///
/// # Errors
/// When the bytes are none.
pub fn decode_with(bytes: &[u8], limits: &Limits) -> Result<Term, Malformed> {
    Tape::new().decode(bytes, limits)?.to_term()
}

/// A term with its version at the beginning of the bytes, and how many of them it took: a control message, before its payload.
///
/// # Errors
/// When the bytes begin with none.
pub fn decode_prefix(bytes: &[u8], limits: &Limits) -> Result<(Term, usize), Malformed> {
    let mut tape = Tape::new();
    let (view, end) = tape.decode_prefix(bytes, limits)?;
    Ok((view.to_term()?, end))
}
