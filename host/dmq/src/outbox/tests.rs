//! Parcels keep their order, windows hold, retransmissions come and end: in virtual time, and by random schedules.

use super::*;
use proptest::prelude::*;
use switchhook_sip::message::Message;

use crate::envelope::answered;

fn node(n: u8) -> Node {
    Node::udp(([127, 0, 0, n], 5060).into())
}

fn outbox() -> Outbox {
    Outbox::new(Manner {
        own: node(1),
        user_agent: "test".into(),
        timeout: Duration::from_secs(8),
        seed: [1, 2, 3, 4],
    })
}

fn parcel(keys: &[u64], body: &str) -> Parcel {
    Parcel {
        channel: "htable".into(),
        content_type: "application/json".into(),
        extra: "".into(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        keys: Keys::Some(keys.into()),
        whole: true,
        urgent: false,
        hops: 1,
        tag: Tag::Change,
    }
}

/// What went out: the number of each request and its body.
fn sent(outbox: &mut Outbox) -> Vec<(u128, String)> {
    let mut all = Vec::new();
    while let Some((to, bytes)) = outbox.poll() {
        assert_eq!(to.remote, node(2).address);
        let message = Message::parse(bytes).unwrap();
        message.check().unwrap();
        let body = String::from_utf8(message.body().to_vec()).unwrap();
        all.push((answered(&message).unwrap(), body));
    }
    all
}

fn bodies(sent: &[(u128, String)]) -> Vec<&str> {
    sent.iter().map(|(_, body)| body.as_str()).collect()
}

#[test]
fn one_key_goes_one_after_the_other_and_only_the_newest_value_waits() {
    let (mut outbox, now) = (outbox(), Instant::now());
    for (key, body) in [(7, "a1"), (8, "b1"), (7, "a2"), (7, "a3"), (9, "c1")] {
        outbox.push(now, node(2), parcel(&[key], body)).unwrap();
    }
    let first = sent(&mut outbox);
    assert_eq!(bodies(&first), ["a1", "b1", "c1"]);
    let done = outbox.answered(now, first[0].0, 200).unwrap();
    assert_eq!(
        (done.node, done.tag, done.status),
        (node(2), Tag::Change, 200)
    );
    let second = sent(&mut outbox);
    assert_eq!(bodies(&second), ["a3"]);
    assert_eq!(
        outbox.answered(now, first[0].0, 200),
        None,
        "answered before"
    );
    for (id, _) in first.iter().skip(1).chain(&second) {
        outbox.answered(now, *id, 200).unwrap();
    }
    assert_eq!(outbox.waiting(node(2)), 0);
    assert_eq!(outbox.deadline(), None);
}

#[test]
fn a_parcel_that_writes_all_keys_is_overtaken_by_none() {
    let (mut outbox, now) = (outbox(), Instant::now());
    outbox.push(now, node(2), parcel(&[1], "before")).unwrap();
    let all = Parcel {
        keys: Keys::All,
        whole: false,
        ..parcel(&[], "all")
    };
    outbox.push(now, node(2), all).unwrap();
    outbox.push(now, node(2), parcel(&[2], "behind")).unwrap();
    for body in ["before", "all", "behind"] {
        let went = sent(&mut outbox);
        assert_eq!(bodies(&went), [body]);
        outbox.answered(now, went[0].0, 200).unwrap();
    }
    assert_eq!(outbox.waiting(node(2)), 0);
}

#[test]
fn copies_go_out_in_time_and_a_silent_member_keeps_its_parcels() {
    let (mut outbox, start) = (outbox(), Instant::now());
    outbox.push(start, node(2), parcel(&[1], "a")).unwrap();
    let ping = Parcel {
        keys: Keys::None,
        urgent: true,
        tag: Tag::Notify,
        ..parcel(&[], "ping")
    };
    outbox.push(start, node(2), ping).unwrap();
    assert_eq!(bodies(&sent(&mut outbox)), ["a", "ping"]);
    let (mut times, mut given_up) = (Vec::new(), Vec::new());
    while let Some(due) = outbox.deadline() {
        outbox.on_timer(due, &mut given_up);
        let copies = sent(&mut outbox);
        if !copies.is_empty() {
            times.push((due - start).as_millis());
        }
    }
    assert_eq!(times, [500, 1500, 3500, 7500]);
    let gone: Vec<_> = given_up
        .iter()
        .map(|done| (done.tag, done.status))
        .collect();
    assert_eq!(gone, [(Tag::Change, 408), (Tag::Notify, 408)]);
    assert_eq!(outbox.waiting(node(2)), 1);
    let later = start + Duration::from_secs(60);
    outbox.push(later, node(2), parcel(&[1], "newer")).unwrap();
    assert!(sent(&mut outbox).is_empty());
    outbox.pause(later, node(2), false);
    assert_eq!(bodies(&sent(&mut outbox)), ["newer"]);
}

#[test]
fn the_window_bounds_requests_and_bytes() {
    let (mut outbox, now) = (outbox(), Instant::now());
    for key in 0..100 {
        outbox.push(now, node(2), parcel(&[key], "x")).unwrap();
    }
    assert_eq!(sent(&mut outbox).len(), WINDOW);
    let mut outbox = self::outbox();
    for key in 0..100 {
        let large = "y".repeat(30_000);
        outbox.push(now, node(2), parcel(&[key], &large)).unwrap();
    }
    assert_eq!(sent(&mut outbox).len(), 2);
}

#[test]
fn a_queue_is_bounded() {
    let (mut outbox, now) = (outbox(), Instant::now());
    let pushed = (0..MAX_PARCELS as u64 + 10)
        .filter(|key| outbox.push(now, node(2), parcel(&[*key], "x")).is_ok())
        .count();
    assert_eq!(pushed, MAX_PARCELS);
    outbox.forget(node(2));
    assert_eq!((outbox.waiting(node(2)), outbox.deadline()), (0, None));
}

proptest! {
    /// Whatever is pushed and answered in whatever order: each key's writes go out in order, never two at once, and all end.
    #[test]
    fn order_holds(pushes in prop::collection::vec((prop::collection::vec(0u64..5, 0..4), any::<bool>()), 1..60),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 200)) {
        let (mut outbox, now) = (outbox(), Instant::now());
        for (n, (keys, all)) in pushes.iter().enumerate() {
            let keys = if *all { Keys::All } else { Keys::Some(keys.as_slice().into()) };
            let parcel = Parcel { keys, whole: false, ..parcel(&[], &n.to_string()) };
            outbox.push(now, node(2), parcel).unwrap();
        }
        let touches = |a: usize, b: usize| {
            let ((x, xall), (y, yall)) = (&pushes[a], &pushes[b]);
            match (xall, yall) {
                (true, true) => true,
                (true, false) => !y.is_empty(),
                (false, true) => !x.is_empty(),
                (false, false) => x.iter().any(|key| y.contains(key)),
            }
        };
        let (mut flying, mut ended): (Vec<(u128, usize)>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut picks = picks.iter().cycle();
        loop {
            for (id, body) in sent(&mut outbox) {
                let n: usize = body.parse().unwrap();
                for before in (0..n).filter(|before| touches(*before, n)) {
                    prop_assert!(ended.contains(&before), "{n} overtook {before}");
                }
                flying.push((id, n));
            }
            if flying.is_empty() {
                break;
            }
            let (id, n) = flying.remove(picks.next().unwrap().index(flying.len()));
            ended.push(n);
            prop_assert!(outbox.answered(now, id, 200).is_some());
        }
        prop_assert_eq!(ended.len(), pushes.len());
        prop_assert_eq!(outbox.waiting(node(2)), 0);
    }
}
