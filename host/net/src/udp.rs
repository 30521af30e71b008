//! One UDP socket of one lane: receives in batches, queues what is sent until the batch of inputs is worked off.
//!
//! Owns the socket and its send queue. Never parses more of a datagram than whether it is empty (a keep-alive: RFC 5626 3.5.1,
//! and the CRLF that phones send). When the kernel's buffer is full the queue holds; when the queue is full the newest
//! datagram is dropped, counted and reported as failed. ICMP errors come back as failed datagrams.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use switchhook_sip::flow::{Destination, FlowId, Source, Transport};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::counters::NetCounters;
use crate::event::{Event, Failure};
use crate::mmsg::{self, BATCH, Backlog, Receiver};
use crate::segments::Plan;
use crate::stream::Inbound;

/// What an ICMP error quotes of a datagram at most, as far as we read it: enough for the top Via.
const QUOTED: usize = 2048;
/// Errors taken off the queue in one go, so that a flood of ICMP does not hold the lane.
const ERRORS_AT_ONCE: usize = 64;

pub(crate) struct Udp {
    socket: Rc<UdpSocket>,
    local: SocketAddr,
    flow: FlowId,
    queue: VecDeque<(SocketAddr, Bytes)>,
    /// The kernel's buffer was full at the last try: wait until the socket can be written.
    blocked: bool,
    limit: usize,
    max_message: usize,
    /// The kernel takes datagrams for one peer as one ([`crate::segments`]).
    segments: bool,
}

impl Udp {
    /// Takes a bound, non-blocking socket; inside the lane's runtime.
    pub(crate) fn new(
        socket: std::net::UdpSocket,
        flow: FlowId,
        limit: usize,
        max_message: usize,
    ) -> io::Result<Udp> {
        let local = socket.local_addr()?;
        let segments = mmsg::knows_segments(socket.as_fd());
        Ok(Udp {
            socket: Rc::new(UdpSocket::from_std(socket)?),
            local,
            flow,
            queue: VecDeque::with_capacity(BATCH),
            blocked: false,
            limit,
            max_message,
            segments,
        })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ready when something can be read, or when a full buffer has room again.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.socket.poll_recv_ready(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.blocked && self.socket.poll_send_ready(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Receives one batch. Tells whether there may be more.
    pub(crate) fn receive(
        &mut self,
        receiver: &mut Receiver,
        events: &mut VecDeque<Event>,
        counters: &NetCounters,
    ) -> bool {
        let received = self
            .socket
            .try_io(Interest::READABLE, || receiver.receive(self.socket.as_fd()));
        match received {
            Ok(count) => {
                for index in 0..count {
                    let datagram = receiver.datagram(index);
                    let Some(remote) = datagram.from else {
                        continue;
                    };
                    if datagram.truncated || datagram.bytes.len() > self.max_message {
                        counters.udp_oversize.count();
                        continue;
                    }
                    if datagram
                        .bytes
                        .iter()
                        .all(|byte| matches!(byte, b'\r' | b'\n' | 0))
                    {
                        counters.keepalives.count();
                        continue;
                    }
                    counters.udp_in.count();
                    events.push_back(Event::Message {
                        // The one copy: the receive buffers are used again at once, a transaction may keep the message.
                        bytes: Bytes::copy_from_slice(datagram.bytes),
                        source: Source {
                            transport: Transport::Udp,
                            remote,
                            local: self.local,
                            flow: self.flow,
                        },
                    });
                }
                if count < BATCH {
                    // Nothing is left: say so to tokio now, which saves a system call that would only find that out.
                    // What comes meanwhile is a new edge, so no wake-up is lost.
                    let _ = self.socket.try_io(Interest::READABLE, || {
                        Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock))
                    });
                }
                count == BATCH
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                // The error of a datagram sent before is told here: the queue has the story.
                self.errors(events, counters);
                true
            }
        }
    }

    /// How full the kernel's buffer is, in thousandths.
    pub(crate) fn fill(&self) -> u32 {
        let Backlog { used, room } = mmsg::backlog(self.socket.as_fd()).unwrap_or_default();
        let fill = u64::from(used) * 1000 / u64::from(room.max(1));
        u32::try_from(fill).unwrap_or(u32::MAX)
    }

    /// Queues a datagram; it goes out with the next [`Udp::flush`], or as soon as a batch is full.
    pub(crate) fn send(
        &mut self,
        to: SocketAddr,
        bytes: Bytes,
        events: &mut VecDeque<Event>,
        counters: &NetCounters,
    ) {
        if self.queue.len() >= self.limit {
            counters.udp_queue_full.count();
            events.push_back(self.failed(to, bytes, Failure::QueueFull));
            return;
        }
        self.queue.push_back((to, bytes));
        if self.queue.len() == BATCH && !self.blocked {
            self.flush(events, counters);
        }
    }

    /// Sends what is queued, in batches, until all is gone or the kernel's buffer is full.
    pub(crate) fn flush(&mut self, events: &mut VecDeque<Event>, counters: &NetCounters) {
        self.blocked = false;
        // A send may be refused with the error of an earlier datagram; that refusal clears it, so one more try is due.
        let mut tried = false;
        let mut join = self.segments;
        while !self.queue.is_empty() {
            let alone = self.queue.len() == 1;
            let plan = (!alone).then(|| {
                let lengths = self.queue.iter().map(|(to, bytes)| (*to, bytes.len()));
                Plan::of(lengths, join)
            });
            let sent = match (&plan, self.queue.front()) {
                (Some(plan), _) => {
                    let datagram = |number: &u8| {
                        let (to, bytes) = self.queue.get(usize::from(*number))?;
                        Some((*to, bytes.as_ref()))
                    };
                    let groups = plan.groups();
                    let groups = groups.map(|group| group.iter().filter_map(datagram));
                    self.socket.try_io(Interest::WRITABLE, || {
                        mmsg::send_groups(self.socket.as_fd(), groups)
                    })
                }
                // What a lane sends when it has little to do: without the arrays of a batch.
                (None, Some((to, bytes))) => self.socket.try_send_to(bytes, *to).map(|_| 1),
                (None, None) => return,
            };
            match sent {
                Ok(groups) => {
                    let sent = plan.as_ref().map_or(&[0][..], |plan| plan.sent(groups));
                    counters.udp_out.add(sent.len() as u64);
                    self.sent(sent);
                    tried = false;
                    // What was refused together went alone.
                    self.segments = join;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if plan.as_ref().is_some_and(Plan::joins_first)
                        && is_about_segments(&error) =>
                {
                    join = false;
                }
                Err(error) => {
                    join = self.segments;
                    self.errors(events, counters);
                    if !tried && is_delayed(&error) {
                        tried = true;
                        continue;
                    }
                    tried = false;
                    if let Some((to, bytes)) = self.queue.pop_front() {
                        counters.udp_failed.count();
                        events.push_back(self.failed(to, bytes, error.into()));
                    }
                }
            }
        }
    }

    /// Takes datagrams that went, by their numbers, out of the queue.
    fn sent(&mut self, numbers: &[u8]) {
        let first = numbers.len().min(self.queue.len());
        if numbers.iter().all(|number| usize::from(*number) < first) {
            self.queue.drain(..first);
            return;
        }
        // Some groups went and some did not: the kernel's buffer is full, or one has an error.
        let mut number = 0;
        self.queue.retain(|_| {
            let left = u8::try_from(number).map_or(true, |number| !numbers.contains(&number));
            number += 1;
            left
        });
    }

    /// Tells the lane, under this socket's index, each time the kernel has reports on the error queue: nothing may be
    /// about to be sent or received that would find them.
    pub(crate) fn watch_errors(
        &self,
        index: usize,
        lane: mpsc::Sender<Inbound>,
    ) -> impl Future<Output = ()> + use<> {
        let socket = Rc::clone(&self.socket);
        async move {
            while socket.ready(Interest::ERROR).await.is_ok() {
                let _ = socket.try_io(Interest::ERROR, || {
                    Err::<(), _>(io::Error::from(io::ErrorKind::WouldBlock))
                });
                if lane.send(Inbound::UdpErrors(index)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Takes reports about undelivered datagrams off the socket's error queue.
    pub(crate) fn errors(&self, events: &mut VecDeque<Event>, counters: &NetCounters) {
        let mut space = [0; QUOTED];
        for _ in 0..ERRORS_AT_ONCE {
            let Ok(lost) = mmsg::undelivered(self.socket.as_fd(), &mut space) else {
                return;
            };
            counters.udp_failed.count();
            let quoted = space.get(..lost.length).unwrap_or_default();
            let bytes = Bytes::copy_from_slice(quoted);
            events.push_back(self.failed(lost.to, bytes, lost.error.into()));
        }
    }

    fn failed(&self, to: SocketAddr, bytes: Bytes, error: Failure) -> Event {
        Event::Failed {
            bytes,
            destination: Destination {
                transport: Transport::Udp,
                remote: to,
                local: Some(self.local),
                flow: Some(self.flow),
            },
            error,
        }
    }
}

/// Whether the way does not allow datagrams to be sent as one: the kernel or the network card cannot cut them, or sums are not theirs.
fn is_about_segments(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO))
}

/// Whether a refused send may have told of an earlier datagram's ICMP error rather than of its own.
fn is_delayed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::ConnectionReset
    ) || matches!(error.raw_os_error(), Some(libc::EPROTO | libc::EMSGSIZE))
}
