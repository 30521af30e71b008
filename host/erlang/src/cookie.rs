//! The secret that two nodes share, and the proof that a peer knows it.
//!
//! The digest is MD5 over the cookie and the challenge in decimal: what the protocol has. Compared in constant time. A cookie
//! is never shown.

use std::fmt;
use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// A proof of knowing the cookie.
pub(crate) type Digest = [u8; 16];

/// A shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(String);

/// What is no cookie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cookie has 1 to 255 printable characters")]
pub struct BadCookie;

impl Cookie {
    /// Takes a cookie as `-setcookie` does.
    pub fn new(text: &str) -> Result<Self, BadCookie> {
        let count = text.chars().count();
        if (1..=255).contains(&count) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCookie)
        }
    }

    /// The answer to a challenge.
    pub(crate) fn digest(&self, challenge: u32) -> Digest {
        let mut decimal = String::with_capacity(10);
        // Writing to a String can't fail.
        let _ = write!(decimal, "{challenge}");
        let mut hash = Md5::new();
        hash.update(self.0.as_bytes());
        hash.update(decimal.as_bytes());
        hash.finalize().into()
    }

    /// Whether a digest answers our challenge.
    pub(crate) fn proves(&self, challenge: u32, digest: &Digest) -> bool {
        self.digest(challenge).ct_eq(digest).into()
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_md5_of_cookie_and_decimal() {
        let cookie = Cookie::new("secret").unwrap();
        // printf secret42 | md5sum
        let digest = cookie.digest(42);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5ce06e46867de8252365147b667f1c20");
        assert!(cookie.proves(42, &digest));
        assert!(!cookie.proves(43, &digest));
    }

    #[test]
    fn a_cookie_is_not_shown() {
        assert_eq!(format!("{:?}", Cookie::new("x").unwrap()), "Cookie(..)");
        assert_eq!(Cookie::new(""), Err(BadCookie));
    }
}
