//! Challenges and verdicts. RFC 3261 22.1 to 22.4, RFC 7616 3.3, 3.4.6; RFC 8760 2.4.

use std::time::{Duration, Instant};

use ahash::RandomState;

use super::credentials::{BadCredentials, Credentials};
use super::hash::{Algorithm, Exchange, Hash, Output, expected};
use super::nonce::{Nonces, Use};
use super::users::Users;
use crate::flow::Source;
use crate::message::{HeaderId, Method, Position, View, quote};

/// Who asks for credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A registrar or user agent server: 401, WWW-Authenticate, Authorization (RFC 3261 22.2).
    Www,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization (RFC 3261 22.3).
    Proxy,
}

impl Kind {
    /// The status of a challenge.
    pub const fn status(self) -> u16 {
        match self {
            Self::Www => 401,
            Self::Proxy => 407,
        }
    }

    /// The header field of a challenge.
    pub const fn challenge(self) -> HeaderId {
        match self {
            Self::Www => HeaderId::WwwAuthenticate,
            Self::Proxy => HeaderId::ProxyAuthenticate,
        }
    }

    /// The header field of credentials.
    pub const fn credentials(self) -> HeaderId {
        match self {
            Self::Www => HeaderId::Authorization,
            Self::Proxy => HeaderId::ProxyAuthorization,
        }
    }
}

/// Who asks, and for which protection domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realm<'a> {
    /// Who asks.
    pub kind: Kind,
    /// The realm, shown to people: by custom the domain (RFC 3261 22.1).
    pub name: &'a str,
}

impl<'a> Realm<'a> {
    /// A registrar's or server's realm.
    pub const fn www(name: &'a str) -> Self {
        Self {
            kind: Kind::Www,
            name,
        }
    }

    /// A proxy's realm.
    pub const fn proxy(name: &'a str) -> Self {
        Self {
            kind: Kind::Proxy,
            name,
        }
    }
}

/// What credentials are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They are right.
    Accepted {
        /// The user's name as the client wrote it.
        user: String,
        /// The field they stand in: remove it before the request is relayed (RFC 3261 22.3).
        position: Position,
        /// The very REGISTER that was accepted already, byte by byte and from the same source: its sender repeats it. Answer it as before
        /// and carry nothing out.
        again: bool,
    },
    /// There are none for this realm with an algorithm that we offer: challenge.
    Missing,
    /// They are right but for the nonce, which is too old, not of ours (any more) or has had that count: challenge with
    /// `stale`, and the client answers without asking its user.
    Stale,
    /// Wrong user or wrong password.
    Rejected,
    /// They cannot be read: 400, with this as the reason phrase.
    Malformed(BadCredentials),
}

/// How an [`Authority`] asks.
#[derive(Debug, Clone)]
pub struct Config {
    /// What is offered, in this order; RFC 8760 2.4 asks for the strongest first.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce may be used.
    pub lifetime: Duration,
    /// How many used nonces have their counts kept; 48 bytes each. See [`crate::digest`] for what happens beyond.
    pub nonces: usize,
    /// Accept responses without `qop` (RFC 2069). They have no count: within a nonce's lifetime they can be sent again by
    /// anyone who has seen one.
    pub legacy: bool,
    /// Refuse credentials whose `uri` is not the request URI as it came (RFC 7616 3.4.6). Off, as proxies on the way may
    /// change the request URI (RFC 3261 22.4).
    pub same_uri: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::SHA256, Algorithm::MD5],
            lifetime: Duration::from_secs(300),
            nonces: 32_768,
            legacy: false,
            same_uri: false,
        }
    }
}

/// Asks for credentials and judges them. Shared by all lanes.
pub struct Authority {
    config: Config,
    nonces: Nonces,
    opaque: String,
    /// Of the prints of requests.
    prints: RandomState,
    /// What is compared with where the user is unknown.
    nobody: (Output, Output),
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// The key must be random and secret; nonces are good with the authority that made them.
    pub fn new(key: [u8; 32], now: Instant, config: Config) -> Self {
        let derived = |purpose: &[u8]| Hash::Sha256.of(&[purpose, &key]);
        let nobody = derived(b"nobody");
        let mut seeds = [0; 4];
        for (seed, bytes) in seeds
            .iter_mut()
            .zip(derived(b"prints").as_bytes().chunks_exact(8))
        {
            *seed = bytes
                .iter()
                .fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        }
        Self {
            nonces: Nonces::new(&key, now, config.lifetime, config.nonces),
            prints: RandomState::with_seeds(seeds[0], seeds[1], seeds[2], seeds[3]),
            opaque: derived(b"opaque").to_string().chars().take(16).collect(),
            nobody: (Hash::Md5.of(&[nobody.as_bytes()]), nobody),
            config,
        }
    }

    /// The header fields of a challenge: name and value, one for each algorithm with a nonce of its own, in the
    /// config's order.
    pub fn challenge(
        &self,
        now: Instant,
        realm: Realm<'_>,
        stale: bool,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let name = realm.kind.challenge().name();
        let quoted = quote(realm.name);
        self.config.algorithms.iter().map(move |algorithm| {
            let nonce = self.nonces.make(now, realm.name.as_bytes());
            let mut value = format!(
                "Digest realm={quoted}, nonce=\"{nonce}\", opaque=\"{}\", algorithm={}, qop=\"auth\"",
                self.opaque,
                algorithm.as_str(),
            );
            if stale {
                value.push_str(", stale=true");
            }
            // RFC 7616 3.3; the grammar that MD5-only peers know has no such parameter, and false is the default.
            if algorithm.hash != Hash::Md5 {
                value.push_str(", userhash=false");
            }
            (name, value)
        })
    }

    /// Judges the credentials of a request for a realm. Of several for one realm, the first with an algorithm that is
    /// offered counts.
    ///
    /// An ACK carries the credentials of its INVITE (RFC 3261 22.1): they are judged as that INVITE's, and not counted again. A REGISTER that its
    /// sender repeats is accepted [again](Verdict::Accepted) for 32 s, unless another was accepted with the same nonce since.
    pub fn check(
        &self,
        now: Instant,
        realm: Realm<'_>,
        request: View<'_>,
        source: &Source,
        users: &dyn Users,
    ) -> Verdict {
        let id = realm.kind.credentials();
        if request.header(id).is_none() {
            return Verdict::Missing;
        }
        let mut unread = None;
        for field in request.fields().filter(|field| field.id == id) {
            let credentials = match Credentials::parse(field.value) {
                Some(Ok(credentials)) => credentials,
                Some(Err(fault)) => {
                    unread.get_or_insert(fault);
                    continue;
                }
                None => continue,
            };
            let named = credentials.algorithm.as_deref();
            let algorithm = named.map_or(Some(Algorithm::MD5), Algorithm::of);
            let offered = algorithm.filter(|one| self.config.algorithms.contains(one));
            let (Some(algorithm), true) = (offered, *credentials.realm == *realm.name.as_bytes())
            else {
                continue;
            };
            let came = Came { request, source };
            return match self.judge(now, realm, came, users, &credentials, algorithm) {
                Ok(Worth::Right { again }) => Verdict::Accepted {
                    user: String::from_utf8_lossy(&credentials.username).into_owned(),
                    position: field.position,
                    again,
                },
                Ok(Worth::Stale) => Verdict::Stale,
                Ok(Worth::Wrong) => Verdict::Rejected,
                Err(fault) => Verdict::Malformed(fault),
            };
        }
        unread.map_or(Verdict::Missing, Verdict::Malformed)
    }

    fn judge(
        &self,
        now: Instant,
        realm: Realm<'_>,
        came: Came<'_>,
        users: &dyn Users,
        credentials: &Credentials<'_>,
        algorithm: Algorithm,
    ) -> Result<Worth, BadCredentials> {
        let request = came.request;
        let quality = self.quality(credentials)?;
        if self.config.same_uri && *credentials.uri != *request.message().request_uri() {
            return Err(BadCredentials::Bad("Uri"));
        }
        let method = match request.method() {
            Method::Ack => Method::Invite,
            method => method,
        };
        let name = &credentials.username;
        let found = users.ha1(realm.name.as_bytes(), name, algorithm.hash);
        let known = found.is_some() & !credentials.userhash;
        let ha1 = found.unwrap_or(match algorithm.hash {
            Hash::Md5 => self.nobody.0,
            Hash::Sha256 => self.nobody.1,
        });
        let exchange = Exchange {
            method: method.as_bytes(),
            uri: &credentials.uri,
            nonce: &credentials.nonce,
            quality: quality.as_ref().map(|q| (q.nc, q.cnonce, &b"auth"[..])),
        };
        let expected = expected(algorithm, &ha1, &exchange);
        let response = Output::from_hex(algorithm.hash, &credentials.response);
        let same = response.is_some_and(|response| response.same(&expected));
        let serial = self
            .nonces
            .read(now, realm.name.as_bytes(), &credentials.nonce);
        if !(same & known) {
            return Ok(Worth::Wrong);
        }
        let Some(serial) = serial else {
            return Ok(Worth::Stale);
        };
        let counted = match quality {
            Some(quality) if request.method() != Method::Ack => {
                let print = self.print(came);
                self.nonces.count(now, serial, quality.count, print)
            }
            _ => Use::First,
        };
        Ok(match counted {
            Use::First => Worth::Right { again: false },
            Use::Again => Worth::Right { again: true },
            Use::Spent => Worth::Stale,
        })
    }

    /// What a REGISTER and its source are known by if they come again. All of its bytes count, as the credentials cover only method,
    /// URI and nonce: who has seen a request could else send another with them. Other requests have a transaction that knows copies.
    fn print(&self, came: Came<'_>) -> Option<u64> {
        let Came { request, source } = came;
        let repeats = request.method() == Method::Register;
        repeats.then(|| {
            self.prints
                .hash_one((&request.message().bytes()[..], source))
        })
    }

    /// What `qop=auth` adds; none for RFC 2069's form.
    fn quality<'c>(
        &self,
        credentials: &'c Credentials<'_>,
    ) -> Result<Option<Quality<'c>>, BadCredentials> {
        let Some(qop) = credentials.qop.as_deref() else {
            return match self.config.legacy {
                true => Ok(None),
                false => Err(BadCredentials::Missing("Qop")),
            };
        };
        if !qop.eq_ignore_ascii_case(b"auth") {
            return Err(BadCredentials::Bad("Qop"));
        }
        let nc = credentials.nc.as_deref();
        let cnonce = credentials.cnonce.as_deref();
        Ok(Some(Quality {
            nc: nc.ok_or(BadCredentials::Missing("Nc"))?,
            cnonce: cnonce.ok_or(BadCredentials::Missing("Cnonce"))?,
            count: credentials.count().ok_or(BadCredentials::Bad("Nc"))?,
        }))
    }
}

struct Quality<'c> {
    /// As it came.
    nc: &'c [u8],
    count: u32,
    cnonce: &'c [u8],
}

/// What came, and where from.
#[derive(Clone, Copy)]
struct Came<'a> {
    request: View<'a>,
    source: &'a Source,
}

enum Worth {
    Right { again: bool },
    Stale,
    Wrong,
}
