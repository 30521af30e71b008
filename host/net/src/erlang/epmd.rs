//! EPMD over TCP: registering for as long as we live, and asking for ports.
//!
//! When EPMD goes away we register again as soon as it is back; connections between nodes do not depend on it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use switchhook_erlang::epmd::{BadEpmd, Found, Registered, Registration, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest answer that is read.
const MAX_ANSWER: usize = 4096;
/// How long EPMD may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// First and longest pause before registering again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What went wrong with EPMD.
#[derive(Debug, thiserror::Error)]
pub(super) enum EpmdError {
    #[error("EPMD: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Answer(#[from] BadEpmd),
    #[error("EPMD does not answer")]
    Silent,
    #[error("EPMD: another node has that name")]
    Taken,
}

/// Registers once; the connection is to be kept open.
pub(super) async fn register(
    at: SocketAddr,
    alive: &str,
    port: u16,
) -> Result<(TcpStream, u32), EpmdError> {
    let request = Request::Register(Registration::hidden(alive, port));
    let exchange = exchange(at, &request, Registered::decode);
    let answered = tokio::time::timeout(PATIENCE, exchange).await;
    let (stream, answer) = answered.map_err(|_| EpmdError::Silent)??;
    match answer {
        Registered::Yes { creation } => Ok((stream, creation)),
        Registered::Taken => Err(EpmdError::Taken),
    }
}

/// Stays registered: waits until EPMD is gone, then registers again, for ever.
pub(super) async fn keep(
    at: SocketAddr,
    alive: String,
    port: u16,
    mut registered: Option<TcpStream>,
) {
    let mut pause = PAUSE.0;
    loop {
        match registered.take() {
            Some(mut stream) => {
                // EPMD says nothing more; the end is all there is to read.
                while matches!(stream.read(&mut [0; 64]).await, Ok(count) if count > 0) {}
                tracing::warn!(node = alive, "EPMD is gone; registering again");
                pause = PAUSE.0;
            }
            None => pause = (pause * 2).min(PAUSE.1),
        }
        tokio::time::sleep(pause).await;
        match register(at, &alive, port).await {
            Ok((stream, _)) => {
                tracing::info!(node = alive, port, "registered with EPMD");
                registered = Some(stream);
            }
            Err(error) => tracing::debug!(node = alive, %error, "not registered"),
        }
    }
}

/// The port of a node on that host; none where EPMD knows no such node.
pub(super) async fn port_of(
    host: IpAddr,
    epmd_port: u16,
    alive: &str,
) -> Result<Option<u16>, EpmdError> {
    let at = SocketAddr::new(host, epmd_port);
    let request = Request::Port(alive.to_owned());
    let answered = tokio::time::timeout(PATIENCE, exchange(at, &request, Found::decode)).await;
    match answered.map_err(|_| EpmdError::Silent)??.1 {
        Found::Node(registration) => Ok(Some(registration.port)),
        Found::Nowhere => Ok(None),
    }
}

async fn exchange<A>(
    at: SocketAddr,
    request: &Request,
    read: impl Fn(&[u8]) -> Result<Option<A>, BadEpmd>,
) -> Result<(TcpStream, A), EpmdError> {
    let mut stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&request.encode()).await?;
    let mut answer = Vec::new();
    loop {
        if let Some(answer) = read(&answer)? {
            return Ok((stream, answer));
        }
        if answer.len() > MAX_ANSWER || stream.read_buf(&mut answer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}
