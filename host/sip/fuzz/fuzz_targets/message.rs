//! Any bytes as a message: everything is read, then edited by the model's rules, rendered and read again.
//!
//! Input: a message; after the last 0xFF byte in it, the edits to make (none without one).
#![no_main]

#[path = "../../tests/common/model.rs"]
#[allow(dead_code, reason = "shared with the property tests")]
mod plain;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use plain::{IDS, Model, Op};
use switchhook_sip::message::{
    Edits, Fault, HeaderId, Message, NameAddr, Uri, Via, refuse, render, response,
};

fuzz_target!(|data: &[u8]| {
    let (bytes, script) = match data.iter().rposition(|b| *b == 0xff) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let msg = match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(msg) => msg,
        Err(malformed) => {
            let _ = malformed.to_string();
            if let Some(answer) = refuse(bytes, &malformed, Some("t"), "s") {
                let answer = Message::parse(answer).expect("our own answer can be read");
                assert_eq!(answer.status(), malformed.status());
            }
            return;
        }
    };
    read_all(&msg);

    let mut model = Model::of(&msg);
    model.assert_shown_by(msg.view());
    let mut edits = Edits::default();
    let mut script = Script(script);
    for _ in 0..16 {
        let Some(op) = script.op() else { break };
        model.apply(&op, &msg, &mut edits);
    }
    model.assert_shown_by(edits.view(&msg));
    let mut out = Vec::new();
    render(&msg, &edits, &mut out);
    assert_eq!(out, model.bytes());
    match Message::parse(out.into()) {
        Ok(again) => {
            assert_eq!(again.body(), edits.view(&msg).body());
            let fields = |view: switchhook_sip::message::View<'_>| {
                view.fields()
                    .map(|f| (f.id, f.name.to_vec(), f.value.to_vec()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(fields(again.view()), fields(edits.view(&msg)));
        }
        Err(malformed) => assert!(
            matches!(
                malformed.fault(),
                Fault::TooLong | Fault::TooManyFields | Fault::TooManyValues
            ),
            "{malformed}"
        ),
    }
});

/// Every getter, for its panics and for its time.
fn read_all(msg: &Message) {
    let _ = (
        msg.method().as_str().len(),
        msg.check(),
        msg.via(),
        msg.from(),
        msg.to(),
        msg.cseq(),
    );
    let _ = (msg.call_id().map(<[u8]>::len), msg.max_forwards());
    let _ =
        Uri::parse(msg.request_uri()).map(|uri| (uri.ip(), uri.user_unescaped().map(|u| u.len())));
    for field in msg.fields() {
        let mut slice = field.value.len();
        for value in field.values() {
            slice = slice
                .checked_sub(value.len())
                .expect("values are parts of their field");
            if let Ok(via) = Via::parse(value) {
                let _ = (
                    via.received(),
                    via.rport(),
                    via.ip(),
                    via.maddr(),
                    via.magic_branch(),
                    via.known_transport(),
                );
            }
            if let Ok(address) = NameAddr::parse(value) {
                let _ = (
                    address.name().map(|n| n.len()),
                    address.q(),
                    address.expires(),
                    address.tag(),
                );
                let _ = address.uri();
            }
        }
    }
    let answer = response(msg, 200, "OK", Some("t")).finish();
    Message::parse(answer).expect("our own answer can be read");
}

/// Edits read from bytes.
struct Script<'a>(&'a [u8]);

const NAMES: [&[u8]; 8] = [
    b"Via",
    b"v",
    b"X-Mine",
    b"Route",
    b"Content-Length",
    b"subject",
    b"bad name",
    b"Content-Type",
];
const VALUES: [&[u8]; 8] = [
    b"SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bKx;rport",
    b"<sip:p1.example.test;lr>, <sip:p2.example.test>",
    b"",
    b"a,\r\n b",
    b"a\r\nX: y",
    b"\"open, <",
    b",,",
    b"70",
];

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of the values, or up to 31 bytes of the script.
    fn text(&mut self, of: &[&[u8]; 8]) -> Option<Vec<u8>> {
        let kind = usize::from(self.byte()?);
        if kind & 0x20 == 0 {
            return of.get(kind & 7).map(|text| text.to_vec());
        }
        let (text, rest) = self.0.split_at(self.0.len().min(kind & 0x1f));
        self.0 = rest;
        Some(text.to_vec())
    }

    fn id(&mut self) -> Option<HeaderId> {
        IDS.get(usize::from(self.byte()? & 7)).copied()
    }

    fn op(&mut self) -> Option<Op> {
        Some(match self.byte()? & 15 {
            0 => Op::RequestUri(self.text(&VALUES)?),
            1 => Op::StatusLine(u16::from(self.byte()?) * 4, self.text(&VALUES)?),
            2 => Op::Prepend(self.text(&NAMES)?, self.text(&VALUES)?),
            3 => Op::Append(self.text(&NAMES)?, self.text(&VALUES)?),
            4 => Op::Before(self.byte()?.into(), self.text(&NAMES)?, self.text(&VALUES)?),
            5 => Op::After(self.byte()?.into(), self.text(&NAMES)?, self.text(&VALUES)?),
            6 => Op::Replace(self.byte()?.into(), self.text(&VALUES)?),
            7 => Op::Remove(self.byte()?.into()),
            8 => Op::RemoveNamed(self.text(&NAMES)?),
            9 => Op::PrependValue(self.id()?, self.text(&VALUES)?),
            10 => Op::SetHeader(self.id()?, self.text(&VALUES)?),
            11 => Op::RemoveFirst(self.id()?),
            12 => Op::ViaParam(
                self.text(&[
                    b"received",
                    b"rport",
                    b"branch",
                    b"x",
                    b"ttl",
                    b"",
                    b"a b",
                    b"RPORT",
                ])?,
                self.text(&VALUES)?,
            ),
            13 => Op::MaxForwards(self.byte()?),
            14 => Op::Body(Some(self.text(&VALUES)?), self.text(&VALUES)?),
            _ => Op::AddContentLength,
        })
    }
}
