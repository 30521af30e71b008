//! Typed headers, one story for each thing that peers write differently.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its tests do")]

use switchhook_sip::message::{
    CSeq, Fault, HeaderId, Limits, Message, Method, NameAddr, Rport, Scheme, Uri, Via, host_ip,
    seconds,
};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn message(fields: &str) -> Message {
    Message::parse(format!("OPTIONS sip:b@example.test SIP/2.0\r\n{fields}\r\n").into()).unwrap()
}

#[test]
fn a_uri_falls_into_its_parts() {
    // (URI, user, password, host, port, params, headers)
    let sip = [
        (
            "sip:alice@atlanta.test",
            Some("alice"),
            None,
            "atlanta.test",
            None,
            "",
            None,
        ),
        (
            "SIP:Alice:x&y@Atlanta.test:5070",
            Some("Alice"),
            Some("x&y"),
            "Atlanta.test",
            Some(5070),
            "",
            None,
        ),
        (
            "sips:192.0.2.1;lr",
            None,
            None,
            "192.0.2.1",
            None,
            ";lr",
            None,
        ),
        ("sip:a;b?c/d@h", Some("a;b?c/d"), None, "h", None, "", None),
        (
            "sip:h?subject=a%20b&x=",
            None,
            None,
            "h",
            None,
            "",
            Some("subject=a%20b&x="),
        ),
        (
            "sip:+1-201;isub=1@gw;user=phone",
            Some("+1-201;isub=1"),
            None,
            "gw",
            None,
            ";user=phone",
            None,
        ),
        (
            "sip:[::1]:05060;ob",
            None,
            None,
            "[::1]",
            Some(5060),
            ";ob",
            None,
        ),
        (
            "sip:caf\u{e9}@under_score.test.",
            Some("caf\u{e9}"),
            None,
            "under_score.test.",
            None,
            "",
            None,
        ),
        ("sip:u:@h", Some("u"), Some(""), "h", None, "", None),
    ];
    for (raw, user, password, host, port, params, headers) in sip {
        let uri = Uri::parse(raw.as_bytes()).unwrap_or_else(|e| unreachable!("{raw}: {e}"));
        assert_eq!(
            (uri.user.map(text), uri.password.map(text)),
            (user, password),
            "{raw}"
        );
        assert_eq!((text(uri.host), uri.port), (host, port), "{raw}");
        assert_eq!(
            (text(uri.params.as_bytes()), uri.headers.map(text)),
            (params, headers),
            "{raw}"
        );
    }

    let tel = Uri::parse(b"tel:7042;phone-context=example.test;ext=5").unwrap();
    assert_eq!(
        (tel.scheme, tel.user.map(text), text(tel.host)),
        (Scheme::Tel, Some("7042"), "")
    );
    assert_eq!(tel.params.value(b"EXT").map(text), Some("5"));

    let urn = Uri::parse(b"urn:service:sos.fire").unwrap();
    assert_eq!(
        (urn.scheme, text(urn.host)),
        (Scheme::Other(b"urn"), "service:sos.fire")
    );
}

#[test]
fn what_is_no_uri_is_refused() {
    for raw in [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@b@c",
        "sip:h:",
        "sip:h:65536",
        "sip:h:5060x",
        "sip:h;=1",
        "sip:h;=x",
        "sip:h?",
        "sip:[::1",
        "sip:[::g]",
        "sip:::1",
        "sip:a b@h",
        "sip:h\r\nVia: x",
        "<sip:h>",
        "sip:h;a=\"b",
        "1sip:h",
        ":h",
        "tel:",
        "tel:;ext=1",
        "sip:h/x",
        "sip:a@h,b",
        "sip:\0@h",
    ] {
        assert_eq!(
            Uri::parse(raw.as_bytes()).map(|_| ()).unwrap_err().fault(),
            Fault::Uri,
            "{raw:?}"
        );
    }
}

#[test]
fn a_host_may_be_an_address() {
    assert_eq!(host_ip(b"192.0.2.1"), "192.0.2.1".parse().ok());
    assert_eq!(host_ip(b"[2001:db8::1]"), "2001:db8::1".parse().ok());
    assert_eq!(host_ip(b"2001:db8::1"), "2001:db8::1".parse().ok());
    assert_eq!(
        host_ip(b"[2001:db8:::192.0.2.1]"),
        "2001:db8::192.0.2.1".parse().ok()
    );
    for name in [
        "example.test",
        "[192.0.2.1]",
        "192.0.2",
        "192.0.2.256",
        "[]",
        "",
        ":::::",
        "1:2:3:4:5:6:7:8:9",
    ] {
        assert_eq!(host_ip(name.as_bytes()), None, "{name}");
    }
}

#[test]
fn a_via_is_read_with_all_the_space_it_may_have() {
    let via =
        Via::parse(b"SIP / 2.0\r\n / TCP\t[2001:db8::9] : 5061 ; Branch = z9hG4bKx ; RPORT ;ttl=1")
            .unwrap();
    assert_eq!(
        (text(via.transport), text(via.host), via.port),
        ("TCP", "[2001:db8::9]", Some(5061))
    );
    assert_eq!(via.branch().map(text), Some("z9hG4bKx"));
    assert_eq!(via.rport(), Some(Rport::Asked));
    assert_eq!(via.params.value(b"ttl").map(text), Some("1"));

    let filled = Via::parse(b"sip/2.0/UDP h;rport=5070;received=2001:db8::1;branch=").unwrap();
    assert_eq!(
        (filled.rport(), filled.branch()),
        (Some(Rport::Filled(5070)), None)
    );
    assert_eq!(filled.received(), "2001:db8::1".parse().ok());
    assert_eq!(
        Via::parse(b"SIP/2.0/UDP h;rport=99999").unwrap().rport(),
        None
    );
    assert_eq!(
        Via::parse(b"SIP/2.0/UDP h;branch=Z9HG4BKx")
            .unwrap()
            .magic_branch()
            .map(text),
        Some("Z9HG4BKx")
    );

    for raw in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/3.0/UDP h",
        "XIP/2.0/UDP h",
        "SIP/2.0/ h",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:0x1",
        "SIP/2.0/UDP h;=a",
        "SIP/2.0/UDP h x",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP h;a=\"b",
        "SIP/2.0/UDP h:65536",
    ] {
        assert_eq!(
            Via::parse(raw.as_bytes()).map(|_| ()).unwrap_err().fault(),
            Fault::Via,
            "{raw:?}"
        );
    }
}

#[test]
fn an_address_has_a_name_or_not() {
    // (value, name, uri, params)
    let read = [
        ("<sip:a@h;lr>;tag=1", None, "sip:a@h;lr", ";tag=1"),
        ("sip:a@h;tag=1", None, "sip:a@h", ";tag=1"),
        ("sip:a@h ; tag = 1", None, "sip:a@h", "; tag = 1"),
        ("Bob <sip:b@h>", Some("Bob"), "sip:b@h", ""),
        ("Bob B. Jr<sip:b@h>", Some("Bob B. Jr"), "sip:b@h", ""),
        (
            "\"<sip:x>, \\\"B\\\" \\\\\" <sip:b@h?a=1,2> ;x",
            Some("<sip:x>, \"B\" \\"),
            "sip:b@h?a=1,2",
            ";x",
        ),
        ("\"\"<tel:+1>", Some(""), "tel:+1", ""),
        ("caf\u{e9} <sip:b@h>", Some("caf\u{e9}"), "sip:b@h", ""),
        ("mailto:b@h", None, "mailto:b@h", ""),
    ];
    for (raw, name, uri, params) in read {
        let address =
            NameAddr::parse(raw.as_bytes()).unwrap_or_else(|e| unreachable!("{raw}: {e}"));
        assert_eq!(address.name().as_deref().map(text), name, "{raw}");
        assert_eq!(
            (text(address.uri), text(address.params.as_bytes())),
            (uri, params),
            "{raw}"
        );
    }
    for raw in [
        "",
        "*",
        "<>",
        "bob",
        "<sip:a@h",
        "\"open <sip:a@h>",
        "\"n\" sip:a@h",
        "a;b <sip:a@h>",
        "a, b <sip:a@h>",
        "< sip:a@h>",
        "<sip:a@h>x",
        "<sip:a@h>;=1",
        "sip:a@h?x=1",
        "sip:a@h,sip:b@h",
        "<sip:a@h>;t=\"o",
        "Bob \"x\" <sip:a@h>",
    ] {
        assert_eq!(
            NameAddr::parse(raw.as_bytes())
                .map(|_| ())
                .unwrap_err()
                .fault(),
            Fault::NameAddr,
            "{raw:?}"
        );
    }
}

#[test]
fn contacts_have_a_preference_and_a_time() {
    for (q, thousandths) in [
        ("0", 0),
        ("1", 1000),
        ("0.5", 500),
        (".25", 250),
        ("1.000", 1000),
        ("0.123", 123),
        ("1.1", 1000),
        ("2", 1000),
        ("0.1234", 1000),
        ("x", 1000),
        ("", 1000),
    ] {
        let raw = format!("<sip:a@h>;q={q}");
        assert_eq!(
            NameAddr::parse(raw.as_bytes()).unwrap().q(),
            thousandths,
            "{q}"
        );
    }
    for (value, expected) in [
        ("3600", Some(3600)),
        (" 0 ", Some(0)),
        ("99999999999999999999", Some(u32::MAX)),
        ("7;x", Some(7)),
        ("", None),
        ("-1", None),
        ("12h", None),
        ("1.5", None),
    ] {
        assert_eq!(seconds(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn cseq_is_a_number_and_a_method() {
    let cseq = CSeq::parse(b"0009\r\n  INVITE").unwrap();
    assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
    assert_eq!(
        CSeq::parse(b"2147483647 X").unwrap().method,
        Method::Other(b"X")
    );
    for raw in [
        "",
        "1",
        "1INVITE",
        "INVITE 1",
        "2147483648 BYE",
        "-1 BYE",
        "1 BYE x",
        "1 B@E",
    ] {
        assert_eq!(
            CSeq::parse(raw.as_bytes()).map(|_| ()).unwrap_err().fault(),
            Fault::Cseq,
            "{raw:?}"
        );
    }
}

#[test]
fn values_of_several_fields_and_of_one_are_the_same() {
    let values = |fields: &str| {
        let message = message(fields);
        message
            .values(HeaderId::Route)
            .map(|value| text(value).to_owned())
            .collect::<Vec<_>>()
    };
    let expected = ["<sip:p1;lr>", "\"a, b\" <sip:p2?x=1,2;lr>", "<sip:p3;lr>"];
    assert_eq!(
        values(
            "Route: <sip:p1;lr>\r\nSubject: x\r\nROUTE : \"a, b\" <sip:p2?x=1,2;lr>\r\nRoute:<sip:p3;lr>\r\n"
        ),
        expected
    );
    assert_eq!(
        values("route: <sip:p1;lr>,, \"a, b\" <sip:p2?x=1,2;lr>\r\n , <sip:p3;lr> ,\r\n"),
        expected
    );
    // A comma means nothing in a header that is no list.
    assert_eq!(
        message("Subject: a, b\r\n")
            .values(HeaderId::Subject)
            .collect::<Vec<_>>(),
        [b"a, b"]
    );
}

#[test]
fn lines_may_end_and_fold_as_they_like() {
    let message = Message::parse(
        "\r\n\r\nOPTIONS sip:b SIP/2.0\nv:SIP/2.0/UDP h\ns :\r\n\t a\r\n  b \t\r\nk:\r\nX-Mine: y\n\nbody".into(),
    )
    .unwrap();
    let fields: Vec<_> = message
        .fields()
        .map(|f| (f.id, text(f.name), text(f.value)))
        .collect();
    assert_eq!(
        fields,
        [
            (HeaderId::Via, "v", "SIP/2.0/UDP h"),
            (HeaderId::Subject, "s", "a\r\n  b"),
            (HeaderId::Supported, "k", ""),
            (HeaderId::Other, "X-Mine", "y"),
        ]
    );
    assert_eq!(message.body(), b"body");
}

#[test]
fn what_is_no_message_says_why() {
    for (bytes, says) in [
        ("", "message, byte 0: expected a message, got nothing"),
        (
            "\r\n\r\n",
            "message, byte 0: expected a message, got nothing",
        ),
        (
            "OPTIONS sip:b SIP/2.0",
            "message, byte 0: expected a blank line after the header fields, got `OPTIONS sip:b SIP/2.0`",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\nTo: x\r\n",
            "message, byte 30: expected a blank line after the header fields, got nothing",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\nTo x\r\n\r\n",
            "message, byte 23: expected `name: value`, got `To x`",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\n: x\r\n\r\n",
            "message, byte 23: expected `name: value`, got `: x`",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\nT\u{e9}: x\r\n\r\n",
            "message, byte 23: expected `name: value`, got `T\\xc3\\xa9: x`",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\n To: x\r\n\r\n",
            "message, byte 23: expected `name: value`, got ` To: x`",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\nTo: x\rVia: y\r\n\r\n",
            "message, byte 28: expected CR only before LF, got `\\rVia: y\\r\\n\\r\\n`",
        ),
        (
            "SIP/2.0 99 x\r\n\r\n",
            "start line, byte 8: expected a status code from 100 to 699, got `99`",
        ),
        (
            "SIP/2.0 0200 x\r\n\r\n",
            "start line, byte 8: expected a status code from 100 to 699, got `0200`",
        ),
        (
            "SIP/3.0 200 x\r\n\r\n",
            "start line, byte 0: expected SIP/2.0, got `SIP/3.0`",
        ),
        (
            "GET / HTTP/1.1\r\n\r\n",
            "start line, byte 0: expected `METHOD URI SIP/2.0` or `SIP/2.0 CODE REASON`, one space between, got `GET / HTTP/1.1`",
        ),
        (
            "OPTIONS sip:b SIP/2.0\r\nl: 3\r\n\r\nab",
            "Content-Length, byte 31: expected 3 bytes of body, got `2`",
        ),
    ] {
        assert_eq!(
            Message::parse(bytes.into()).unwrap_err().to_string(),
            says,
            "{bytes:?}"
        );
    }
}

#[test]
fn a_message_may_not_be_larger_than_the_limits() {
    let limits = Limits {
        bytes: 2000,
        fields: 3,
        values: 40,
    };
    let parse = |fields: String| {
        let bytes = format!("OPTIONS sip:b SIP/2.0\r\n{fields}\r\n");
        Message::parse_within(bytes.into(), &limits)
            .map(|_| ())
            .map_err(|fault| (fault.status(), fault.to_string()))
    };
    assert_eq!(parse("A: 1\r\nB: 2\r\nC: 3\r\n".into()), Ok(()));
    assert_eq!(
        parse("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n".into()),
        Err((
            400,
            "message, byte 41: expected at most 3 header fields, got more".into()
        ))
    );
    assert_eq!(parse(format!("Route: {}\r\n", "<a>,".repeat(39))), Ok(()));
    assert_eq!(
        parse(format!("Route: {}\r\n", "<a>,".repeat(40))),
        Err((
            400,
            "Route, byte 30: expected at most 40 comma-separated values, got more".into()
        ))
    );
    assert_eq!(
        parse(format!("S: {}\r\n", "x".repeat(2000))),
        Err((
            513,
            "message, byte 2000: expected at most 2000 bytes, got more".into()
        ))
    );
}

#[test]
fn a_stream_must_say_how_long_its_bodies_are() {
    let parse = |text: &'static str| Message::parse_stream(text.into(), &Limits::default());
    assert!(parse("OPTIONS sip:b SIP/2.0\r\nl: 0\r\n\r\n").is_ok());
    let fault = parse("OPTIONS sip:b SIP/2.0\r\n\r\n").unwrap_err();
    assert_eq!(
        (fault.status(), fault.reason().to_string()),
        (400, "Missing Content-Length".into())
    );
}

#[test]
fn separators_with_nothing_between_them_are_stepped_over_as_phones_write_them() {
    let via = Via::parse(b"SIP/2.0/UDP h:5070;;branch=z9hG4bK1;").unwrap();
    assert_eq!(via.branch(), Some(&b"z9hG4bK1"[..]));
    let contact = NameAddr::parse(b"<sip:a@h:5070;;transport=tcp;>;;q=0.5;").unwrap();
    assert_eq!(contact.q(), 500);
    let uri = contact.uri().unwrap();
    assert_eq!(uri.params.value(b"transport"), Some(&b"tcp"[..]));
    assert!(
        NameAddr::parse(b"sip:a@h;")
            .unwrap()
            .params
            .next()
            .is_none()
    );
}
