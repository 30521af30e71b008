//! A registered contact takes 500 bytes at most, all tables and indexes included: counted by the allocator itself.

#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait; it only hands on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use switchhook_sip::flow::{FlowId, Source, Transport};
use switchhook_sip::message::Message;
use switchhook_sip::registrar::{Limits, address_of_record, save};
use switchhook_store::{LocationLimits, Locations};

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// With what an allocator of this kind adds to each block: a word, and rounding up to 16 bytes.
fn block(layout: Layout) -> isize {
    isize::try_from((layout.size() + 8).next_multiple_of(16).max(32)).unwrap_or(0)
}

fn count(bytes: isize) {
    // A thread that is ending has no count to keep.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(block(layout));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-block(layout));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(ptr, layout) }
    }
}

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
