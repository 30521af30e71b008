//! Who belongs to us: every message between our own nodes is signed with a key that all of them have.
//!
//! A header field carries the signature, so that a Kamailio member, which has no use for it, ignores it:
//!
//! ```text
//! Switchhook-Auth: key=2026b;node=5f3a0c12d4e5f607;time=1795252740123;count=42;mac=Base64...
//! Switchhook-Auth: key=2026b;node=90ab8d3c5e1f2a77;time=1795252740150;count=42;mac=Base64...
//! ```
//!
//! The first is a request's: HMAC-SHA-256 over method, request URI (which has the channel and whom it is for), the sender's life,
//! time, count and the body. The second is an answer's, over the status, the answerer's life and time, the request's life and
//! count, and the body. Each part goes in behind its length, so that no two messages give the same bytes.
//!
//! **Replay:** a life counts its requests, and each count is taken once: [`Guard`] keeps the highest and which of the
//! [`WINDOW_COUNTS`] below it were used. Of a life that it does not know, and of all of them after a restart, the time decides:
//! it must be within [`WINDOW`] of our clock and not before our start. A sender whose clock is wrong is told our time in the signed
//! answer that refuses it, and [`Signer::learn`]s how far off it is from *that* peer: an hour of skew costs one message.
//!
//! **Keys:** the first signs, each verifies; so a new key is first added behind the old one everywhere, then moved to the front.
//!
//! Signatures are compared in constant time. Reads no clock. Limits: [`MAX_LIVES`], [`MAX_KEYS`], [`MAX_PEERS`].

mod guard;
mod keyring;
mod signer;

pub use guard::{Guard, MAX_LIVES, Refusal, WINDOW, WINDOW_COUNTS};
pub use keyring::{Key, KeyError, Keyring, MAX_KEYS, MIN_SECRET};
pub use signer::{Answered, MAX_PEERS, Signed, Signer};

/// The header field.
pub const HEADER: &str = "Switchhook-Auth";

/// What a request's signature is over, besides what the field itself says.
#[derive(Debug, Clone, Copy)]
pub struct Covered<'a> {
    /// The method.
    pub method: &'a str,
    /// The request URI as it is written.
    pub uri: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}

#[cfg(test)]
mod tests;
