//! The examples with Erlang, as the guests that `cargo xtask guests` builds, beside a node that answers from a table.
//!
//! Where they are not built the test says so and passes over; under CI that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use support::{current, finish, settings};
use switchhook_script::erlang::{
    Call, CallFailure, Called, Connected, ErlangNode, Message, ReplyTo, To,
};
use switchhook_script::wit::MessageKind;
use switchhook_script::{
    Decision, Event, Invocation, Order, Outcome, Pool, Refusal, Route, Script, Services,
};
use switchhook_term::{Atom, Pid, Reference, Term, parse, to_bytes};

/// What a function returns, by `module:function`; and what was sent.
#[derive(Default)]
struct Node {
    functions: BTreeMap<&'static str, &'static str>,
    sent: Mutex<Vec<String>>,
}

fn pid(id: u32) -> Pid {
    Pid {
        node: Atom::from_static("node1@host"),
        id,
        serial: 0,
        creation: 1,
    }
}

impl ErlangNode for Node {
    fn name(&self) -> Atom {
        Atom::from_static("pbx@host")
    }

    fn pid(&self, _: &str) -> Option<Pid> {
        Some(pid(1))
    }

    fn reference(&self) -> Reference {
        Reference {
            node: self.name(),
            creation: 1,
            ids: [1].into_iter().collect(),
        }
    }

    fn nodes(&self) -> Vec<Atom> {
        vec![Atom::from_static("node1@host")]
    }

    fn send(&self, _: &str, _: &To, message: &[u8]) -> Result<(), Refusal> {
        let message = switchhook_term::decode(&[&[131], message].concat()).unwrap();
        self.sent.lock().unwrap().push(message.to_string());
        Ok(())
    }

    fn call(&self, call: Call) -> Called {
        let name = format!("{}:{}", call.module.as_str(), call.function.as_str());
        let found = match self.functions.get(&*name) {
            Some(text) => Ok(to_bytes(&parse(text).unwrap())),
            None => Err(CallFailure::Timeout),
        };
        Box::pin(std::future::ready(found))
    }

    fn connect(&self, _: Atom) -> Connected {
        Box::pin(std::future::ready(Ok(())))
    }

    fn disconnect(&self, _: &Atom) -> bool {
        false
    }

    fn link(&self, _: &str, _: &Pid) -> Result<(), Refusal> {
        Ok(())
    }

    fn unlink(&self, _: &str, _: &Pid) -> Result<(), Refusal> {
        Ok(())
    }

    fn monitor(&self, _: &str, _: &To) -> Result<Reference, Refusal> {
        Ok(self.reference())
    }

    fn demonitor(&self, _: &str, _: &Reference) -> Result<bool, Refusal> {
        Ok(false)
    }

    fn exit(&self, _: &str, _: &Pid, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }
}

/// The example loaded with its grants, and its node. None where it is not built.
fn load(
    example: &str,
    config: &str,
    functions: &[(&'static str, &'static str)],
) -> Option<(Pool, Arc<Node>)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/guests")
        .join(format!("{example}.wasm"));
    let Ok(wasm) = fs::read(&file) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is not built: cargo xtask guests",
            file.display()
        );
        eprintln!("passed over: {} is not built", file.display());
        return None;
    };
    let node = Arc::new(Node {
        functions: functions.iter().copied().collect(),
        sent: Mutex::default(),
    });
    let services: Services = support::services();
    assert!(services.erlang.set(node.clone()).is_ok());
    let mut settings = settings();
    settings.config = config.into();
    let effects = Arc::new(switchhook_script::Live::new(Arc::new(services)));
    let script = Script::load(settings, effects, &wasm).unwrap_or_else(|error| panic!("{error}"));
    Some((Pool::new(script), node))
}

fn run(pool: &mut Pool, event: Box<Event>) -> Box<Event> {
    let generation = pool.current().clone();
    let (finished, _) = finish(pool.start(&generation, event));
    let (event, outcome) = pool.finish(finished);
    assert_eq!(outcome, Ok(Outcome::Done));
    event
}

#[test]
fn greetings_are_answered_and_commands_served() {
    let config = r#"{"sets": {"1": ["sip:192.0.2.1"]}}"#;
    let functions = [("erlang:list_to_tuple", r#"{"one","two"}"#)];
    let Some((mut pool, node)) = load("erlang-greetings", config, &functions) else {
        return;
    };
    let hello: Term = parse(r#"{hello,"Kamailio"}"#).unwrap();
    let message = Message {
        kind: MessageKind::Info,
        sender: Some(pid(5)),
        node: "node1@host".into(),
        content: to_bytes(&hello),
        reply_to: Some(ReplyTo::Sender(pid(5))),
    };
    let route = Route::ErlangMessage {
        name: "greetings".into(),
        message: Box::new(message),
    };
    assert!(pool.current().handles(&route));
    assert_eq!(pool.current().processes(), Some(vec!["greetings", "self"]));
    run(&mut pool, Event::new(route, None, None));
    assert_eq!(node.sent.lock().unwrap()[..], [r#"{hello,"Erlang"}"#]);

    let command = Invocation {
        name: "dispatcher.list".into(),
        params: "[]".into(),
        answer: None,
    };
    let route = Route::Command(Box::new(command));
    assert!(pool.current().handles(&route));
    let Route::Command(called) = run(&mut pool, Event::new(route, None, None)).route else {
        panic!("it was a command")
    };
    let json = called.answer.unwrap().unwrap();
    assert!(
        json.starts_with(r#"{"NRSETS":1,"RECORDS":[{"SET":{"ID":1,"#),
        "{json}"
    );

    const OPTIONS: &str = "OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        From: <sip:a@example.test>;tag=1\r\nTo: <sip:example.test>\r\nCall-ID: 7@example.test\r\nCSeq: 1 OPTIONS\r\n\
        Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    let event = run(
        &mut pool,
        Event::new(Route::Request, Some(current(OPTIONS)), None),
    );
    let [Decision::Respond(answer)] = &event.decisions[..] else {
        panic!("{:?}", event.decisions)
    };
    assert_eq!((answer.status, &*answer.reason), (200, r#"{"one","two"}"#));
    assert_eq!(
        node.sent.lock().unwrap()[1],
        r#"{options,"7@example.test"}"#
    );
}

#[test]
fn the_router_decides_and_the_fallback_where_it_does_not() {
    let config = r#"{"router": "router", "patience": 200, "fallback": "sip:192.0.2.10:5060"}"#;
    let hunt = [(
        "gen_server:call",
        r#"{hunt,["sip:b1@192.0.2.1",<<"sip:b2@192.0.2.2">>]}"#,
    )];
    let Some((mut pool, _)) = load("erlang-routing", config, &hunt) else {
        return;
    };
    let relayed = |event: Box<Event>| -> (Vec<String>, Order) {
        let relay = event.decisions.iter().find_map(|decision| match decision {
            Decision::Relay { targets, order } => Some((targets.clone(), *order)),
            _ => None,
        });
        let (targets, order) = relay.expect("it is relayed");
        (
            targets.into_iter().map(|target| target.uri).collect(),
            order,
        )
    };
    let event = run(&mut pool, support::invite());
    assert_eq!(
        relayed(event),
        (
            vec!["sip:b1@192.0.2.1".to_owned(), "sip:b2@192.0.2.2".to_owned()],
            Order::Serial
        )
    );

    let (mut pool, _) = load("erlang-routing", config, &[]).unwrap();
    let event = run(&mut pool, support::invite());
    assert_eq!(event.next_hop.as_deref(), Some("sip:192.0.2.10:5060"));
    assert!(relayed(event).0.is_empty());
}

#[test]
fn a_call_that_fails_is_a_record() {
    let config = r#"{"server": "sip:192.0.2.10:5060", "collector": "cdr_server", "price": 0.013, "zones": {"b": "Bees"}}"#;
    let clock = [("calendar:universal_time", "{{2015,5,12},{14,19,6}}")];
    let Some((mut pool, node)) = load("erlang-cdr", config, &clock) else {
        return;
    };
    const BUSY: &str = "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2\r\n\
        From: <sip:a@example.test>;tag=1\r\nTo: <sip:bob@example.test>;tag=2\r\nCall-ID: 7@example.test\r\n\
        CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    let route = Route::Failure {
        name: "UNANSWERED".into(),
    };
    let request = Some(current(support::INVITE));
    run(&mut pool, Event::new(route, request, Some(current(BUSY))));
    let sent = node.sent.lock().unwrap();
    assert_eq!(
        sent[..],
        [concat!(
            r#"{'$gen_cast',{create,{cdr,{call_desc,"a84b4c76e66710@192.0.2.1",0,outbound},"#,
            r#"{service_desc,subscriber,1,2,buy},"alice","bob","Bees",{{2015,5,12},{14,19,6}}},"#,
            r"busy,#Pid<node1@host.1.0.1>,0.0,0}}"
        )]
    );
}
