//! Scripts and Erlang in the test kit: container variables, messages, links, and a node that goes away.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper fails as its test does"
)]

use switchhook_sdk::erlang::{Event, RpcError, Term, atom, list, parse, tuple};
use switchhook_sdk::testkit::{Site, To, request};

#[switchhook_sdk::script]
mod routes {
    use switchhook_sdk::erlang::variables::{
        Context, erl_atom, erl_list, erl_pid, erl_tuple, erl_xbuff,
    };
    use switchhook_sdk::erlang::{Process, Term, atom, list, tuple};
    use switchhook_sdk::prelude::*;

    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        match req.uri().user().unwrap_or_default() {
            "containers" => containers()?,
            "shared" => shared()?,
            "node" => return req.reply(200, &node()?),
            user => return Err(Error::new(format!("no story {user}"))),
        }
        req.reply(200, "OK")
    }

    /// The talk's `{example,message}`, and what a variable can't be.
    fn containers() -> Result<()> {
        erl_atom("message").set("message")?;
        erl_tuple("M").prepend(erl_atom("message").get()?)?;
        erl_tuple("M").prepend(atom("example"))?;
        assert_eq!(erl_tuple("M").format()?, "{example,message}");
        assert_eq!(
            (erl_tuple("M").kind()?, erl_tuple("M").length()?),
            ("tuple", 2)
        );
        assert_eq!(erl_tuple("M").element(1)?, atom("message"));
        erl_tuple("M").set_element(1, 5)?;
        assert_eq!(erl_tuple("M").get()?, tuple![atom("example"), 5]);
        assert!(erl_tuple("M").element(2).is_err());

        erl_list("L").prepend("two")?;
        erl_list("L").prepend("one")?;
        assert_eq!(erl_list("L").get()?, list!["one", "two"]);
        // another class is another variable
        assert!(erl_list("M").find()?.is_none() && erl_list("M").get().is_err());
        erl_xbuff("any").prepend(erl_list("L").get()?)?;
        erl_xbuff("any").prepend(1.5)?;
        assert_eq!(erl_xbuff("any").get()?, Term::Float(1.5));

        let refused = erl_pid("P").set("text").unwrap_err().to_string();
        assert_eq!(refused, r#"$erl_pid(P): "text" is no pid"#);
        erl_pid("P").set(erlang::self_pid()?)?;
        assert_eq!(erlang::node_of(erl_pid("P").pid()?)?, erlang::self_node()?);
        assert!(erl_pid("P").unset()? && !erl_pid("P").unset()?);
        assert!(erl_atom("long").set("x".repeat(256)).is_err());
        Ok(())
    }

    /// Counts in a tuple that all transactions see.
    fn shared() -> Result<()> {
        let seen = erl_list("seen").shared("terms");
        seen.prepend(atom("again"))?;
        assert!(
            erl_list("seen").find()?.is_none(),
            "the transaction has none"
        );
        assert!(seen.within(Context::Shared("absent")).find().is_err());
        Ok(())
    }

    fn node() -> Result<String> {
        let pid = erlang::self_pid()?;
        let far = erlang::Pid {
            node: erlang::Atom::from_static("node1@example.test"),
            ..pid
        };
        erlang::link(&far)?;
        let watched = erlang::monitor(Process::Registered("cdr_server", ""))?;
        assert!(erlang::demonitor(&watched)? && !erlang::demonitor(&watched)?);
        erlang::monitor(Process::Pid(&far))?;
        erlang::send(&far, tuple![atom("hello"), erlang::make_ref()?])?;
        erlang::exit(&far, atom("kill"))?;
        assert!(erlang::whereis("watcher")?.is_some() && erlang::whereis("nobody")?.is_none());
        let raised = erlang::rpc("", "no", "such", list![1]).unwrap_err();
        assert!(erlang::connect("node9@example.test").is_err());
        assert!(erlang::disconnect("node1@example.test")?);
        let lost = erlang::reg_send("cdr_server", "", 1).unwrap_err();
        Ok(format!("{raised}; {lost}"))
    }

    #[event_route("erlang:watcher")]
    fn watcher(msg: &erlang::Message) -> Outcome {
        let (name, count): (String, u32) = msg.read()?;
        log::info!("{name} {count} from {}", msg.node());
        Ok(Done)
    }

    #[event_route("erlang-event:down")]
    fn down(event: &erlang::Event) -> Outcome {
        if let erlang::Event::Down {
            process, reason, ..
        } = event
        {
            log::info!("{process} lost one: {reason}");
        }
        Ok(Done)
    }

    /// Fails as it is told.
    #[rpc("fail.with")]
    fn fail(params: &rpc::Params) -> Result<()> {
        let (code,): (u16,) = params.read()?;
        Err(match code {
            404 => rpc::not_found("gone"),
            400 => rpc::bad_request("wrong"),
            _ => Error::new("broken"),
        })
    }
}

fn site() -> Site {
    Site::new(routes::Script, "{}").table("terms")
}

fn ask(site: &Site, story: &str) -> String {
    let call = site.receive(request("OPTIONS", &format!("sip:{story}@example.test")));
    let answer = call.answer().unwrap_or_else(|| panic!("{call:?}"));
    assert_eq!(answer.status(), 200, "{call:?}");
    answer.reason().to_owned()
}

#[test]
fn container_variables_are_as_in_kamailio() {
    ask(&site(), "containers");
}

#[test]
fn a_shared_variable_outlives_its_transaction() {
    let site = site();
    for _ in 0..3 {
        ask(&site, "shared");
    }
    assert!(site.item("terms", "erl_list=>seen").is_some());
}

#[test]
fn a_script_links_watches_and_learns_of_a_lost_node() {
    let site = site();
    let said = ask(&site, "node");
    assert_eq!(
        said,
        "{badrpc,{'EXIT',{undef,[{no,such,[1],[]}]}}}; no Erlang node is connected"
    );
    let sent = site.sent();
    assert_eq!(sent.len(), 2);
    assert!(matches!(&sent[0].to, To::Pid(pid) if pid.node == "node1@example.test"));
    assert!(sent[1].is_exit && sent[1].message == atom("kill"));
    assert_eq!((site.links().len(), site.monitors().len()), (1, 1));
}

#[test]
fn messages_are_read_as_rust_types() {
    let site = site();
    let told = site.message("watcher", tuple!["calls", 5]);
    assert_eq!(told.error(), None);
    assert_eq!(site.log(), ["info: calls 5 from node1@example.test"]);
    let told = site.message("watcher", list![atom("calls")]);
    assert_eq!(told.error(), Some("expected a tuple of 2, got [calls]"));
    assert!(site.message("nobody", 1).error().is_some());
}

#[test]
fn the_end_of_a_watched_process_is_told_where_there_is_a_route() {
    let site = site();
    let pid = match parse("#Pid<n@h.1.0.1>") {
        Ok(Term::Pid(pid)) => *pid,
        other => panic!("{other:?}"),
    };
    let reference = match parse("#Ref<n@h.1.2.3>") {
        Ok(Term::Reference(reference)) => *reference,
        other => panic!("{other:?}"),
    };
    let down = Event::Down {
        process: "self".into(),
        reference,
        subject: pid.clone().into(),
        reason: atom("noconnection"),
    };
    site.befalls(&down).unwrap();
    let exit = Event::Exit {
        process: "self".into(),
        sender: pid,
        reason: atom("normal"),
    };
    site.befalls(&exit).unwrap();
    assert_eq!(site.log(), ["info: self lost one: noconnection"]);
}

#[test]
fn a_command_that_fails_says_how() {
    let site = site();
    let code = |params| site.command("fail.with", params).unwrap_err().code;
    assert_eq!(
        [
            code("[404]"),
            code("[400]"),
            code("[500]"),
            code("{}"),
            code("[\"x\"]")
        ],
        [404, 400, 500, 400, 400]
    );
    assert_eq!(site.command("no.such", "[]").unwrap_err().code, 404);
    assert_eq!(
        RpcError::Timeout.to_string(),
        "the Erlang node did not answer in time"
    );
}
