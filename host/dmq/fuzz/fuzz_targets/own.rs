//! Any bodies of one of our own nodes, as requests and as answers, one after the other: each is answered, what is refused changes
//! nothing, records stay within their number, and what is sent stays within its size.
//!
//! Input: bodies with a line `--` between them.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use switchhook_dmq::Now;
use switchhook_dmq::own::records::Records;
use switchhook_dmq::own::repair::{Config, Mesh, PeerId, SetId};
use switchhook_dmq::own::version::{Clock, NodeId, Value};

const HT: SetId = SetId(0);
const MOST: usize = 8;

fuzz_target!(|data: &[u8]| {
    let clock = Arc::new(Clock::new(NodeId::new(1)));
    let config = Config {
        max_body: 2_000,
        log: 16,
        ..Config::default()
    };
    let mut mesh = Mesh::new(clock.clone(), config);
    let mut records = Records::new(["ht".into(), "counters".into()], MOST);
    let mut now = Now {
        at: Instant::now(),
        unix_ms: 1_795_252_740_000,
    };
    let peer = PeerId(1);
    mesh.peer_up(now, peer, NodeId::new(2));
    let when = (now.at, clock.write(now.unix_ms));
    records.set(
        when,
        HT,
        "key",
        Value::Text("here".into()),
        Duration::from_secs(60),
    );
    records.add(when, SetId(1), "n", 5, Duration::ZERO);
    let mut asked = Vec::new();
    for body in data
        .split(|byte| *byte == b'\n')
        .collect::<Vec<_>>()
        .split(|line| *line == b"--")
        .take(16)
    {
        let body = body.join(&b'\n');
        now = now.after(Duration::from_millis(300));
        while let Some(send) = mesh.poll(now, &mut records) {
            assert!(
                send.body.len() <= config.max_body,
                "{} bytes",
                send.body.len()
            );
            asked.push(send.id);
        }
        let before = (records.len(), records.get(now.at, HT, "key"));
        let answer = mesh.request(now, peer, &body, &mut records);
        match answer.status {
            200 => assert!(!answer.body.is_empty()),
            400 | 403 => assert_eq!((records.len(), records.get(now.at, HT, "key")), before),
            other => panic!("an answer of {other}"),
        }
        assert!(records.len() <= 2 * MOST);
        drop(records.merged());
        if let Some(id) = asked.pop() {
            mesh.answered(now, peer, id, 200, &body, &mut records);
        }
    }
});
