//! What guests meet of the Erlang node, and commands that guests register: told by guests and a node that writes down what it is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helper fails as its test does"
)]

mod support;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use support::{Book, guest, invite, load, load_with, on_request, poll, run, settings};
use switchhook_script::erlang::{
    Call, CallFailure, Called, Connected, ErlangNode, Message, ReplyTo, To,
};
use switchhook_script::wit::{ErlangEvent, Lost, MessageKind};
use switchhook_script::{
    Event, Fault, GuestError, Invocation, LoadError, Outcome, Pool, Refusal, Route, Script,
    Settings,
};
use switchhook_term::{Atom, Pid, Reference, Term, atom, encode_bare, list, to_bytes, tuple};

/// A node that does nothing but write down.
#[derive(Default)]
struct Node {
    done: Mutex<Vec<String>>,
    answer: Mutex<Option<Result<Term, CallFailure>>>,
}

impl Node {
    fn note(&self, line: String) {
        self.done.lock().unwrap().push(line);
    }

    fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.done.lock().unwrap())
    }
}

fn term(bare: &[u8]) -> Term {
    switchhook_term::decode(&[&[131], bare].concat()).unwrap()
}

fn pid(id: u32) -> Pid {
    Pid {
        node: Atom::from_static("n1@host"),
        id,
        serial: 0,
        creation: 1,
    }
}

/// Waits for one poll, then gives what it has.
struct Later(Option<Result<Vec<u8>, CallFailure>>, bool);

impl Future for Later {
    type Output = Result<Vec<u8>, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::replace(&mut self.1, true) {
            Poll::Ready(self.0.take().unwrap())
        } else {
            Poll::Pending
        }
    }
}

impl ErlangNode for Node {
    fn name(&self) -> Atom {
        Atom::from_static("switchhook@host")
    }

    fn pid(&self, process: &str) -> Option<Pid> {
        (process == "self").then(|| pid(9))
    }

    fn reference(&self) -> Reference {
        Reference {
            node: self.name(),
            creation: 1,
            ids: [1, 2, 3].into_iter().collect(),
        }
    }

    fn nodes(&self) -> Vec<Atom> {
        vec![Atom::from_static("n1@host")]
    }

    fn send(&self, process: &str, to: &To, message: &[u8]) -> Result<(), Refusal> {
        self.note(format!("{process} sends {} to {to:?}", term(message)));
        Ok(())
    }

    fn call(&self, call: Call) -> Called {
        self.note(format!(
            "{} calls {:?} {}:{} {} within {:?}",
            call.process,
            call.node,
            call.module,
            call.function,
            term(&call.args),
            call.timeout
        ));
        let answer = self.answer.lock().unwrap().take().unwrap();
        Box::pin(Later(Some(answer.map(|term| to_bytes(&term))), false))
    }

    fn connect(&self, _: Atom) -> Connected {
        Box::pin(std::future::ready(Ok(())))
    }

    fn disconnect(&self, _: &Atom) -> bool {
        false
    }

    fn link(&self, process: &str, to: &Pid) -> Result<(), Refusal> {
        self.note(format!("{process} links {}", to.id));
        Ok(())
    }

    fn unlink(&self, _: &str, _: &Pid) -> Result<(), Refusal> {
        Ok(())
    }

    fn monitor(&self, _: &str, _: &To) -> Result<Reference, Refusal> {
        Ok(self.reference())
    }

    fn demonitor(&self, _: &str, _: &Reference) -> Result<bool, Refusal> {
        Ok(true)
    }

    fn exit(&self, _: &str, _: &Pid, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }
}

fn with_node(wasm: &[u8]) -> (Arc<Script>, Pool, Arc<Book>, Arc<Node>) {
    let (script, pool, book) = load(wasm);
    let node = Arc::new(Node::default());
    *book.node.lock().unwrap() = Some(node.clone());
    (script, pool, book, node)
}

fn refused(settings: Settings, wasm: &[u8]) -> LoadError {
    let loaded = Script::load(settings, Arc::new(Book::default()), wasm);
    loaded.err().expect("the load is refused")
}

const IMPORTS: &str = r#"
    (import "switchhook:script/log@0.1.0" "write" (func $write (param i32 i32 i32)))
    (import "switchhook:script/erlang@0.1.0" "rpc"
        (func $rpc (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "switchhook:script/erlang@0.1.0" "reply" (func $reply (param i32 i32 i32)))
    (import "switchhook:script/erlang@0.1.0" "reg-send" (func $reg_send (param i32 i32 i32 i32 i32 i32 i32)))"#;

/// Calls `m:f([])` on the active node and logs how it ended as a level: 0 it returned, 1 to 4 the failure.
const CALLS: &str = r#"
    (i32.store (i32.const 1024) (i32.const 0x6683666d)) ;; "mf", 131, ...
    (i32.store8 (i32.const 1027) (i32.const 106))
    (call $rpc (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 1) (i32.const 1025) (i32.const 1)
        (i32.const 1026) (i32.const 2) (i32.const 250) (i32.const 64))
    (call $write (i32.const 2)
        (i32.add (i32.const 1040) (i32.add (i32.load8_u (i32.const 64)) (i32.load8_u (i32.const 68))))
        (i32.const 1))
    call $done"#;

fn caller() -> Vec<u8> {
    on_request(
        IMPORTS,
        &format!(r#"(i64.store (i32.const 1040) (i64.const 0x3736353433323130)) {CALLS}"#),
    )
}

#[test]
fn a_call_suspends_its_event_and_gives_what_the_function_returned() {
    let (_script, mut pool, _, node) = with_node(&caller());
    *node.answer.lock().unwrap() = Some(Ok(atom("pong")));
    let generation = pool.current().clone();
    let mut running = pool.start(&generation, invite());
    assert!(poll(&mut running).is_pending());
    assert!(!running.is_busy(), "it waits, it does not compute");
    let Poll::Ready(finished) = poll(&mut running) else {
        panic!("the answer is there")
    };
    assert_eq!(pool.finish(finished).1, Ok(Outcome::Done));
    assert_eq!(node.done(), ["self calls None m:f [] within Some(250ms)"]);
}

#[test]
fn a_failed_call_is_told_from_a_returned_one() {
    let (_script, mut pool, book, node) = with_node(&caller());
    let reason = to_bytes(&atom("undef"));
    for answer in [
        Ok(atom("pong")),
        Err(CallFailure::NoConnection),
        Err(CallFailure::Timeout),
        Err(CallFailure::Raised(reason)),
    ] {
        *node.answer.lock().unwrap() = Some(answer);
        let generation = pool.current().clone();
        let running = pool.start(&generation, invite());
        let (finished, _) = support::finish(running);
        assert_eq!(pool.finish(finished).1, Ok(Outcome::Done));
    }
    let ends: Vec<String> = book
        .lines()
        .iter()
        .map(|line| line.split_once(": ").unwrap().1.to_owned())
        .collect();
    // ok: 0 and the pointer's first byte; an error: 1 and its case
    assert_eq!(ends[1..], ["1", "2", "3"]);
}

#[test]
fn a_script_without_a_node_is_refused() {
    let (_script, mut pool, book) = load(&caller());
    assert_eq!(run(&mut pool, invite()).1, Ok(Outcome::Done));
    let line = book.lines().remove(0);
    assert!(
        line.ends_with(": 4"),
        "refused is case 3 of an error: {line}"
    );
}

#[test]
fn a_script_without_the_grant_is_not_loaded() {
    let mut settings = settings();
    settings.grants = switchhook_script::Grants::of(["log"]).unwrap();
    let error = refused(settings, &caller());
    let LoadError::NotGranted { missing, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(missing, &["erlang"]);
    assert!(
        error.to_string().contains(r#"grants = ["log", "erlang"]"#),
        "{error}"
    );
}

/// Answers each message with itself; logs the event's case.
fn echo() -> Vec<u8> {
    guest(
        &["erlang-route"],
        IMPORTS,
        r#"(func (export "switchhook:script/erlang-route@0.1.0#on-message")
            (param i32 i32 i32 i32 i32 i32 i32 i32) (param $at i32) (param $length i32) (result i32)
            call $begin
            (call $reply (local.get $at) (local.get $length) (i32.const 64))
            (if (i32.load8_u (i32.const 64))
                (then (call $write (i32.const 2) (i32.load (i32.const 72)) (i32.load (i32.const 76)))))
            call $done)
        (func (export "switchhook:script/erlang-route@0.1.0#on-event")
            (param $case i32) (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            call $begin
            (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (local.get $case)))
            (call $write (i32.const 2) (i32.const 1024) (i32.const 1))
            call $ok)"#,
    )
}

fn message(kind: MessageKind, content: &Term, reply_to: Option<ReplyTo>) -> Box<Event> {
    let message = Message {
        kind,
        sender: Some(pid(5)),
        node: "n1@host".into(),
        content: to_bytes(content),
        reply_to,
    };
    let route = Route::ErlangMessage {
        name: "greetings".into(),
        message: Box::new(message),
    };
    Event::new(route, None, None)
}

#[test]
fn a_message_is_answered_to_its_sender() {
    let (_script, mut pool, _, node) = with_node(&echo());
    let hello = tuple![atom("hello"), "Kamailio"];
    let event = message(MessageKind::Info, &hello, Some(ReplyTo::Sender(pid(5))));
    assert_eq!(run(&mut pool, event).1, Ok(Outcome::Done));
    assert_eq!(
        node.done(),
        [format!("greetings sends {hello} to {:?}", To::Pid(pid(5)))]
    );
}

#[test]
fn a_call_is_answered_with_its_tag_once() {
    let (_script, mut pool, book, node) = with_node(&echo());
    let mut tag = Vec::new();
    encode_bare(&list![atom("alias"); node.reference()], &mut tag);
    let to = To::Alias(node.reference());
    let event = message(
        MessageKind::Call,
        &5.into(),
        Some(ReplyTo::Call {
            to: to.clone(),
            tag,
        }),
    );
    let (event, outcome) = run(&mut pool, event);
    assert_eq!(outcome, Ok(Outcome::Done));
    let sent = tuple![list![atom("alias"); node.reference()], 5];
    assert_eq!(node.done(), [format!("greetings sends {sent} to {to:?}")]);
    // the same event again: nobody waits any more
    assert_eq!(run(&mut pool, event).1, Ok(Outcome::Done));
    assert_eq!(node.done(), [""; 0]);
    assert!(book.lines()[0].contains("nobody waits for"));
}

#[test]
fn a_cast_can_not_be_answered() {
    let (_script, mut pool, book, node) = with_node(&echo());
    run(&mut pool, message(MessageKind::Cast, &5.into(), None))
        .1
        .unwrap();
    assert_eq!(node.done(), [""; 0]);
    assert!(book.lines()[0].contains("erlang.reply"));
}

#[test]
fn a_term_that_a_peer_would_refuse_is_not_sent() {
    let (_script, mut pool, book, node) = with_node(&echo());
    let event = |content: Vec<u8>| {
        let mut event = message(MessageKind::Info, &Term::NIL, Some(ReplyTo::Sender(pid(5))));
        let Route::ErlangMessage { message, .. } = &mut event.route else {
            panic!("a message")
        };
        message.content = content;
        event
    };
    for wrong in [
        vec![131, 116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2],
        vec![131, 70, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
        vec![131],
        vec![106],
    ] {
        run(&mut pool, event(wrong)).1.unwrap();
        assert!(book.lines()[0].contains("no term"));
    }
    assert_eq!(node.done(), [""; 0]);
}

#[test]
fn what_befalls_a_node_is_told() {
    let (script, mut pool, book, _) = with_node(&echo());
    for (event, case) in [
        (ErlangEvent::NodeUp("n1@host".into()), "0"),
        (
            ErlangEvent::NodeDown(Lost {
                node: "n1@host".into(),
                reason: "closed".into(),
            }),
            "1",
        ),
        (ErlangEvent::NodeBusy("n1@host".into()), "4"),
        (ErlangEvent::NodeReady("n1@host".into()), "5"),
    ] {
        let route = Route::ErlangEvent(Box::new(event));
        assert!(script.current().handles(&route));
        run(&mut pool, Event::new(route, None, None)).1.unwrap();
        assert!(book.lines()[0].ends_with(case));
    }
    assert!(script.current().processes().is_none());
    assert!(script.current().handles_process("anything"));
}

/// Registers `sums.add` and, where it is told so by its config, something that is no command; echoes arguments.
fn commander(name: &str) -> Vec<u8> {
    guest(
        &["lifecycle", "rpc-route"],
        r#"(import "switchhook:script/rpc@0.1.0" "register" (func $register (param i32 i32 i32 i32 i32)))"#,
        &format!(
            r#"(data (i32.const 2048) "{name}") (data (i32.const 2100) "Adds.")
        (func $list (result i32) ;; one handler: family 9, the name
            (i32.store8 (i32.const 3000) (i32.const 9))
            (i32.store (i32.const 3004) (i32.const 2048))
            (i32.store (i32.const 3008) (i32.const {length}))
            (i32.store8 (i32.const 48) (i32.const 0))
            (i32.store (i32.const 52) (i32.const 3000))
            (i32.store (i32.const 56) (i32.const 1))
            (i32.const 48))
        (func (export "switchhook:script/lifecycle@0.1.0#init") (param i32 i32) (result i32)
            (call $register (i32.const 2048) (i32.const {length}) (i32.const 2100) (i32.const 5) (i32.const 64))
            (if (i32.load8_u (i32.const 64)) (then
                (i32.store8 (i32.const 48) (i32.const 1))
                (i32.store (i32.const 52) (i32.load (i32.const 72)))
                (i32.store (i32.const 56) (i32.load (i32.const 76)))
                (return (i32.const 48))))
            call $list)
        (func (export "switchhook:script/lifecycle@0.1.0#export-state") (result i32)
            (i32.store8 (i32.const 48) (i32.const 0)) (i32.const 48))
        (func (export "switchhook:script/lifecycle@0.1.0#import-state") (param i32 i32) (result i32) call $ok)
        (func (export "switchhook:script/rpc-route@0.1.0#on-command")
            (param i32 i32) (param $at i32) (param $length i32) (result i32)
            (call $register (i32.const 2048) (i32.const {length}) (i32.const 2100) (i32.const 5) (i32.const 64))
            (if (i32.eqz (i32.load8_u (i32.const 64))) (then unreachable)) ;; only in init
            (if (i32.eqz (i32.sub (local.get $length) (i32.const 2))) (then ;; []: a fault 400
                (i32.store8 (i32.const 48) (i32.const 1))
                (i32.store16 (i32.const 52) (i32.const 400))
                (i32.store (i32.const 56) (i32.const 2100))
                (i32.store (i32.const 60) (i32.const 5))
                (return (i32.const 48))))
            (i32.store8 (i32.const 48) (i32.const 0))
            (i32.store (i32.const 52) (local.get $at))
            (i32.store (i32.const 56) (local.get $length))
            (i32.const 48))"#,
            length = name.len()
        ),
    )
}

fn invoke(params: &str) -> Box<Event> {
    let route = Route::Command(Box::new(Invocation {
        name: "sums.add".into(),
        params: params.into(),
        answer: None,
    }));
    Event::new(route, None, None)
}

fn answer(event: Box<Event>) -> Option<Result<String, Fault>> {
    match event.route {
        Route::Command(invocation) => invocation.answer,
        route => panic!("{route:?}"),
    }
}

#[test]
fn a_command_is_registered_and_called() {
    let (script, mut pool, _) = load(&commander("sums.add"));
    let current = script.current();
    let commands: Vec<_> = current
        .commands()
        .map(|command| (command.name.as_str(), command.doc.as_str()))
        .collect();
    assert_eq!(commands, [("sums.add", "Adds.")]);
    assert!(current.handles(&invoke("").route));
    let (event, outcome) = run(&mut pool, invoke("[1, 2]"));
    assert_eq!(outcome, Ok(Outcome::Done));
    assert_eq!(answer(event), Some(Ok("[1, 2]".into())));
    let (event, _) = run(&mut pool, invoke("[]"));
    let fault = Fault {
        code: 400,
        message: "Adds.".into(),
    };
    assert_eq!(answer(event), Some(Err(fault)));
}

#[test]
fn a_name_that_is_no_command_is_refused() {
    let text = refused(settings(), &commander("add")).to_string();
    assert!(
        text.contains("expected `group.command`") && text.contains("`add`"),
        "{text}"
    );
}

#[test]
fn a_script_without_the_route_has_no_such_process() {
    let (_script, mut pool, _) = load_with(settings(), &caller());
    let outcome = run(&mut pool, message(MessageKind::Info, &5.into(), None)).1;
    let Err(GuestError::NoRoute { interface, name }) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((interface, &*name), ("erlang-route", "greetings"));
}
