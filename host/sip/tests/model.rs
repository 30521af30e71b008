//! Messages made at random and edited at random: index, view, edits and render against a plain list of lines, and against
//! rsip where the message is plain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers fail as its tests do"
)]

#[allow(clippy::indexing_slicing, reason = "the model is plain on purpose")]
#[path = "common/model.rs"]
mod plain;

use plain::{IDS, Model, Op};
use proptest::prelude::*;
use switchhook_sip::framing::{Frame, FrameLimits, Framer};
use switchhook_sip::message::{Edits, HeaderId, Message, Uri, refuse, render, response};

fn pick<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(of)
}

/// A field's name: known, compact, odd case, unknown.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let names: &[&str] = &[
        "Via",
        "v",
        "VIA",
        "Route",
        "Record-Route",
        "Contact",
        "m",
        "Max-Forwards",
        "Subject",
        "s",
        "Supported",
        "k",
        "From",
        "f",
        "X-Mine",
        "x-mine",
        "P-Odd.!%*_+`'~",
        "To",
    ];
    prop_oneof![9 => pick(names).prop_map(|name| name.as_bytes().to_vec()), 1 => "[a-zA-Z0-9-]{1,12}".prop_map(String::into_bytes)]
}

/// A field's value, folds and Latin-1 among it.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let values: &[&[u8]] = &[
        b"",
        b"70",
        b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa",
        b"SIP / 2.0 / TCP [2001:db8::1]:5061 ; rport ; branch=z9hG4bKb , SIP/2.0/UDP h;x=\"a,;b\";branch=1",
        b"<sip:p1.example.test;lr>, <sip:p2.example.test;lr>",
        b"\"Doe, \\\"J\" <sip:a,b@h;x>;q=0.5,,sip:c@d;tag=1 ,",
        b", ,",
        b"a,\r\n b,\r\n\tc",
        b"\"open, <sip:x>",
        b"caf\xe9 \xe2\x98\x8e",
        b"<unclosed, a, b",
        b"  spaced  ",
    ];
    prop_oneof![
        6 => pick(values).prop_map(<[u8]>::to_vec),
        1 => "[ -~]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

/// A value as it may stand in a message that came.
fn line_value() -> impl Strategy<Value = Vec<u8>> {
    value().prop_filter("would end its line", |value| {
        let mut rest = &value[..];
        while let Some(at) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            let (_, tail) = rest.split_at(at);
            if !(tail.starts_with(b"\r\n ")
                || tail.starts_with(b"\r\n\t")
                || tail.starts_with(b"\n "))
            {
                return false;
            }
            rest = tail.get(2..).unwrap_or_default();
        }
        true
    })
}

prop_compose! {
    fn field()(
        name in name().prop_filter("set apart", |name| HeaderId::of(name) != HeaderId::ContentLength),
        before in pick(&["", " ", "\t ", "  "]),
        after in pick(&["", " ", " \r\n ", "\t", "\n  "]),
        value in line_value(),
        end in pick(&["\r\n", "\r\n", "\n", " \r\n"]),
    ) -> Vec<u8> {
        [&name, before.as_bytes(), b":", after.as_bytes(), &value, end.as_bytes()].concat()
    }
}

prop_compose! {
    fn message()(
        start in pick(&[
            "INVITE sip:bob@example.test;user=phone SIP/2.0\r\n",
            "OPTIONS tel:+1-201-555-0123 SIP/2.0\n",
            "SIP/2.0 200 OK\r\n",
            "SIP/2.0 180\r\n",
            "\r\n\r\nODD%20 isbn:x sip/2.0\r\n",
        ]),
        fields in prop::collection::vec(field(), 0..40),
        length in any::<bool>(),
        blank in pick(&["\r\n", "\n"]),
        body in prop::collection::vec(any::<u8>(), 0..30),
    ) -> Message {
        let length = if length { format!("l : {}\r\n", body.len()).into_bytes() } else { Vec::new() };
        let bytes = [start.as_bytes(), &fields.concat(), &length, blank.as_bytes(), &body].concat();
        Message::parse(bytes.into()).unwrap()
    }
}

fn op() -> impl Strategy<Value = Op> {
    let uri = pick(&["sip:a@b", "sips:x.test;lr", "tel:123", "sip:<", "a b", ""]);
    prop_oneof![
        uri.prop_map(|uri| Op::RequestUri(uri.as_bytes().to_vec())),
        (90u16..710, pick(&["Fine", "", "caf\u{e9}", "a\nb"]))
            .prop_map(|(status, reason)| Op::StatusLine(status, reason.as_bytes().to_vec())),
        (name(), value()).prop_map(|(name, value)| Op::Prepend(name, value)),
        (name(), value()).prop_map(|(name, value)| Op::Append(name, value)),
        (0..50usize, name(), value()).prop_map(|(at, name, value)| Op::Before(at, name, value)),
        (0..50usize, name(), value()).prop_map(|(at, name, value)| Op::After(at, name, value)),
        (0..50usize, value()).prop_map(|(at, value)| Op::Replace(at, value)),
        (0..50usize).prop_map(Op::Remove),
        name().prop_map(Op::RemoveNamed),
        (pick(&IDS), value()).prop_map(|(id, value)| Op::PrependValue(id, value)),
        (pick(&IDS), value()).prop_map(|(id, value)| Op::SetHeader(id, value)),
        pick(&IDS).prop_map(Op::RemoveFirst),
        (
            pick(&["received", "rport", "branch", "x"]),
            pick(&["192.0.2.7", "5062", "", "a;b"])
        )
            .prop_map(|(name, value)| Op::ViaParam(
                name.as_bytes().to_vec(),
                value.as_bytes().to_vec()
            )),
        any::<u8>().prop_map(Op::MaxForwards),
        (
            prop::option::of(line_value()),
            prop::collection::vec(any::<u8>(), 0..30)
        )
            .prop_map(|(kind, body)| Op::Body(kind, body)),
        Just(Op::AddContentLength),
    ]
}

/// Everything there is to read, for its panics.
fn read_all(msg: &Message) {
    let _ = (
        msg.via(),
        msg.from(),
        msg.to(),
        msg.cseq(),
        msg.call_id().map(<[u8]>::len),
        msg.check(),
    );
    let _ = Uri::parse(msg.request_uri());
    for field in msg.fields() {
        for value in field.values() {
            let _ = switchhook_sip::message::NameAddr::parse(value).map(|address| {
                (
                    address.q(),
                    address.expires(),
                    address.name().map(|n| n.len()),
                    address.uri().map(|u| u.ip()),
                )
            });
            let _ = switchhook_sip::message::Via::parse(value)
                .map(|via| (via.received(), via.rport(), via.ip()));
        }
    }
    let _ = response(msg, 200, "OK", Some("t")).finish();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn edits_do_what_the_plain_model_does(msg in message(), ops in prop::collection::vec(op(), 0..12)) {
        let mut model = Model::of(&msg);
        let mut edits = Edits::default();
        model.assert_shown_by(msg.view());
        for op in &ops {
            model.apply(op, &msg, &mut edits);
            model.assert_shown_by(edits.view(&msg));
        }
        let mut out = Vec::new();
        render(&msg, &edits, &mut out);
        prop_assert_eq!(out.escape_ascii().to_string(), model.bytes().escape_ascii().to_string());

        // It says where each field stands.
        let (mut placed, mut fields) = (Vec::new(), Vec::new());
        edits.view(&msg).render_placed(&mut placed, |field| fields.push(field));
        prop_assert_eq!(&placed, &out);
        let part = |[from, to]: [u32; 2]| out.get(from as usize..to as usize).unwrap();
        let placed: Vec<_> = fields.iter().map(|f| (f.id, part(f.name), part(f.value))).collect();
        let shown: Vec<_> = edits.view(&msg).fields().map(|f| (f.id, f.name, f.value)).collect();
        prop_assert_eq!(placed, shown);

        // Read anew, it is the same message.
        let again = Message::parse(out.into()).unwrap();
        let anew: Vec<_> = again.fields().map(|f| (f.id, f.name, f.value)).collect();
        let shown: Vec<_> = edits.view(&msg).fields().map(|f| (f.id, f.name, f.value)).collect();
        prop_assert_eq!(anew, shown);
        prop_assert_eq!(again.body(), edits.view(&msg).body());
        prop_assert_eq!(again.request_uri(), edits.view(&msg).request_uri());
        prop_assert_eq!((again.status(), again.reason()), (edits.view(&msg).status(), edits.view(&msg).reason()));
    }

    #[test]
    fn parameters_of_the_via_set_at_once_are_as_one_after_the_other(
        msg in message(),
        before in op(),
        names in pick(&[["received", "rport"], ["rport", "received"], ["x", "branch"]]),
    ) {
        let mut edits = Edits::default();
        Model::of(&msg).apply(&before, &msg, &mut edits);
        let [first, second] = names.map(|name| (name.as_bytes(), &b"1"[..]));
        let mut one_by_one = edits.clone();
        let single = one_by_one.set_via_params(&msg, [first]);
        let single = single.and_then(|()| one_by_one.set_via_params(&msg, [second]));
        prop_assert_eq!(edits.set_via_params(&msg, [first, second]).is_ok(), single.is_ok());
        let (mut out, mut expected) = (Vec::new(), Vec::new());
        render(&msg, &edits, &mut out);
        render(&msg, &one_by_one, &mut expected);
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn copies_of_edits_go_their_own_way(msg in message(), first in op(), second in op()) {
        let mut edits = Edits::default();
        let mut model = Model::of(&msg);
        model.apply(&first, &msg, &mut edits);
        let before = model.bytes();
        let mut fork = Edits::default();
        fork.clone_from(&edits);
        model.apply(&second, &msg, &mut fork);
        let (mut out, mut forked) = (Vec::new(), Vec::new());
        render(&msg, &edits, &mut out);
        render(&msg, &fork, &mut forked);
        prop_assert_eq!(out, before);
        prop_assert_eq!(forked, model.bytes());
    }

    #[test]
    fn nothing_panics_on_a_message_that_was_damaged(
        msg in message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..8),
    ) {
        let mut bytes = msg.bytes().to_vec();
        for (at, byte, kind) in damage {
            let at = at.index(bytes.len());
            match kind {
                0 => *bytes.get_mut(at).unwrap() = byte,
                1 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        match Message::parse(bytes.clone().into()) {
            Ok(msg) => {
                read_all(&msg);
                let mut out = Vec::new();
                render(&msg, &Edits::default(), &mut out);
                prop_assert_eq!(&out[..], &msg.bytes()[..]);
            }
            Err(malformed) => {
                let _ = malformed.to_string();
                if let Some(answer) = refuse(&bytes, &malformed, Some("t"), "s") {
                    let answer = Message::parse(answer).unwrap();
                    prop_assert_eq!(answer.status(), malformed.status());
                }
            }
        }
    }

    #[test]
    fn a_stream_gives_the_messages_that_were_put_in(msgs in prop::collection::vec(message(), 1..4), step in 1..200usize) {
        let mut stream = Vec::new();
        let mut sent = Vec::new();
        for msg in &msgs {
            let mut edits = Edits::default();
            edits.add_content_length(msg).unwrap();
            let from = stream.len();
            render(msg, &edits, &mut stream);
            sent.push(stream.get(from..).unwrap().to_vec());
        }
        let mut framer = Framer::new(FrameLimits::default());
        let mut came = Vec::new();
        for chunk in stream.chunks(step) {
            framer.push(chunk);
            while let Some(frame) = framer.next().unwrap() {
                let Frame::Message(bytes) = frame else { panic!("no keep-alive was sent") };
                came.push(bytes.to_vec());
            }
        }
        prop_assert!(framer.is_idle());
        prop_assert_eq!(came, sent);
    }

    #[test]
    fn rsip_reads_a_plain_message_the_same(
        method in pick(&["INVITE", "OPTIONS", "REGISTER", "BYE"]),
        user in "[a-z][a-z0-9.]{0,8}",
        port in 1024u16..,
        branch in "[a-zA-Z0-9]{1,16}",
        tag in "[a-z0-9]{1,8}",
        call_id in "[a-z0-9]{1,12}@[a-z]{1,8}",
        seq in 0u32..1 << 31,
        hops in any::<u8>(),
        body in "[a-z=0-9 ]{0,30}",
    ) {
        let text = format!(
            "{method} sip:{user}@example.test:{port} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:{port};branch=z9hG4bK{branch};rport\r\n\
             Max-Forwards: {hops}\r\nFrom: \"A\" <sip:{user}@example.test>;tag={tag}\r\nTo: <sip:b@example.test>\r\n\
             Call-ID: {call_id}\r\nCSeq: {seq} {method}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        use rsip::prelude::{HasHeaders, HeadersExt, ToTypedHeader, UntypedHeader};
        let oracle = rsip::Request::try_from(text.as_bytes()).unwrap();
        let msg = Message::parse(text.into()).unwrap();
        msg.check().unwrap();
        prop_assert_eq!(msg.method().as_str(), oracle.method.to_string());
        prop_assert_eq!(msg.request_uri().to_vec(), oracle.uri.to_string().into_bytes());
        prop_assert_eq!(msg.fields().count(), oracle.headers().iter().count());
        let via = oracle.via_header().unwrap().typed().unwrap();
        prop_assert_eq!(msg.via().unwrap().branch().unwrap(), via.branch().unwrap().value().as_bytes());
        prop_assert_eq!(msg.via().unwrap().port, via.uri.host_with_port.port.map(|p| *p.value()));
        let from = oracle.from_header().unwrap().typed().unwrap();
        prop_assert_eq!(msg.from().unwrap().tag().unwrap(), from.tag().unwrap().value().as_bytes());
        prop_assert_eq!(msg.from().unwrap().uri.to_vec(), from.uri.to_string().into_bytes());
        prop_assert_eq!(msg.to().unwrap().tag(), None);
        prop_assert_eq!(msg.cseq().unwrap().number, oracle.cseq_header().unwrap().seq().unwrap());
        prop_assert_eq!(msg.call_id().unwrap(), oracle.call_id_header().unwrap().value().as_bytes());
        prop_assert_eq!(
            u32::from(msg.max_forwards().unwrap().unwrap()),
            oracle.max_forwards_header().unwrap().num().unwrap()
        );
        prop_assert_eq!(msg.body(), &oracle.body[..]);
        prop_assert_eq!(msg.header(HeaderId::ContentLength).unwrap().to_vec(), body.len().to_string().into_bytes());
    }
}
