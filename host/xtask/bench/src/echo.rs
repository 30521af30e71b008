//! What the kernel costs: a server that sends every datagram back, and the flood for it.
//!
//! Both take up to 32 datagrams with a system call, as the daemon does. The flood keeps 64 datagrams of 700 bytes on the way, the
//! size and number that the other loads have.

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::load::{Figures, Totals};
use crate::sys::{BATCH, Batch};

/// Bytes of a datagram.
const SIZE: usize = 700;

/// Datagrams on the way.
const WINDOW: usize = 64;

/// Answer until ended from outside.
pub(crate) fn serve(port: u16) -> Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", port))?;
    let mut batch = Batch::new();
    loop {
        batch.receive(&socket)?;
        batch.answer(&socket)?;
    }
}

/// Flood the server for `seconds` after `warmup` seconds and write the figures.
pub(crate) fn flood(port: u16, seconds: f64, warmup: f64, figures: &Path) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut out = Batch::filled(&[b'x'; SIZE]);
    let mut back = Batch::new();
    for _ in 0..WINDOW / BATCH {
        out.send(&socket, BATCH)?;
    }
    let warm = Instant::now() + Duration::from_secs_f64(warmup);
    turn(&socket, &mut out, &mut back, warm)?;
    println!("begin");
    let begin = Instant::now();
    let completed = turn(
        &socket,
        &mut out,
        &mut back,
        begin + Duration::from_secs_f64(seconds),
    )?;
    println!("end");
    let took = begin.elapsed().as_secs_f64();
    ensure!(completed > 0, "no datagram came back");
    let all = Totals {
        completed,
        failed: 0,
    };
    let result = Figures {
        seconds: took,
        offered: completed,
        completed,
        rate: completed as f64 / took,
        all,
        ..Figures::default()
    };
    std::fs::write(figures, serde_json::to_string(&result)?)
        .with_context(|| format!("cannot write {}", figures.display()))
}

/// For each datagram that comes back, send another; how many came.
fn turn(socket: &UdpSocket, out: &mut Batch, back: &mut Batch, end: Instant) -> Result<u64> {
    let mut count = 0;
    while Instant::now() < end {
        // a datagram that the kernel dropped is replaced after the time-out
        let came = back.receive(socket).unwrap_or(0);
        count += came as u64;
        out.send(socket, came.max(1))?;
    }
    Ok(count)
}
