//! What a transaction costs in memory once its final response is out: counted by the allocator itself, in bytes that are live.

#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait; it only hands on to the system's"
)]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its tests do")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use switchhook_sip::message::Message;

#[path = "common/exchange.rs"]
mod exchange;
#[path = "common/invite.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod invite;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is ending has no count to keep.
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size as isize - layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A power of two, so that what is bought ahead is used.
const MANY: u64 = 1 << 12;

/// Live bytes of each of many transactions that `run` has brought where they stay.
fn each(
    method: &str,
    run: impl Fn(&mut switchhook_sip::transaction::Manager<u64>, &Message),
) -> isize {
    let (mut tm, now) = exchange::lane();
    let before = LIVE.get();
    for number in 0..MANY {
        let (_, sent) = exchange::forward(&mut tm, now, exchange::request(method, number));
        run(&mut tm, &sent);
        exchange::discard(&mut tm);
    }
    assert_eq!(tm.usage().transactions as u64, MANY);
    let bytes = (LIVE.get() - before) / MANY as isize;
    println!("{method}: {bytes} bytes");
    bytes
}

#[test]
fn a_finished_transaction_and_its_response_fit_into_2_kb() {
    for status in [200, 486] {
        for method in ["INVITE", "MESSAGE"] {
            let bytes = each(method, |tm, sent| {
                let (_, now) = exchange::lane();
                tm.on_response(now, &exchange::answer(sent, status));
            });
            assert!(bytes <= 2_048, "{method} {status}: {bytes} bytes");
        }
    }
}

#[test]
fn a_transaction_under_way_costs_1_kb_beside_its_messages() {
    let bytes = each("INVITE", |_, _| {});
    // The request as it came, with its index, and as it went out; and 100 as it is kept for copies.
    let messages = {
        let before = LIVE.get();
        let request = std::sync::Arc::new(exchange::request("INVITE", 0));
        let (mut tm, _) = exchange::lane();
        let sent = exchange::branch(&mut tm, &request, &mut Default::default()).bytes;
        let trying = exchange::answer(&request, 100);
        drop(tm);
        let bytes = LIVE.get() - before;
        drop((request, sent, trying));
        bytes
    };
    assert!(
        bytes - messages <= 1_024,
        "{bytes} of which {messages} messages"
    );
}

#[test]
fn nothing_is_kept_of_transactions_that_are_over_but_room_for_as_many() {
    let (mut tm, now) = exchange::lane();
    let round = |tm: &mut switchhook_sip::transaction::Manager<u64>| {
        let keys: Vec<_> = (0..MANY)
            .map(|number| exchange::forward(tm, now, exchange::request("INVITE", number)).0)
            .collect();
        for key in keys {
            tm.terminate(key);
        }
        exchange::discard(tm);
    };
    round(&mut tm);
    assert!(tm.is_idle());
    let before = LIVE.get();
    round(&mut tm);
    assert!(tm.is_idle());
    assert_eq!(
        LIVE.get(),
        before,
        "the second thousand fits where the first was"
    );
}
