//! Digest authentication against the users of the config: RFC 3261 section 22, RFC 7616, RFC 8760.
//!
//! ```no_run
//! # use switchhook_sdk::prelude::*;
//! # fn route(req: &mut Request) -> Outcome {
//! let Access::Granted(user) = auth::proxy_authenticate(req, "example.test")? else {
//!     return Ok(Done); // it has been challenged or refused
//! };
//! # Ok(Done)
//! # }
//! ```

use crate::error::{Error, Result};
use crate::host::auth;
use crate::request::Request;

pub use auth::{Kind, Verdict};

/// Whether a request may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Access {
    /// The credentials are good; the user's name.
    Granted(String),
    /// No credentials, or not good ones: the request has been answered with a challenge.
    Challenged,
    /// Credentials that can't be read: the request has been answered with 400.
    Refused,
}

/// Wants credentials as a user agent server or registrar does, and answers 401 itself where there are no good ones;
/// `www_authenticate` and `www_challenge` in one.
pub fn www_authenticate(req: &mut Request, realm: &str) -> Result<Access> {
    authenticate(req, Kind::Www, realm)
}

/// Wants credentials as a proxy does, and answers 407 itself where there are no good ones; `proxy_authenticate` and
/// `proxy_challenge` in one.
pub fn proxy_authenticate(req: &mut Request, realm: &str) -> Result<Access> {
    authenticate(req, Kind::Proxy, realm)
}

/// What the credentials are worth; answers nothing.
pub fn check(kind: Kind, realm: &str) -> Verdict {
    auth::check(kind, realm)
}

/// Answers with a challenge, one header field for each algorithm, strongest first; `auth_challenge`.
pub fn challenge(kind: Kind, realm: &str) -> Result<()> {
    auth::challenge(kind, realm).map_err(Error::host)
}

/// Removes the credentials that were accepted, so that the next hop does not see them; `consume_credentials`.
pub fn consume_credentials(req: &mut Request) {
    auth::consume_credentials();
    req.credentials_consumed();
}

fn authenticate(req: &mut Request, kind: Kind, realm: &str) -> Result<Access> {
    match auth::check(kind, realm) {
        Verdict::Accepted(user) => Ok(Access::Granted(user)),
        Verdict::Missing | Verdict::Stale | Verdict::Rejected => {
            challenge(kind, realm)?;
            Ok(Access::Challenged)
        }
        Verdict::Malformed(reason) => {
            req.reply(400, &reason)?;
            Ok(Access::Refused)
        }
    }
}
