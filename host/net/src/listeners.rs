//! Binding: every socket of every lane, before any lane runs, so that a fault is known while nothing has started.
//!
//! Each lane gets its own socket on each address (SO_REUSEPORT); the kernel gives each datagram to the lane of its Call-ID ([`crate::steer`]), and what has none
//! that it finds, and connections, to one by the peer's address. That option would let a second daemon share our port unnoticed, so each address is first bound
//! once without it.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use switchhook_sip::flow::Transport;

use crate::limits::NetLimits;
use crate::listen::{Listen, Local};
use crate::mmsg;
use crate::steer::{GROUPS, Steer, program, reach};

/// Connections that wait to be accepted, per lane.
const BACKLOG: i32 = 1024;

/// Every socket of every lane, bound and listening; nothing is read yet.
pub struct Listeners {
    pub(crate) locals: Vec<Local>,
    pub(crate) lanes: Vec<Sockets>,
    pub(crate) limits: NetLimits,
    steer: Steer,
}

/// One lane's sockets, in the order of the listeners.
pub(crate) type Sockets = Vec<Bound>;

pub(crate) enum Bound {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

/// A listener that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No address was given.
    #[error("no address to listen on")]
    Nothing,
    /// That transport is not built in.
    #[error("{listen}: expected UDP or TCP")]
    Transport {
        /// The listener.
        listen: Listen,
    },
    /// The system refused.
    #[error("can't listen on {listen}: {source}")]
    System {
        /// The listener.
        listen: Listen,
        /// Why.
        source: io::Error,
    },
}

impl Listeners {
    /// Binds `listen` once for each of `lanes` lanes (one to 65535); a wildcard address as all that it stands for.
    pub fn bind(
        listen: &[Listen],
        lanes: usize,
        limits: &NetLimits,
    ) -> Result<Listeners, BindError> {
        if listen.is_empty() {
            return Err(BindError::Nothing);
        }
        let lanes = u16::try_from(lanes.max(1)).unwrap_or(u16::MAX);
        let steer = Steer::new(lanes);
        let mut locals = Vec::new();
        let mut sockets: Vec<Sockets> = (0..lanes).map(|_| Vec::new()).collect();
        for listen in listen {
            if !matches!(listen.transport, Transport::Udp | Transport::Tcp) {
                return Err(BindError::Transport {
                    listen: listen.clone(),
                });
            }
            let fail = |source| BindError::System {
                listen: listen.clone(),
                source,
            };
            for listen in &meant(listen).map_err(fail)? {
                let mut address = probe(listen).map_err(fail)?;
                for lane in &mut sockets {
                    let bound = bind(listen, address, limits).map_err(fail)?;
                    address = bound.address().map_err(fail)?;
                    lane.push(bound);
                }
                // Sockets are numbered in the order in which they were bound, as lanes are.
                if let Some(Bound::Udp(socket)) = sockets.first().and_then(|lane| lane.last()) {
                    choose(socket, &steer);
                }
                locals.push(Local::new(listen, address));
            }
        }
        let listeners = Listeners {
            locals,
            lanes: sockets,
            limits: limits.clone(),
            steer,
        };
        listeners.tell_of_small_buffers();
        Ok(listeners)
    }

    /// A burst fills a small buffer before a lane has its turn: then calls are refused, or datagrams lost, that needn't be.
    fn tell_of_small_buffers(&self) {
        let mut sockets = self.lanes.iter().flatten();
        let first = sockets.find_map(|bound| match bound {
            Bound::Udp(socket) => Some(socket),
            Bound::Tcp(_) => None,
        });
        // Linux gives twice what it was asked for, for its own needs.
        let given =
            first.and_then(|socket| Some(SockRef::from(socket).recv_buffer_size().ok()? / 2));
        let asked = self.limits.udp_buffer;
        if let Some(given) = given
            && given < asked
        {
            tracing::warn!(
                asked,
                given,
                "the system gives UDP sockets smaller receive buffers: raise net.core.rmem_max (sysctl)"
            );
        }
    }

    /// Our addresses, with the ports they really have, in the order asked for.
    pub fn addresses(&self) -> &[Local] {
        &self.locals
    }

    /// The first lane's datagram sockets by their addresses, to send from beside the lane; who reads them takes the lane's messages.
    pub fn senders(&self) -> io::Result<Vec<(SocketAddr, UdpSocket)>> {
        let first = self.lanes.first().into_iter().flatten();
        let sockets = first.filter_map(|bound| match bound {
            Bound::Udp(socket) => Some(socket),
            Bound::Tcp(_) => None,
        });
        let sender = |socket: &UdpSocket| Ok((socket.local_addr()?, socket.try_clone()?));
        sockets.map(sender).collect()
    }

    /// Which lane has a message: the kernel delivers by it, as far as it can.
    pub fn steer(&self) -> &Steer {
        &self.steer
    }

    /// How many lanes were bound for.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }
}

impl Bound {
    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Bound::Udp(socket) => socket.local_addr(),
            Bound::Tcp(listener) => listener.local_addr(),
        }
    }
}

/// The listener itself, or for a wildcard address one for each address of that family that this machine has.
fn meant(listen: &Listen) -> io::Result<Vec<Listen>> {
    if !listen.address.ip().is_unspecified() {
        return Ok(vec![listen.clone()]);
    }
    let with = |ip| Listen {
        address: SocketAddr::new(ip, listen.address.port()),
        ..listen.clone()
    };
    let own = mmsg::own_addresses()?.into_iter();
    let all: Vec<_> = own
        .filter(|ip| ip.is_ipv4() == listen.address.is_ipv4())
        .map(with)
        .collect();
    match all.is_empty() {
        true => Err(io::ErrorKind::AddrNotAvailable.into()),
        false => Ok(all),
    }
}

/// Has the kernel give each datagram for this socket's port to the lane of its Call-ID. Where it does not take the program lanes hand over, as they do whatever
/// it did not find. It may allow a short one only: `net.core.optmem_max` bounds it, which was 20 KiB before Linux 6.8.
fn choose(socket: &UdpSocket, steer: &Steer) {
    if steer.lanes() < 2 {
        return;
    }
    let mut groups = GROUPS;
    while let Err(error) = mmsg::choose_by(socket.as_fd(), &program(steer, groups)) {
        groups -= 1;
        if groups == 0 || error.raw_os_error() != Some(libc::ENOMEM) {
            tracing::warn!(%error, "the kernel does not give datagrams to the lanes of their calls: lanes hand them over");
            return;
        }
    }
    let (reach, whole) = (reach(groups), reach(GROUPS));
    if reach < whole {
        tracing::info!(
            reach,
            whole,
            "the kernel looks for a Call-ID in the first bytes of a datagram only: raise net.core.optmem_max (sysctl)"
        );
    }
}

/// Binds the address alone and lets it go: fails where anyone else has it. Gives the address with its real port.
fn probe(listen: &Listen) -> io::Result<SocketAddr> {
    let socket = open(listen)?;
    if listen.transport == Transport::Tcp {
        // Connections of an earlier run that linger in TIME_WAIT are no reason to refuse.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&listen.address.into())?;
    if listen.transport == Transport::Tcp {
        // Only listening tells that nobody else listens there.
        socket.listen(1)?;
    }
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}

fn bind(listen: &Listen, address: SocketAddr, limits: &NetLimits) -> io::Result<Bound> {
    let socket = open(listen)?;
    socket.set_reuse_port(true)?;
    if listen.transport == Transport::Tcp {
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        return Ok(Bound::Tcp(socket.into()));
    }
    if limits.udp_buffer > 0 {
        // The system may give less than asked.
        socket.set_recv_buffer_size(limits.udp_buffer)?;
        socket.set_send_buffer_size(limits.udp_buffer)?;
    }
    mmsg::keep_errors(socket.as_fd(), address.is_ipv6())?;
    socket.bind(&address.into())?;
    Ok(Bound::Udp(socket.into()))
}

fn open(listen: &Listen) -> io::Result<Socket> {
    let (kind, protocol) = match listen.transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        _ => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(listen.address), kind, Some(protocol))?;
    if listen.address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(text: &str, lanes: usize) -> Result<Listeners, BindError> {
        Listeners::bind(&[text.parse().unwrap()], lanes, &NetLimits::default())
    }

    #[test]
    fn a_wildcard_listens_on_every_address_and_is_none_itself() {
        for transport in ["udp", "tcp"] {
            let ours = bind(&format!("{transport}:0.0.0.0:0"), 2).unwrap();
            let ips: Vec<_> = ours.addresses().iter().map(|l| l.address.ip()).collect();
            assert!(ips.contains(&[127, 0, 0, 1].into()), "{ips:?}");
            assert!(ips.iter().all(|ip| ip.is_ipv4() && !ip.is_unspecified()));
        }
        let mut advertised: Listen = "udp:0.0.0.0:0".parse().unwrap();
        advertised.advertise = Some(("sip.example.test".into(), 5060));
        let ours = Listeners::bind(&[advertised], 1, &NetLimits::default()).unwrap();
        let all = |local: &Local| local.sent_by == "sip.example.test:5060";
        assert!(ours.addresses().iter().all(all));
    }

    #[test]
    fn all_lanes_share_a_port_but_no_stranger_does() {
        for transport in ["udp", "tcp"] {
            let ours = bind(&format!("{transport}:127.0.0.1:0"), 3).unwrap();
            let address = ours.addresses().first().unwrap().address;
            assert_ne!(address.port(), 0);
            assert_eq!(ours.lanes(), 3);
            let taken = bind(&format!("{transport}:{address}"), 1);
            let error = taken.err().expect("the port is taken").to_string();
            assert!(error.contains(&address.to_string()), "{error}");
            drop(ours);
            bind(&format!("{transport}:{address}"), 1).expect("the port is free again");
        }
    }
}
