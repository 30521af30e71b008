//! What we listen on: the words of the config, and what came of them once bound.
//!
//! Plain data; opens nothing. A listener's address is what peers see as ours: it goes into Via and Record-Route unless
//! another one is advertised (RFC 3261 18.1.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use switchhook_sip::flow::Transport;

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// UDP or TCP; others are refused when bound.
    pub transport: Transport,
    /// An address of this machine; port 0 takes a free one. `0.0.0.0` or `[::]` stands for every address of that family which the
    /// machine has when it is bound: each is written into Via where peers reach it, and answers leave from where requests came to.
    pub address: SocketAddr,
    /// Host and port to write into Via and Record-Route where peers reach us at another address than our own.
    pub advertise: Option<(String, u16)>,
}

/// A listening address that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadListen {
    /// Neither UDP nor TCP.
    #[error("`{text}`: expected `udp:` or `tcp:` before the address")]
    Transport {
        /// What came.
        text: String,
    },
    /// No numeric address with a port.
    #[error(
        "`{text}`: expected a numeric address with a port, such as `udp:127.0.0.1:5060` or `tcp:[::1]:5060`"
    )]
    Address {
        /// What came.
        text: String,
    },
}

impl FromStr for Listen {
    type Err = BadListen;

    fn from_str(text: &str) -> Result<Listen, BadListen> {
        let (name, address) = text
            .split_once(':')
            .ok_or_else(|| BadListen::Transport { text: text.into() })?;
        let transport = match Transport::from_bytes(name.as_bytes()) {
            Some(transport @ (Transport::Udp | Transport::Tcp)) => transport,
            _ => return Err(BadListen::Transport { text: text.into() }),
        };
        let address: SocketAddr = address
            .parse()
            .map_err(|_| BadListen::Address { text: text.into() })?;
        Ok(Listen {
            transport,
            address,
            advertise: None,
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.uri_param(), self.address)
    }
}

/// A bound listener: one of our addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// What it carries.
    pub transport: Transport,
    /// Its address, with the port that it really has.
    pub address: SocketAddr,
    /// `host:port` as written into Via and Record-Route.
    pub sent_by: String,
}

impl Local {
    pub(crate) fn new(listen: &Listen, address: SocketAddr) -> Local {
        let sent_by = match &listen.advertise {
            Some((host, port)) => format!("{host}:{port}"),
            None => address.to_string(),
        };
        Local {
            transport: listen.transport,
            address,
            sent_by,
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.uri_param(), self.address)
    }
}

/// Which of our addresses a message to `remote` leaves from: the one asked for, else one of the same IP, else one of the
/// same kind (loopback to loopback), else one of the same family. From a loopback address nothing gets to another machine, so
/// that comes last. `None` where nothing of ours speaks that transport there.
pub fn egress(
    locals: &[Local],
    transport: Transport,
    remote: IpAddr,
    asked: Option<SocketAddr>,
) -> Option<&Local> {
    let fits = |local: &&Local| {
        local.transport == transport && local.address.is_ipv4() == remote.is_ipv4()
    };
    let rank = |local: &&Local| {
        if local.address.ip().is_loopback() && !remote.is_loopback() {
            4
        } else if asked == Some(local.address) {
            0
        } else if asked.is_some_and(|asked| asked.ip() == local.address.ip()) {
            1
        } else if local.address.ip().is_loopback() == remote.is_loopback() {
            2
        } else {
            3
        }
    };
    locals.iter().filter(fits).min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read_and_faults_named() {
        let udp: Listen = "udp:127.0.0.1:5060".parse().unwrap();
        assert_eq!(udp.to_string(), "udp:127.0.0.1:5060");
        let tcp: Listen = "TCP:[::1]:5070".parse().unwrap();
        assert_eq!(tcp.transport, Transport::Tcp);
        for (bad, expected) in [
            ("sctp:127.0.0.1:5060", "`udp:` or `tcp:`"),
            ("127.0.0.1:5060", "`udp:` or `tcp:`"),
            ("udp:example.test:5060", "numeric"),
            ("udp:127.0.0.1", "with a port"),
        ] {
            let error = bad.parse::<Listen>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_message_leaves_from_the_address_that_fits() {
        let local = |text: &str| {
            let listen: Listen = text.parse().unwrap();
            Local::new(&listen, listen.address)
        };
        let ours = [
            local("udp:192.0.2.1:5060"),
            local("udp:127.0.0.1:5060"),
            local("udp:127.0.0.1:5070"),
            local("tcp:127.0.0.1:5060"),
        ];
        let to = |remote: &str, asked: Option<&str>| {
            egress(
                &ours,
                Transport::Udp,
                remote.parse().unwrap(),
                asked.map(|asked| asked.parse().unwrap()),
            )
            .map(|local| local.to_string())
        };
        assert_eq!(to("198.51.100.1", None).unwrap(), "udp:192.0.2.1:5060");
        assert_eq!(to("127.0.0.9", None).unwrap(), "udp:127.0.0.1:5060");
        assert_eq!(
            to("127.0.0.9", Some("127.0.0.1:5070")).unwrap(),
            "udp:127.0.0.1:5070"
        );
        assert_eq!(
            to("198.51.100.1", Some("127.0.0.1:5070")).unwrap(),
            "udp:192.0.2.1:5060",
            "what came by loopback can't leave the machine from there"
        );
        assert_eq!(to("::1", None), None);
    }
}
