//! Two nodes and the wire between them, in virtual time: who is let in, what is bound to what, ticks, slow and hostile peers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a story that can't go on ends"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use switchhook_erlang::node::{
    Answer, ConnectionId, Event, Limits, Node, NodeConfig, Output, Process, RequestFault, SendFault,
};
use switchhook_erlang::{Closed, Cookie, Flags, NodeName, Pid, TermBytes, Who};

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn atom(text: &str) -> TermBytes {
    let mut out = vec![131, b'w', text.len() as u8];
    out.extend(text.as_bytes());
    out.into()
}

fn config(own: &str, nodes: &[&str]) -> NodeConfig {
    NodeConfig {
        name: name(own),
        flags: Flags::OURS,
        cookie: Cookie::new("secret").unwrap(),
        cookies: Vec::new(),
        nodes: nodes.iter().map(|node| name(node)).collect(),
        takeover: true,
        retry: (SECOND / 4, 4 * SECOND),
        limits: Limits::default(),
    }
}

/// Nodes by name, wires between them, one clock.
struct World {
    now: Instant,
    nodes: BTreeMap<NodeName, Node>,
    /// Each end of a wire, and the other one.
    wires: BTreeMap<(NodeName, ConnectionId), (NodeName, ConnectionId)>,
    /// Nodes that no longer answer.
    dead: Vec<NodeName>,
    events: BTreeMap<NodeName, Vec<Event>>,
}

impl World {
    fn new(configs: Vec<NodeConfig>) -> Self {
        let now = Instant::now();
        let mut world = Self {
            now,
            nodes: BTreeMap::new(),
            wires: BTreeMap::new(),
            dead: Vec::new(),
            events: BTreeMap::new(),
        };
        for (index, config) in configs.into_iter().enumerate() {
            world.join(config, index as u32 + 1);
        }
        world
    }

    fn join(&mut self, config: NodeConfig, creation: u32) {
        let own = config.name.clone();
        let mut node = Node::new(config, creation, [creation.into(), 7], self.now);
        node.register(&Arc::from("greetings"));
        self.nodes.insert(own, node);
        self.settle();
    }

    fn node(&mut self, own: &str) -> &mut Node {
        self.nodes.get_mut(&name(own)).unwrap()
    }

    /// Carries bytes and outputs until nothing moves.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
            for own in names {
                while let Some(output) = self.nodes.get_mut(&own).and_then(Node::poll) {
                    moved = true;
                    self.output(&own, output);
                }
                while let Some(id) = self.nodes.get_mut(&own).and_then(Node::to_write) {
                    moved = true;
                    self.carry(&own, id);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn output(&mut self, own: &NodeName, output: Output) {
        match output {
            Output::Dial(to) => {
                let now = self.now;
                let reachable = self.nodes.contains_key(&to) && !self.dead.contains(&to);
                let node = self.nodes.get_mut(own).unwrap();
                if !reachable {
                    node.not_dialled(now, &to);
                    return;
                }
                let Some(ours) = node.dialled(now, &to, false) else {
                    return;
                };
                let theirs = self
                    .nodes
                    .get_mut(&to)
                    .unwrap()
                    .accepted(now, false)
                    .unwrap();
                let (here, there) = ((own.clone(), ours), (to, theirs));
                self.wires.insert(here.clone(), there.clone());
                self.wires.insert(there, here);
            }
            Output::Close(id) => self.cut(own, id),
            Output::Farewell(id, mut outbox) => {
                let mut bytes = Vec::new();
                take(&mut outbox, &mut bytes);
                self.feed(own, id, &bytes);
                self.cut(own, id);
            }
            Output::Event(event) => self.events.entry(own.clone()).or_default().push(event),
        }
    }

    /// Takes a wire away; the other end notices.
    fn cut(&mut self, own: &NodeName, id: ConnectionId) {
        if let Some((other, theirs)) = self.wires.remove(&(own.clone(), id)) {
            self.wires.remove(&(other.clone(), theirs));
            let now = self.now;
            if let Some(node) = self.nodes.get_mut(&other) {
                node.closed(now, theirs, "closed by the peer");
            }
        }
    }

    fn carry(&mut self, own: &NodeName, id: ConnectionId) {
        let mut bytes = Vec::new();
        if let Some(outbox) = self.nodes.get_mut(own).and_then(|node| node.outbox(id)) {
            take(outbox, &mut bytes);
        }
        self.feed(own, id, &bytes);
    }

    /// Bytes from one end to the other, in pieces.
    fn feed(&mut self, own: &NodeName, id: ConnectionId, bytes: &[u8]) {
        let Some((other, theirs)) = self.wires.get(&(own.clone(), id)).cloned() else {
            return;
        };
        if self.dead.contains(&other) {
            return;
        }
        let now = self.now;
        let node = self.nodes.get_mut(&other).unwrap();
        for piece in bytes.chunks(1000) {
            if let Some(buffer) = node.buffer(theirs) {
                buffer.extend_from_slice(piece);
            }
            node.received(now, theirs);
        }
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let living = self
                .nodes
                .iter()
                .filter(|(own, _)| !self.dead.contains(own));
            let next = living.filter_map(|(_, node)| node.deadline()).min();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
            let now = self.now;
            for (own, node) in &mut self.nodes {
                if !self.dead.contains(own) {
                    node.on_timer(now);
                }
            }
        }
        self.now = end;
    }

    /// Removes a node and its wires, as a crash does.
    fn kill(&mut self, own: &str) {
        let own = name(own);
        self.nodes.remove(&own);
        let ends: Vec<_> = self
            .wires
            .keys()
            .filter(|(node, _)| *node == own)
            .cloned()
            .collect();
        for (node, id) in ends {
            self.cut(&node, id);
        }
        self.settle();
    }

    fn take_events(&mut self, own: &str) -> Vec<Event> {
        self.settle();
        self.events.remove(&name(own)).unwrap_or_default()
    }

    fn ups_and_downs(&mut self, own: &str) -> Vec<String> {
        let events = self.take_events(own);
        let shown = events.iter().filter_map(|event| match event {
            Event::Up { node, .. } => Some(format!("up {node}")),
            Event::Down { node, reason } => Some(format!("down {node}: {reason}")),
            Event::Failed { reason, .. } => Some(format!("failed: {reason}")),
            Event::Active { node } => Some(format!("active {node:?}")),
            _ => None,
        });
        shown.collect()
    }
}

fn take(outbox: &mut switchhook_erlang::Outbox, bytes: &mut Vec<u8>) {
    while !outbox.is_empty() {
        let wrote = outbox.write(|slices| {
            let mut count = 0;
            for slice in slices {
                bytes.extend_from_slice(slice);
                count += slice.len();
            }
            Ok::<_, ()>(count)
        });
        wrote.unwrap();
    }
}

fn pair() -> World {
    let mut world = World::new(vec![config("b@h", &[]), config("a@h", &["b@h"])]);
    world.pass(SECOND);
    assert_eq!(world.ups_and_downs("a@h"), ["up b@h", "active Some('b@h')"]);
    assert_eq!(world.ups_and_downs("b@h"), ["up a@h", "active Some('a@h')"]);
    world
}

fn greetings() -> Process {
    Process::Named("greetings".into())
}

fn pid_of(world: &mut World, own: &str) -> Pid {
    world.node(own).pid(&greetings()).unwrap()
}

#[test]
fn a_message_comes_with_its_sender() {
    let mut world = pair();
    let now = world.now;
    let to = pid_of(&mut world, "b@h");
    world
        .node("a@h")
        .send(now, &greetings(), &to, atom("hi"))
        .unwrap();
    let a = pid_of(&mut world, "a@h");
    let events = world.take_events("b@h");
    let [
        Event::Message {
            to, from, message, ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((to, from, message), (&greetings(), &Some(a), &atom("hi")));
}

#[test]
fn silence_is_noticed_in_time_and_ticks_keep_an_idle_link() {
    let mut world = pair();
    world.pass(5 * Limits::default().tick_time);
    assert_eq!(world.ups_and_downs("a@h"), [""; 0]);
    world.dead.push(name("b@h"));
    let tick = Limits::default().tick_time;
    world.pass(tick * 3 / 4 - SECOND);
    assert_eq!(world.ups_and_downs("a@h"), [""; 0]);
    world.pass(tick / 2);
    let told = world.ups_and_downs("a@h");
    assert_eq!(told[..2], ["down b@h: silent for 60 s", "active None"]);
}

#[test]
fn both_dial_and_one_connection_survives() {
    for (one, other) in [("a@h", "b@h"), ("b@h", "a@h")] {
        let mut world = World::new(vec![config(one, &[other]), config(other, &[one])]);
        world.pass(10 * SECOND);
        for own in [one, other] {
            assert_eq!(world.node(own).nodes().len(), 1, "{own}");
            let told = world.ups_and_downs(own);
            let ups = told.iter().filter(|told| told.starts_with("up")).count();
            let downs = told.iter().filter(|told| told.starts_with("down")).count();
            assert_eq!((ups, downs), (1, 0), "{own}: {told:?}");
        }
        assert_eq!(world.wires.len(), 2);
    }
}

#[test]
fn a_wrong_cookie_is_refused_and_tried_again_with_pauses() {
    let mut wrong = config("a@h", &["b@h"]);
    wrong.cookie = Cookie::new("guess").unwrap();
    let mut world = World::new(vec![config("b@h", &[]), wrong]);
    world.pass(10 * SECOND);
    assert_eq!(world.node("b@h").nodes(), []);
    let told = world.ups_and_downs("b@h");
    assert_eq!(told[0], "failed: handshake: a@h has another cookie");
    // At 0, 0.25, 0.75, 1.75, 3.75, 7.75 s.
    assert_eq!(told.len(), 6);
}

#[test]
fn a_node_can_have_a_cookie_of_its_own() {
    let mut b = config("b@h", &[]);
    b.cookies.push((name("a@h"), Cookie::new("ours").unwrap()));
    let mut a = config("a@h", &["b@h"]);
    a.cookie = Cookie::new("ours").unwrap();
    let mut world = World::new(vec![b, a]);
    world.pass(SECOND);
    assert_eq!(world.node("b@h").nodes(), [name("a@h")]);
}

#[test]
fn the_next_node_takes_over_and_the_preferred_one_comes_back() {
    let mut world = World::new(vec![
        config("n1@h", &[]),
        config("n2@h", &[]),
        config("a@h", &["n1@h", "n2@h"]),
    ]);
    world.pass(SECOND);
    assert_eq!(world.node("a@h").active(), Some(&name("n1@h")));
    world.kill("n1@h");
    assert_eq!(world.node("a@h").active(), Some(&name("n2@h")));
    world.join(config("n1@h", &[]), 9);
    world.pass(10 * SECOND);
    assert_eq!(world.node("a@h").active(), Some(&name("n1@h")));
    world.kill("n1@h");
    world.kill("n2@h");
    let now = world.now;
    let sent = world
        .node("a@h")
        .reg_send(now, &greetings(), &name("n2@h"), "x", atom("y"));
    assert_eq!(sent, Err(SendFault::NotConnected));
    assert_eq!(world.node("a@h").active(), None);
}

#[test]
fn without_takeover_the_active_node_stays() {
    let mut a = config("a@h", &["n1@h", "n2@h"]);
    a.takeover = false;
    let mut world = World::new(vec![config("n2@h", &[]), a]);
    world.pass(SECOND);
    world.join(config("n1@h", &[]), 9);
    world.pass(10 * SECOND);
    assert_eq!(world.node("a@h").nodes().len(), 2);
    assert_eq!(world.node("a@h").active(), Some(&name("n2@h")));
}

#[test]
fn monitors_and_links_end_with_what_they_are_bound_to() {
    let mut world = pair();
    let now = world.now;
    let there = pid_of(&mut world, "b@h");
    let a = world.node("a@h");
    for who in [Who::Name("nobody".into()), Who::Pid(there.clone())] {
        let reference = a.make_ref();
        a.monitor(now, &greetings(), &name("b@h"), who, &reference)
            .unwrap();
    }
    a.link(now, &greetings(), &there).unwrap();
    let told = reasons(&world.take_events("a@h"));
    assert_eq!(told, ["down noproc"]);
    world.node("b@h").unregister(now, "greetings");
    let mut told = reasons(&world.take_events("a@h"));
    told.sort();
    assert_eq!(told, ["down normal", "exit normal"]);
    let a = world.node("a@h");
    let reference = a.make_ref();
    let net_kernel = Who::Name("net_kernel".into());
    a.monitor(now, &greetings(), &name("b@h"), net_kernel, &reference)
        .unwrap();
    world.settle();
    world.kill("b@h");
    assert_eq!(reasons(&world.take_events("a@h")), ["down noconnection"]);
}

#[test]
fn what_was_unlinked_tells_nothing() {
    let mut world = pair();
    let now = world.now;
    let there = pid_of(&mut world, "b@h");
    let a = world.node("a@h");
    a.link(now, &greetings(), &there).unwrap();
    assert!(a.unlink(now, &greetings(), &there));
    assert!(!a.unlink(now, &Process::Own, &there));
    world.settle();
    world.node("b@h").unregister(now, "greetings");
    assert_eq!(reasons(&world.take_events("a@h")), [""; 0]);
    assert_eq!(reasons(&world.take_events("b@h")), [""; 0]);
}

fn reasons(events: &[Event]) -> Vec<String> {
    let text = |term: &TermBytes| String::from_utf8_lossy(&term[3..]).into_owned();
    let shown = events.iter().filter_map(|event| match event {
        Event::Exit { reason, .. } => Some(format!("exit {}", text(reason))),
        Event::ProcessDown { reason, .. } => Some(format!("down {}", text(reason))),
        _ => None,
    });
    shown.collect()
}

#[test]
fn calls_are_answered_fail_or_run_out_of_time() {
    let mut world = pair();
    let (now, there) = (world.now, name("b@h"));
    let nil = TermBytes::from_static(b"\x83j");
    let a = world.node("a@h");
    let calls = ["good", "bad", "slow", "none"]
        .map(|function| a.rpc(now, &there, "m", function, nil.clone(), now + SECOND));
    let nowhere = a.rpc(now, &name("c@h"), "m", "f", nil, now + SECOND);
    for event in world.take_events("b@h") {
        let Event::Call { id, function, .. } = event else {
            continue;
        };
        let answer = match function.as_str() {
            "good" => Answer::Value(atom("yes")),
            "bad" => Answer::Error(atom("oops")),
            "none" => Answer::Undefined,
            _ => continue,
        };
        world.node("b@h").answer(now, id, answer);
    }
    world.pass(2 * SECOND);
    let mut answers = BTreeMap::new();
    for event in world.take_events("a@h") {
        if let Event::Answered { id, result } = event {
            answers.insert(id, result);
        }
    }
    assert_eq!(answers[&calls[0]], Ok(atom("yes")));
    assert!(matches!(&answers[&calls[1]], Err(RequestFault::Failed(_))));
    assert_eq!(answers[&calls[2]], Err(RequestFault::Timeout));
    assert!(matches!(&answers[&calls[3]], Err(RequestFault::Failed(_))));
    assert_eq!(answers[&nowhere], Err(RequestFault::NotConnected));
}

#[test]
fn a_peer_without_spawn_requests_is_asked_through_rex() {
    let mut old = config("b@h", &[]);
    old.flags = Flags(Flags::OURS.0 & !Flags::SPAWN.0 & !Flags::ALIAS.0);
    let mut world = World::new(vec![old, config("a@h", &["b@h"])]);
    world.pass(SECOND);
    world.take_events("a@h");
    let now = world.now;
    let nil = TermBytes::from_static(b"\x83j");
    world
        .node("a@h")
        .rpc(now, &name("b@h"), "erlang", "node", nil, now + SECOND);
    let events = world.take_events("a@h");
    let [Event::Answered { result, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(result, &Ok(atom("b@h")));
}

#[test]
fn a_peer_that_does_not_read_is_busy_until_it_does() {
    let mut b = config("b@h", &[]);
    b.limits.tick_time = 3600 * SECOND;
    let mut a = config("a@h", &["b@h"]);
    a.limits.queue = 10_000;
    a.limits.message = 100_000;
    let mut world = World::new(vec![b, a]);
    world.pass(SECOND);
    world.take_events("a@h");
    let (now, there) = (world.now, name("b@h"));
    let a = world.node("a@h");
    let mut sent = 0;
    let fault = loop {
        match a.reg_send(now, &Process::Own, &there, "greetings", atom("0123456789")) {
            Ok(()) => sent += 1,
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault, SendFault::Busy);
    assert!((10..1000).contains(&sent), "{sent}");
    assert!(matches!(a.poll(), Some(Output::Event(Event::Busy { .. }))));
    // It reads again: all of it arrives, and sending goes on.
    world.settle();
    let arrived = world.take_events("b@h");
    let messages = arrived
        .iter()
        .filter(|event| matches!(event, Event::Message { .. }));
    assert_eq!(messages.count(), sent);
    let a = world.node("a@h");
    assert!(
        a.reg_send(now, &Process::Own, &there, "greetings", atom("x"))
            .is_ok()
    );
}

#[test]
fn a_hostile_frame_ends_its_own_connection_only() {
    let hostile: Vec<Vec<u8>> = vec![
        vec![0xff; 8],
        [&[0, 0, 0, 5][..], b"garba"].concat(),
        [&[0, 0, 0, 13][..], b"\x83D\0h\x03acw\x01xw\x01y"].concat(),
        [&[0, 0, 0, 9][..], b"\x83D\0l\xff\xff\xff\xffj"].concat(),
        [&[0, 0, 0, 10][..], b"\x83D\0P\0\0\0\x01xx"].concat(),
        {
            let mut deep = b"\x83D\0".to_vec();
            deep.extend([b'h', 1].repeat(1_000_000));
            [&(deep.len() as u32).to_be_bytes()[..], &deep].concat()
        },
    ];
    for bytes in hostile {
        let mut world = World::new(vec![
            config("b@h", &[]),
            config("c@h", &["b@h"]),
            config("a@h", &["b@h"]),
        ]);
        world.pass(SECOND);
        world.take_events("b@h");
        let from = (
            name("a@h"),
            world
                .wires
                .keys()
                .find(|(own, _)| *own == name("a@h"))
                .unwrap()
                .1,
        );
        world.feed(&from.0, from.1, &bytes);
        let told = world.ups_and_downs("b@h");
        assert!(told[0].starts_with("down a@h"), "{told:?}");
        assert_eq!(world.node("b@h").nodes(), [name("c@h")]);
    }
}

#[test]
fn half_a_handshake_is_closed_after_seven_seconds() {
    let mut world = World::new(vec![config("b@h", &[])]);
    let now = world.now;
    let id = world.node("b@h").accepted(now, false).unwrap();
    world.pass(Duration::from_millis(6900));
    assert!(world.node("b@h").outbox(id).is_some());
    world.pass(SECOND);
    assert!(world.node("b@h").outbox(id).is_none());
    let events = world.take_events("b@h");
    assert!(matches!(
        &events[..],
        [Event::Failed {
            reason: Closed::Slow,
            ..
        }]
    ));
}
