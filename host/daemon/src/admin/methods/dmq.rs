//! `dmq.*`: the bus and its members.

use crate::admin::jsonrpc::Fault;
use crate::admin::registry::{Registry, required};
use crate::daemon::Daemon;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::time::Instant;
use switchhook_dmq::members::{Kind, Member, State};
use switchhook_dmq::{Bus, Node, Now};

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct Named {
    node: String,
}

pub(super) fn add(registry: &mut Registry<Daemon>) {
    registry.add(
        "dmq.list-nodes",
        &[],
        "The members of the bus: address, state, since how many seconds, what it speaks, requests that wait for it.",
        |daemon: &Daemon, Nothing {}| with(daemon, |bus, _| nodes(bus)),
    );
    registry.add(
        "dmq.stats",
        &[],
        "The bus in numbers, since the start.",
        |daemon: &Daemon, Nothing {}| with(daemon, |bus, _| counters(bus)),
    );
    let params = const { &[required("node", "its address: sip:192.0.2.1:5060")] };
    registry.add(
        "dmq.add-node",
        params,
        "Adds a member, or enables one again that was disabled.",
        |daemon: &Daemon, Named { node }| {
            let node = read(&node)?;
            with(daemon, move |bus, now| {
                if !bus.config().allows(node.address.ip()) {
                    return Err(Fault::refused(format!(
                        "{node} is not allowed; add its address to dmq.allow"
                    )));
                }
                bus.add_node(now, node);
                Ok(())
            })?
        },
    );
    registry.add(
        "dmq.remove-node",
        params,
        "Removes a member; tells whether it was one. It comes back when it calls.",
        |daemon: &Daemon, Named { node }| {
            let node = read(&node)?;
            with(daemon, move |bus, _| bus.remove_node(node))
        },
    );
    registry.add(
        "dmq.disable-node",
        params,
        "Tells a member nothing until it is added again; tells whether it was one.",
        |daemon: &Daemon, Named { node }| {
            let node = read(&node)?;
            with(daemon, move |bus, now| bus.disable_node(now, node))
        },
    );
}

fn with<R: Send + 'static>(
    daemon: &Daemon,
    act: impl FnOnce(&mut Bus, Now) -> R + Send + 'static,
) -> Result<R, Fault> {
    let bus = daemon.engine.dmq();
    let bus = bus.ok_or_else(|| Fault::refused("there is no [dmq] in the config".to_owned()))?;
    bus.with(act)
        .map_err(|gone| Fault::refused(gone.to_string()))
}

fn read(node: &str) -> Result<Node, Fault> {
    Node::read(node.as_bytes()).ok_or_else(|| {
        Fault::invalid_params(format!("`node`: expected sip:ADDRESS:PORT, found {node}"))
    })
}

fn nodes(bus: &Bus) -> Vec<Json> {
    let own = json!({ "node": bus.config().own.to_string(), "state": "active", "local": true });
    let members = bus.members().iter().map(|member| member_json(bus, member));
    std::iter::once(own).chain(members).collect()
}

fn member_json(bus: &Bus, member: &Member) -> Json {
    let state = match member.state {
        State::Pending => "pending",
        State::Active => "active",
        State::Disabled => "disabled",
    };
    let kind = match member.kind {
        Kind::Kamailio => "kamailio",
        Kind::Own => "switchhook",
    };
    json!({
        "node": member.node.to_string(),
        "state": state,
        "since": Instant::now().saturating_duration_since(member.since).as_secs(),
        "kind": kind,
        "lag": bus.lag(member.node),
        "local": false,
    })
}

fn counters(bus: &Bus) -> Json {
    let counters = bus.counters();
    let own = bus.own_counters().unwrap_or_default();
    let mesh = own.mesh;
    json!({
        "own": {
            "sent": mesh.sent,
            "copies": mesh.copies,
            "received": mesh.received,
            "records-out": mesh.records_out,
            "records-in": mesh.records_in,
            "records-known": mesh.records_known,
            "records-refused": mesh.records_refused,
            "records": own.records,
            "unrecorded": own.unrecorded,
            "unmade": own.unmade,
            "unknown-set": mesh.unknown_set,
            "too-large": mesh.too_large,
            "clock-ahead": mesh.clock_ahead,
            "malformed": mesh.malformed,
            "strangers": mesh.strangers,
            "refused": own.refused,
            "forged-answers": own.forged_answers,
            "repairs": mesh.repairs,
            "behind": mesh.behind,
            "silent": mesh.silent,
        },
        "received": counters.received,
        "repeated": counters.repeated,
        "refused": counters.refused,
        "malformed": counters.malformed,
        "applied": counters.applied,
        "outdated": counters.outdated,
        "failed": counters.failed,
        "told": counters.told,
        "untold": counters.untold,
        "repairs": counters.repairs,
        "resent": counters.resent,
        "queued": counters.queued,
    })
}
