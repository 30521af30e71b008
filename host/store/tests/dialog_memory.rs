//! A dialog of a usual call takes 2 kB at most, indexes and timers included: counted by the allocator itself.

mod counting;

use std::time::{Duration, Instant};

use counting::{Counting, HELD};
use switchhook_store::dialogs::Begin;
use switchhook_store::dialogs::dialog::{Kind, Request, Response, Side};
use switchhook_store::{DialogLimits, Dialogs};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_dialog_takes_2000_bytes_at_most_and_gives_them_back() {
    let now = Instant::now();
    let table = Dialogs::new(now, DialogLimits::default());
    let empty = HELD.get();
    let calls = 20_000;
    for n in 0..calls {
        let call_id = format!("{n:08x}3848276298220188511@phone{n}.example.test");
        let id = table.begin(
            now,
            &Begin {
                call_id: &call_id,
                tag: &format!("as{n:012x}"),
                cseq: 20,
                from_uri: &format!("sip:alice{n}@example.test"),
                to_uri: &format!("sip:bob{n}@example.test"),
                req_uri: &format!("sip:bob{n}@198.51.100.7:5060;transport=udp"),
                contact: &format!("sip:alice{n}@192.0.2.{}:34567;ob", n % 256),
                route_set: "<sip:edge.example.test;lr;ftag=as000000000000>",
            },
        );
        let id = id.expect("room");
        table.set_var(id, "account", Some("4711")).expect("room");
        table.set_var(id, "rate", Some("premium")).expect("room");
        table.enter(id, "outbound", None).expect("room");
        let caller = format!("alice{n}@example.test");
        table.enter(id, "caller", Some(&caller)).expect("room");
        table.settle(id);
        let answer = Response {
            status: 200,
            tag: &format!("bs{n:012x}"),
            contact: &format!("sip:bob{n}@198.51.100.7:5060;transport=udp"),
            route_set: "",
        };
        table.answered(now, id, &answer);
        let ack = Request {
            kind: Kind::Ack,
            cseq: 20,
            contact: "",
        };
        table.requested(now, id, Side::Caller, &ack);
    }
    let each = (HELD.get() - empty) / calls;
    println!("{each} bytes a dialog");
    assert!(each <= 2000, "{each} bytes a dialog");

    let mut over = 0;
    for seconds in [43_201, 43_207] {
        let events = table.expire(now + Duration::from_secs(seconds), usize::MAX);
        over += events.len();
    }
    assert_eq!((over, table.len()), (20_000, 0));
    let left = (HELD.get() - empty) / calls;
    println!("{left} bytes a dialog that is gone");
    assert!(left <= 200, "{left} bytes a dialog that is gone");
}
