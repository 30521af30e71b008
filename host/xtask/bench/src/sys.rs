//! The system calls that the standard library does not offer: `recvmmsg` and `sendmmsg`, up to 32 datagrams each, and `kill`.
//!
//! Owns: the buffers of a batch. All unsafe code of this crate is here.
#![allow(unsafe_code)] // three system calls that std does not offer

use std::io;
use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

/// Ask a process to end (SIGTERM). One that is gone already is no error.
pub(crate) fn terminate(pid: u32) {
    signal(pid, libc::SIGTERM);
}

/// Let a process stand still.
pub(crate) fn pause(pid: u32) {
    signal(pid, libc::SIGSTOP);
}

/// Let it go on.
pub(crate) fn resume(pid: u32) {
    signal(pid, libc::SIGCONT);
}

fn signal(pid: u32, signal: libc::c_int) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: kill takes two numbers and touches no memory of ours.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Datagrams of one system call.
pub(crate) const BATCH: usize = 32;

/// What one buffer takes; a longer datagram is cut.
const SIZE: usize = 2048;

/// Datagrams that came with one call, with their senders, to be sent with another.
pub(crate) struct Batch {
    buffers: Vec<[u8; SIZE]>,
    names: [libc::sockaddr_in; BATCH],
    lengths: [usize; BATCH],
    count: usize,
}

impl Batch {
    /// An empty one.
    pub(crate) fn new() -> Batch {
        Batch {
            buffers: vec![[0; SIZE]; BATCH],
            // SAFETY: all-zero bytes are a valid sockaddr_in: family "unspecified", no address.
            names: unsafe { mem::zeroed() },
            lengths: [0; BATCH],
            count: 0,
        }
    }

    /// A full one, each datagram `payload`; for a connected socket.
    pub(crate) fn filled(payload: &[u8]) -> Batch {
        let mut batch = Batch::new();
        for (buffer, length) in batch.buffers.iter_mut().zip(&mut batch.lengths) {
            *length = payload.len().min(SIZE);
            buffer
                .iter_mut()
                .zip(payload)
                .for_each(|(to, from)| *to = *from);
        }
        batch.count = BATCH;
        batch
    }

    /// Wait for at least one datagram; how many came.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.count = 0;
        self.lengths = [SIZE; BATCH];
        self.count = self.call(true, BATCH, |headers, count| {
            // SAFETY: `headers` are `count` valid headers that live through the call (see `call`); no timeout is given.
            unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers,
                    count,
                    libc::MSG_WAITFORONE,
                    ptr::null_mut(),
                )
            }
        })?;
        Ok(self.count)
    }

    /// Send the datagrams that are in it back where they came from.
    pub(crate) fn answer(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.call(true, self.count, |headers, count| {
            // SAFETY: as in `receive`.
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, 0) }
        })
    }

    /// Send the first `count` of them by a connected socket.
    pub(crate) fn send(&mut self, socket: &UdpSocket, count: usize) -> io::Result<usize> {
        self.call(false, count.min(self.count), |headers, count| {
            // SAFETY: as in `receive`.
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers, count, 0) }
        })
    }

    /// Make headers over the buffers, do the call, keep the lengths that it wrote.
    fn call(
        &mut self,
        named: bool,
        count: usize,
        call: impl FnOnce(*mut libc::mmsghdr, libc::c_uint) -> libc::c_int,
    ) -> io::Result<usize> {
        // SAFETY: all-zero bytes are a valid iovec and a valid mmsghdr: null pointers with zero lengths.
        let mut parts: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for ((((part, header), buffer), name), length) in parts
            .iter_mut()
            .zip(&mut headers)
            .zip(&mut self.buffers)
            .zip(&mut self.names)
            .zip(&self.lengths)
        {
            part.iov_base = buffer.as_mut_ptr().cast();
            part.iov_len = *length;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            if named {
                header.msg_hdr.msg_name = ptr::from_mut(name).cast();
                header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
        }
        // buffers, names and parts outlive the call: they are of `self` and of this frame
        let done = call(headers.as_mut_ptr(), count.min(BATCH) as libc::c_uint);
        let Ok(done) = usize::try_from(done) else {
            return Err(io::Error::last_os_error());
        };
        for (length, header) in self.lengths.iter_mut().zip(&headers).take(done) {
            *length = header.msg_len as usize;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_goes_back_to_its_sender() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(Batch::filled(b"ping").send(&client, 3).unwrap(), 3);
        let mut batch = Batch::new();
        let mut back = 0;
        while back < 3 {
            back += batch.receive(&server).unwrap();
            batch.answer(&server).unwrap();
        }
        let mut buffer = [0; 16];
        for _ in 0..3 {
            let length = client.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"ping");
        }
    }
}
