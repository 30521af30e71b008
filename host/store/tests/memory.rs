//! A registered contact takes 500 bytes at most, all tables and indexes included: counted by the allocator itself.

mod counting;

use std::time::{Duration, Instant};

use counting::{Counting, HELD};

use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;
use switchhook_sip::registrar::{Limits, address_of_record, save};
use switchhook_store::{LocationLimits, Locations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_contact_takes_500_bytes_at_most_and_gives_them_back() {
    let now = Instant::now();
    let source = Source {
        transport: Transport::Udp,
        remote: "192.0.2.1:5060".parse().expect("an address"),
        local: "192.0.2.9:5060".parse().expect("an address"),
        flow: FlowId::new(1),
    };
    let table = Locations::new(LocationLimits::default());
    let empty = HELD.get();
    let phones = 50_000;
    for n in 0..phones {
        let request = format!(
            "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             From: <sip:user{n:06}@example.test>;tag=1\r\nTo: <sip:user{n:06}@example.test>\r\n\
             Call-ID: 3848276298220188511@10.0.{}.{}\r\nCSeq: 1 REGISTER\r\n\
             User-Agent: Example Phone 42/1.2.3\r\n\
             Contact: <sip:user{n:06}@10.0.{}.{}:34567;ob>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"\r\n\r\n",
            n / 256,
            n % 256,
            n / 256,
            n % 256,
        );
        let request = Message::parse(request.into()).expect("a message");
        let aor = address_of_record(request.view()).expect("an address of record");
        let saved = table.update(now, &aor, |current| {
            let outcome = save(now, request.view(), &source, current, &Limits::default());
            (outcome.bindings, outcome.answer.status)
        });
        assert_eq!(saved, Ok(200));
    }
    let each = (HELD.get() - empty) / phones;
    println!("{each} bytes a contact");
    assert!(each <= 500, "{each} bytes a contact");

    let over = table.expire(now + Duration::from_secs(3600), usize::MAX);
    assert_eq!(over.len(), 50_000);
    drop(over);
    let left = (HELD.get() - empty) / phones;
    assert!(left <= 120, "{left} bytes a contact that is gone");
    drop(table);
}
