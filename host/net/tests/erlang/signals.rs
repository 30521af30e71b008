//! Messages, monitors, links and exit signals, both ways.

use std::sync::Arc;

use switchhook_erlang::Who;
use switchhook_erlang::node::{Event, Process};

use crate::otp::*;

#[test]
fn messages_monitors_links_and_exits_go_both_ways() {
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    erlang.tell(&format!(
        "{{greetings, '{OURS}'}} ! hello, register(me, self()), self()"
    ));
    let (from, message) = ours.wait("hello", |event| match event {
        Event::Message {
            from: Some(from),
            message,
            ..
        } => Some((from.clone(), message.clone())),
        _ => None,
    });
    erlang.answer();
    assert_eq!(message, atom("hello"));
    let me = Process::Named("greetings".into());
    ours.handle.send(&me, from.clone(), atom("hi")).unwrap();
    assert_eq!(erlang.eval("receive M -> M after 2000 -> none end"), "hi");
    ours.handle
        .reg_send(&me, name(THEIRS), "me".into(), atom("named"))
        .unwrap();
    assert_eq!(
        erlang.eval("receive M -> M after 2000 -> none end"),
        "named"
    );
    // A call into a route.
    erlang.tell(&format!(
        "gen_server:call({{greetings, '{OURS}'}}, question, 5000)"
    ));
    let (from_pid, tag, request) = ours.wait("call", |event| match event {
        Event::Message {
            gen_server: Some(switchhook_erlang::node::Gen::Call { from, tag, request }),
            ..
        } => Some((from.clone(), tag.clone(), request.clone())),
        _ => None,
    });
    assert_eq!(request, atom("question"));
    ours.handle
        .reply(&me, from_pid, tag, atom("answer"))
        .unwrap();
    assert_eq!(erlang.answer(), "answer");
    // Monitors: theirs of ours.
    let noproc = "receive {'DOWN', R, process, _, W} -> W after 2000 -> none end";
    assert_eq!(
        erlang.eval(&format!(
            "R = monitor(process, {{nobody, '{OURS}'}}), {noproc}"
        )),
        "noproc"
    );
    erlang.tell(&format!(
        "R = monitor(process, {{greetings, '{OURS}'}}), {{greetings, '{OURS}'}} ! watched, {noproc}"
    ));
    ours.wait("watched", |event| {
        matches!(event, Event::Message { message, .. } if *message == atom("watched")).then_some(())
    });
    ours.handle.register(vec![Arc::from("others")]).unwrap();
    assert_eq!(erlang.answer(), "normal");
    ours.handle.register(vec![Arc::from("greetings")]).unwrap();
    // Ours of theirs.
    let reference = ours
        .handle
        .monitor(&me, name(THEIRS), Who::Name("nobody".into()))
        .unwrap();
    let reason = ours.wait("down", |event| match event {
        Event::ProcessDown {
            reference: of,
            reason,
            ..
        } if *of == reference => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("noproc"));
    // A linked process that ends, and one that we unlinked from.
    erlang.tell(&format!("process_flag(trap_exit, true), Go = fun() -> P = self(), {{greetings, '{OURS}'}} ! P, receive stop -> exit(bye) end end, register(one, spawn(Go))"));
    erlang.answer();
    let one = ours.wait("a pid", |event| match event {
        Event::Message {
            from: Some(from), ..
        } => Some(from.clone()),
        _ => None,
    });
    ours.handle.link(&me, one.clone()).unwrap();
    ours.handle.send(&me, one.clone(), atom("stop")).unwrap();
    let reason = ours.wait("exit", |event| match event {
        Event::Exit { from, reason, .. } if *from == one => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("bye"));
    // Their exit signals, and ours.
    erlang.eval(&format!(
        "exit(rpc:call('{OURS}', erlang, whereis, [greetings]), why)"
    ));
    let reason = ours.wait("exit signal", |event| match event {
        Event::Exit { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, atom("why"));
    let killed = format!(
        "P = rpc:call('{OURS}', erlang, whereis, [greetings]), R = monitor(process, P), exit(P, kill), {noproc}"
    );
    assert_eq!(erlang.eval(&killed), "killed");
    ours.handle.exit(&me, from, atom("go")).unwrap();
    assert_eq!(
        erlang.eval("receive {'EXIT', _, W} -> W after 2000 -> none end"),
        "go"
    );
    let link = format!(
        "P = rpc:call('{OURS}', erlang, whereis, [greetings]), link(P), unlink(P), link(P), exit(P, kill), receive {{'EXIT', P, W}} -> W after 2000 -> none end"
    );
    assert_eq!(erlang.eval(&link), "killed");
}
