//! The torture messages of RFC 4475 and RFC 5118: what must be accepted is, with its headers as written and its bytes
//! untouched; each of the others gets the answer written here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail as its tests do"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{read, shared};
use switchhook_sip::flow::Transport;
use switchhook_sip::message::{
    Edits, HeaderId, Malformed, Message, NameAddr, Scheme, Uri, Via, host_ip, refuse, render,
};

/// What a message that must be accepted says: file, method or status, top Via's host, From tag, To URI, CSeq number,
/// Max-Forwards, bytes of body.
type Accepted = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    u32,
    Option<u8>,
    usize,
);

/// RFC 4475 3.1.1 (valid), 3.2 and 3.3 (to be judged above the parser), 3.4 (RFC 2543). `longreq` is told in its own test.
#[rustfmt::skip] // a row is a message
const ACCEPTED: [Accepted; 26] = [
    ("badbranch", "OPTIONS", "192.0.2.1", Some("33242"), "sip:user@example.com", 8, Some(3), 0),
    ("bcast", "200", "192.0.2.198", Some("11141343"), "sip:user@example.edu", 35, None, 154),
    ("bext01", "OPTIONS", "fold-and-staple.example.com", Some("242etr"), "sip:j_user@example.com", 8, Some(6), 0),
    ("cparam01", "REGISTER", "saturn.example.com", Some("DkfVgjkrtMwaerKKpe"), "sip:watson@example.com", 2, Some(70), 0),
    ("cparam02", "REGISTER", "saturn.example.com", Some("838293"), "sip:watson@example.com", 3, Some(70), 0),
    ("dblreq", "REGISTER", "192.0.2.125", Some("43251j3j324"), "sip:j.user@example.com", 8, Some(8), 0),
    ("esc01", "INVITE", "host5.example.net", Some("938"), "sip:%75se%72@example.com", 234_234, Some(87), 150),
    ("esc02", "RE%47IST%45R", "host.example.com", Some("f232jadfj23"), "sip:resource@example.com", 29_344, Some(70), 0),
    ("escnull", "REGISTER", "host5.example.com", Some("839923423"), "sip:null-%00-null@example.com", 14_398_234, Some(70), 0),
    ("intmeth", "!interesting-Method0123456789_*+`.%indeed'~", "host1.example.com", Some("_token~1'+`*%!-."), "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com", 139_122_385, Some(255), 0),
    ("inv2543", "INVITE", "iftgw.example.com", None, "sip:+16505552222@ss1.example.net", 56, None, 105),
    ("invut", "INVITE", "somehost.example.com", Some("8392034"), "sip:j.user@example.com", 235_448, Some(70), 40),
    ("lwsdisp", "OPTIONS", "funky.example.com", Some("323"), "sip:user@example.com", 60, Some(70), 0),
    ("mpart01", "MESSAGE", "127.0.0.1", Some("2fb0dcc9"), "sip:kumiko@example.org", 1, Some(70), 553),
    ("noreason", "100", "192.0.2.105", Some("39ansfi3"), "sip:user@example.edu", 35, None, 0),
    ("novelsc", "OPTIONS", "host9.example.com", Some("384"), "sip:user@example.com", 3_923_423, Some(3), 0),
    ("regaut01", "REGISTER", "192.0.2.253", Some("87321hj23128"), "sip:j.user@example.com", 9338, Some(8), 0),
    ("regescrt", "REGISTER", "host5.example.com", Some("8"), "sip:user@example.com", 14_398_234, Some(70), 0),
    ("sdp01", "INVITE", "192.0.2.15", Some("234"), "sip:j_user@example.com", 8, Some(5), 150),
    ("semiuri", "OPTIONS", "192.0.2.1", Some("33242"), "sip:j_user@example.com", 8, Some(3), 0),
    ("transports", "OPTIONS", "t1.example.com", Some("323"), "sip:user@example.com", 60, Some(70), 0),
    ("unkscm", "OPTIONS", "host9.example.com", Some("384"), "sip:user@example.com", 3_923_423, Some(3), 0),
    ("unksm2", "REGISTER", "192.0.2.21", Some("3234233"), "isbn:2983792873", 234_902, Some(70), 0),
    ("unreason", "200", "192.0.2.198", Some("11141343"), "sip:user@example.edu", 35, None, 154),
    ("wsinv", "INVITE", "192.0.2.2", Some("98asjd8"), "sip:vivekg@chair-dnrc.example.com", 9, Some(68), 150),
    ("zeromf", "OPTIONS", "host1.example.com", Some("3ghsd41"), "sip:user@example.com", 39_234_321, Some(0), 0),
];

/// What becomes of a message that need not be accepted.
#[derive(Debug, PartialEq)]
enum Fate {
    /// Answered with this status line and the request's Via, as far as there is one.
    Answered(&'static str),
    /// No answer can or may go.
    Dropped(&'static str),
    /// Taken all the same, as the RFC leaves open.
    Taken,
}
use Fate::{Answered, Dropped, Taken};

/// RFC 4475 3.1.2, and of 3.3 those without what a message must have.
const OTHERS: [(&str, Fate); 22] = [
    // 3.1.2.1 Extraneous separators: `;;` and empty Via values: 400 (stepping over them is allowed, not asked).
    ("badinv01", Answered("400 Bad Via")),
    // 3.1.2.2 Content-Length larger than the message: over UDP, 400.
    ("clerr", Answered("400 Body Shorter Than Content-Length")),
    // 3.1.2.3 Negative Content-Length: 400.
    ("ncl", Answered("400 Bad Content-Length")),
    // 3.1.2.4 Scalars beyond their range in a request: CSeq of 2^65 is a 400.
    ("scalar02", Answered("400 Bad CSeq")),
    // 3.1.2.5 The same in a response: it is discarded.
    (
        "scalarlg",
        Dropped(
            "CSeq: expected a number below 2^31 and a method, got `9292394834772304023312 OPTIONS`",
        ),
    ),
    // 3.1.2.6 A display name whose quote is never closed: 400.
    ("quotbal", Answered("400 Bad To")),
    // 3.1.2.7 Request URI in `<>`: 400.
    ("ltgtruri", Answered("400 Bad Request-URI")),
    // 3.1.2.8 White space within the request URI: 400.
    ("lwsruri", Answered("400 Bad Start Line")),
    // 3.1.2.9 Several spaces between the parts of the start line: 400.
    ("lwsstart", Answered("400 Bad Start Line")),
    // 3.1.2.10 Spaces at the end of the start line: 400.
    ("trws", Answered("400 Bad Start Line")),
    // 3.1.2.11 Headers in a request URI: 400.
    ("escruri", Answered("400 Bad Request-URI")),
    // 3.1.2.12 A Date that is not in GMT: a proxy has no use for Date and need not refuse.
    ("baddate", Taken),
    // 3.1.2.13 A Contact with `?` and no `<>` in a REGISTER: 400.
    ("regbadct", Answered("400 Bad Contact")),
    // 3.1.2.14 Spaces within `<>`: 400.
    ("badaspec", Answered("400 Bad To")),
    // 3.1.2.15 A comma in a display name without quotes: 400 (guessing what was meant is allowed, not asked).
    ("baddn", Answered("400 Bad From")),
    // 3.1.2.16 SIP/7.0: 505.
    ("badvers", Answered("505 Version Not Supported")),
    // 3.1.2.17 CSeq with the method of another request: 400.
    ("mismatch01", Answered("400 CSeq Method Mismatch")),
    // 3.1.2.18 The same, and the method is unknown: 501.
    ("mismatch02", Answered("501 Not Implemented")),
    // 3.1.2.19 A status code of ten digits: the response is dropped.
    (
        "bigcode",
        Dropped("start line, byte 8: expected a status code from 100 to 699, got `4294967301`"),
    ),
    // 3.3.1 Call-ID, From and To missing: 400.
    ("insuf", Answered("400 Missing Call-ID")),
    // 3.3.8 CSeq, Call-ID, To, From twice with other values: 400.
    ("multi01", Answered("400 Repeated CSeq")),
    // 3.3.9 Two Content-Lengths that differ: 400.
    ("mcl01", Answered("400 Bad Content-Length")),
];

fn rfc4475() -> Option<PathBuf> {
    shared("data/rfc4475")
}

fn load(folder: &Path, name: &str) -> Vec<u8> {
    read(folder, &format!("{name}.dat"))
}

fn accept(bytes: &[u8]) -> Result<Message, Malformed> {
    let message = Message::parse(bytes.to_vec().into())?;
    message.check()?;
    Ok(message)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_must_be_accepted_is_with_its_headers_as_written() {
    let Some(folder) = rfc4475() else { return };
    for (name, kind, via, from_tag, to, cseq, max_forwards, body) in ACCEPTED {
        let message = accept(&load(&folder, name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let is = match message.status() {
            0 => message.method().as_str().to_owned(),
            status => status.to_string(),
        };
        assert_eq!(is, kind, "{name}");
        assert_eq!(text(message.via().unwrap().host), via, "{name}");
        assert_eq!(message.from().unwrap().tag().map(text), from_tag, "{name}");
        assert_eq!(text(message.to().unwrap().uri), to, "{name}");
        assert_eq!(message.cseq().unwrap().number, cseq, "{name}");
        assert_eq!(
            message.max_forwards().map(Result::unwrap),
            max_forwards,
            "{name}"
        );
        assert_eq!(message.body().len(), body, "{name}");
        assert!(
            text(message.call_id().unwrap()).starts_with(name) || name == "mpart01",
            "{name}"
        );
    }
}

#[test]
fn accepted_messages_keep_their_bytes_around_every_edit() {
    let Some(folder) = rfc4475() else { return };
    let mut out = Vec::new();
    for name in ACCEPTED.map(|row| row.0).into_iter().chain(["longreq"]) {
        let bytes = load(&folder, name);
        let message = accept(&bytes).unwrap();
        let bytes = bytes.get(..message.bytes().len()).unwrap();

        out.clear();
        render(&message, &Edits::default(), &mut out);
        assert_eq!(out, bytes, "{name}: nothing edited");

        let mut edits = Edits::default();
        edits
            .prepend_value(
                &message,
                HeaderId::Via,
                b"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKmark",
            )
            .unwrap();
        edits.append_field(&message, b"X-Mark", b"1").unwrap();
        out.clear();
        edits.view(&message).render(&mut out);
        let added = |line: &str| {
            let found = out
                .windows(line.len())
                .filter(|w| *w == line.as_bytes())
                .count();
            assert_eq!(found, 1, "{name}: {line}");
        };
        added("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKmark\r\n");
        added("X-Mark: 1\r\n");
        let again = accept(&out).unwrap_or_else(|e| panic!("{name}: edited: {e}"));
        assert_eq!(
            again.via().unwrap().branch(),
            Some(&b"z9hG4bKmark"[..]),
            "{name}"
        );
        assert_eq!(again.body(), message.body(), "{name}");

        // Taking them out again gives the message as it came.
        let mut back = Edits::default();
        assert!(back.remove_first_value(&again, HeaderId::Via).unwrap());
        assert_eq!(back.remove_named(&again, b"x-mark").unwrap(), 1);
        out.clear();
        render(&again, &back, &mut out);
        assert_eq!(out, bytes, "{name}: there and back");
    }
}

#[test]
fn each_of_the_others_meets_its_fate() {
    let Some(folder) = rfc4475() else { return };
    for (name, fate) in OTHERS {
        let mut bytes = load(&folder, name);
        if name == "baddn" {
            // The file lacks the blank line; its fault is meant to be another.
            bytes.extend_from_slice(b"\r\n");
        }
        match (accept(&bytes), fate) {
            (Ok(_), Taken) => {}
            (Err(malformed), Answered(line)) => {
                let answer = refuse(&bytes, &malformed, Some("us"), "")
                    .unwrap_or_else(|| panic!("{name}: no answer"));
                let answer = Message::parse(answer).unwrap();
                assert_eq!(
                    format!("{} {}", answer.status(), text(answer.reason())),
                    line,
                    "{name}"
                );
                assert!(answer.header(HeaderId::Via).is_some(), "{name}");
                assert_eq!(
                    answer.header(HeaderId::ContentLength),
                    Some(&b"0"[..]),
                    "{name}"
                );
                let cseq = answer.header(HeaderId::Cseq).unwrap();
                assert!(bytes.windows(cseq.len()).any(|w| w == cseq), "{name}");
            }
            (Err(malformed), Dropped(why)) => {
                assert_eq!(malformed.to_string(), why, "{name}");
                assert_eq!(refuse(&bytes, &malformed, Some("us"), ""), None, "{name}");
            }
            (other, fate) => panic!(
                "{name}: expected {fate:?}, got {:?}",
                other.map(|m| m.status())
            ),
        }
    }
}

#[test]
fn what_is_hardly_a_message_is_dropped() {
    let Some(folder) = rfc4475() else { return };
    // The collection's own extra: no version in its start line, and no Via to answer to.
    let bytes = load(&folder, "test");
    let malformed = accept(&bytes).unwrap_err();
    assert_eq!(refuse(&bytes, &malformed, None, ""), None);
}

#[test]
fn wsinv_is_read_through_its_folds() {
    let Some(folder) = rfc4475() else { return };
    let message = accept(&load(&folder, "wsinv")).unwrap();
    let vias: Vec<_> = message
        .values(HeaderId::Via)
        .map(|value| Via::parse(value).unwrap())
        .collect();
    let hosts: Vec<_> = vias
        .iter()
        .map(|via| (text(via.host), via.known_transport()))
        .collect();
    assert_eq!(
        hosts,
        [
            ("192.0.2.2", Some(Transport::Udp)),
            ("spindle.example.com", Some(Transport::Tcp)),
            ("192.168.255.111", Some(Transport::Udp)),
        ]
    );
    let branches: Vec<_> = vias
        .iter()
        .map(|via| via.magic_branch().map(text))
        .collect();
    assert_eq!(branches, [None, Some("z9hG4bK9ikj8"), Some("z9hG4bK30239")]);
    assert_eq!(message.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    assert_eq!(
        message.from().unwrap().name().as_deref(),
        Some(&br#"J Rosenberg \""#[..])
    );
    assert_eq!(message.header(HeaderId::Subject), Some(&b""[..]));
    assert_eq!(message.header(HeaderId::ContentLength), Some(&b"150"[..]));
    let contact = NameAddr::parse(message.values(HeaderId::Contact).next().unwrap()).unwrap();
    assert_eq!(
        (contact.name().as_deref(), contact.q()),
        (Some(&br#"Quoted string """#[..]), 330)
    );
    assert_eq!(contact.params.value(b"newparam"), Some(&b"newvalue"[..]));
    let route = message
        .view()
        .address(HeaderId::Route)
        .unwrap()
        .uri()
        .unwrap();
    assert!(route.is_loose_route());
    let folded = message.named(b"newfangledheader").next().unwrap();
    assert_eq!(
        folded.value,
        b"newfangled value\r\n continued newfangled value"
    );
}

#[test]
fn intmeth_keeps_every_odd_byte() {
    let Some(folder) = rfc4475() else { return };
    let message = accept(&load(&folder, "intmeth")).unwrap();
    assert_eq!(
        message.to().unwrap().name().as_deref(),
        Some(&b"BEL:\x07 NUL:\x00 DEL:\x7f"[..])
    );
    assert_eq!(
        message.from().unwrap().display,
        Some(&b"token1~` token2'+_ token3*%!.-"[..])
    );
    let uri = Uri::parse(message.request_uri()).unwrap();
    assert_eq!(
        uri.user,
        Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..])
    );
    assert_eq!(
        uri.password,
        Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..])
    );
    assert_eq!(uri.host, b"example.com");
    let odd = message.named(b"EXTENSIONHEADER-!.%*+_`'~").next().unwrap();
    assert_eq!(text(odd.value), "\u{feff}大停電");
}

#[test]
fn escapes_are_compared_where_they_mean_something_and_nowhere_else() {
    let Some(folder) = rfc4475() else { return };
    let esc01 = accept(&load(&folder, "esc01")).unwrap();
    let uri = Uri::parse(esc01.request_uri()).unwrap();
    assert_eq!(
        uri.user_unescaped().as_deref(),
        Some(&b"sips:user@example.com"[..])
    );
    let to = esc01.to().unwrap().uri().unwrap();
    assert_eq!(to.user_unescaped().as_deref(), Some(&b"user"[..]));

    // A method and a header name have no escapes: this is no REGISTER, and has two Contacts, not three.
    let esc02 = accept(&load(&folder, "esc02")).unwrap();
    assert!(esc02.method().is_other());
    assert_eq!(esc02.values(HeaderId::Contact).count(), 2);
    assert_eq!(esc02.from().unwrap().name().as_deref(), Some(&b"%Z%45"[..]));

    let escnull = accept(&load(&folder, "escnull")).unwrap();
    let users: Vec<_> = escnull
        .values(HeaderId::Contact)
        .map(|value| {
            NameAddr::parse(value)
                .unwrap()
                .uri()
                .unwrap()
                .user_unescaped()
                .unwrap()
                .into_owned()
        })
        .collect();
    assert_eq!(users, [&b"\0"[..], b"\0\0"]);
}

#[test]
fn uris_are_cut_where_their_marks_are() {
    let Some(folder) = rfc4475() else { return };
    let semiuri = accept(&load(&folder, "semiuri")).unwrap();
    let uri = Uri::parse(semiuri.request_uri()).unwrap();
    assert_eq!(
        (uri.user, uri.host),
        (Some(&b"user;par=u%40example.net"[..]), &b"example.com"[..])
    );
    assert!(uri.params.is_empty());
    assert_eq!(semiuri.values(HeaderId::Accept).count(), 6);

    // Without `<>` the parameter is the Contact's, with them the URI's.
    let contact = |name| {
        let message = accept(&load(&folder, name)).unwrap();
        let value = message.values(HeaderId::Contact).next().unwrap().to_vec();
        let contact = NameAddr::parse(&value).unwrap();
        (
            contact.params.get(b"unknownparam").is_some(),
            contact.uri().unwrap().params.get(b"unknownparam").is_some(),
        )
    };
    assert_eq!(contact("cparam01"), (true, false));
    assert_eq!(contact("cparam02"), (false, true));

    let regescrt = accept(&load(&folder, "regescrt")).unwrap();
    let contact = NameAddr::parse(regescrt.header(HeaderId::Contact).unwrap()).unwrap();
    assert_eq!(
        contact.uri().unwrap().headers,
        Some(&b"Route=%3Csip:sip.example.com%3E"[..])
    );

    for (name, scheme) in [
        ("unkscm", "nobodyKnowsThisScheme"),
        ("novelsc", "soap.beep"),
    ] {
        let message = accept(&load(&folder, name)).unwrap();
        assert_eq!(
            Uri::parse(message.request_uri()).unwrap().scheme,
            Scheme::Other(scheme.as_bytes())
        );
    }
}

#[test]
fn what_stands_after_the_body_is_left_out() {
    let Some(folder) = rfc4475() else { return };
    let bytes = load(&folder, "dblreq");
    let message = accept(&bytes).unwrap();
    assert!(
        bytes.len() > message.bytes().len() + 400,
        "the second request is in the file"
    );
    assert!(message.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
    assert_eq!(accept(&load(&folder, "mpart01")).unwrap().body().len(), 553);
}

#[test]
fn reasons_branches_and_transports_come_as_they_are() {
    let Some(folder) = rfc4475() else { return };
    let unreason = accept(&load(&folder, "unreason")).unwrap();
    assert_eq!(
        text(unreason.reason()),
        "= 2**3 * 5**2 но сто девяносто девять - простое"
    );
    assert_eq!(accept(&load(&folder, "noreason")).unwrap().reason(), b"");

    // The magic alone names no transaction (3.2.1).
    let badbranch = accept(&load(&folder, "badbranch")).unwrap();
    assert_eq!(badbranch.via().unwrap().branch(), Some(&b"z9hG4bK"[..]));
    assert_eq!(badbranch.via().unwrap().magic_branch(), None);

    let transports = accept(&load(&folder, "transports")).unwrap();
    let known: Vec<_> = transports
        .values(HeaderId::Via)
        .map(|via| Via::parse(via).unwrap().known_transport())
        .collect();
    assert_eq!(
        known,
        [
            Some(Transport::Udp),
            None,
            Some(Transport::Tls),
            None,
            Some(Transport::Tcp)
        ]
    );
}

#[test]
fn longreq_is_only_long() {
    let Some(folder) = rfc4475() else { return };
    let message = accept(&load(&folder, "longreq")).unwrap();
    assert_eq!(message.fields().count(), 43);
    assert_eq!(message.values(HeaderId::Via).count(), 34);
    assert_eq!(message.call_id().unwrap().len(), 141);
    assert_eq!(message.body().len(), 150);
    let to = message.to().unwrap();
    assert_eq!(to.uri().unwrap().port, Some(6000));
    assert!(to.name().unwrap().ends_with(b" proportion"));
}

#[test]
fn ipv6_is_read_wherever_it_stands() {
    let Some(folder) = shared("data/rfc5118") else {
        return;
    };
    // (file, request URI's address and port, top Via's address and port, received)
    #[rustfmt::skip] // a row is a message
    let accepted = [
        ("ipv6-good", "2001:db8::10", None, "2001:db8::9:1", None, None),
        // 4.3: within the brackets it is all address.
        ("port-ambiguous", "2001:db8::10:5070", None, "2001:db8::9:1", None, None),
        ("port-unambiguous", "2001:db8::10", Some(5070), "2001:db8::9:1", None, None),
        // 4.5: `received` with and without brackets.
        ("via-received-param-with-delim", "2001:db8::10", None, "2001:db8::9:1", None, Some("2001:db8::9:255")),
        ("via-received-param-no-delim", "2001:db8::10", None, "2001:db8::9:1", None, Some("2001:db8::9:255")),
        // 4.6: IPv6 in the body is none of our business.
        ("ipv6-in-sdp", "2001:db8::10", None, "2001:db8::20", None, None),
        ("mult-ip-in-header", "", None, "2001:db8::9:1", Some(6050), None),
        ("mult-ip-in-sdp", "2001:db8::10", None, "2001:db8::9:1", None, None),
        ("ipv4-mapped-ipv6", "", None, "::ffff:192.0.2.10", Some(19823), None),
        // 4.10: the grammar's bug of three colons is read as two are.
        ("ipv6-bug-abnf-3-colons", "2001:db8::192.0.2.1", None, "", None, None),
        ("ipv6-correct-abnf-2-colons", "2001:db8::192.0.2.1", None, "", None, None),
    ];
    for (name, uri_ip, uri_port, via_ip, via_port, received) in accepted {
        let bytes = read(&folder, name);
        let message = accept(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let ip = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        let uri = Uri::parse(message.request_uri()).unwrap();
        assert_eq!((uri.ip(), uri.port), (ip(uri_ip), uri_port), "{name}");
        let via = message.via().unwrap();
        assert_eq!((via.ip(), via.port), (ip(via_ip), via_port), "{name}");
        assert_eq!(via.received(), received.and_then(ip), "{name}");
        let mut out = Vec::new();
        render(&message, &Edits::default(), &mut out);
        assert_eq!(out.get(..), bytes.get(..out.len()), "{name}");
    }

    // 4.2: without brackets it is no host.
    let bytes = read(&folder, "ipv6-bad");
    let malformed = accept(&bytes).unwrap_err();
    assert_eq!(
        malformed.to_string(),
        "request URI: expected a URI, without `<>` and without headers, got `sip:2001:db8::10`"
    );
    assert!(
        refuse(&bytes, &malformed, None, "")
            .unwrap()
            .starts_with(b"SIP/2.0 400 Bad Request-URI\r\n")
    );

    let mult = accept(&read(&folder, "mult-ip-in-header")).unwrap();
    let vias: Vec<_> = mult
        .values(HeaderId::Via)
        .map(|via| Via::parse(via).unwrap().ip().unwrap())
        .collect();
    assert_eq!(
        vias,
        ["2001:db8::9:1", "192.0.2.1", "2001:db8::9:255"].map(|ip| host_ip(ip.as_bytes()).unwrap())
    );
}
