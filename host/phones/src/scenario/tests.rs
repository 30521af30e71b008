//! The built-in scenarios can be used, and one with a fault says where it is.

use super::program::{Act, Party};
use super::*;

fn place() -> Place {
    Place {
        domain: "example.test".to_owned(),
        dial: None,
    }
}

fn program(text: &str) -> Program {
    Scenario::read("a", "a.toml", text)
        .unwrap()
        .program(&place())
        .unwrap()
}

/// A scenario of alice and bob with these steps.
fn steps(steps: &str) -> String {
    format!("about = \"a\"\nphones = [\"alice\", \"bob\"]\nsteps = [\n{steps}\n]\n")
}

#[test]
fn everything_built_in_can_be_used() {
    for (name, about) in Scenario::built_in() {
        let scenario =
            Scenario::find(name).unwrap_or_else(|error| panic!("{}", error.report(false)));
        assert!(!about.is_empty());
        let program = scenario.program(&place()).unwrap();
        assert!(!program.steps.is_empty(), "{name}");
    }
}

#[test]
fn numbers_and_dialogs_are_those_that_phones_would_have() {
    let program = Scenario::find("transfer")
        .unwrap()
        .program(&place())
        .unwrap();
    let told: Vec<_> = program
        .transactions
        .iter()
        .map(|t| format!("{} {} in {}", t.cseq, t.method, t.dialog))
        .collect();
    assert_eq!(
        told,
        [
            "1 INVITE in 0",
            "1 ACK in 0",
            "11 REFER in 0",
            "1 NOTIFY in 0",
            "1 INVITE in 1",
            "1 ACK in 1",
            "11 NOTIFY in 0",
            "21 BYE in 0",
            "1 BYE in 1",
        ]
    );
    assert_eq!(program.dialogs, 2);
    assert!(program.transactions[2].in_dialog && !program.transactions[4].in_dialog);
}

#[test]
fn a_second_call_between_two_is_a_new_dialog() {
    let call = "{ from = 'alice', request = 'INVITE', to = 'bob' }, { from = 'bob', reply = 486 },";
    let program = program(&steps(&call.repeat(2)));
    assert_eq!(program.dialogs, 2);
    assert!(
        program
            .transactions
            .iter()
            .all(|t| t.cseq == 1 && !t.in_dialog)
    );
}

#[test]
fn what_a_phone_refuses_is_acknowledged() {
    let program = Scenario::find("busy").unwrap().program(&place()).unwrap();
    assert!(matches!(
        program.steps.last().map(|step| &step.act),
        Some(Act::Acked { transaction: 0 })
    ));
}

#[test]
fn the_server_answers_a_cancel() {
    let program = Scenario::find("cancel").unwrap().program(&place()).unwrap();
    let labels: Vec<_> = program
        .steps
        .iter()
        .map(|step| step.label.as_str())
        .collect();
    assert_eq!(
        labels,
        [
            "INVITE alice -> bob",
            "180 to INVITE from bob",
            "CANCEL alice -> bob",
            "200 to CANCEL from server",
            "487 to INVITE from bob",
            "ACK of the 487",
        ]
    );
}

#[test]
fn a_request_that_the_server_answers_is_not_for_a_phone() {
    let program = program(&steps(
        "{ from = 'alice', request = 'MESSAGE', to = 'bob' }, { from = 'server', reply = 404 }",
    ));
    assert!(!program.transactions[0].relayed);
    assert_eq!(program.transactions[0].to, Party::Phone(1));
}

#[test]
fn a_fault_is_shown_at_its_line() {
    for (text, title, at) in [
        (
            steps("{ from = 'alice', request = 'INVITE', to = 'bog' }"),
            "there is no phone `bog`",
            "'bog'",
        ),
        (
            steps("{ from = 'alice', requests = 'INVITE' }"),
            "this is no scenario",
            "requests",
        ),
        (
            steps("{ from = 'alice' }"),
            "this step is not clear",
            "{ from = 'alice' }",
        ),
        (
            steps("{ from = 'alice', request = 'INVITE', reply = 200 }"),
            "this step is not clear",
            "{ from",
        ),
        (
            steps("{ from = 'bob', reply = 200 }"),
            "bob has nothing to answer",
            "{ from",
        ),
        (
            steps("{ from = 'alice', request = 'BYE' }"),
            "who is this request for?",
            "{ from",
        ),
        (steps("{ request = 'BYE' }"), "who sends this?", "{ request"),
        (
            steps("{ from = 'server', request = 'BYE' }"),
            "the server sends no requests",
            "'server'",
        ),
        (
            steps("{ from = 'alice', request = 'bye', to = 'bob' }"),
            "this is no method",
            "'bye'",
        ),
        (
            steps("{ from = 'alice', request = 'ACK', to = 'bob' }"),
            "there is nothing to ACK",
            "'ACK'",
        ),
        (
            steps("{ from = 'alice', request = 'CANCEL', to = 'bob' }"),
            "there is nothing to CANCEL",
            "'CANCEL'",
        ),
        (
            steps("{ from = 'alice', request = 'BYE', to = 'bob' }"),
            "nobody answers this BYE",
            "{ from",
        ),
        (
            steps("{ from = 'alice', request = 'BYE', to = 'bob', text = '{bog.user}' }"),
            "there is nothing called",
            "'{bog",
        ),
        (
            steps("{ from = 'alice', request = 'BYE', to = 'bob', text = '{call' }"),
            "this text is not closed",
            "'{call'",
        ),
        (
            steps(
                "{ from = 'alice', request = 'BYE', to = 'bob', headers = { X = \"a\\r\\nb\" } }",
            ),
            "this is no header field",
            "\"a",
        ),
        (
            steps(
                "{ from = 'alice', request = 'MESSAGE', to = 'bob', sdp = 'sendrecv', text = 'a' }",
            ),
            "a message has one body",
            "'a'",
        ),
        (
            steps(
                "{ from = 'alice', request = 'MESSAGE', to = 'bob' }, { from = 'bob', reply = 20 }",
            ),
            "this is no status",
            "20",
        ),
        (
            steps("{ pause = 'long' }"),
            "this is no length of time",
            "'long'",
        ),
        (
            steps("{ pause = '1s' }"),
            "the scenario has no request",
            "\"alice\"",
        ),
        (
            steps(&"{ pause = '1s' },".repeat(65)),
            "the scenario is too long",
            "{ pause",
        ),
        (
            steps("").replace("bob", "alice"),
            "two phones have one name",
            "\"alice\"",
        ),
        (
            steps("").replace("bob", "server"),
            "this is no name for a phone",
            "\"server\"",
        ),
    ] {
        let error = Scenario::read("a", "a.toml", &text).expect_err(title);
        assert!(error.problem.title.contains(title), "{title}: {error}");
        let span = error.problem.span.clone().unwrap();
        assert!(
            text[span].starts_with(at),
            "{title}: {}",
            error.report(false)
        );
    }
}

#[test]
fn the_report_draws_a_caret_under_it() {
    let text = steps("  { from = \"alice\", request = \"MESSAGE\", to = \"bobb\" },");
    let error = Scenario::read("a", "a.toml", &text).unwrap_err();
    assert_eq!(
        error.report(false),
        r#"error: there is no phone `bobb`
 --> a.toml:4:47
  |
4 |   { from = "alice", request = "MESSAGE", to = "bobb" },
  |                                               ^^^^^^ expected one of `phones`, or `server`
  |
  = help: is `bob` meant?"#
    );
    assert_eq!(
        error.to_string(),
        "a.toml:4: there is no phone `bobb`: expected one of `phones`, or `server`"
    );
}
