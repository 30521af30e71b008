//! A phone, built on an independent client, against our authority.

use std::time::{Duration, Instant};

use digest_auth::{AuthContext, HttpMethod, WwwAuthenticateHeader};
use proptest::prelude::*;

use super::*;
use crate::flow::{FlowId, Source, Transport};
use crate::message::{Edits, HeaderId, Message};

struct Site {
    epoch: Instant,
    authority: Authority,
    users: UserTable,
}

fn site(config: Config) -> Site {
    let epoch = Instant::now();
    let mut users = UserTable::default();
    users.insert_password("alice", REALM, "s3cret");
    Site {
        epoch,
        authority: Authority::new([9; 32], epoch, config),
        users,
    }
}

const REALM: &str = "example.test";

impl Site {
    fn check(&self, after: u64, request: &Message) -> Verdict {
        self.check_from(after, 5060, request)
    }

    /// The same for a request from that port.
    fn check_from(&self, after: u64, port: u16, request: &Message) -> Verdict {
        let now = self.epoch + Duration::from_secs(after);
        let source = Source {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], port).into(),
            local: ([192, 0, 2, 9], 5060).into(),
            flow: FlowId::new(1),
        };
        let realm = Realm::proxy(REALM);
        self.authority
            .check(now, realm, request.view(), &source, &self.users)
    }

    /// Challenges of all algorithms.
    fn challenge(&self, after: u64, stale: bool) -> Vec<String> {
        let now = self.epoch + Duration::from_secs(after);
        let challenge = self.authority.challenge(now, Realm::proxy(REALM), stale);
        challenge
            .map(|(name, value)| {
                assert_eq!(name, "Proxy-Authenticate");
                value
            })
            .collect()
    }
}

/// The client's side; keeps its nonce count.
struct Phone {
    prompt: WwwAuthenticateHeader,
    user: &'static str,
    password: &'static str,
}

impl Phone {
    fn new(challenge: &str) -> Self {
        Self {
            prompt: digest_auth::parse(challenge).expect("a challenge a client can read"),
            user: "alice",
            password: "s3cret",
        }
    }

    fn credentials(&mut self) -> String {
        self.credentials_for("INVITE")
    }

    fn credentials_for(&mut self, method: &'static str) -> String {
        let context = AuthContext::new_with_method(
            self.user,
            self.password,
            "sip:bob@example.test",
            None::<&[u8]>,
            HttpMethod::from(method),
        );
        self.prompt
            .respond(&context)
            .expect("an answer")
            .to_header_string()
    }
}

fn request(method: &str, credentials: &[&str]) -> Message {
    let mut text = format!(
        "{method} sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCSeq: 1 {method}\r\n"
    );
    for value in credentials {
        text += &format!("Proxy-Authorization: {value}\r\n");
    }
    Message::parse((text + "\r\n").into()).unwrap()
}

fn invite(credentials: &str) -> Message {
    request("INVITE", &[credentials])
}

fn accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted { user, .. } if user == "alice")
}

#[test]
fn alice_is_let_in_with_each_algorithm() {
    let site = site(Config {
        algorithms: vec![
            Algorithm::SHA256,
            Algorithm::SHA256_SESS,
            Algorithm::MD5,
            Algorithm::MD5_SESS,
        ],
        ..Config::default()
    });
    for challenge in site.challenge(0, false) {
        let credentials = Phone::new(&challenge).credentials();
        let verdict = site.check(1, &invite(&credentials));
        assert!(accepted(&verdict), "{challenge}: {verdict:?}");
    }
}

#[test]
fn challenges_stand_strongest_first_and_are_complete() {
    let site = site(Config::default());
    let fresh = site.challenge(0, false);
    assert_eq!(fresh.len(), 2);
    assert!(fresh[0].contains("algorithm=SHA-256, ") && fresh[0].ends_with("userhash=false"));
    assert!(fresh[1].contains("algorithm=MD5, ") && !fresh[1].contains("userhash"));
    for challenge in &fresh {
        assert!(challenge.contains("qop=\"auth\"") && challenge.contains("opaque=\""));
        assert!(!challenge.contains("stale"));
    }
    assert!(site.challenge(0, true)[1].ends_with("stale=true"));

    let odd = site
        .authority
        .challenge(site.epoch, Realm::www("a \"b\" \\ \r\nX: y"), false)
        .next()
        .unwrap();
    assert_eq!(odd.0, "WWW-Authenticate");
    assert!(
        odd.1
            .starts_with(r#"Digest realm="a \"b\" \\ X: y", nonce="#)
    );
}

#[test]
fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let site = site(Config::default());
    let challenge = &site.challenge(0, false)[0];
    let mut wrong = Phone {
        password: "guess",
        ..Phone::new(challenge)
    };
    let mut unknown = Phone {
        user: "mallory",
        ..Phone::new(challenge)
    };
    assert_eq!(
        site.check(1, &invite(&wrong.credentials())),
        Verdict::Rejected
    );
    assert_eq!(
        site.check(1, &invite(&unknown.credentials())),
        Verdict::Rejected
    );
}

#[test]
fn what_is_sent_again_is_stale_and_the_next_count_is_good() {
    let site = site(Config::default());
    let mut phone = Phone::new(&site.challenge(0, false)[0]);
    let first = invite(&phone.credentials());
    assert!(accepted(&site.check(1, &first)));
    assert_eq!(site.check(1, &first), Verdict::Stale);

    let (second, third) = (invite(&phone.credentials()), invite(&phone.credentials()));
    assert!(accepted(&site.check(1, &third)), "overtook the second");
    assert!(accepted(&site.check(1, &second)));
    assert_eq!(site.check(1, &second), Verdict::Stale);
}

/// `None`: it was not accepted.
fn again(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Accepted { again, .. } => Some(*again),
        _ => None,
    }
}

#[test]
fn a_register_that_is_repeated_is_accepted_again_and_nothing_else_is() {
    let site = site(Config::default());
    let mut phone = Phone::new(&site.challenge(0, false)[0]);
    let credentials = phone.credentials_for("REGISTER");
    let first = request("REGISTER", &[&credentials]);
    assert_eq!(again(&site.check(1, &first)), Some(false));
    assert_eq!(again(&site.check(2, &first)), Some(true));
    assert_eq!(
        again(&site.check(32, &first)),
        Some(true),
        "until its sender gives up"
    );

    let text = String::from_utf8(first.bytes().to_vec()).unwrap();
    for (what, other) in [
        ("CSeq", text.replace("CSeq: 1", "CSeq: 2")),
        ("branch", text.replace("z9hG4bK1", "z9hG4bK2")),
        (
            "a Contact",
            text.replace("CSeq", "Contact: <sip:mallory@h>\r\nCSeq"),
        ),
    ] {
        let other = Message::parse(other.into()).unwrap();
        assert_eq!(site.check(2, &other), Verdict::Stale, "{what}");
    }
    assert_eq!(
        site.check_from(2, 5061, &first),
        Verdict::Stale,
        "another source"
    );
    assert_eq!(site.check(33, &first), Verdict::Stale, "too late");
}

#[test]
fn only_the_last_register_of_a_nonce_is_known_again() {
    let site = site(Config::default());
    let (one, other) = (site.challenge(0, false), site.challenge(0, false));
    let (mut phone, mut beside) = (Phone::new(&one[0]), Phone::new(&other[0]));
    let first = request("REGISTER", &[&phone.credentials_for("REGISTER")]);
    let aside = request("REGISTER", &[&beside.credentials_for("REGISTER")]);
    let call = invite(&phone.credentials());
    let second = request("REGISTER", &[&phone.credentials_for("REGISTER")]);
    for one in [&first, &aside, &call] {
        assert_eq!(again(&site.check(1, one)), Some(false));
    }
    assert_eq!(
        again(&site.check(2, &first)),
        Some(true),
        "another nonce has its own"
    );
    assert_eq!(
        site.check(2, &call),
        Verdict::Stale,
        "its transaction knows copies"
    );
    assert_eq!(again(&site.check(3, &second)), Some(false));
    assert_eq!(
        site.check(4, &first),
        Verdict::Stale,
        "there is a newer one"
    );
    assert_eq!(again(&site.check(4, &second)), Some(true));
    assert_eq!(again(&site.check(4, &aside)), Some(true));
}

#[test]
fn the_ack_of_an_invite_shows_the_same_credentials() {
    let site = site(Config::default());
    let credentials = Phone::new(&site.challenge(0, false)[1]).credentials();
    assert!(accepted(&site.check(1, &invite(&credentials))));
    assert!(accepted(&site.check(1, &request("ACK", &[&credentials]))));
}

#[test]
fn an_old_nonce_is_stale_only_with_the_right_password() {
    let site = site(Config::default());
    let challenge = &site.challenge(0, false)[0];
    let credentials = Phone::new(challenge).credentials();
    assert_eq!(site.check(301, &invite(&credentials)), Verdict::Stale);
    let mut wrong = Phone {
        password: "guess",
        ..Phone::new(challenge)
    };
    assert_eq!(
        site.check(301, &invite(&wrong.credentials())),
        Verdict::Rejected
    );
}

#[test]
fn a_nonce_from_before_a_restart_is_stale() {
    let before = Site {
        authority: Authority::new([8; 32], Instant::now(), Config::default()),
        ..site(Config::default())
    };
    let credentials = Phone::new(&before.challenge(0, false)[0]).credentials();
    let verdict = site(Config::default()).check(1, &invite(&credentials));
    assert_eq!(verdict, Verdict::Stale);
}

#[test]
fn credentials_for_others_are_not_ours_to_judge() {
    let site = site(Config::default());
    let mine = Phone::new(&site.challenge(0, false)[0]).credentials();
    let other = mine.replace("realm=\"example.test\"", "realm=\"other.test\"");
    assert_eq!(site.check(1, &invite(&other)), Verdict::Missing);
    assert_eq!(site.check(1, &invite("Bearer abc")), Verdict::Missing);
    let unoffered = mine.replace("algorithm=SHA-256", "algorithm=SHA-512-256");
    assert_eq!(site.check(1, &invite(&unoffered)), Verdict::Missing);

    let several = request("INVITE", &["Digest ???", &other, &unoffered, &mine]);
    let Verdict::Accepted { position, .. } = site.check(1, &several) else {
        panic!("the fourth is right");
    };
    let mut edits = Edits::default();
    edits.remove_field(&several, position).unwrap();
    let left: Vec<_> = edits
        .view(&several)
        .values(HeaderId::ProxyAuthorization)
        .collect();
    assert_eq!(
        left,
        [b"Digest ???", other.as_bytes(), unoffered.as_bytes()]
    );
}

#[test]
fn the_form_without_qop_is_off_by_default() {
    let mut users = UserTable::default();
    users.insert_password("alice", REALM, "s3cret");
    for (legacy, expected) in [
        (false, Verdict::Malformed(BadCredentials::Missing("Qop"))),
        (true, Verdict::Rejected),
    ] {
        let site = site(Config {
            legacy,
            ..Config::default()
        });
        let old = format!(
            "Digest username=\"alice\", realm=\"{REALM}\", nonce=\"n\", uri=\"sip:x\", response=\"{}\"",
            "0".repeat(32)
        );
        assert_eq!(site.check(0, &invite(&old)), expected);
    }
    let site = site(Config {
        legacy: true,
        ..Config::default()
    });
    let old_style = site.challenge(0, false)[1].replace(", qop=\"auth\"", "");
    let credentials = Phone::new(&old_style).credentials();
    assert!(!credentials.contains("qop"));
    assert!(accepted(&site.check(1, &invite(&credentials))));
}

#[test]
fn qop_needs_its_parts() {
    let site = site(Config::default());
    let credentials = Phone::new(&site.challenge(0, false)[0]).credentials();
    for (from, to, fault) in [
        ("qop=auth", "qop=auth-int", BadCredentials::Bad("Qop")),
        ("nc=00000001", "nc=1", BadCredentials::Bad("Nc")),
        ("nc=00000001", "x=1", BadCredentials::Missing("Nc")),
        ("cnonce=", "xnonce=", BadCredentials::Missing("Cnonce")),
    ] {
        let broken = credentials.replace(from, to);
        assert_ne!(broken, credentials, "{from}");
        assert_eq!(site.check(1, &invite(&broken)), Verdict::Malformed(fault));
    }
}

#[test]
fn a_hashed_name_was_not_offered() {
    let site = site(Config::default());
    let credentials = Phone::new(&site.challenge(0, false)[0]).credentials();
    let verdict = site.check(1, &invite(&(credentials + ", userhash=true")));
    assert_eq!(verdict, Verdict::Rejected);
}

#[test]
fn the_uri_is_compared_where_that_is_asked() {
    let strict = site(Config {
        same_uri: true,
        ..Config::default()
    });
    let credentials = Phone::new(&strict.challenge(0, false)[0]).credentials();
    assert!(accepted(&strict.check(1, &invite(&credentials))));
    let moved = String::from_utf8(invite(&credentials).bytes().to_vec())
        .unwrap()
        .replace("INVITE sip:bob@", "INVITE sip:carol@");
    let moved = Message::parse(moved.into()).unwrap();
    let bad = Verdict::Malformed(BadCredentials::Bad("Uri"));
    assert_eq!(strict.check(1, &moved), bad);
}

proptest! {
    /// Whatever comes, it is read or refused, and never lets anybody in.
    #[test]
    fn noise_never_passes(noise in "[ -~]{0,80}") {
        let site = site(Config { legacy: true, ..Config::default() });
        let value = format!("Digest {noise}");
        prop_assert!(!accepted(&site.check(0, &invite(&value))));
        let tail = format!(
            "Digest username=\"alice\", realm=\"{REALM}\", nonce=\"x\", uri=\"sip:x\", {noise}"
        );
        prop_assert!(!accepted(&site.check(0, &invite(&tail))));
    }
}
