//! What a route reads after it has changed something, and what becomes of changes that are refused.

use switchhook_sdk::prelude::*;
use switchhook_sdk::testkit::{Call, Draft, Site, message, request};

/// Each test's route stands in the field `X-Do`.
#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        match req.header("X-Do").unwrap_or_default() {
            "read back" => read_back(req)?,
            "read" => read(req),
            "uri" => uri(req)?,
            "body" => body(req),
            "break a line" => {
                req.set_header("X-Note", "one\r\nTwo: three");
                assert_eq!(req.header("X-Note"), None, "the getter can't fail");
            }
            "break a line last" => {
                req.relay()?;
                req.append_header("X-Note", "a\nb");
            }
            "no such URI" => req.set_uri("nowhere"),
            _ => {}
        }
        req.relay()
    }

    fn read_back(req: &mut Request) -> Result<()> {
        let before = req.from().uri().as_str().to_owned();
        req.set_header("X-Note", "first");
        req.append_header("X-Note", "second");
        req.prepend_header("x-note", "zeroth");
        assert_eq!(req.from().uri().as_str(), before);
        let notes: Vec<_> = req.headers("X-Note").collect();
        assert_eq!(notes, ["zeroth", "first", "second"]);
        req.remove_header("X-NOTE");
        assert_eq!(req.header("X-Note"), None);
        req.set_header("f", "<sip:carol@example.test>;tag=2");
        assert_eq!(req.from().uri().user(), Some("carol"));
        req.record_route()?;
        assert!(req.header("Record-Route").is_some());
        Ok(())
    }

    fn read(req: &mut Request) {
        assert_eq!(req.method(), Method::Message);
        assert_eq!((req.call_id(), req.cseq()), ("c1", 7));
        assert_eq!(req.from().display(), "Zoë");
        assert_eq!(req.header("Subject"), Some("Grüße"));
        assert_eq!(req.header("s"), Some("Grüße"));
        let contacts: Vec<_> = req.headers("Contact").collect();
        assert_eq!(
            contacts,
            ["\"a, b\" <sip:a@b>", "<sip:c@d>;q=0.1", "sip:e@f"]
        );
        assert_eq!(req.header("Date"), Some("Sat, 21 Nov 2026 12:00:00 GMT"));
        assert_eq!(req.body(), b"hello");
        assert_eq!(req.source().to_string(), "udp:192.0.2.1:5060");
        let names: Vec<_> = req.fields().map(|(name, _)| name).collect();
        assert!(names.starts_with(&["v", "f", "To"]));
    }

    fn uri(req: &mut Request) -> Result<()> {
        let there = req.uri().with_host("example.org").with_param("x", "1");
        req.set_uri(&there);
        assert_eq!(req.uri().host(), "example.org");
        assert!(!req.is_for_us());
        assert_eq!(req.method(), Method::Invite);
        req.set_uri(Uri::parse("sip:bob@example.test")?);
        assert!(req.is_for_us());
        Ok(())
    }

    fn body(req: &mut Request) {
        req.set_body("text/plain", "hi there");
        assert_eq!(req.body(), b"hi there");
        assert_eq!(req.header("Content-Type"), Some("text/plain"));
        assert_eq!(req.header("l"), Some("8"));
        req.remove_body();
        assert!(req.body().is_empty());
        assert_eq!(req.header("Content-Type"), None);
    }
}

fn invite(what: &str) -> Call {
    receive(request("INVITE", "sip:bob@example.test").header("X-Do", what))
}

fn receive(request: Draft) -> Call {
    Site::new(routes::Script, "{}").receive(request)
}

#[test]
fn what_was_changed_reads_as_changed() {
    for what in ["read back", "uri", "body"] {
        let call = invite(what);
        assert_eq!((call.error(), call.sent().len()), (None, 1), "{what}");
    }
}

#[test]
fn compact_names_and_lists_are_read() {
    let text = "MESSAGE sip:bob@example.test SIP/2.0\n\
        v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\n\
        f: \"Zoë\" <sip:zoe@example.test>;tag=1\nTo: <sip:bob@example.test>\n\
        i: c1\nCSeq: 7 MESSAGE\nMax-Forwards: 70\n\
        Subject: Gr\u{fc}\u{df}e\nm: \"a, b\" <sip:a@b>, <sip:c@d>;q=0.1\nContact: sip:e@f\n\
        Date: Sat, 21 Nov 2026 12:00:00 GMT\nX-Do: read\nContent-Length: 5\n\nhello";
    assert_eq!(receive(message(text)).error(), None);
}

#[test]
fn a_refused_change_ends_the_route_with_an_error() {
    for (what, part) in [
        ("break a line", "line break"),
        ("break a line last", "line break"),
        ("no such URI", "nowhere"),
    ] {
        let call = invite(what);
        assert_eq!(call.status(), Some(500), "{what}");
        assert!(call.sent().is_empty(), "{what}");
        let error = call.error().unwrap();
        assert!(error.contains(part), "{what}: {error}");
    }
}
