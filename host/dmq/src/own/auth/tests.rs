//! What passes and what does not.

use std::collections::HashSet;

use super::*;
use crate::own::version::NodeId;
use proptest::prelude::*;

const NOON: u64 = 1_795_262_400_000;
const US: NodeId = NodeId::new(9);
const HOUR: u64 = 3_600_000;
const URI: &str = "sip:switchhook@127.0.0.2:5060";

fn keys(names: &[&str]) -> Keyring {
    let key = |name: &&str| Key::new(name, format!("{name}: a secret of ours").as_bytes()).unwrap();
    Keyring::new(names.iter().map(key).collect()).unwrap()
}

fn covered<'a>(uri: &'a str, body: &'a [u8]) -> Covered<'a> {
    Covered {
        method: "KDMQ",
        uri: uri.as_bytes(),
        body,
    }
}

fn pair() -> (Signer<u8>, Guard) {
    let signer = Signer::new(keys(&["a"]), NodeId::new(7));
    (signer, Guard::new(keys(&["a"]), US, NOON))
}

#[test]
fn a_message_passes_once() {
    let (mut signer, mut guard) = pair();
    let message = covered(URI, b"body");
    let (field, signed) = signer.sign(NOON + 5, 1, &message);
    assert_eq!(guard.request(NOON + 9, Some(&field), &message), Ok(signed));
    let again = guard.request(NOON + 9, Some(&field), &message);
    assert_eq!(again, Err(Refusal::Replayed));
    let answer = guard.answer(NOON + 10, signed, 200, b"fine");
    let field = Some(&*answer);
    let said = Answered {
        node: US,
        time: NOON + 10,
        count: signed.count,
    };
    assert_eq!(signer.answered(200, field, b"fine"), Some(said));
    assert_eq!(signer.answered(200, field, b"fibe"), None);
    assert_eq!(signer.answered(202, field, b"fine"), None);
    assert_eq!(signer.answered(200, None, b"fine"), None);
    for (from, to) in [
        ("count=1", "count=0"),
        ("node=0", "node=1"),
        ("time=1", "time=2"),
    ] {
        let changed = answer.replacen(from, to, 1);
        assert_eq!(signer.answered(200, Some(&changed), b"fine"), None, "{to}");
    }
    let stranger: Signer<u8> = Signer::new(keys(&["a"]), NodeId::new(8));
    assert_eq!(
        stranger.answered(200, field, b"fine"),
        None,
        "not its request"
    );
}

#[test]
fn what_was_changed_or_is_for_another_does_not_pass() {
    let (mut signer, mut guard) = pair();
    let (field, _) = signer.sign(NOON, 1, &covered(URI, b"body"));
    let mut refused =
        |field: Option<&str>, message: &Covered<'_>| guard.request(NOON, field, message).err();
    let message = covered(URI, b"body");
    let method = Covered {
        method: "MESSAGE",
        ..message
    };
    for changed in [
        covered("sip:htable@127.0.0.2:5060", b"body"),
        covered("sip:switchhook@127.0.0.3:5060", b"body"),
        covered("", b"body"),
        covered(URI, b"bodY"),
        method,
    ] {
        assert_eq!(
            refused(Some(&field), &changed),
            Some(Refusal::Forged),
            "{changed:?}"
        );
    }
    assert_eq!(refused(None, &message), Some(Refusal::Unsigned));
    for (from, to) in [
        ("count=1", "count=2"),
        ("node=0", "node=1"),
        ("key=a", "key=b"),
        ("time=1", "time=2"),
    ] {
        let changed = field.replacen(from, to, 1);
        assert_ne!(changed, field);
        assert_eq!(
            refused(Some(&changed), &message),
            Some(Refusal::Forged),
            "{to}"
        );
    }
    let (longer, signed) = (format!("{field};x=y"), field.replace("time=", "time=+"));
    for odd in ["", "key=a", "mac=x;key=a", &longer, &signed] {
        assert_eq!(
            refused(Some(odd), &message),
            Some(Refusal::Unsigned),
            "{odd}"
        );
    }
    let cut = &field[..field.len() - 1];
    assert_eq!(refused(Some(cut), &message), Some(Refusal::Forged));
    assert_eq!(
        refused(Some(&field), &message),
        None,
        "none of that used it up"
    );
}

#[test]
fn keys_are_exchanged_one_after_the_other() {
    let message = covered(URI, b"");
    let mut guard = Guard::new(keys(&["old", "new"]), US, NOON);
    let mut signer: Signer<u8> = Signer::new(keys(&["old"]), NodeId::new(7));
    let (field, _) = signer.sign(NOON, 1, &message);
    assert!(guard.request(NOON, Some(&field), &message).is_ok());
    signer.set_keys(keys(&["new", "old"]));
    let (field, _) = signer.sign(NOON, 1, &message);
    assert!(field.starts_with("key=new;"));
    assert!(guard.request(NOON, Some(&field), &message).is_ok());
    guard.set_keys(keys(&["new"]));
    signer.set_keys(keys(&["old"]));
    let (field, _) = signer.sign(NOON, 1, &message);
    let refused = guard.request(NOON, Some(&field), &message);
    assert_eq!(refused, Err(Refusal::Forged));
}

#[test]
fn a_wrong_clock_costs_one_message() {
    for ours in [NOON + HOUR, NOON - HOUR] {
        let (mut signer, mut guard) = pair();
        let message = covered(URI, b"x");
        let (field, signed) = signer.sign(ours, 1, &message);
        let refused = guard.request(NOON, Some(&field), &message);
        assert_eq!(refused, Err(Refusal::Time(signed)));
        let answer = guard.answer(NOON, signed, 403, b"");
        let forged = answer.replace("time=1", "time=2");
        assert_eq!(signer.answered(403, Some(&forged), b""), None);
        let said = signer.answered(403, Some(&answer), b"").unwrap();
        assert!(signer.learn(ours, 1, said.time));
        assert!(!signer.learn(ours + 1, 1, said.time), "known");
        let (field, _) = signer.sign(ours + 10, 1, &message);
        assert!(guard.request(NOON + 10, Some(&field), &message).is_ok());
        // It is that peer's clock, nobody else's.
        let (field, _) = signer.sign(ours + 10, 2, &message);
        let refused = guard.request(NOON + 10, Some(&field), &message);
        assert!(matches!(refused, Err(Refusal::Time(_))));
    }
}

#[test]
fn what_was_recorded_before_a_restart_is_worth_nothing() {
    let (mut signer, _) = pair();
    let message = covered(URI, b"x");
    let (field, _) = signer.sign(NOON - 10, 1, &message);
    let mut restarted = Guard::new(keys(&["a"]), US, NOON);
    let refused = restarted.request(NOON + 5, Some(&field), &message);
    assert!(matches!(refused, Err(Refusal::Time(_))));
}

#[test]
fn memory_is_bounded_and_what_is_forgotten_is_too_old() {
    let mut guard = Guard::new(keys(&["a"]), US, NOON);
    let message = covered(URI, b"x");
    let send = |guard: &mut Guard, life: u64, at: u64| {
        let mut signer: Signer<u8> = Signer::new(keys(&["a"]), NodeId::new(life));
        let (field, _) = signer.sign(at, 1, &message);
        (guard.request(at, Some(&field), &message), field)
    };
    let (_, first) = send(&mut guard, 0, NOON);
    for life in 1..MAX_LIVES as u64 {
        assert!(send(&mut guard, life, NOON).0.is_ok());
    }
    assert_eq!(send(&mut guard, 9_999, NOON).0, Err(Refusal::Crowded));
    let later = NOON + 61_000;
    assert!(send(&mut guard, 9_999, later).0.is_ok());
    let refused = guard.request(later, Some(&first), &message);
    assert!(matches!(refused, Err(Refusal::Time(_))));
}

#[test]
fn keys_that_are_none_are_refused_and_secrets_are_not_shown() {
    assert!(matches!(Key::new("", &[0; 32]), Err(KeyError::Name(_))));
    assert!(matches!(Key::new("a;b", &[0; 32]), Err(KeyError::Name(_))));
    assert!(matches!(Key::new("a", &[0; 15]), Err(KeyError::Short(_))));
    let key = Key::new("a", b"0123456789abcdef").unwrap();
    assert_eq!(format!("{key:?}"), "Key(a)");
    let twice = Keyring::new(vec![key.clone(), key]);
    assert!(matches!(twice, Err(KeyError::Twice(_))));
    assert!(matches!(Keyring::new(Vec::new()), Err(KeyError::Count(0))));
}

proptest! {
    /// Against a plain set: no count passes twice, and those in the window pass once.
    #[test]
    fn no_count_passes_twice(steps in prop::collection::vec((0u64..6_000, any::<bool>()), 0..100)) {
        let (mut seen, mut highest) = (HashSet::new(), 0u64);
        let keys = keys(&["a"]);
        let mut guard = Guard::new(keys.clone(), US, NOON);
        let (message, node) = (covered(URI, b""), NodeId::new(1));
        for (step, up) in steps {
            let count = if up { highest + step } else { highest.saturating_sub(step) };
            let field = keyring::request_parts(node, (NOON, count), &message, |parts| {
                let (key, mac) = keys.sign(parts);
                format!("key={key};node={node};time={NOON};count={count};mac={mac}")
            });
            let near = count > 0 && count + WINDOW_COUNTS > highest;
            let passes = guard.request(NOON, Some(&field), &message).is_ok();
            prop_assert_eq!(passes, near && seen.insert(count), "{} of {}", count, highest);
            highest = highest.max(count);
        }
    }
}
