//! The side that is asked: the answer to a challenge. RFC 3261 22.2, RFC 7616 3.4, RFC 8760 2.4.
//!
//! Of several challenges the one with the strongest algorithm that we have is answered, with `qop=auth` where it is offered and in
//! RFC 2069's form where none is. A challenge that offers `auth-int` alone, or an algorithm of others, is not answered. The client's
//! nonce is passed in; each answer counts as the nonce's first use.

use std::borrow::Cow;

use super::credentials::{MAX_PARAMS, Pairs};
use super::hash::{Algorithm, Exchange, Hash, expected, ha1};
use crate::message::{is_lws, quote, trim, unquote};

/// Who answers.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The password as it is typed.
    pub password: &'a str,
}

/// A challenge of the Digest scheme that can be answered.
struct Challenge<'a> {
    realm: Cow<'a, [u8]>,
    nonce: Cow<'a, [u8]>,
    opaque: Option<Cow<'a, [u8]>>,
    algorithm: Algorithm,
    /// Whether `algorithm` was said, and so is said back.
    named: bool,
    quality: bool,
}

/// The value for Authorization or Proxy-Authorization that answers one of these challenges, each the value of a WWW-Authenticate or
/// Proxy-Authenticate field. `None` where none can be answered.
///
/// ```
/// use switchhook_sip::digest::{Credentials, Login, respond};
/// let challenge = br#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256"#;
/// let login = Login { user: "alice", password: "secret" };
/// let value = respond([&challenge[..]], login, b"OPTIONS", b"sip:r", "cafe").unwrap();
/// let credentials = Credentials::parse(value.as_bytes()).unwrap()?;
/// assert_eq!((&*credentials.username, &*credentials.uri), (&b"alice"[..], &b"sip:r"[..]));
/// assert!(respond([&br#"Digest realm="r", nonce="n", qop="auth-int""#[..]], login, b"OPTIONS", b"sip:r", "cafe").is_none());
/// # Ok::<(), switchhook_sip::digest::BadCredentials>(())
/// ```
pub fn respond<'a>(
    challenges: impl IntoIterator<Item = &'a [u8]>,
    login: Login<'_>,
    method: &[u8],
    uri: &[u8],
    cnonce: &str,
) -> Option<String> {
    let readable = challenges.into_iter().filter_map(Challenge::parse);
    // Of equal ones the first, which the server prefers.
    let strongest =
        readable.reduce(
            |best, next| match (best.algorithm.hash, next.algorithm.hash) {
                (Hash::Md5, Hash::Sha256) => next,
                _ => best,
            },
        )?;
    strongest.answer(login, method, uri, cnonce)
}

impl<'a> Challenge<'a> {
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = trim(value).split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") || !rest.first().is_some_and(|b| is_lws(*b)) {
            return None;
        }
        let (mut realm, mut nonce, mut opaque) = (None, None, None);
        let (mut algorithm, mut qop) = (None, None);
        for (n, param) in Pairs(rest).enumerate() {
            let (name, value) = param.ok()?;
            let place = [
                (&b"realm"[..], &mut realm),
                (b"nonce", &mut nonce),
                (b"opaque", &mut opaque),
                (b"algorithm", &mut algorithm),
                (b"qop", &mut qop),
            ]
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known));
            let Some((_, place)) = place else {
                continue;
            };
            if n >= MAX_PARAMS || place.replace(unquote(value)).is_some() {
                return None;
            }
        }
        let offers = |qop: &[u8]| {
            let mut offered = qop.split(|byte| *byte == b',');
            offered.any(|one| trim(one).eq_ignore_ascii_case(b"auth"))
        };
        if qop.as_deref().is_some_and(|qop| !offers(qop)) {
            return None;
        }
        Some(Self {
            realm: realm?,
            nonce: nonce?,
            opaque,
            named: algorithm.is_some(),
            algorithm: match algorithm {
                Some(name) => Algorithm::of(&name)?,
                None => Algorithm::MD5,
            },
            quality: qop.is_some(),
        })
    }

    /// `None` where the server's words are no text.
    fn answer(&self, login: Login<'_>, method: &[u8], uri: &[u8], cnonce: &str) -> Option<String> {
        const COUNT: &str = "00000001";
        let exchange = Exchange {
            method,
            uri,
            nonce: &self.nonce,
            quality: self
                .quality
                .then_some((COUNT.as_bytes(), cnonce.as_bytes(), b"auth")),
        };
        let (user, password) = (login.user.as_bytes(), login.password.as_bytes());
        let ha1 = ha1(self.algorithm.hash, user, &self.realm, password);
        let response = expected(self.algorithm, &ha1, &exchange);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(user)?,
            quoted(&self.realm)?,
            quoted(&self.nonce)?,
            quoted(uri)?,
        );
        if self.named {
            value.push_str(", algorithm=");
            value.push_str(self.algorithm.as_str());
        }
        if self.quality {
            value.push_str(&format!(", qop=auth, nc={COUNT}, cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quoted(opaque)?));
        }
        Some(value)
    }
}

/// A quoted string of what came; `None` for what can't stand in a header field.
fn quoted(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let sound = !text.bytes().any(|byte| byte.is_ascii_control());
    sound.then(|| quote(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Authority, Config, Realm, UserTable, Verdict};
    use crate::flow::{FlowId, Source, Transport};
    use crate::message::Message;
    use std::time::Instant;

    const ALICE: Login<'_> = Login {
        user: "al\"ice",
        password: "secret",
    };

    fn request(authorization: &str) -> Message {
        let text = format!(
            "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nCSeq: 1 OPTIONS\r\n\
             {authorization}\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    /// What our own authority asks, in each of its algorithms, it takes; and it does not take a wrong password.
    #[test]
    fn our_own_challenges_are_answered() {
        let now = Instant::now();
        let source = Source {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5060).into(),
            local: ([192, 0, 2, 9], 5060).into(),
            flow: FlowId::new(1),
        };
        let mut users = UserTable::default();
        users.insert_password("al\"ice", "example.test", "secret");
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
            let realm = Realm::www("example.test");
            for (password, right) in [("secret", true), ("guess", false)] {
                let challenges: Vec<_> = authority.challenge(now, realm, false).collect();
                let values = challenges.iter().map(|(_, value)| value.as_bytes());
                let login = Login { password, ..ALICE };
                let value = respond(values, login, b"OPTIONS", b"sip:example.test", "c0ffee");
                let request = request(&format!("Authorization: {}\r\n", value.unwrap()));
                let verdict = authority.check(now, realm, request.view(), &source, &users);
                let accepted = matches!(verdict, Verdict::Accepted { .. });
                assert_eq!(accepted, right, "{algorithm:?} {password}: {verdict:?}");
            }
        }
    }

    #[test]
    fn the_strongest_algorithm_is_taken() {
        let challenges = [
            &br#"Digest realm="r", nonce="a", algorithm=SHA-512-256, qop="auth""#[..],
            br#"Digest realm="r", nonce="b", algorithm=MD5, qop="auth""#,
            br#"Digest realm="r", nonce="c", algorithm=SHA-256, qop="auth-int,auth", opaque="o\"p""#,
        ];
        let value = respond(challenges, ALICE, b"OPTIONS", b"sip:r", "c").unwrap();
        assert!(
            value.contains(r#"nonce="c""#) && value.contains(r#"opaque="o\"p""#),
            "{value}"
        );
    }

    #[test]
    fn a_challenge_without_qop_is_answered_in_the_old_form() {
        let value = respond(
            [&br#"Digest realm="r", nonce="n""#[..]],
            ALICE,
            b"OPTIONS",
            b"sip:r",
            "c",
        );
        let value = value.unwrap();
        assert!(
            !value.contains("cnonce") && !value.contains("algorithm"),
            "{value}"
        );
    }

    #[test]
    fn what_is_no_challenge_is_not_answered() {
        for challenge in [
            &b"Basic realm=\"r\""[..],
            b"Digest",
            b"Digest realm=\"r\"",
            b"Digest realm=\"r\", nonce=\"n\", nonce=\"m\"",
            b"Digest realm=\"r\", nonce=\"n",
            b"Digest realm=\"r\", nonce=\"\xff\"",
        ] {
            assert_eq!(respond([challenge], ALICE, b"OPTIONS", b"sip:r", "c"), None);
        }
    }
}
