//! A socket that several phones of one role share, and what waits to be sent through it.
//!
//! Datagrams go in batches of 32 with one system call; their bytes stand in one buffer, so that sending allocates nothing. What the
//! kernel does not take now stays for the next time; what it refuses is dropped and counted, as a network would.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};
use switchhook_net::mmsg;

use crate::template::Face;

/// What we ask the kernel to hold for a socket; it may give less.
const BUFFER: usize = 4 << 20;
/// Bytes that may wait for a full socket; more are dropped, as by a full network card.
const WAITING: usize = 8 << 20;

/// One socket.
pub(crate) struct Line {
    socket: UdpSocket,
    pub(crate) face: Face,
    /// Digits of its port: what `rport` must be.
    pub(crate) port: Vec<u8>,
    bytes: Vec<u8>,
    waiting: Vec<(SocketAddr, Range<usize>)>,
    /// Datagrams that the kernel refused, or for which there was no room.
    pub(crate) refused: u64,
}

impl Line {
    /// Binds it; port 0 takes a free one.
    pub(crate) fn open(role: &str, ip: IpAddr, port: u16) -> io::Result<Line> {
        let address = SocketAddr::new(ip, port);
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        socket.set_recv_buffer_size(BUFFER)?;
        socket.set_send_buffer_size(BUFFER)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Line {
            socket,
            face: Face {
                role: role.as_bytes().to_vec(),
                address: local.to_string().into_bytes(),
                ip,
            },
            port: local.port().to_string().into_bytes(),
            bytes: Vec::new(),
            waiting: Vec::new(),
            refused: 0,
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Puts a message into the queue.
    pub(crate) fn send(&mut self, to: SocketAddr, message: &[u8]) {
        if self.bytes.len() > WAITING {
            self.refused += 1;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        self.waiting.push((to, start..self.bytes.len()));
    }

    /// Whether something waits for the socket.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends what waits, as far as the kernel takes it.
    pub(crate) fn flush(&mut self) {
        let mut done = 0;
        while let Some(rest) = self.waiting.get(done..).filter(|rest| !rest.is_empty()) {
            let batch = rest
                .iter()
                .map(|(to, range)| (*to, self.bytes.get(range.clone()).unwrap_or_default()));
            match mmsg::send(self.socket.as_fd(), batch) {
                Ok(count) => done += count.max(1),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.refused += 1;
                    done += 1;
                }
            }
        }
        if done >= self.waiting.len() {
            self.waiting.clear();
            self.bytes.clear();
        } else {
            self.waiting.drain(..done);
        }
    }
}
