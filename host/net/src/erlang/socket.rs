//! One connection's socket: bytes from it into the node, bytes from the node into it.
//!
//! What one wake-up brings in is worked off whole before anything is written, by the tasks of the thread that it wakes, too; so answers
//! that are made on this thread go out together, in one write.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use switchhook_erlang::Outbox;
use switchhook_erlang::node::ConnectionId;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::service::Shared;
use super::tls::Stream;

/// Read at once.
const READ: usize = 64 * 1024;
/// Reads before others have their turn.
const TURN: usize = 8;
/// How long last bytes may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection's task is reached.
#[derive(Debug, Default)]
pub(super) struct Wake {
    closed: Cell<bool>,
    farewell: RefCell<Option<Outbox>>,
    waker: RefCell<Option<Waker>>,
}

impl Wake {
    /// There are bytes to write, or the reading may go on.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The connection is over; these bytes may still go.
    pub(super) fn close(&self, farewell: Option<Outbox>) {
        self.closed.set(true);
        *self.farewell.borrow_mut() = farewell;
        self.wake();
    }
}

/// Works a connection until it is over.
pub(super) async fn run(shared: Rc<Shared>, id: ConnectionId, mut stream: Stream, wake: Rc<Wake>) {
    let mut space = vec![0; READ];
    let mut socket = Socket {
        shared: &shared,
        id,
        stream: &mut stream,
        wake: &wake,
        space: &mut space,
        unflushed: false,
    };
    if let Some(why) = poll_fn(|task| socket.poll(task)).await {
        shared.closed(id, &why);
    }
    let farewell = wake.farewell.borrow_mut().take();
    if let Some(mut farewell) = farewell {
        let write = poll_fn(|task| poll_write(&mut stream, task, &mut farewell));
        // A peer that does not take it learns it from the end of the connection.
        let _ = tokio::time::timeout(FAREWELL, write).await;
    }
}

struct Socket<'a> {
    shared: &'a Rc<Shared>,
    id: ConnectionId,
    stream: &'a mut Stream,
    wake: &'a Wake,
    space: &'a mut [u8],
    unflushed: bool,
}

impl Socket<'_> {
    /// Ready when the connection is over; with a reason where the network ended it.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Option<String>> {
        *self.wake.waker.borrow_mut() = Some(task.waker().clone());
        if let Err(error) = self.poll_write(task) {
            return Poll::Ready(Some(error.to_string()));
        }
        let mut reads = 0;
        while reads < TURN && !self.wake.closed.get() {
            match self.poll_read(task) {
                Ok(true) => reads += 1,
                Ok(false) => break,
                Err(error) => return Poll::Ready(Some(error.to_string())),
            }
        }
        if self.wake.closed.get() {
            return Poll::Ready(None);
        }
        if reads > 0 {
            // behind the tasks that this has woken
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Reads once, where the events have room. True where there may be more.
    fn poll_read(&mut self, task: &mut Context<'_>) -> io::Result<bool> {
        if self.shared.is_full() {
            return Ok(false);
        }
        let mut buffer = ReadBuf::new(self.space);
        match Pin::new(&mut *self.stream).poll_read(task, &mut buffer) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed by the peer",
            )),
            Poll::Ready(Ok(())) => {
                self.shared
                    .received(Instant::now(), self.id, buffer.filled());
                Ok(true)
            }
        }
    }

    fn poll_write(&mut self, task: &mut Context<'_>) -> io::Result<()> {
        let mut core = self.shared.core.borrow_mut();
        if let Some(outbox) = core.node.outbox(self.id) {
            let wrote = !outbox.is_empty();
            if let Poll::Ready(result) = poll_write(self.stream, task, outbox) {
                result?;
            }
            if wrote {
                self.unflushed = self.stream.is_tls();
                if core.node.sent(self.id) {
                    self.shared.due.notify_one();
                }
            }
        }
        if self.unflushed {
            match Pin::new(&mut *self.stream).poll_flush(task) {
                Poll::Pending => {}
                Poll::Ready(result) => {
                    result?;
                    self.unflushed = false;
                }
            }
        }
        Ok(())
    }
}

/// Writes until nothing waits.
fn poll_write(
    stream: &mut Stream,
    task: &mut Context<'_>,
    outbox: &mut Outbox,
) -> Poll<io::Result<()>> {
    while !outbox.is_empty() {
        let written =
            outbox.write(
                |slices| match Pin::new(&mut *stream).poll_write_vectored(task, slices) {
                    Poll::Pending => Err(None),
                    Poll::Ready(Ok(0)) => Err(Some(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(count)) => Ok(count),
                    Poll::Ready(Err(error)) => Err(Some(error)),
                },
            );
        match written {
            Ok(_) => {}
            Err(None) => return Poll::Pending,
            Err(Some(error)) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
