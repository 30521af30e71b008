//! Opening a socket to another node: where it is, and the connection to it.

use std::io;
use std::net::SocketAddr;

use switchhook_erlang::NodeName;
use tokio::net::TcpStream;

use super::epmd::{self, EpmdError};
use super::settings::{Epmd, Settings};
use super::tls::Stream;

/// Why a node could not be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error(transparent)]
    Epmd(#[from] EpmdError),
    #[error("EPMD on {0} knows no such node")]
    Unknown(String),
    #[error("no address is known for it, and EPMD is off")]
    NoAddress,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it takes too long")]
    Slow,
}

/// Opens a socket to a node, with TLS where that is configured.
pub(super) async fn dial(settings: &Settings, name: &NodeName) -> Result<Stream, Unreachable> {
    match tokio::time::timeout(settings.connect, open(settings, name)).await {
        Ok(result) => result,
        Err(_) => Err(Unreachable::Slow),
    }
}

async fn open(settings: &Settings, name: &NodeName) -> Result<Stream, Unreachable> {
    let stream = TcpStream::connect(address(settings, name).await?).await?;
    stream.set_nodelay(true)?;
    Ok(match &settings.tls {
        Some(tls) => tls.connect(stream, name.host()).await?,
        None => Stream::Plain(stream),
    })
}

async fn address(settings: &Settings, name: &NodeName) -> Result<SocketAddr, Unreachable> {
    let fixed = settings.addresses.iter().find(|(node, _)| node == name);
    if let Some((_, address)) = fixed {
        return Ok(*address);
    }
    let Epmd::At(ours) = settings.epmd else {
        return Err(Unreachable::NoAddress);
    };
    let hosts = tokio::net::lookup_host((name.host(), ours.port())).await?;
    let mut last = Unreachable::Unknown(name.host().to_owned());
    for host in hosts.take(4) {
        match epmd::port_of(host.ip(), host.port(), name.alive()).await {
            Ok(Some(port)) => return Ok(SocketAddr::new(host.ip(), port)),
            Ok(None) => last = Unreachable::Unknown(name.host().to_owned()),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}
