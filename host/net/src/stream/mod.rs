//! TCP: accepting, connecting, and finding the connection that a message goes on (RFC 3261 section 18).
//!
//! Owns every connection of one lane; each is worked by one local task ([`connection`]). A connection is found by its
//! [`FlowId`], or by the peer's address: a connection that a peer opened serves for what we send to the very address and
//! port it came from, on whichever lane it lives ([`Directory`]). Only streams take the directory's lock; UDP never does.
//!
//! Limits and what happens there: [`NetLimits`].

pub(crate) mod connection;
mod directory;
mod outbox;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchhook_sip::flow::{Destination, FlowId, Source, Transport};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::counters::NetCounters;
use crate::event::{Event, Failure};
use crate::limits::NetLimits;

pub(crate) use directory::Directory;
use outbox::Outbox;

/// Flow numbers below this are UDP sockets; above, the upper bits are the lane (plus one) that has the connection.
const LANE_SHIFT: u32 = 40;
/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The lane that has a stream's connection; `None` for a UDP socket, which every lane has.
pub(crate) fn lane_of(flow: FlowId) -> Option<usize> {
    usize::try_from(flow.number() >> LANE_SHIFT)
        .ok()?
        .checked_sub(1)
}

/// What came for the lane from its connection tasks.
pub(crate) enum Inbound {
    /// A message or a failure.
    Event(Event),
    /// The UDP socket with this index has reports on its error queue.
    UdpErrors(usize),
}

/// The streams of one lane; shared by its tasks, all on one thread.
pub(crate) struct Streams {
    lane: usize,
    pub(crate) limits: NetLimits,
    pub(crate) counters: Arc<NetCounters>,
    pub(crate) inbound: mpsc::Sender<Inbound>,
    directory: Arc<Directory>,
    flows: RefCell<HashMap<FlowId, Rc<Outbox>>>,
    peers: RefCell<HashMap<IpAddr, usize>>,
    next: Cell<u64>,
}

impl Streams {
    pub(crate) fn new(
        lane: usize,
        limits: NetLimits,
        counters: Arc<NetCounters>,
        inbound: mpsc::Sender<Inbound>,
        directory: Arc<Directory>,
    ) -> Rc<Streams> {
        Rc::new(Streams {
            lane,
            limits,
            counters,
            inbound,
            directory,
            flows: RefCell::default(),
            peers: RefCell::default(),
            next: Cell::new(1),
        })
    }

    /// The connection with that peer address, on whichever lane.
    pub(crate) fn find(&self, transport: Transport, remote: SocketAddr) -> Option<FlowId> {
        self.directory.find(transport, remote)
    }

    /// Queues a message for one of this lane's connections.
    pub(crate) fn send(&self, flow: FlowId, bytes: &Bytes) -> Result<(), Failure> {
        let outbox = self.flows.borrow().get(&flow).cloned();
        let sent = outbox.ok_or(Failure::Gone)?.push(bytes);
        if sent.is_ok() {
            self.counters.tcp_out.count();
        }
        sent
    }

    /// Opens a connection and queues a message for it. A failure to connect is reported later, as an event.
    pub(crate) fn connect(
        self: &Rc<Self>,
        destination: Destination,
        local: SocketAddr,
        bytes: &Bytes,
    ) -> Result<(), Failure> {
        let remote = destination.remote;
        let outbox = self.open(remote)?;
        let flow = outbox.flow;
        self.directory.insert(destination.transport, remote, flow);
        let sent = outbox.push(bytes);
        self.counters.tcp_out.count();
        let streams = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let made = timeout(streams.limits.connect, dial(remote, local)).await;
            let failure = match made {
                Ok(Ok(stream)) => {
                    streams.counters.connected.count();
                    let source = Source {
                        transport: destination.transport,
                        remote,
                        local,
                        flow,
                    };
                    connection::run(&streams, stream, source, &outbox, false).await
                }
                Ok(Err(error)) => error.into(),
                Err(_) => Failure::ConnectTimeout,
            };
            streams
                .close(destination.transport, remote, local, &outbox, failure)
                .await;
        });
        sent
    }

    /// Accepts connections until the lane ends.
    pub(crate) async fn accept(self: Rc<Self>, listener: TcpListener, local: SocketAddr) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.accepted(stream, remote, local),
                Err(error) => {
                    // A connection that was reset while it waited is no want of ours; descriptors and memory are.
                    self.counters.accept_failed.count();
                    tracing::warn!(%local, %error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn accepted(self: &Rc<Self>, stream: TcpStream, remote: SocketAddr, local: SocketAddr) {
        let Ok(outbox) = self.open(remote) else {
            tracing::debug!(%remote, "connection refused: limit reached");
            return;
        };
        self.counters.accepted.count();
        let source = Source {
            transport: Transport::Tcp,
            remote,
            local,
            flow: outbox.flow,
        };
        self.directory.insert(source.transport, remote, source.flow);
        let streams = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let failure = connection::run(&streams, stream, source, &outbox, true).await;
            streams
                .close(source.transport, remote, local, &outbox, failure)
                .await;
        });
    }

    /// Makes room for a connection with that peer, if the limits allow one more.
    fn open(&self, remote: SocketAddr) -> Result<Rc<Outbox>, Failure> {
        let mut flows = self.flows.borrow_mut();
        let mut peers = self.peers.borrow_mut();
        let of_peer = peers.entry(remote.ip()).or_default();
        if flows.len() >= self.limits.connections || *of_peer >= self.limits.connections_per_address
        {
            if *of_peer == 0 {
                peers.remove(&remote.ip());
            }
            self.counters.refused.count();
            return Err(Failure::TooMany);
        }
        *of_peer += 1;
        let number = self.next.get();
        self.next.set(number + 1);
        let flow = FlowId::new(((self.lane as u64 + 1) << LANE_SHIFT) | number);
        let outbox = Rc::new(Outbox::new(flow, self.limits.write_queue));
        flows.insert(flow, Rc::clone(&outbox));
        self.counters.connections.set(flows.len() as u64);
        Ok(outbox)
    }

    /// The peer takes no more requests on this connection: new ones shall go elsewhere.
    pub(crate) fn retire(&self, transport: Transport, remote: SocketAddr, flow: FlowId) {
        self.directory.remove(transport, remote, flow);
    }

    async fn close(
        &self,
        transport: Transport,
        remote: SocketAddr,
        local: SocketAddr,
        outbox: &Outbox,
        failure: Failure,
    ) {
        self.directory.remove(transport, remote, outbox.flow);
        {
            let mut flows = self.flows.borrow_mut();
            flows.remove(&outbox.flow);
            self.counters.connections.set(flows.len() as u64);
            if let Entry::Occupied(mut of_peer) = self.peers.borrow_mut().entry(remote.ip()) {
                *of_peer.get_mut() -= 1;
                if *of_peer.get() == 0 {
                    of_peer.remove();
                }
            }
        }
        tracing::debug!(%remote, flow = %outbox.flow, reason = %failure, "connection closed");
        let destination = Destination {
            transport,
            remote,
            local: Some(local),
            flow: Some(outbox.flow),
        };
        for bytes in outbox.drain() {
            self.counters.tcp_failed.count();
            let event = Event::Failed {
                bytes,
                destination,
                error: failure.clone(),
            };
            if self.inbound.send(Inbound::Event(event)).await.is_err() {
                return;
            }
        }
    }
}

async fn dial(remote: SocketAddr, local: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // From the address that our Via names, so that the peer sees one host.
    socket.bind(SocketAddr::new(local.ip(), 0))?;
    socket.connect(remote).await
}
