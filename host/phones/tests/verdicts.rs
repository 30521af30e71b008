//! What a call comes to, with a server that does everything right, and with servers that do one thing wrong.

#![allow(clippy::unwrap_used, reason = "helpers fail as their tests do")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use support::{About, Message, Server};
use switchhook_phones::{End, Load, Options, Report, Scenario, run};

/// Some calls of a built-in scenario.
fn calls(name: &str, server: &Server, change: impl FnOnce(&mut Options)) -> Report {
    let mut options = Options::to(server.address);
    options.load = Load::Closed(2);
    options.end = End {
        duration: None,
        count: Some(4),
    };
    options.timeout = Duration::from_secs(20);
    change(&mut options);
    run(&Scenario::find(name).unwrap(), &options).unwrap()
}

/// The reasons why calls of a scenario failed; all must have.
fn reasons(name: &str, server: &Server, timeout: Duration) -> Vec<String> {
    let report = calls(name, server, |options| options.timeout = timeout);
    assert_eq!(
        (report.completed, report.failed),
        (0, 4),
        "{}",
        report.to_table()
    );
    report.reasons.into_keys().collect()
}

/// A server that changes every message that it sends.
fn changing(mut change: impl FnMut(&mut Message) + Send + 'static) -> Server {
    Server::with(move |about| {
        if let About::Send(message, _) = about {
            change(message);
        }
        1
    })
}

/// A server that answers like this instead of doing anything.
fn answering(
    method: &'static str,
    status: &'static str,
    field: Option<(&'static str, &'static str)>,
) -> Server {
    Server::with(move |about| {
        if let About::Came(message) = about
            && message.is(method)
        {
            let via = message.field("Via").unwrap();
            let port = via.split([':', ';']).nth(1).unwrap().to_owned();
            let mut answer = message.answer(status);
            answer.set("Via", &via.replace(";rport", &format!(";rport={port}")));
            if let Some((name, value)) = field {
                answer.push(name, value);
            }
            // an answer on its way through takes off the Via on top
            answer.fields.insert(
                0,
                ("Via".into(), "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx".into()),
            );
            *message = answer;
        }
        1
    })
}

#[test]
fn a_good_server_s_calls_are_good() {
    let server = Server::good();
    for (name, _) in
        Scenario::built_in().filter(|(name, _)| !matches!(*name, "register-auth" | "unregister"))
    {
        let report = calls(name, &server, |_| {});
        assert!(report.is_good(), "{}", report.to_table());
        assert_eq!(
            (report.completed, report.offered, report.failed),
            (4, 4, 0),
            "{name}"
        );
        // on a busy machine an answer may be late enough to be asked for again
        assert!(
            report.retransmissions > 0 || report.strays == 0,
            "{}",
            report.to_table()
        );
        for request in &report.requests {
            assert_eq!(request.count, 4, "{name}: {}", request.name);
        }
        assert!(
            report.latency_us.min <= report.latency_us.p50
                && report.latency_us.p50 <= report.latency_us.max
        );
    }
}

#[test]
fn phones_of_one_role_are_told_apart() {
    let server = Server::good();
    let report = calls("lookup", &server, |options| {
        options.users = 50;
        options.sockets = 3;
        options.bind = vec![[127, 0, 0, 2].into(), [127, 0, 0, 3].into()];
        options.end.count = Some(200);
    });
    assert!(report.is_good(), "{}", report.to_table());
    let report = calls("transfer", &server, |options| {
        options.dial = Some(switchhook_phones::Dial::Aor);
        options.users = 5;
        options.end.count = Some(20);
    });
    assert!(report.is_good(), "{}", report.to_table());
}

#[test]
fn each_fault_of_a_server_has_a_name() {
    let by_server = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother";
    let requests = |change: fn(&mut Message)| {
        changing(move |message| {
            if message.is_request() {
                change(message);
            }
        })
    };
    let answers = |change: fn(&mut Message)| {
        changing(move |message| {
            if !message.is_request() {
                change(message);
            }
        })
    };
    let mut seen = BTreeSet::new();
    for (reason, scenario, server) in [
        (
            "timeout",
            "message",
            Server::with(|about| usize::from(matches!(about, About::Came(_)))),
        ),
        ("timeout", "options", Server::with(|_| 0)),
        (
            "status-503",
            "message",
            answering("MESSAGE", "503 Service Unavailable", None),
        ),
        (
            "status-404",
            "options",
            answering("OPTIONS", "404 Not Found", None),
        ),
        (
            "credentials",
            "options",
            answering(
                "OPTIONS",
                "401 Unauthorized",
                Some(("WWW-Authenticate", "Digest realm=\"a\", nonce=\"b\"")),
            ),
        ),
        ("not-challenged", "register-auth", Server::good()),
        (
            "not-from-the-phone",
            "message",
            answering("MESSAGE", "200 OK", None),
        ),
        ("via", "message", requests(|m| m.remove("Via"))),
        ("via", "message", requests(|m| drop(m.fields.remove(1)))),
        ("via", "message", requests(|m| drop(m.fields.remove(0)))),
        (
            "via",
            "options",
            changing(move |m| m.fields.insert(1, ("Via".into(), by_server.into()))),
        ),
        (
            "rport",
            "options",
            answers(|m| {
                let via = m.field("Via").unwrap();
                m.set("Via", via.split(";rport=").next().unwrap());
                let branch = via.split("branch=").nth(1).unwrap();
                let without = format!("{};rport;branch={branch}", m.field("Via").unwrap());
                m.set("Via", &without);
            }),
        ),
        (
            "request-uri",
            "message",
            requests(|m| m.start = m.start.replace("sip:bob@", "sip:rob@")),
        ),
        (
            "max-forwards",
            "message",
            requests(|m| m.set("Max-Forwards", "70")),
        ),
        (
            "max-forwards",
            "message",
            requests(|m| m.remove("Max-Forwards")),
        ),
        (
            "from",
            "message",
            requests(|m| {
                let from = m.field("From").unwrap().replace("alice", "mallory");
                m.set("From", &from);
            }),
        ),
        (
            "from",
            "options",
            answers(|m| m.set("From", "<sip:alice@example.test>;tag=other")),
        ),
        (
            "to",
            "message",
            requests(|m| m.set("To", "<sip:carol@example.test>")),
        ),
        (
            "to",
            "message",
            answers(|m| m.set("To", "<sip:carol@example.test>;tag=x")),
        ),
        (
            "to-tag",
            "message",
            answers(|m| {
                let to = m.field("To").unwrap();
                m.set("To", to.split(';').next().unwrap());
            }),
        ),
        (
            "to-tag",
            "call",
            answers(|m| {
                let to = m.field("To").unwrap();
                m.set("To", &format!("{}0", to));
            }),
        ),
        ("cseq", "options", answers(|m| m.set("CSeq", "99 OPTIONS"))),
        (
            "call-id",
            "options",
            answers(|m| m.set("Call-ID", "another")),
        ),
        (
            "contact",
            "call",
            requests(|m| m.set("Contact", "<sip:alice@192.0.2.1>")),
        ),
        (
            "contact",
            "call",
            answers(|m| m.set("Contact", "<sip:bob@192.0.2.1>")),
        ),
        ("bindings", "register", answers(|m| m.remove("Contact"))),
        (
            "record-route",
            "call",
            requests(|m| m.remove("Record-Route")),
        ),
        (
            "record-route",
            "call",
            answers(|m| m.remove("Record-Route")),
        ),
        (
            "route",
            "call",
            requests(|m| {
                if m.method() == "ACK" {
                    m.push("Route", "<sip:192.0.2.1;lr>");
                }
            }),
        ),
        ("body", "message", requests(|m| m.body.push('!'))),
        (
            "body",
            "message",
            requests(|m| m.set("Content-Length", "3")),
        ),
        (
            "body",
            "message",
            requests(|m| m.set("Content-Type", "text/html")),
        ),
        ("body", "call", answers(|m| m.body.clear())),
    ] {
        // what is to fail in another way must not be late for it on a busy machine
        let timeout = Duration::from_millis(if reason == "timeout" { 100 } else { 20_000 });
        assert_eq!(reasons(scenario, &server, timeout), [reason], "{scenario}");
        seen.insert(reason);
    }
    assert!(seen.len() > 18, "{seen:?}");
}

#[test]
fn a_request_that_the_server_should_have_answered_must_not_arrive() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "about = 'a'\nphones = ['alice', 'bob']\nsteps = [\n\
        { from = 'alice', request = 'MESSAGE', to = 'bob' },\n{ from = 'server', reply = 404 },\n]\n";
    std::fs::write(file.path(), text).unwrap();
    let name = file.path().to_str().unwrap();
    assert_eq!(
        reasons(name, &Server::good(), Duration::from_secs(20)),
        ["unexpected"]
    );
    let report = calls(name, &answering("MESSAGE", "404 Not Found", None), |_| {});
    assert!(report.is_good(), "{}", report.to_table());
}

#[test]
fn whoever_is_asked_proves_who_he_is() {
    let asking = || {
        Server::with(|about| {
            if let About::Send(message, _) = about
                && message.is("SIP/2.0 200")
                && message.method() == "REGISTER"
                && message.field("CSeq").unwrap() == "1 REGISTER"
            {
                let mut asked = message.clone();
                asked.start = "SIP/2.0 401 Unauthorized".into();
                asked.push(
                    "WWW-Authenticate",
                    "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-512",
                );
                asked.push(
                    "WWW-Authenticate",
                    "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256",
                );
                *message = asked;
            }
            1
        })
    };
    let with_password = |options: &mut Options| options.password = Some("{user}-secret".into());
    let report = calls("register-auth", &asking(), with_password);
    assert!(report.is_good(), "{}", report.to_table());
    assert_eq!(report.messages_sent, 8, "each REGISTER is sent twice");

    let refusing = answering(
        "REGISTER",
        "401 Unauthorized",
        Some(("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\"")),
    );
    let report = calls("register", &refusing, with_password);
    assert_eq!(
        report.reasons.into_keys().collect::<Vec<_>>(),
        ["credentials"]
    );
}

#[test]
fn whatever_is_lost_once_is_sent_again() {
    let lost = |scenario: &'static str, what: &'static str, method: &'static str| {
        std::thread::spawn(move || {
            let mut lost = 0;
            let server = Server::with(move |about| match about {
                About::Send(message, _)
                    if message.is(what) && message.method() == method && lost < 4 =>
                {
                    lost += 1;
                    0
                }
                _ => 1,
            });
            let report = calls(scenario, &server, |options| {
                options.load = Load::Closed(4);
                options.timeout = Duration::from_secs(20);
            });
            assert!(
                report.is_good(),
                "{what} of {method}: {}",
                report.to_table()
            );
            assert!(
                report.retransmissions >= 4,
                "{what} of {method}: {}",
                report.to_table()
            );
        })
    };
    let threads = [
        lost("options", "SIP/2.0 200", "OPTIONS"),
        lost("message", "MESSAGE", "MESSAGE"),
        lost("message", "SIP/2.0 200", "MESSAGE"),
        lost("call", "INVITE", "INVITE"),
        lost("call", "SIP/2.0 180", "INVITE"),
        lost("call", "SIP/2.0 200", "INVITE"),
        lost("call", "ACK", "ACK"),
        lost("call", "BYE", "BYE"),
        lost("call", "SIP/2.0 200", "BYE"),
        lost("busy", "SIP/2.0 486", "INVITE"),
        lost("busy", "ACK", "ACK"),
        lost("cancel", "CANCEL", "CANCEL"),
        lost("cancel", "SIP/2.0 200", "CANCEL"),
        lost("cancel", "SIP/2.0 487", "INVITE"),
    ];
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn what_comes_twice_is_answered_twice_and_does_no_harm() {
    let server = Server::with(|_| 2);
    for scenario in ["message", "call", "hold", "cancel", "busy"] {
        let report = calls(scenario, &server, |_| {});
        assert!(report.is_good(), "{}", report.to_table());
        assert!(
            report.retransmissions_received + report.strays > 0,
            "{}",
            report.to_table()
        );
    }
}

#[test]
fn an_open_loop_goes_on_whatever_becomes_of_the_calls() {
    let rate = |options: &mut Options| {
        options.load = Load::Open(200.0);
        options.end = End {
            duration: Some(Duration::from_millis(500)),
            count: None,
        };
        options.timeout = Duration::from_millis(700);
    };
    let report = calls("message", &Server::good(), rate);
    assert!(report.is_good(), "{}", report.to_table());
    assert_eq!(report.all.offered, 100, "{}", report.to_json());

    // that a server says nothing only those learn who have room to wait
    let report = calls("message", &Server::with(|_| 0), |options| {
        rate(options);
        options.most = 10;
    });
    let (late, no_room) = (report.reasons["timeout"], report.reasons["no-room"]);
    assert_eq!(late + no_room, 100, "{}", report.to_table());
    assert!(late >= 10, "{}", report.to_table());
    assert!(report.retransmissions <= late, "{}", report.to_table());
    assert!(!report.is_good());
}

#[test]
fn a_late_call_s_latency_counts_from_when_it_should_have_begun() {
    // the server sleeps once, in which many calls are due
    let mut slept = false;
    let server = Server::with(move |_| {
        if !std::mem::replace(&mut slept, true) {
            std::thread::sleep(Duration::from_millis(300));
        }
        1
    });
    let report = calls("options", &server, |options| {
        options.load = Load::Open(100.0);
        options.end.count = Some(40);
    });
    assert!(report.is_good(), "{}", report.to_table());
    assert!(report.latency_us.p50 > 50_000, "{}", report.to_table());
    assert!(report.latency_us.max > 290_000, "{}", report.to_table());
}

#[test]
fn the_warm_up_is_in_no_figure_but_those_of_the_whole_run() {
    let report = calls("options", &Server::good(), |options| {
        options.load = Load::Open(100.0);
        options.warmup = Duration::from_millis(300);
        options.end = End {
            duration: Some(Duration::from_millis(300)),
            count: None,
        };
    });
    assert_eq!(report.all.offered, 60, "{}", report.to_json());
    assert_eq!(report.all.completed, 60, "{}", report.to_json());
    // those of the warm-up are not among them, unless the machine had no time for them then
    assert!((30..60).contains(&report.offered), "{}", report.to_table());
}

#[test]
fn a_report_s_json_has_what_programs_read() {
    let report = calls("call", &Server::good(), |_| {});
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["scenario"], "call");
    assert_eq!(json["mode"], "closed");
    assert_eq!(json["concurrency"], 2);
    assert_eq!(json["completed"], 4);
    assert_eq!(json["transactions"], 8);
    assert_eq!(json["messages_sent"], 24);
    assert_eq!(json["requests"][0]["name"], "INVITE alice -> bob");
    assert!(json["latency_us"]["p999"].as_u64().unwrap() > 0);
    assert!(json["all"]["cpu_seconds"].as_f64().unwrap() > 0.0);
    let failed = calls("options", &answering("OPTIONS", "503 Busy", None), |_| {});
    let json: serde_json::Value = serde_json::from_str(&failed.to_json()).unwrap();
    assert_eq!(json["reasons"]["status-503"], 4);
    assert_eq!(json["failures"][0]["step"], "1: OPTIONS alice -> server");
    assert_eq!(
        json["failures"][0]["example"]["detail"],
        "got 503 to OPTIONS"
    );
    assert_eq!(
        json["failures"][0]["example"]["call_id"]
            .as_str()
            .unwrap()
            .len(),
        20
    );
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let scenario = Scenario::find("options").unwrap();
    let refused = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::to(([127, 0, 0, 1], 9).into());
        change(&mut options);
        run(&scenario, &options).unwrap_err().to_string()
    };
    for (told, change) in [
        (
            "expected a target",
            &(|o: &mut Options| o.targets.clear()) as &dyn Fn(&mut Options),
        ),
        ("of one kind", &|o| {
            o.targets.push("[::1]:5060".parse().unwrap())
        }),
        ("of the targets' kind", &|o| {
            o.bind.push("::1".parse().unwrap())
        }),
        ("at least one user", &|o| o.users = 0),
        ("concurrency of at least 1", &|o| o.load = Load::Closed(0)),
        ("rate above 0", &|o| o.load = Load::Open(-1.0)),
        ("no phone `bob`", &|o| o.ports.push(("bob".into(), 5070))),
        ("can't listen on 192.0.2.1", &|o| {
            o.bind.push([192, 0, 2, 1].into())
        }),
        ("processor", &|o| o.cpu = Some(100_000)),
    ] {
        let error = refused(change);
        assert!(error.contains(told), "{told}: {error}");
    }
}
