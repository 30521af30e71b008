//! The kernel's part of a message's time: a datagram in and out, a batch at a time, over loopback. What is sent is put into the receiver's queue
//! within the same call, so `out` has the peer's way in through the kernel as well.

#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros; a mistake ends the bench

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use switchhook_net::mmsg::{self, BATCH, Receiver};

/// Bytes of a MESSAGE.
const LENGTH: usize = 500;

/// What is measured of a datagram's way.
#[derive(Clone, Copy)]
enum Way {
    Out,
    In,
}

/// Time for so many datagrams to be sent, or to be received.
fn pass(datagrams: u64, way: Way) -> Duration {
    let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let address = to.local_addr().unwrap();
    let message = [b'x'; LENGTH];
    let mut receiver = Receiver::new();
    let mut time = Duration::ZERO;
    let batches = datagrams.div_ceil(BATCH as u64);
    for _ in 0..batches {
        let begun = Instant::now();
        let batch = (0..BATCH).map(|_| (address, &message[..]));
        assert_eq!(mmsg::send(from.as_fd(), batch).unwrap(), BATCH);
        let sent = Instant::now();
        assert_eq!(receiver.receive(to.as_fd()).unwrap(), BATCH);
        time += match way {
            Way::Out => sent - begun,
            Way::In => sent.elapsed(),
        };
    }
    time.mul_f64(datagrams as f64 / (batches * BATCH as u64) as f64)
}

fn kernel(criterion: &mut Criterion) {
    for (name, way) in [("kernel/out", Way::Out), ("kernel/in", Way::In)] {
        criterion.bench_function(name, |bench| bench.iter_custom(|times| pass(times, way)));
    }
}

criterion_group!(benches, kernel);
criterion_main!(benches);
