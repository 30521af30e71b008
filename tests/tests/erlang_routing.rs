//! 500 calls a second whose script asks a real gen_server where they go; in the middle of them the Erlang node is lost. Every call is
//! answered all the same, by the script's fallback, within the time that the script gives the node.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test's helpers fail as its tests do"
)]

use std::process::Output;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use switchhook_tests::erlang::{Erlang, PortMapper, compile, free_port};
use switchhook_tests::{Cable, Daemon, Place, Setup, alone, has, patience, phones};

const NODE: &str = "node1@127.0.0.1";
/// Calls a second, and how many seconds.
const RATE: u64 = 500;
const SECONDS: u64 = 7;
/// What the script gives the node, as examples/erlang-routing has it.
const PATIENCE: Duration = Duration::from_millis(200);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_millis(800);

/// A gen_server on a real node, the daemon with examples/erlang-routing, and a cable between them.
struct Stage {
    place: Place,
    daemon: Daemon,
    erlang: Erlang,
    cable: Cable,
    _mapper: PortMapper,
}

fn stage() -> Option<Stage> {
    if !has("erl") || !has("erlc") {
        return None;
    }
    let place = Place::new();
    let mapper = PortMapper::start(free_port());
    let folder = compile(&place, "examples/erlang-routing/router.erl");
    let mut erlang = Erlang::start(mapper.port, NODE, "secret", &["-hidden", "-pa", &folder]);
    let port = erlang.eval("{port, P, _} = erl_epmd:port_please(\"node1\", {127,0,0,1}), P");
    let cable = Cable::to(([127, 0, 0, 1], port.parse().unwrap()).into());
    assert_eq!(
        erlang.eval("element(1, router:start())"),
        "ok",
        "a gen_server"
    );
    let bob = place.at(5070);
    let put = format!("router:put(<<\"bob\">>, {{relay, [\"sip:bob@{bob}\"]}})");
    assert_eq!(erlang.eval(&put), "ok");
    assert_eq!(erlang.eval("sys:statistics(router, true)"), "ok");
    let peer = format!(
        "erlang.peer=[{{ name = \"{NODE}\", address = \"{}\" }}]",
        cable.address()
    );
    let daemon = Setup::example(&place, "examples/erlang-routing/switchhook.toml")
        .set(&format!("erlang.nodes=[\"{NODE}\"]"))
        .set(&format!("erlang.epmd=\"127.0.0.1:{}\"", mapper.port))
        .set(&peer)
        // which other programs on this machine may use up
        .set("script.routing.limits.deadline=\"1s\"")
        .set(&format!("script.routing.config.fallback=\"sip:{bob}\""))
        .start();
    let up = patience(Duration::from_secs(10), || {
        daemon.log().contains("may route").then_some(())
    });
    assert!(up.is_some(), "the node is connected");
    Some(Stage {
        place,
        daemon,
        erlang,
        cable,
        _mapper: mapper,
    })
}

impl Stage {
    /// The load, running; gives when the router has had a second of it.
    fn calls(&mut self) -> JoinHandle<Output> {
        let target = self.place.at(5060).to_string();
        let bind = self.place.ip().to_string();
        let load = std::thread::spawn(move || {
            let (rate, seconds) = (RATE.to_string(), format!("{SECONDS}s"));
            phones(&[
                "-t",
                &target,
                "-s",
                "call",
                "--bind",
                &bind,
                "--port",
                "bob=5070",
                "-r",
                &rate,
                "-d",
                &seconds,
                "--timeout",
                "5s",
                "--json",
                "-",
            ])
        });
        self.answered(RATE);
        load
    }

    /// Questions that the router was asked.
    fn asked(&mut self) -> u64 {
        let count = "{ok, S} = sys:statistics(router, get), proplists:get_value(messages_in, S)";
        self.erlang.eval(count).parse().unwrap()
    }

    /// Waits until the router was asked so many questions more.
    fn answered(&mut self, more: u64) {
        let before = self.asked();
        let there = patience(Duration::from_secs(20), || {
            (self.asked() >= before + more).then_some(())
        });
        assert!(there.is_some(), "the router is asked");
    }

    /// Calls that went to the fallback so far.
    fn fallen_back(&self) -> usize {
        self.daemon
            .log()
            .matches("the router is not followed")
            .count()
    }

    /// The router decides; where other programs hold it up, not every call.
    fn is_followed(&mut self) {
        let (asked, fallen_back) = (self.asked(), self.fallen_back() as u64);
        assert!(fallen_back < asked / 2, "{fallen_back} of {asked}");
    }

    /// Waits until the fallback has had a second's calls more.
    fn falls_back(&self) {
        let before = self.fallen_back();
        let there = patience(Duration::from_secs(20), || {
            (self.fallen_back() >= before + RATE as usize).then_some(())
        });
        assert!(there.is_some(), "calls go to the fallback");
    }
}

/// Every call was good, and none waited for longer than it may.
fn all_answered(load: JoinHandle<Output>) {
    let output = load.join().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["failed"], 0, "{report:#}");
    let all = &report["all"];
    assert_eq!(all["completed"], all["offered"], "{report:#}");
    assert!(
        all["offered"].as_u64() >= Some(RATE * (SECONDS - 1)),
        "{report:#}"
    );
    let invites = report["requests"].as_array().unwrap();
    let invite = invites
        .iter()
        .find(|request| request["name"] == "INVITE alice -> bob");
    let invite = invite.unwrap_or_else(|| panic!("{report:#}"));
    let slowest = Duration::from_micros(invite["latency_us"]["max"].as_u64().unwrap());
    assert!(
        slowest < PATIENCE + SLACK,
        "an answer took {slowest:?}: {report:#}"
    );
    eprintln!(
        "{} calls, the slowest answer took {slowest:?}",
        all["completed"]
    );
}

#[test]
fn every_call_is_answered_while_the_erlang_node_is_killed() {
    let _alone = alone();
    let Some(mut stage) = stage() else {
        return;
    };
    let load = stage.calls();
    stage.is_followed();
    stage.erlang.signal("KILL");
    stage.falls_back();
    all_answered(load);
    assert!(stage.daemon.log().contains("is gone"));
    stage.daemon.stop();
}

#[test]
fn every_call_is_answered_while_the_erlang_node_is_stopped() {
    let _alone = alone();
    let Some(mut stage) = stage() else {
        return;
    };
    let load = stage.calls();
    stage.is_followed();
    stage.erlang.signal("STOP");
    stage.falls_back();
    stage.erlang.signal("CONT");
    // and it is asked again
    stage.answered(RATE);
    all_answered(load);
    stage.daemon.stop();
}

#[test]
fn every_call_is_answered_while_the_erlang_node_is_cut_off() {
    let _alone = alone();
    let Some(mut stage) = stage() else {
        return;
    };
    let load = stage.calls();
    stage.is_followed();
    stage.cable.cut();
    stage.falls_back();
    stage.cable.mend();
    stage.answered(RATE);
    all_answered(load);
    stage.daemon.stop();
}
