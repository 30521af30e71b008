//! What the bus sends: datagrams by the listeners' own sockets, all else through a lane.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bytes::Bytes;
use switchhook_sip::flow::{Destination, Transport};
use tokio::sync::mpsc;

use crate::lane::Mail;

/// How often a full socket is tried again, and after how long. Then the datagram is lost, and its sender repeats it.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_micros(500);

/// See the module's header.
pub(super) struct Post {
    /// The listeners' sockets by their addresses; shared with the lanes that read them.
    pub(super) sockets: Vec<(SocketAddr, UdpSocket)>,
    pub(super) lane: mpsc::Sender<Mail>,
}

impl Post {
    pub(super) fn send(&self, destination: Destination, bytes: Bytes) {
        if destination.transport != Transport::Udp {
            // A lane that is that busy loses it, as a network would.
            let _ = self.lane.try_send(Mail::Send(destination, bytes));
            return;
        }
        let named = |socket: &&(SocketAddr, UdpSocket)| Some(socket.0) == destination.local;
        let family =
            |socket: &&(SocketAddr, UdpSocket)| socket.0.is_ipv4() == destination.remote.is_ipv4();
        let sockets = &self.sockets;
        let socket = sockets
            .iter()
            .find(named)
            .or_else(|| sockets.iter().find(family));
        let Some((_, socket)) = socket else {
            return;
        };
        for _ in 0..TRIES {
            match socket.send_to(&bytes, destination.remote) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                // The error may be that of an earlier datagram, and is told once.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%error, to = %destination.remote, "a datagram of the bus was not sent");
                    return;
                }
            }
        }
    }
}
