//! The system calls that tokio and socket2 do not offer: `recvmmsg`, `sendmmsg` also with segments, the backlog and the error queue of a UDP socket, who of
//! several sockets gets a datagram, `ppoll`, a thread's priority and processor, the processor time of this process, and this machine's addresses.
//!
//! The one module of this crate with `unsafe`. Every pointer handed to the kernel points into a buffer that is borrowed
//! for the length of that call and is set up anew in each call, so nothing here refers to itself and nothing outlives
//! its buffer. What the kernel writes back (lengths, flags, addresses) is checked before it is used.
//!
//! Limits: [`BATCH`] datagrams a call, 65535 bytes a datagram. Linux only.
#![expect(
    unsafe_code,
    reason = "system calls; each block says why its pointers are good"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "indexes run over arrays of BATCH entries and over counts that the kernel gave for these very arrays"
)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use crate::steer::Op;

/// Datagrams in one system call.
pub const BATCH: usize = 32;
/// Room for one datagram: the largest that UDP can carry, so that none is ever cut.
const SLOT: usize = 65536;
/// From one slot to the next. A few cache lines more than a power of two: else the beginnings of all slots, which are all that
/// most messages fill, would compete for the same sets of the caches.
const STRIDE: usize = SLOT + 768;

/// Buffers that a lane receives into; used by all its sockets in turn.
pub struct Receiver {
    space: Vec<u8>,
    names: Box<[libc::sockaddr_storage; BATCH]>,
    lengths: [usize; BATCH],
    truncated: [bool; BATCH],
}

/// One received datagram, until the next call.
pub struct Datagram<'a> {
    /// The datagram.
    pub bytes: &'a [u8],
    /// `None` where the kernel gave an address of a family that is not IP.
    pub from: Option<SocketAddr>,
    /// It was longer than its buffer and is not whole.
    pub truncated: bool,
}

impl Receiver {
    /// Room for [`BATCH`] of the largest datagrams; pages that none touched cost nothing.
    pub fn new() -> Receiver {
        Receiver {
            // Untouched pages cost nothing, so full-size slots are cheap: a slot holds as many pages as it ever saw.
            space: vec![0; BATCH * STRIDE],
            // SAFETY: all-zero bytes are a valid sockaddr_storage (family AF_UNSPEC).
            names: Box::new(unsafe { mem::zeroed() }),
            lengths: [0; BATCH],
            truncated: [false; BATCH],
        }
    }

    /// Receives up to [`BATCH`] datagrams without waiting; `WouldBlock` where there is none.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut slices: [MaybeUninit<libc::iovec>; BATCH] = [MaybeUninit::uninit(); BATCH];
        // SAFETY: all-zero bytes are a valid mmsghdr: null pointers with zero lengths.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for (index, slot) in self.space.chunks_exact_mut(STRIDE).enumerate() {
            let slice = slices[index].write(libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: SLOT,
            });
            let header = &mut headers[index].msg_hdr;
            header.msg_iov = slice;
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: `headers` has BATCH entries; each points at one iovec of `slices`, at one slot of `space` of at
        // least SLOT bytes and at one name of its full size; all of them are mutably borrowed or owned here until the call returns.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count)
            .map_err(|_| io::Error::last_os_error())?
            .min(BATCH);
        for (index, header) in headers.iter().enumerate().take(count) {
            self.lengths[index] = (header.msg_len as usize).min(SLOT);
            self.truncated[index] = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        }
        Ok(count)
    }

    /// The datagram with this index of the last call's count.
    pub fn datagram(&self, index: usize) -> Datagram<'_> {
        let start = index * STRIDE;
        Datagram {
            bytes: &self.space[start..start + self.lengths[index]],
            from: address(&self.names[index]),
            truncated: self.truncated[index],
        }
    }
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver::new()
    }
}

/// Sends up to [`BATCH`] datagrams without waiting and tells how many went. An error is about the first of them.
pub fn send<'a>(
    socket: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
) -> io::Result<usize> {
    send_groups(socket, datagrams.map(|datagram| [datagram]))
}

/// Whether this kernel cuts large buffers into datagrams (`UDP_SEGMENT`, Linux 4.18): one that does not would send them as one.
pub(crate) fn knows_segments(socket: BorrowedFd<'_>) -> bool {
    let mut value: libc::c_int = 0;
    let mut length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `value`; both live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    result == 0
}

/// Room for one control message that holds a segment's length, aligned as the kernel's are.
const SEGMENT: usize = 3;

/// Sends up to [`BATCH`] datagrams in groups, each of which goes to one address and is cut into datagrams of its first one's length by
/// the kernel. Does not wait. Tells how many groups went. An error is about the first of them.
pub(crate) fn send_groups<'a>(
    socket: BorrowedFd<'_>,
    groups: impl Iterator<Item = impl IntoIterator<Item = (SocketAddr, &'a [u8])>>,
) -> io::Result<usize> {
    // SAFETY: all-zero bytes are valid for all three: null pointers, zero lengths, family AF_UNSPEC.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    let mut slices: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
    let mut names: [Name; BATCH] = unsafe { mem::zeroed() };
    let mut controls = [[0u64; SEGMENT]; BATCH];
    let mut used = 0;
    let mut count = 0;
    for (group, index) in groups.zip(0..BATCH) {
        let first = used;
        for (to, bytes) in group {
            if used == BATCH {
                break;
            }
            if used == first {
                headers[index].msg_hdr.msg_namelen = names[index].write(to);
            }
            slices[used] = libc::iovec {
                // The kernel only reads what a message to send points at; the type has no const form.
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            };
            used += 1;
        }
        let header = &mut headers[index].msg_hdr;
        header.msg_iov = (&raw mut slices).cast::<libc::iovec>().wrapping_add(first);
        header.msg_iovlen = used - first;
        header.msg_name = (&raw mut names[index]).cast();
        if used - first > 1 {
            let length = slices[first].iov_len as u16;
            // SAFETY: the constant is from a length alone.
            header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as usize;
            header.msg_control = controls[index].as_mut_ptr().cast();
            // SAFETY: the control buffer is as long as `msg_controllen` says, by the assertion below, and aligned for a cmsghdr, so the first
            // message is within it and has room for the two bytes.
            unsafe {
                let message = libc::CMSG_FIRSTHDR(header);
                (*message).cmsg_level = libc::SOL_UDP;
                (*message).cmsg_type = libc::UDP_SEGMENT;
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as usize;
                ptr::write_unaligned(libc::CMSG_DATA(message).cast::<u16>(), length);
            }
        }
        count = index + 1;
    }
    // SAFETY: the first `count` headers each point at initialised iovecs, one name of the given length and, where there is one, one control
    // message, in arrays that live until the call returns; the bytes are borrowed for 'a, which outlives the call.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

// SAFETY: the constant is from a length alone.
const _: () = assert!(unsafe { libc::CMSG_SPACE(2) } as usize <= size_of::<[u64; SEGMENT]>());

/// What waits in a socket to be received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes, with the kernel's own overhead.
    pub used: u32,
    /// As many may wait; what comes then is dropped.
    pub room: u32,
}

/// Asks the kernel what waits in a socket (`SO_MEMINFO`).
pub(crate) fn backlog(socket: BorrowedFd<'_>) -> io::Result<Backlog> {
    let mut values = [0_u32; 16];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `values`; both live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Backlog {
        used: values[libc::SK_MEMINFO_RMEM_ALLOC as usize],
        room: values[libc::SK_MEMINFO_RCVBUF as usize],
    })
}

/// What the kernel reports about a datagram that could not be delivered (ICMP).
pub(crate) struct Undelivered {
    pub(crate) to: SocketAddr,
    pub(crate) error: io::Error,
    /// How many bytes of the datagram's beginning came back in `space`.
    pub(crate) length: usize,
}

/// Asks the kernel to keep ICMP errors for [`undelivered`] (`IP_RECVERR`, `IPV6_RECVERR`).
pub(crate) fn keep_errors(socket: BorrowedFd<'_>, v6: bool) -> io::Result<()> {
    let (level, option) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    let on: libc::c_int = 1;
    // SAFETY: the value is one c_int that lives until the call returns, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives the group of sockets that share this one's port a program that chooses among them (`SO_ATTACH_REUSEPORT_CBPF`, Linux 4.5): it returns a
/// socket's number, in the order in which they were bound. The kernel checks that the program ends, and copies it.
pub(crate) fn choose_by(socket: BorrowedFd<'_>, program: &[Op]) -> io::Result<()> {
    let filter = |op: &Op| libc::sock_filter {
        code: op.code,
        jt: op.then,
        jf: op.otherwise,
        k: op.operand,
    };
    let mut filters: Vec<_> = program.iter().map(filter).collect();
    let program = libc::sock_fprog {
        len: u16::try_from(filters.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filters.as_mut_ptr(),
    };
    // SAFETY: the value is one sock_fprog of the given size, which points at as many instructions as it says; both live until the call returns,
    // and the kernel only reads them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes one error off the socket's error queue; `WouldBlock` where there is none.
pub(crate) fn undelivered(socket: BorrowedFd<'_>, space: &mut [u8]) -> io::Result<Undelivered> {
    // SAFETY: all-zero bytes are a valid sockaddr_storage and a valid msghdr.
    let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    // Aligned as the kernel's control messages are.
    let mut control = [0u64; 64];
    let mut slice = libc::iovec {
        iov_base: space.as_mut_ptr().cast(),
        iov_len: space.len(),
    };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: the header points at one name, one iovec over `space` and one control buffer, each with its true size, all
    // alive until the call returns.
    let length = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let mut error = io::Error::from(io::ErrorKind::HostUnreachable);
    // SAFETY: the kernel filled `control` and set its length in `header`; the CMSG functions stay within that length and
    // give null at the end. An extended error is read only from a message of its kind and size, without assuming alignment.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            let room = libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) as usize;
            if (kind == (libc::IPPROTO_IP, libc::IP_RECVERR)
                || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR))
                && (*message).cmsg_len >= room
            {
                let extended: libc::sock_extended_err =
                    ptr::read_unaligned(libc::CMSG_DATA(message).cast());
                error = io::Error::from_raw_os_error(extended.ee_errno as i32);
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    Ok(Undelivered {
        to: address(&name).ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?,
        error,
        length: length.min(space.len()),
    })
}

/// Lowers the calling thread's priority, so that it gets what the others leave over. Best effort.
pub fn lower_priority() {
    const NICE: libc::c_int = 15;
    // SAFETY: no pointers; id 0 means the calling thread on Linux, where each thread has its own priority.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Waits for several sockets at once.
#[derive(Default)]
pub struct Waiter {
    polled: Vec<libc::pollfd>,
}

impl Waiter {
    /// Waits until a socket can be read (or written, where that is asked for), or the time is over.
    pub fn wait<'a>(
        &mut self,
        sockets: impl Iterator<Item = (BorrowedFd<'a>, bool)>,
        time: Duration,
    ) -> io::Result<()> {
        self.polled.clear();
        self.polled
            .extend(sockets.map(|(socket, write)| libc::pollfd {
                fd: socket.as_raw_fd(),
                events: libc::POLLIN | if write { libc::POLLOUT } else { 0 },
                revents: 0,
            }));
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        };
        // SAFETY: the list has that many entries and is borrowed for the call, and the sockets in it outlive the call; the
        // time lives until the call returns; a null signal mask means none.
        let result = unsafe {
            libc::ppoll(
                self.polled.as_mut_ptr(),
                self.polled.len() as libc::nfds_t,
                &raw const time,
                ptr::null(),
            )
        };
        match io::Error::last_os_error() {
            error if result < 0 && error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Which of the last sockets, by their number, can be read (or have an error to be read).
    pub fn ready(&self) -> impl Iterator<Item = usize> + '_ {
        let readable = |polled: &libc::pollfd| polled.revents & (libc::POLLIN | libc::POLLERR) != 0;
        let numbered = self.polled.iter().enumerate();
        numbered
            .filter(move |(_, polled)| readable(polled))
            .map(|(number, _)| number)
    }
}

/// Keeps the calling thread, and those that it starts, on one processor.
pub fn stay_on(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: all-zero bytes are an empty cpu_set_t, and the number was compared with its size.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set lives until the call returns, and its size is given; 0 means the calling thread.
    let result =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Processor time of this process so far.
pub fn cpu_time() -> Duration {
    // SAFETY: all-zero bytes are a valid timespec; the kernel writes into it during the call only.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// An IPv4 or IPv6 address as the kernel reads it; much smaller than a sockaddr_storage, so a batch stays in cache.
#[repr(C)]
#[derive(Clone, Copy)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    fn write(&mut self, address: SocketAddr) -> libc::socklen_t {
        match address {
            SocketAddr::V4(address) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from(*address.ip()).to_be(),
                    },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            SocketAddr::V6(address) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.ip().octets(),
                    },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<libc::sockaddr_in6>() as libc::socklen_t
            }
        }
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and at least as aligned, holds a sockaddr_in.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            Some(SocketAddr::V4(SocketAddrV4::new(
                Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)),
                u16::from_be(v4.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: the same for a sockaddr_in6.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            Some(SocketAddr::V6(SocketAddrV6::new(
                Ipv6Addr::from(v6.sin6_addr.s6_addr),
                u16::from_be(v6.sin6_port),
                v6.sin6_flowinfo,
                v6.sin6_scope_id,
            )))
        }
        _ => None,
    }
}

/// The addresses of this machine's interfaces that are up, each once; without those of IPv6 that hold on one link only.
pub(crate) fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let mut first = ptr::null_mut();
    // SAFETY: it writes the head of a list that it allocates, which is given back below.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next: *const libc::ifaddrs = first;
    while !next.is_null() {
        // SAFETY: not null, so an entry of the list, which is not freed before this loop ends.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        let up = entry.ifa_flags & (libc::IFF_UP as libc::c_uint) != 0;
        if !up || entry.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: all-zero bytes are a valid sockaddr_storage (family AF_UNSPEC).
        let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
        // SAFETY: an address is there and begins with its family, whatever that is.
        let length = match libc::c_int::from(unsafe { (*entry.ifa_addr).sa_family }) {
            libc::AF_INET => size_of::<libc::sockaddr_in>(),
            libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
            _ => continue,
        };
        // SAFETY: the family says that so many bytes are there; the storage is larger and apart from the list.
        unsafe {
            ptr::copy_nonoverlapping(
                entry.ifa_addr.cast::<u8>(),
                (&raw mut name).cast::<u8>(),
                length,
            );
        }
        let address = address(&name).map(|address| address.ip());
        let on_link = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        found.extend(address.filter(|ip| !on_link(ip) && !found.contains(ip)));
    }
    // SAFETY: the list that getifaddrs made, given back once.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn a_batch_arrives_whole_and_says_where_it_came_from() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(alice) = UdpSocket::bind(host) else {
                eprintln!("{host}: no such address family here, passed over");
                continue;
            };
            let bob = UdpSocket::bind(host).unwrap();
            let to = bob.local_addr().unwrap();
            let messages: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; usize::from(n) * 10]).collect();
            let first = send(
                alice.as_fd(),
                messages.iter().map(|bytes| (to, bytes.as_slice())),
            )
            .unwrap();
            assert_eq!(first, BATCH);
            let mut receiver = Receiver::new();
            let count = receiver.receive(bob.as_fd()).unwrap();
            assert_eq!(count, BATCH);
            for (index, message) in messages.iter().enumerate().take(count) {
                let datagram = receiver.datagram(index);
                assert_eq!(datagram.bytes, message);
                assert_eq!(datagram.from, Some(alice.local_addr().unwrap()));
                assert!(!datagram.truncated);
            }
            let nothing = receiver.receive(bob.as_fd()).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn this_machine_has_the_address_of_its_loopback_once() {
        let own = own_addresses().unwrap();
        let loopback = own.iter().filter(|ip| **ip == Ipv4Addr::LOCALHOST);
        assert_eq!(loopback.count(), 1, "{own:?}");
    }

    #[test]
    fn a_port_that_nobody_listens_on_is_reported_with_the_datagram() {
        let nobody = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let alice = UdpSocket::bind("127.0.0.1:0").unwrap();
        keep_errors(alice.as_fd(), false).unwrap();
        send(alice.as_fd(), [(nobody, b"hello".as_slice())].into_iter()).unwrap();
        let mut space = [0; 64];
        let lost = undelivered(alice.as_fd(), &mut space).unwrap();
        assert_eq!(lost.to, nobody);
        assert_eq!(lost.error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(&space[..lost.length], b"hello");
    }
}
