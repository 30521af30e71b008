//! Index, edit and render allocate nothing once the buffers that are reused have grown: counted by the allocator itself.

#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait; it only hands on to the system's"
)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its tests do")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use switchhook_sip::message::{Edits, HeaderId, Message, ResponseBuilder, Uri, render};

#[path = "common/invite.rs"]
mod invite;
#[path = "common/proxied.rs"]
mod proxied;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no count to keep.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread in a second round, the first having grown the buffers.
fn allocations(mut work: impl FnMut()) -> usize {
    work();
    let before = COUNT.get();
    for _ in 0..100 {
        work();
    }
    COUNT.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 100);
}

#[test]
fn a_request_is_relayed_without_an_allocation() {
    let bytes = invite::received(invite::INVITE);
    assert_eq!(bytes.len(), 741);
    let (mut edits, mut out) = (Edits::default(), Vec::new());
    let made = allocations(|| {
        let msg = Message::parse(bytes.clone()).unwrap();
        assert_eq!(msg.fields().count(), 12);
        msg.check().unwrap();
        invite::needed(&msg).unwrap();
        assert!(Uri::parse(msg.request_uri()).unwrap().is_sip());
        invite::edit(&msg, &mut edits).unwrap();
        assert_eq!(edits.view(&msg).values(HeaderId::Via).count(), 2);
        out.clear();
        render(&msg, &edits, &mut out);
    });
    assert_eq!(made, 0);
    let text = String::from_utf8(out).unwrap();
    let head: Vec<_> = text.lines().take(5).collect();
    assert_eq!(
        head,
        [
            "INVITE sip:bob@192.0.2.42:5060;transport=udp SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKf00dfeedf00dfeed",
            "Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---a41f6d2c33e0;rport=5060;received=192.0.2.17",
            "Record-Route: <sip:192.0.2.1;lr>",
            "Max-Forwards: 69",
        ]
    );
}

#[test]
fn the_proxy_core_takes_a_request_through_without_an_allocation() {
    let bytes = invite::received(invite::INVITE);
    let (mut edits, mut out) = (Edits::default(), Vec::new());
    let made = allocations(|| proxied::invite(&bytes, &mut edits, &mut out));
    assert_eq!(made, 0);
    let text = String::from_utf8(out).unwrap();
    let head: Vec<_> = text.lines().take(5).collect();
    assert_eq!(
        head,
        [
            "INVITE sip:bob@192.0.2.42:5060 SIP/2.0",
            "Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bKf00d.0123456789abcdef",
            "Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---a41f6d2c33e0;rport=5060;received=192.0.2.17",
            "Record-Route: <sip:192.0.2.1:5060;transport=tcp;lr;r2=on>",
            "Record-Route: <sip:192.0.2.1:5060;lr;r2=on>",
        ]
    );
}

#[test]
fn a_response_is_relayed_without_an_allocation() {
    let bytes = invite::received(invite::RINGING);
    let (mut edits, mut out) = (Edits::default(), Vec::new());
    let made = allocations(|| {
        let msg = Message::parse(bytes.clone()).unwrap();
        edits.clear();
        assert!(edits.remove_first_value(&msg, HeaderId::Via).unwrap());
        out.clear();
        render(&msg, &edits, &mut out);
    });
    assert_eq!(made, 0);
    assert!(out.starts_with(b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.17:5060;"));
}

#[test]
fn a_fork_copies_edits_without_an_allocation() {
    let msg = Message::parse(invite::received(invite::INVITE)).unwrap();
    let mut edits = Edits::default();
    invite::edit(&msg, &mut edits).unwrap();
    let (mut branch, mut out) = (Edits::default(), Vec::new());
    let made = allocations(|| {
        branch.clone_from(&edits);
        branch.set_request_uri(&msg, b"sip:bob@192.0.2.43").unwrap();
        out.clear();
        render(&msg, &branch, &mut out);
    });
    assert_eq!(made, 0);
}

#[test]
fn a_message_of_as_many_fields_as_fit_inline_is_indexed_without_an_allocation() {
    let mut text = String::from("OPTIONS sip:a@b SIP/2.0\r\n");
    for n in 0..switchhook_sip::message::INLINE_FIELDS {
        text.push_str(&format!("X-Field-{n}: {n}\r\n"));
    }
    let full = text.clone() + "\r\n";
    let over = text + "X-One-More: 1\r\n\r\n";
    for (text, expected) in [(full, 0), (over, 100)] {
        let bytes: bytes::Bytes = text.into_bytes().into();
        drop(bytes.clone());
        let made = allocations(|| drop(Message::parse(bytes.clone()).unwrap()));
        assert_eq!(made, expected);
    }
}

#[test]
fn an_answer_of_our_own_is_written_without_an_allocation() {
    let msg = Message::parse(invite::received(invite::INVITE)).unwrap();
    let mut buffer = Vec::new();
    let made = allocations(|| {
        let out = std::mem::take(&mut buffer);
        let builder = ResponseBuilder::new(out, msg.view(), None, 100, "Trying", None);
        buffer = builder.finish_vec();
    });
    assert_eq!(made, 0);
    assert!(buffer.starts_with(b"SIP/2.0 100 Trying\r\nVia: "));
}
