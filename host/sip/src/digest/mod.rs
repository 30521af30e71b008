//! Digest authentication: challenges, nonces, credentials and what they are worth; and the answer of who is asked.
//!
//! RFC 3261 section 22, RFC 7616, RFC 8760: MD5 and SHA-256, each with its `-sess` variant, `qop=auth`; the form without
//! `qop` (RFC 2069) only where the config allows it. `auth-int` is never offered.
//!
//! - [`Credentials`] is what came in an Authorization or Proxy-Authorization.
//! - [`Authority`] makes challenges and judges credentials. It holds no state of a challenge but a bounded table of the counts
//!   seen for nonces that were used (see [`nonce`](Config::nonces)); a nonce carries its own time and signature.
//! - [`respond`] answers the challenge of another server.
//! - [`Users`] is where hashes of passwords come from; [`UserTable`] holds them in memory.
//!
//! Clock, key and dummy randomness are passed in. An unknown user costs the same work and gets the same answer as a wrong
//! password, and responses are compared in constant time.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use switchhook_sip::digest::{Authority, Config, Realm, UserTable, Verdict};
//! use switchhook_sip::flow::{FlowId, Source, Transport};
//! use switchhook_sip::message::{Edits, Message};
//! # let now = Instant::now();
//! let authority = Authority::new([7; 32], now, Config::default());
//! let mut users = UserTable::default();
//! users.insert_password("alice", "example.test", "secret");
//!
//! let request = Message::parse("REGISTER sip:example.test SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nCSeq: 1 REGISTER\r\n\r\n".into())?;
//! let source = Source {
//!     transport: Transport::Udp,
//!     remote: "192.0.2.1:5060".parse()?,
//!     local: "192.0.2.9:5060".parse()?,
//!     flow: FlowId::new(1),
//! };
//! let verdict = authority.check(now, Realm::www("example.test"), request.view(), &source, &users);
//! assert_eq!(verdict, Verdict::Missing);
//! for (name, value) in authority.challenge(now, Realm::www("example.test"), false) {
//!     assert_eq!(name, "WWW-Authenticate");
//!     assert!(value.starts_with("Digest realm=\"example.test\", nonce=\""));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod authority;
mod client;
mod credentials;
mod hash;
mod nonce;
mod users;

#[cfg(test)]
mod tests;

pub use authority::{Authority, Config, Kind, Realm, Verdict};
pub use client::{Login, respond};
pub use credentials::{BadCredentials, Credentials};
pub use hash::{Algorithm, Hash, Output};
pub use users::{BadHash, Ha1, UserTable, Users};
