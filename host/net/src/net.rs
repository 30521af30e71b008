//! One lane's network: waits for all of its sockets at once, gives events, takes messages to send.
//!
//! The drive loop, written for the lane:
//!
//! 1. `ready().await` until something is there;
//! 2. `receive(&mut events)` fills events, at most [`BATCHES`] batches a socket, so that timers get their turn;
//! 3. the lane works the events off and calls `send` for what is to go out;
//! 4. `flush(&mut events)` sends the batch; what failed comes as further events.
//!
//! Messages for a connection of another lane go there through a bounded channel; when it is full they fail as
//! [`Failure::QueueFull`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use switchhook_sip::flow::{Destination, FlowId, Transport};
use tokio::sync::mpsc;

use crate::counters::NetCounters;
use crate::event::{Event, Failure};
use crate::limits::NetLimits;
use crate::listen::{Local, egress};
use crate::listeners::{Bound, Listeners, Sockets};
use crate::mmsg::Receiver;
use crate::stream::{Directory, Inbound, Streams, lane_of};
use crate::udp::Udp;

/// Batches read from one socket before the lane turns to its other work.
const BATCHES: usize = 4;
/// Stream events taken in one go.
const STREAM_EVENTS: usize = 128;
/// Messages that wait between two lanes for a connection of the other.
const CROSSING: usize = 1024;

/// What one lane gets: its sockets and its ways to the other lanes. Goes to the lane's thread, becomes a [`Net`] there.
pub struct Part {
    lane: usize,
    sockets: Sockets,
    locals: Arc<[Local]>,
    limits: NetLimits,
    counters: Arc<NetCounters>,
    directory: Arc<Directory>,
    crossing: mpsc::Receiver<Crossing>,
    lanes: Vec<mpsc::Sender<Crossing>>,
}

/// A message on its way to the lane that has the connection for it.
struct Crossing {
    destination: Destination,
    bytes: Bytes,
}

impl Listeners {
    /// Parts the sockets among the lanes.
    pub fn split(self) -> Vec<Part> {
        let locals: Arc<[Local]> = self.locals.into();
        let directory = Arc::new(Directory::default());
        let (senders, receivers): (Vec<_>, Vec<_>) =
            self.lanes.iter().map(|_| mpsc::channel(CROSSING)).unzip();
        let lanes = self.lanes.into_iter().zip(receivers).enumerate();
        lanes
            .map(|(lane, (sockets, crossing))| Part {
                lane,
                sockets,
                locals: Arc::clone(&locals),
                limits: self.limits.clone(),
                counters: Arc::default(),
                directory: Arc::clone(&directory),
                crossing,
                lanes: senders.clone(),
            })
            .collect()
    }
}

impl Part {
    /// The lane's counters, to be read from anywhere.
    pub fn counters(&self) -> Arc<NetCounters> {
        Arc::clone(&self.counters)
    }
}

/// One lane's sockets at work.
pub struct Net {
    lane: usize,
    locals: Arc<[Local]>,
    udp: Vec<Udp>,
    receiver: Receiver,
    streams: Rc<Streams>,
    inbound: mpsc::Receiver<Inbound>,
    crossing: mpsc::Receiver<Crossing>,
    lanes: Vec<mpsc::Sender<Crossing>>,
    counters: Arc<NetCounters>,
    /// What polling took out of the channels before `receive` was called.
    early: VecDeque<Inbound>,
    /// What failed at once in `send`.
    failed: VecDeque<Event>,
}

impl Net {
    /// Starts a lane's sockets. Must be called within the lane's runtime and `LocalSet`.
    pub fn new(part: Part) -> io::Result<Net> {
        let (sender, inbound) = mpsc::channel(part.limits.stream_inbox.max(1));
        let streams = Streams::new(
            part.lane,
            part.limits.clone(),
            Arc::clone(&part.counters),
            sender.clone(),
            part.directory,
        );
        let mut udp = Vec::new();
        for bound in part.sockets {
            match bound {
                Bound::Udp(socket) => {
                    let index = udp.len();
                    let flow = FlowId::new(index as u64);
                    let socket =
                        Udp::new(socket, flow, part.limits.udp_queue, part.limits.max_message)?;
                    tokio::task::spawn_local(socket.watch_errors(index, sender.clone()));
                    udp.push(socket);
                }
                Bound::Tcp(listener) => {
                    let local = listener.local_addr()?;
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    tokio::task::spawn_local(Rc::clone(&streams).accept(listener, local));
                }
            }
        }
        Ok(Net {
            lane: part.lane,
            locals: part.locals,
            udp,
            receiver: Receiver::new(),
            streams,
            inbound,
            crossing: part.crossing,
            lanes: part.lanes,
            counters: part.counters,
            early: VecDeque::new(),
            failed: VecDeque::new(),
        })
    }

    /// All our addresses, those of every lane alike.
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }

    /// Which of our addresses a message to that peer leaves from.
    pub fn egress(
        &self,
        transport: Transport,
        remote: SocketAddr,
        asked: Option<SocketAddr>,
    ) -> Option<&Local> {
        egress(&self.locals, transport, remote.ip(), asked)
    }

    /// Datagrams that wait for the kernel.
    pub fn queued(&self) -> usize {
        self.udp.iter().map(Udp::queued).sum()
    }

    /// Waits until `receive` or `flush` has something to do.
    pub async fn ready(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }

    /// The same for a lane that polls by hand.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Each source that has nothing is polled where nothing is ready, so that it holds the lane's waker.
        let mut ready = !self.early.is_empty() || !self.failed.is_empty();
        for socket in &self.udp {
            ready |= socket.poll_ready(cx).is_ready();
        }
        if self.early.is_empty() {
            while (!ready || !self.crossing.is_empty())
                && let Poll::Ready(Some(Crossing { destination, bytes })) =
                    self.crossing.poll_recv(cx)
            {
                self.deliver(destination, bytes);
                ready = true;
            }
            if (!ready || !self.inbound.is_empty())
                && let Poll::Ready(Some(inbound)) = self.inbound.poll_recv(cx)
            {
                self.early.push_back(inbound);
                ready = true;
            }
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes what is there, within bounds. Tells how full the fullest UDP socket still is, in thousandths.
    pub fn receive(&mut self, events: &mut VecDeque<Event>) -> u32 {
        events.append(&mut self.failed);
        let mut fill = 0;
        for socket in &mut self.udp {
            if (0..BATCHES).all(|_| socket.receive(&mut self.receiver, events, &self.counters)) {
                fill = fill.max(socket.fill());
            }
        }
        for _ in 0..STREAM_EVENTS {
            let next = self
                .early
                .pop_front()
                .or_else(|| self.inbound.try_recv().ok());
            match next {
                Some(Inbound::Event(event)) => events.push_back(event),
                Some(Inbound::UdpErrors(index)) => {
                    if let Some(socket) = self.udp.get(index) {
                        socket.errors(events, &self.counters);
                    }
                }
                None => break,
            }
        }
        fill
    }

    /// Queues a message. What can't be sent comes back as [`Event::Failed`].
    pub fn send(&mut self, destination: Destination, bytes: Bytes) {
        match destination.transport {
            Transport::Udp => self.send_datagram(destination, bytes),
            _ => self.send_on_stream(destination, bytes),
        }
    }

    /// Sends what was queued.
    pub fn flush(&mut self, events: &mut VecDeque<Event>) {
        for socket in &mut self.udp {
            if socket.queued() > 0 {
                socket.flush(events, &self.counters);
            }
        }
        events.append(&mut self.failed);
    }

    fn send_datagram(&mut self, destination: Destination, bytes: Bytes) {
        let named = destination
            .flow
            .and_then(|flow| usize::try_from(flow.number()).ok())
            .filter(|index| *index < self.udp.len());
        let index = named.or_else(|| {
            let local = self
                .egress(Transport::Udp, destination.remote, destination.local)?
                .address;
            self.udp.iter().position(|socket| socket.local() == local)
        });
        match index.and_then(|index| self.udp.get_mut(index)) {
            Some(socket) => {
                socket.send(destination.remote, bytes, &mut self.failed, &self.counters)
            }
            None => self.fail(destination, bytes, Failure::NoListener),
        }
    }

    fn send_on_stream(&mut self, destination: Destination, bytes: Bytes) {
        let flow = destination
            .flow
            .or_else(|| self.streams.find(destination.transport, destination.remote));
        let Some(lane) = flow.and_then(lane_of) else {
            return self.deliver(destination, bytes);
        };
        let destination = Destination {
            flow,
            ..destination
        };
        if lane == self.lane {
            return self.deliver(destination, bytes);
        }
        let crossing = Crossing { destination, bytes };
        let sent = match self.lanes.get(lane) {
            Some(sender) => sender.try_send(crossing),
            None => return self.fail(crossing.destination, crossing.bytes, Failure::Gone),
        };
        match sent {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(back)) => {
                self.fail(back.destination, back.bytes, Failure::QueueFull);
            }
            Err(mpsc::error::TrySendError::Closed(back)) => {
                self.fail(back.destination, back.bytes, Failure::Gone);
            }
        }
    }

    /// Gives a message to one of this lane's connections, or opens one where none was named.
    fn deliver(&mut self, destination: Destination, bytes: Bytes) {
        let sent = match destination.flow {
            Some(flow) => self.streams.send(flow, &bytes),
            None => {
                let local = egress(
                    &self.locals,
                    destination.transport,
                    destination.remote.ip(),
                    destination.local,
                );
                match local {
                    Some(local) => self.streams.connect(destination, local.address, &bytes),
                    None => Err(Failure::NoListener),
                }
            }
        };
        if let Err(error) = sent {
            self.fail(destination, bytes, error);
        }
    }

    fn fail(&mut self, destination: Destination, bytes: Bytes, error: Failure) {
        if destination.transport != Transport::Udp {
            self.counters.tcp_failed.count();
        }
        self.failed.push_back(Event::Failed {
            bytes,
            destination,
            error,
        });
    }
}
