//! Any header fields in REGISTERs one after the other: each is answered, what is refused changes nothing, what is kept can be
//! read and stays within its bounds.
//!
//! Input: header fields of several requests, with a blank line between them.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::{Message, NameAddr, Uri};
use switchhook_sip::registrar::{
    Binding, Limits, Saved, address_of_record, canonical, same_uri, save,
};

fuzz_target!(|data: &[u8]| {
    let source = Source {
        transport: Transport::Udp,
        remote: "192.0.2.1:5061".parse().expect("an address"),
        local: "192.0.2.9:5060".parse().expect("an address"),
        flow: FlowId::new(1),
    };
    let limits = Limits {
        max_contacts: 4,
        ..Limits::default()
    };
    let mut now = Instant::now();
    let mut bindings: Vec<Binding> = Vec::new();
    let text = String::from_utf8_lossy(data);
    for (n, fields) in text.split("\n\n").take(16).enumerate() {
        let fields = fields.trim_matches(['\r', '\n']);
        let request = format!(
            "REGISTER sip:us SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@us>;tag=1\r\n\
             To: <sip:a@us>\r\nCall-ID: c\r\nCSeq: {n} REGISTER\r\n{fields}\r\n\r\n"
        );
        let Ok(request) = Message::parse(request.into()) else {
            continue;
        };
        now += Duration::from_secs(40);
        let aor = address_of_record(request.view());
        let outcome = save(now, request.view(), &source, &bindings, &limits);
        let status = outcome.answer.status;
        assert_eq!(outcome.saved == Saved::Refused, status != 200);
        assert!(outcome.saved != Saved::Refused || outcome.bindings.is_none());
        let answer = outcome
            .answer
            .build(request.view(), Some("t"))
            .expect("an answer");
        Message::parse(answer.finish()).expect("a readable answer");
        if let Some(new) = outcome.bindings {
            assert!(new.len() <= 4 || new.len() <= bindings.len());
            bindings = new;
        }
        for binding in &bindings {
            assert!(binding.size() < 8192);
            let uri = Uri::parse(binding.uri()).expect("a URI");
            assert!(same_uri(&uri, &uri));
            let spelling = canonical(&uri);
            if let Ok(uri) = Uri::parse(spelling.as_bytes()) {
                assert_eq!(canonical(&uri), spelling);
            }
            for hop in binding.path() {
                NameAddr::parse(hop).expect("a hop");
            }
        }
        let _ = aor;
    }
});
