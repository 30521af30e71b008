//! Edits a proxy and its scripts make, and those that must not succeed.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its tests do")]

use switchhook_sip::message::{EditError, Edits, HeaderId, Message, refuse, render, response};

const REQUEST: &str = "INVITE sip:bob@example.test SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.1;rport ;branch=z9hG4bKa,\r\n SIP/2.0/TCP h;branch=z9hG4bKb\r\n\
    Route: <sip:p1.test;lr>\r\n\
    Route: <sip:p2.test;lr>, <sip:p3.test;lr>\r\n\
    From: <sip:a@example.test>;tag=1\r\nTo : Bob <sip:bob@example.test>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
    X-Secret : one\r\nx-secret\t: two\r\nContent-Type: text/plain\r\nl: 2\r\n\r\nhi";

fn request() -> Message {
    Message::parse(REQUEST.into()).unwrap()
}

fn rendered(msg: &Message, edits: &Edits) -> String {
    let mut out = Vec::new();
    render(msg, edits, &mut out);
    String::from_utf8(out).unwrap()
}

/// The request with some of its text replaced.
fn with(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(REQUEST.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

#[test]
fn a_top_via_learns_where_it_came_from() {
    let (msg, mut edits) = (request(), Edits::default());
    edits.set_via_params(&msg, [(b"rport", b"5070")]).unwrap();
    edits
        .set_via_params(&msg, [(b"received", b"192.0.2.9")])
        .unwrap();
    let via = edits.view(&msg).via().unwrap();
    assert_eq!(via.received(), "192.0.2.9".parse().ok());
    let changed = with(&[(
        ";rport ;branch=z9hG4bKa,",
        ";rport=5070 ;branch=z9hG4bKa;received=192.0.2.9,",
    )]);
    assert_eq!(rendered(&msg, &edits), changed);
}

#[test]
fn routes_are_taken_off_the_top_one_at_a_time() {
    let (msg, mut edits) = (request(), Edits::default());
    let mut left = vec!["<sip:p1.test;lr>", "<sip:p2.test;lr>", "<sip:p3.test;lr>"];
    while !left.is_empty() {
        let routes: Vec<_> = edits
            .view(&msg)
            .values(HeaderId::Route)
            .map(<[u8]>::to_vec)
            .collect();
        assert_eq!(
            routes,
            left.iter()
                .map(|route| route.as_bytes())
                .collect::<Vec<_>>()
        );
        assert!(edits.remove_first_value(&msg, HeaderId::Route).unwrap());
        left.remove(0);
    }
    assert!(!edits.remove_first_value(&msg, HeaderId::Route).unwrap());
    let gone = "Route: <sip:p1.test;lr>\r\nRoute: <sip:p2.test;lr>, <sip:p3.test;lr>\r\n";
    assert_eq!(rendered(&msg, &edits), with(&[(gone, "")]));
}

#[test]
fn record_routes_stack_above_each_other_below_the_vias() {
    let (msg, mut edits) = (request(), Edits::default());
    edits
        .prepend_value(&msg, HeaderId::RecordRoute, b"<sip:in;lr>")
        .unwrap();
    edits
        .prepend_value(&msg, HeaderId::RecordRoute, b"<sip:out;lr>")
        .unwrap();
    edits
        .prepend_value(&msg, HeaderId::Via, b"SIP/2.0/UDP us;branch=z9hG4bKus")
        .unwrap();
    edits.set_max_forwards(&msg, 70).unwrap();
    let changed = with(&[
        ("v: ", "Via: SIP/2.0/UDP us;branch=z9hG4bKus\r\nv: "),
        (
            "z9hG4bKb\r\n",
            "z9hG4bKb\r\nMax-Forwards: 70\r\nRecord-Route: <sip:out;lr>\r\nRecord-Route: <sip:in;lr>\r\n",
        ),
    ]);
    assert_eq!(rendered(&msg, &edits), changed);
}

#[test]
fn no_spelling_of_a_name_escapes_its_removal() {
    let (msg, mut edits) = (request(), Edits::default());
    assert_eq!(edits.remove_named(&msg, b"X-SECRET").unwrap(), 2);
    assert_eq!(edits.remove_named(&msg, b"To").unwrap(), 1);
    assert_eq!(edits.remove_named(&msg, b"Via").unwrap(), 1);
    let out = rendered(&msg, &edits);
    assert!(
        !out.contains("ecret") && !out.contains("Bob") && !out.contains("z9hG4bK"),
        "{out}"
    );
}

#[test]
fn a_value_cannot_carry_a_header_or_a_message_with_it() {
    let (msg, mut edits) = (request(), Edits::default());
    let subject = edits.append_field(&msg, b"Subject", b"fine").unwrap();
    for value in [
        "x\r\nRoute: <sip:evil>",
        "x\nRoute: y",
        "x\rRoute: y",
        "x\r\n\r\nBYE sip:b SIP/2.0",
    ] {
        let refused = Err(EditError::LineBreak(value.as_bytes().into()));
        assert_eq!(
            edits.append_field(&msg, b"X", value.as_bytes()).map(|_| ()),
            refused,
            "{value:?}"
        );
        assert_eq!(
            edits.replace_value(&msg, subject, value.as_bytes()),
            refused,
            "{value:?}"
        );
        assert_eq!(
            edits
                .set_header(&msg, HeaderId::Subject, value.as_bytes())
                .map(|_| ()),
            refused,
            "{value:?}"
        );
        assert!(matches!(
            edits.set_request_uri(&msg, value.as_bytes()),
            Err(EditError::Malformed(_))
        ));
        assert!(
            edits
                .set_via_params(&msg, [(b"received", value.as_bytes())])
                .is_err()
        );
        assert!(
            response(&msg, 200, "OK", None)
                .header(b"X", value.as_bytes())
                .is_err()
        );
    }
    for name in ["", "X Y", "X:", "X\r\nY", "caf\u{e9}"] {
        assert_eq!(
            edits.append_field(&msg, name.as_bytes(), b"x").map(|_| ()),
            Err(EditError::Name(name.as_bytes().into()))
        );
        assert!(
            response(&msg, 200, "OK", None)
                .header(name.as_bytes(), b"x")
                .is_err()
        );
    }
    // The reason phrase of an answer is made harmless, its tag left out.
    let answer = response(&msg, 200, "O\r\nK", Some("a\r\nb")).finish();
    assert!(answer.starts_with(b"SIP/2.0 200 O  K\r\n"));
    assert!(
        Message::parse(answer)
            .unwrap()
            .to()
            .unwrap()
            .tag()
            .is_none()
    );
    // A fold is no harm, and what was fine is still there.
    edits.replace_value(&msg, subject, b"a\r\n b").unwrap();
    assert_eq!(
        rendered(&msg, &edits),
        with(&[("l: 2\r\n", "l: 2\r\nSubject: a\r\n b\r\n")])
    );
}

#[test]
fn content_length_follows_the_body_and_nothing_else() {
    let (msg, mut edits) = (request(), Edits::default());
    let length = msg.view().field(HeaderId::ContentLength).unwrap().position;
    assert_eq!(
        edits.remove_field(&msg, length),
        Err(EditError::ContentLength)
    );
    assert_eq!(
        edits.replace_value(&msg, length, b"0"),
        Err(EditError::ContentLength)
    );
    assert_eq!(
        edits.remove_named(&msg, b"L"),
        Err(EditError::ContentLength)
    );
    assert_eq!(
        edits.append_field(&msg, b"l", b"0").map(|_| ()),
        Err(EditError::ContentLength)
    );
    assert_eq!(
        edits
            .set_header(&msg, HeaderId::ContentLength, b"0")
            .map(|_| ()),
        Err(EditError::ContentLength)
    );
    assert!(edits.is_empty());

    edits
        .set_body(&msg, Some(b"application/sdp"), b"v=0\r\n")
        .unwrap();
    assert_eq!(edits.view(&msg).body(), b"v=0\r\n");
    let changed = with(&[
        ("text/plain", "application/sdp"),
        ("l: 2", "l: 5"),
        ("hi", "v=0\r\n"),
    ]);
    assert_eq!(rendered(&msg, &edits), changed);
    edits.set_body(&msg, None, b"").unwrap();
    assert_eq!(
        rendered(&msg, &edits),
        with(&[
            ("Content-Type: text/plain\r\n", ""),
            ("l: 2", "l: 0"),
            ("hi", "")
        ])
    );
}

#[test]
fn a_stream_gets_the_length_a_datagram_need_not_have() {
    let msg = Message::parse("OPTIONS sip:b SIP/2.0\r\nTo: x\r\n\r\nabc".into()).unwrap();
    let mut edits = Edits::default();
    edits.add_content_length(&msg).unwrap();
    edits.add_content_length(&msg).unwrap();
    assert_eq!(
        rendered(&msg, &edits),
        "OPTIONS sip:b SIP/2.0\r\nTo: x\r\nContent-Length: 3\r\n\r\nabc"
    );
}

#[test]
fn start_lines_are_of_their_own_kind() {
    let (msg, mut edits) = (request(), Edits::default());
    assert!(matches!(
        edits.set_status_line(&msg, 200, b"OK"),
        Err(EditError::Kind { .. })
    ));
    edits.set_request_uri(&msg, b"sips:bob@192.0.2.4").unwrap();
    assert_eq!(edits.view(&msg).request_uri(), b"sips:bob@192.0.2.4");
    assert_eq!(
        rendered(&msg, &edits),
        with(&[("sip:bob@example.test", "sips:bob@192.0.2.4")])
    );

    let reply = Message::parse("SIP/2.0 486 Busy Here\r\nTo: x\r\n\r\n".into()).unwrap();
    edits.clear();
    assert!(edits.is_empty());
    assert!(matches!(
        edits.set_request_uri(&reply, b"sip:x"),
        Err(EditError::Kind { .. })
    ));
    assert_eq!(
        edits.set_status_line(&reply, 99, b""),
        Err(EditError::Status(99))
    );
    edits.set_status_line(&reply, 480, b"Later").unwrap();
    assert_eq!(
        rendered(&reply, &edits),
        "SIP/2.0 480 Later\r\nTo: x\r\n\r\n"
    );
    assert_eq!(
        (edits.view(&reply).status(), edits.view(&reply).reason()),
        (480, &b"Later"[..])
    );
}

#[test]
fn errors_of_edits_say_what_came() {
    let (msg, mut edits) = (request(), Edits::default());
    let says = |error: EditError| error.to_string();
    assert_eq!(
        says(edits.append_field(&msg, b"a b", b"").unwrap_err()),
        "header name: expected a token, got `a b`"
    );
    assert_eq!(
        says(edits.append_field(&msg, b"a", b"b\nc").unwrap_err()),
        "header value: expected no line break but before white space, got `b\\nc`"
    );
    assert_eq!(
        says(edits.set_request_uri(&msg, b"bob").unwrap_err()),
        "URI: expected a URI, got `bob`"
    );
    assert_eq!(
        says(edits.set_status_line(&msg, 200, b"OK").unwrap_err()),
        "status line: expected a response, got the other kind of message"
    );
}

#[test]
fn an_answer_has_what_the_request_had() {
    let msg = request();
    let mut edits = Edits::default();
    edits.set_via_params(&msg, [(b"rport", b"5070")]).unwrap();
    let answer = response(edits.view(&msg), 486, "Busy Here", Some("us"))
        .header(b"Retry-After", b"5")
        .unwrap()
        .body(b"text/plain", b"no")
        .unwrap()
        .finish();
    assert_eq!(
        std::str::from_utf8(&answer).unwrap(),
        "SIP/2.0 486 Busy Here\r\n\
         Via: SIP/2.0/UDP 192.0.2.1;rport=5070 ;branch=z9hG4bKa,\r\n SIP/2.0/TCP h;branch=z9hG4bKb\r\n\
         From: <sip:a@example.test>;tag=1\r\nTo: Bob <sip:bob@example.test>;tag=us\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
         Retry-After: 5\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"
    );
    // A 100 gets no tag (8.2.6.2), and a To that has one keeps it.
    let trying = Message::parse(response(&msg, 100, "Trying", Some("us")).finish()).unwrap();
    assert_eq!(trying.to().unwrap().tag(), None);
}

#[test]
fn only_what_makes_a_dialog_takes_the_record_routes_along() {
    let text = REQUEST.replace(
        "Route: <sip:p1",
        "Timestamp: 5\r\nRecord-Route: <sip:rr;lr>\r\nRoute: <sip:p1",
    );
    let msg = Message::parse(text.into()).unwrap();
    let has = |status, id| {
        Message::parse(response(&msg, status, "", Some("t")).finish())
            .unwrap()
            .header(id)
            .is_some()
    };
    assert!(has(200, HeaderId::RecordRoute) && has(180, HeaderId::RecordRoute));
    assert!(!has(100, HeaderId::RecordRoute) && !has(486, HeaderId::RecordRoute));
    assert!(has(100, HeaderId::Timestamp) && !has(200, HeaderId::Timestamp));
}

#[test]
fn what_cannot_be_read_is_answered_as_far_as_it_goes_and_never_if_it_may_not() {
    let refused = |text: &'static str| {
        let error = Message::parse(text.into())
            .and_then(|msg| msg.check())
            .unwrap_err();
        refuse(text.as_bytes(), &error, Some("us"), "")
            .map(|answer| String::from_utf8(answer.to_vec()).unwrap())
    };
    assert_eq!(
        refused("BYE sip:b SIP/2.0\r\nbroken\r\nv: SIP/2.0/UDP h\r\n ;branch=z9hG4bK1\r\nt : <sip:b>\r\nto: again\r\nCSeq: 1\r\n\r\n")
            .as_deref(),
        Some(
            "SIP/2.0 400 Bad Header Line\r\nVia: SIP/2.0/UDP h   ;branch=z9hG4bK1\r\nTo: <sip:b>;tag=us\r\nCSeq: 1\r\nContent-Length: 0\r\n\r\n"
        )
    );
    assert_eq!(
        refused("ACK sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n"),
        None
    );
    assert_eq!(
        refused("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n"),
        None
    );
    assert_eq!(refused("BYE sip:b SIP/2.0\r\nTo: x\r\n\r\n"), None);
    assert_eq!(refused("\r\n\r\n"), None);
    assert_eq!(refused("\0\0\0"), None);
}

#[test]
fn a_refusal_without_a_tag_of_ours_is_the_same_for_the_same_bytes() {
    let tag = |text: &str| {
        let malformed = Message::parse(text.to_owned().into())
            .and_then(|msg| msg.check())
            .unwrap_err();
        let answer =
            Message::parse(refuse(text.as_bytes(), &malformed, None, "").unwrap()).unwrap();
        answer.to().unwrap().tag().unwrap().to_vec()
    };
    let one = "BYE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: <sip:b>\r\n\r\n";
    assert_eq!(tag(one), tag(one));
    assert_ne!(tag(one), tag(&one.replace("bK1", "bK2")));
    assert_eq!(
        tag(&one.replace("<sip:b>", "<sip:b>;tag=theirs")),
        b"theirs"
    );
}

#[test]
fn what_every_message_needs_is_missed_by_name() {
    let checked = |from: &str, to: &str| {
        let text = with(&[(from, to)]);
        let fault = Message::parse(text.into()).unwrap().check().unwrap_err();
        (fault.status(), fault.reason().to_string())
    };
    assert_eq!(request().check(), Ok(()));
    for (from, to, status, reason) in [
        ("Call-ID: c\r\n", "", 400, "Missing Call-ID"),
        (
            "From: <sip:a@example.test>;tag=1\r\n",
            "",
            400,
            "Missing From",
        ),
        ("To : ", "X: ", 400, "Missing To"),
        ("CSeq: ", "X: ", 400, "Missing CSeq"),
        ("v: ", "X: ", 400, "Missing Via"),
        ("Call-ID: c", "Call-ID: c\r\ni: c", 400, "Repeated Call-ID"),
        ("Call-ID: c", "Call-ID: c d", 400, "Bad Call-ID"),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", 400, "CSeq Method Mismatch"),
        (
            "INVITE sip:bob@example.test",
            "FROB sip:bob@example.test",
            501,
            "Not Implemented",
        ),
        (
            "INVITE sip:bob@example.test",
            "INVITE bob",
            400,
            "Bad Request-URI",
        ),
        (
            "From: <sip:a@example.test>",
            "From: <sip:a@>",
            400,
            "Bad URI in From",
        ),
        (
            "Route: <sip:p1.test;lr>",
            "Max-Forwards: 256",
            400,
            "Bad Max-Forwards",
        ),
        (
            "Route: <sip:p1.test;lr>",
            "Expires: 1\r\nExpires: 2",
            400,
            "Repeated Expires",
        ),
    ] {
        assert_eq!(
            checked(from, to),
            (status, reason.to_owned()),
            "{from} -> {to}"
        );
    }
}
