//! An allocator that counts what a thread holds.

#![allow(
    unsafe_code,
    reason = "an allocator that counts is an unsafe trait; it only hands on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub(crate) struct Counting;

thread_local! {
    pub(crate) static HELD: Cell<isize> = const { Cell::new(0) };
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
