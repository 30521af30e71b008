//! Ten thousand messages a second both ways, for as long as SWITCHHOOK_SOAK says in seconds: `cargo xtask soak`.

use std::time::{Duration, Instant};

use switchhook_erlang::TermBytes;
use switchhook_erlang::node::Process;

use crate::otp::*;

/// Messages each way in a step, and how long a step takes: 10,000 a second.
const STEP: u32 = 100;
const PACE: Duration = Duration::from_millis(10);

#[test]
#[ignore = "takes as long as it is told: cargo xtask soak"]
fn nothing_is_lost_in_order_and_memory_stays_flat() {
    let seconds = std::env::var("SWITCHHOOK_SOAK").ok();
    let seconds: u32 = seconds.and_then(|text| text.parse().ok()).unwrap_or(10);
    let Some((mapper, mut erlang)) = stage() else {
        return;
    };
    let ours = Ours::start(settings(mapper.port, &[THEIRS]));
    ours.wait_up(THEIRS);
    let count = seconds * 1000 / PACE.as_millis() as u32 * STEP;
    // 50 nodes, and the number in front.
    let term = "{call, N, [{from, \"alice\"}, {to, <<\"bob\">>}, {at, {2026, 11, 21}}, #{status => 200, reason => ok}, [1, 2, 3, 4], {a, b, c, d, e, f, g, h}, 1.5, undefined, [x, y, z], {k, [1, 2]}, {l, [3, 4]}]}";
    erlang.eval(&format!(
        "register(me, spawn(fun() -> Check = fun C(N) when N > {count} -> all; C(N) -> receive {{N, T}} when tuple_size(T) =:= 48 -> C(N + 1); X -> {{wrong, N, X}} after 20000 -> {{none, N}} end end, \
         R = Check(1), receive {{done, P}} -> P ! R end end))"
    ));
    erlang.tell(&format!(
        "T = erlang:monotonic_time(millisecond), Go = fun G(S) when S * {STEP} >= {count} -> ok; G(S) -> \
         [{{greetings, '{OURS}'}} ! {term} || N <- lists:seq(S * {STEP} + 1, (S + 1) * {STEP})], \
         timer:sleep(max(0, T + (S + 1) * 10 - erlang:monotonic_time(millisecond))), G(S + 1) end, Go(0)"
    ));
    let sending = std::thread::spawn({
        let handle = ours.handle.clone();
        move || {
            let me = Process::Own;
            let began = Instant::now();
            for number in 1..=count {
                // 50 nodes, too: the number, and a tuple of 48 small integers
                let mut term = vec![131, b'h', 2, b'b'];
                term.extend(number.to_be_bytes());
                term.extend([b'h', 48]);
                term.extend([b'a', 7].repeat(48));
                let term = TermBytes::from(term);
                while handle
                    .reg_send(&me, name(THEIRS), "me".into(), term.clone())
                    .is_err()
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                if number % STEP == 0 {
                    let due = began + PACE * (number / STEP);
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            }
        }
    });
    let mut warm = 0;
    for expected in 1..=count {
        assert_eq!(ours.next_call(), expected);
        if expected == count / 5 {
            warm = crate::hostile::memory();
        }
    }
    let grown = crate::hostile::memory().saturating_sub(warm);
    assert!(grown < 32 << 20, "{} KiB more", grown >> 10);
    sending.join().unwrap();
    assert_eq!(erlang.answer(), "ok");
    assert_eq!(
        erlang.eval("me ! {done, self()}, receive R -> R after 20000 -> late end"),
        "all"
    );
    eprintln!(
        "{count} messages each way in {seconds} s, {} KiB more at the end",
        grown >> 10
    );
}
