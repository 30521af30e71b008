//! How often the engine asks for memory on a message's way, its guest included: counted by the allocator itself, over all
//! threads, while phones that allocate nothing send one request after the other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    unsafe_code,
    reason = "a global allocator; it only counts and passes on"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{PATIENCE, Site};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM: usize = 500;
const COUNTED: usize = 1000;

/// A phone that sends and receives without an allocation.
struct Quiet {
    socket: UdpSocket,
    space: [u8; 4096],
}

impl Quiet {
    fn new() -> Quiet {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Quiet {
            socket,
            space: [0; 4096],
        }
    }

    fn receive(&mut self) -> usize {
        self.socket.recv(&mut self.space).expect("nothing came")
    }
}

/// Allocations of one exchange in the mean, after enough of them that buffers and tables have grown.
fn counted(requests: &[String], mut exchange: impl FnMut(&[u8])) -> f64 {
    let (warm, counted) = requests.split_at(WARM);
    warm.iter().for_each(|request| exchange(request.as_bytes()));
    let before = COUNT.load(Ordering::Relaxed);
    counted
        .iter()
        .for_each(|request| exchange(request.as_bytes()));
    (COUNT.load(Ordering::Relaxed) - before) as f64 / counted.len() as f64
}

fn requests(method: &str, uri: &str, from: &Quiet) -> Vec<String> {
    let address = from.socket.local_addr().unwrap();
    (0..WARM + COUNTED)
        .map(|n| {
            format!(
                "{method} {uri} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {address};branch=z9hG4bK-{method}-{n:06};rport\r\n\
                 Max-Forwards: 70\r\n\
                 From: <sip:alice@example.test>;tag={n:06}\r\n\
                 To: <{uri}>\r\n\
                 Call-ID: {n:06}@example.test\r\n\
                 CSeq: 1 {method}\r\n\
                 User-Agent: Phone/1.0\r\n\
                 Content-Length: 0\r\n\r\n"
            )
        })
        .collect()
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn a_message_costs_few_allocations() {
    let site = Site::new();
    let (mut alice, mut bob) = (Quiet::new(), Quiet::new());

    let options = requests("OPTIONS", "sip:127.0.0.1", &alice);
    let answered = counted(&options, |request| {
        alice.socket.send_to(request, site.udp).unwrap();
        let length = alice.receive();
        assert!(alice.space[..length].starts_with(b"SIP/2.0 200 "));
    });

    let uri = format!("sip:bob@{}", bob.socket.local_addr().unwrap());
    let messages = requests("MESSAGE", &uri, &alice);
    let relayed = counted(&messages, |request| {
        alice.socket.send_to(request, site.udp).unwrap();
        let length = bob.receive();
        assert!(bob.space[..length].starts_with(b"MESSAGE "));
        // Its header fields are an answer's too; room for the status line is made where the request line was.
        let status = b"SIP/2.0 200 OK";
        let line = bob.space.iter().position(|byte| *byte == b'\r').unwrap();
        let start = line - status.len();
        bob.space[start..line].copy_from_slice(status);
        bob.socket
            .send_to(&bob.space[start..length], site.udp)
            .unwrap();
        let length = alice.receive();
        assert!(alice.space[..length].starts_with(b"SIP/2.0 200 "));
    });

    println!(
        "allocations: OPTIONS answered {answered:.1}, MESSAGE relayed and answered {relayed:.1}"
    );
    assert!(answered <= OPTIONS, "OPTIONS answered: {answered}");
    assert!(
        relayed <= MESSAGE,
        "MESSAGE relayed and answered: {relayed}"
    );
    site.engine.stop();
}

/// 9 and 37 were measured; a little more for a guest that is stopped because the machine is busy. Who adds one says why.
const OPTIONS: f64 = 10.5;
const MESSAGE: f64 = 39.0;
