//! The phone's side of digest authentication: credentials for a challenge. RFC 3261 22, RFC 7616 3.4, RFC 8760.
//!
//! MD5 and SHA-256, with and without `-sess`, with `qop=auth` and in the form of RFC 2069. Reads challenges and computes answers by
//! itself, apart from `switchhook-sip`'s digest, which is what it is there to test.

use md5::Md5;
use sha2::{Digest, Sha256};

use crate::wire::Values;

/// A challenge that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Challenge<'a> {
    realm: &'a [u8],
    nonce: &'a [u8],
    opaque: Option<&'a [u8]>,
    algorithm: Algorithm,
    /// `qop` was offered, with `auth` in it.
    quality: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Algorithm {
    name: &'static str,
    sha256: bool,
    session: bool,
}

const ALGORITHMS: [Algorithm; 4] = [
    Algorithm {
        name: "MD5",
        sha256: false,
        session: false,
    },
    Algorithm {
        name: "MD5-sess",
        sha256: false,
        session: true,
    },
    Algorithm {
        name: "SHA-256",
        sha256: true,
        session: false,
    },
    Algorithm {
        name: "SHA-256-sess",
        sha256: true,
        session: true,
    },
];

/// What is proven, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a [u8],
    pub(crate) password: &'a [u8],
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) cnonce: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Reads a WWW-Authenticate or Proxy-Authenticate; `None` for another scheme, or an algorithm or quality that is not ours.
    pub(crate) fn read(value: &'a [u8]) -> Option<Challenge<'a>> {
        let (scheme, rest) = value.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"Digest ") {
            return None;
        }
        let mut challenge = Challenge {
            realm: b"",
            nonce: b"",
            opaque: None,
            algorithm: ALGORITHMS[0],
            quality: false,
        };
        for pair in Values(rest) {
            let equals = memchr::memchr(b'=', pair)?;
            let name = pair.get(..equals)?.trim_ascii();
            let value = unquoted(pair.get(equals + 1..)?.trim_ascii());
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("realm") {
                challenge.realm = value;
            } else if is("nonce") {
                challenge.nonce = value;
            } else if is("opaque") {
                challenge.opaque = Some(value);
            } else if is("algorithm") {
                challenge.algorithm = ALGORITHMS
                    .into_iter()
                    .find(|known| value.eq_ignore_ascii_case(known.name.as_bytes()))?;
            } else if is("qop") {
                let auth = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(b"auth");
                challenge.quality = value.split(|b| *b == b',').any(auth);
                if !challenge.quality {
                    return None;
                }
            }
        }
        (!challenge.nonce.is_empty()).then_some(challenge)
    }

    /// Writes `name: Digest ...` with its line end to the end of `out`.
    pub(crate) fn answer(&self, name: &str, claim: &Claim<'_>, out: &mut Vec<u8>) {
        const COUNT: &[u8] = b"00000001";
        let hash = |parts: &[&[u8]]| Hex::of(self.algorithm.sha256, parts);
        let mut a1 = hash(&[claim.user, self.realm, claim.password]);
        if self.algorithm.session {
            a1 = hash(&[a1.digits(), self.nonce, claim.cnonce]);
        }
        let a2 = hash(&[claim.method, claim.uri]);
        let response = if self.quality {
            hash(&[
                a1.digits(),
                self.nonce,
                COUNT,
                claim.cnonce,
                b"auth",
                a2.digits(),
            ])
        } else {
            hash(&[a1.digits(), self.nonce, a2.digits()])
        };
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": Digest ");
        let mut quoted = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(value);
            out.push(b'"');
        };
        quoted("username", claim.user);
        quoted(", realm", self.realm);
        quoted(", nonce", self.nonce);
        quoted(", uri", claim.uri);
        quoted(", response", response.digits());
        if let Some(opaque) = self.opaque {
            quoted(", opaque", opaque);
        }
        if self.quality || self.algorithm.session {
            quoted(", cnonce", claim.cnonce);
        }
        out.extend_from_slice(b", algorithm=");
        out.extend_from_slice(self.algorithm.name.as_bytes());
        if self.quality {
            out.extend_from_slice(b", qop=auth, nc=");
            out.extend_from_slice(COUNT);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A hash in lower-case digits.
struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    /// Of the parts with a colon between them.
    fn of(sha256: bool, parts: &[&[u8]]) -> Hex {
        if sha256 {
            Hex::from(&joined(Sha256::new(), parts))
        } else {
            Hex::from(&joined(Md5::new(), parts))
        }
    }

    fn from(bytes: &[u8]) -> Hex {
        let mut digits = [0; 64];
        for (to, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            crate::ids::hex(u64::from(*byte), to);
        }
        Hex {
            digits,
            length: bytes.len() * 2,
        }
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.length).unwrap_or_default()
    }
}

fn joined<D: Digest>(mut state: D, parts: &[&[u8]]) -> md5::digest::Output<D> {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            state.update(b":");
        }
        state.update(part);
    }
    state.finalize()
}

/// Quotes taken off. Escapes stay: the digest is of the text as it stands between the quotes.
fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(challenge: &str, claim: &Claim<'_>) -> String {
        let mut out = Vec::new();
        Challenge::read(challenge.as_bytes())
            .unwrap()
            .answer("Authorization", claim, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// RFC 7616 3.9.1 and RFC 2617 3.5 (whose nonces are the same for us: the answer covers what came).
    #[test]
    fn the_rfcs_own_examples() {
        let claim = Claim {
            user: b"Mufasa",
            password: b"Circle of Life",
            method: b"GET",
            uri: b"/dir/index.html",
            cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let answer = answer(&challenge, &claim);
            assert!(
                answer.contains(&format!("response=\"{response}\"")),
                "{answer}"
            );
            assert!(answer.starts_with("Authorization: Digest username=\"Mufasa\", realm="));
            assert!(answer.ends_with(", qop=auth, nc=00000001\r\n"));
        }
    }

    #[test]
    fn a_server_of_ours_takes_the_answer() {
        use std::time::Instant;
        use switchhook_sip::digest::{Algorithm, Authority, Config, Realm, UserTable, Verdict};
        use switchhook_sip::flow::{FlowId, Source, Transport};
        use switchhook_sip::message::Message;
        let now = Instant::now();
        let source = Source {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5060).into(),
            local: ([192, 0, 2, 9], 5060).into(),
            flow: FlowId::new(1),
        };
        for algorithm in [
            Algorithm::MD5,
            Algorithm::MD5_SESS,
            Algorithm::SHA256,
            Algorithm::SHA256_SESS,
        ] {
            let config = Config {
                algorithms: vec![algorithm],
                ..Config::default()
            };
            let authority = Authority::new([7; 32], now, config);
            let mut users = UserTable::default();
            users.insert_password("alice", "example.test", "secret");
            let realm = Realm::www("example.test");
            let (_, challenge) = authority.challenge(now, realm, false).next().unwrap();
            let claim = Claim {
                user: b"alice",
                password: b"secret",
                method: b"REGISTER",
                uri: b"sip:example.test",
                cnonce: b"abc",
            };
            let request = format!(
                "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\n\
                 CSeq: 1 REGISTER\r\n{}\r\n",
                answer(&challenge, &claim)
            );
            let message = Message::parse(request.into()).unwrap();
            let verdict = authority.check(now, realm, message.view(), &source, &users);
            assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");
        }
    }

    #[test]
    fn what_can_not_be_answered_is_none() {
        for challenge in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm",
        ] {
            assert_eq!(Challenge::read(challenge.as_bytes()), None, "{challenge}");
        }
    }
}
