//! The life of one connection: reads and frames messages, writes what waits, and ends when a limit says so.
//!
//! One local task a connection. A lane that can't keep up stops the reading (its inbox is bounded), so the peer feels it.
//! Ends by: the peer's end or an error, a message that breaks the framing or is too long (RFC 3261 18.3), a first message
//! or the rest of one that does not come, silence, a peer that does not read, a write queue that is full.

use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use switchhook_sip::flow::Source;
use switchhook_sip::framing::{Frame, FrameLimits, Framer, PONG};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::outbox::Outbox;
use super::{Inbound, Streams};
use crate::event::{Event, Failure};

/// Read at once.
const READ: usize = 16 * 1024;
/// How long answers may still go to a peer that has closed its side.
const LINGER: Duration = Duration::from_secs(2);
/// How often the kernel asks a silent peer whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Works the connection until it ends, and says why it did.
pub(crate) async fn run(
    streams: &Streams,
    stream: TcpStream,
    source: Source,
    outbox: &Outbox,
    accepted: bool,
) -> Failure {
    prepare(&stream, streams.limits.stalled);
    let now = Instant::now();
    let mut connection = Connection {
        streams,
        source,
        outbox,
        framer: Framer::new(FrameLimits {
            header: streams.limits.max_message,
            body: streams.limits.max_message,
        }),
        first_due: accepted.then(|| now + streams.limits.first_message),
        begun: None,
        active: now,
        progress: now,
        closing: None,
    };
    loop {
        if outbox.overflown() {
            streams.counters.stalled.count();
            return Failure::QueueFull;
        }
        if let Err(failure) = connection.write(&stream) {
            return failure;
        }
        let waits = !outbox.is_empty();
        let reads = connection.closing.is_none();
        tokio::select! {
            readable = stream.readable(), if reads => match readable {
                Ok(()) => match connection.read(&stream).await {
                    Ok(()) => {}
                    Err(failure) => return failure,
                },
                Err(error) => return error.into(),
            },
            writable = stream.writable(), if waits => if let Err(error) = writable {
                return error.into();
            },
            () = outbox.wake.notified() => {}
            failure = connection.expire() => return failure,
        }
    }
}

struct Connection<'a> {
    streams: &'a Streams,
    source: Source,
    outbox: &'a Outbox,
    framer: Framer,
    /// When an accepted connection must have brought its first message.
    first_due: Option<Instant>,
    /// When the message began of which a part is here.
    begun: Option<Instant>,
    /// When the last byte went either way.
    active: Instant,
    /// When the peer last took bytes, or had none to take.
    progress: Instant,
    /// When the peer closed its side, plus the time for last answers.
    closing: Option<Instant>,
}

impl Connection<'_> {
    /// Reads what is there and hands whole messages to the lane.
    async fn read(&mut self, stream: &TcpStream) -> Result<(), Failure> {
        let mut space = [0; READ];
        let count = match stream.try_read(&mut space) {
            Ok(0) => {
                self.streams
                    .retire(self.source.transport, self.source.remote, self.source.flow);
                self.outbox.replies_only();
                self.closing = Some(Instant::now() + LINGER);
                return Ok(());
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        self.active = now;
        self.framer.push(space.get(..count).unwrap_or_default());
        loop {
            match self.framer.next() {
                Ok(Some(Frame::Message(bytes))) => {
                    self.first_due = None;
                    self.begun = None;
                    self.streams.counters.tcp_in.count();
                    let event = Event::Message {
                        // A copy, so that a transaction that keeps it does not keep all that was read with it.
                        bytes: Bytes::copy_from_slice(&bytes),
                        source: self.source,
                    };
                    if self
                        .streams
                        .inbound
                        .send(Inbound::Event(event))
                        .await
                        .is_err()
                    {
                        return Err(Failure::Gone);
                    }
                }
                Ok(Some(Frame::Ping)) => {
                    self.streams.counters.keepalives.count();
                    // A pong that finds the queue full closes the connection like any other message.
                    let _ = self.outbox.push(&Bytes::from_static(PONG));
                }
                Ok(Some(Frame::Pong)) => self.streams.counters.keepalives.count(),
                Ok(None) => break,
                Err(error) => {
                    self.streams.counters.broken.count();
                    if let Some(refusal) = error.refusal(None)
                        && self.outbox.is_empty()
                    {
                        // As much of it as goes at once: the connection is lost anyway.
                        let _ = stream.try_write(&refusal);
                    }
                    tracing::debug!(remote = %self.source.remote, %error, "stream out of step");
                    return Err(
                        io::Error::new(io::ErrorKind::InvalidData, error.to_string()).into(),
                    );
                }
            }
        }
        if self.framer.is_idle() {
            self.begun = None;
        } else if self.begun.is_none() {
            self.begun = Some(now);
        }
        Ok(())
    }

    /// Writes until nothing waits or the kernel takes no more.
    fn write(&mut self, stream: &TcpStream) -> Result<(), Failure> {
        while !self.outbox.is_empty() {
            match self
                .outbox
                .write(|slices| stream.try_write_vectored(slices))
            {
                Ok(()) => {
                    self.active = Instant::now();
                    self.progress = self.active;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.progress = Instant::now();
        Ok(())
    }

    /// Waits for the first limit in time that is reached.
    async fn expire(&self) -> Failure {
        let limits = &self.streams.limits;
        let counters = &self.streams.counters;
        let slow = self
            .begun
            .map(|begun| begun + limits.whole_message)
            .into_iter()
            .chain(self.first_due)
            .min();
        let stalled = (!self.outbox.is_empty()).then(|| self.progress + limits.stalled);
        tokio::select! {
            () = until(self.closing) => Failure::Gone,
            () = until(slow) => {
                counters.slow.count();
                Failure::Gone
            }
            () = until(stalled) => {
                counters.stalled.count();
                Failure::Stalled
            }
            () = until(Some(self.active + limits.idle)) => {
                counters.idle.count();
                Failure::Gone
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

/// No delay for small messages; a peer that vanished is noticed by the kernel too.
fn prepare(stream: &TcpStream, patience: Duration) {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 4);
    for result in [
        socket.set_tcp_nodelay(true),
        socket.set_tcp_keepalive(&keepalive),
        socket.set_tcp_user_timeout(Some(patience)),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "socket option refused");
        }
    }
}
