//! A script that does what no script should, when the request's user asks for it; all other requests it answers at once.

use std::hint::black_box;

use switchhook_sdk::prelude::*;

#[switchhook_sdk::script]
mod routes {
    #[request_route]
    fn main(req: &mut Request) -> Outcome {
        let user = req.uri().user().unwrap_or_default().to_owned();
        match user.as_str() {
            "loop" => loop {
                black_box(());
            },
            "recurse" => {
                log::info!("{}", recurse(1));
            }
            "allocate" => allocate(),
            "trap" => trap(),
            "calls" => {
                for _ in 0..1_000_000 {
                    let _ = black_box(req.is_canceled());
                }
            }
            "nothing" => return Ok(Done),
            _ => {}
        }
        req.reply(200, "OK")
    }
}

#[inline(never)]
#[allow(unconditional_recursion)] // that is what it is for
fn recurse(depth: u64) -> u64 {
    // what is on the stack is looked at after the call, so it can't become a loop
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[depth as usize % 64]
}

#[inline(never)]
fn allocate() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1u8; 1 << 20]));
    }
}

#[inline(never)]
fn trap() {
    panic!("asked to");
}
