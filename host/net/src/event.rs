//! What the network tells its lane.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use switchhook_sip::flow::{Destination, Source};

/// One thing that happened on a lane's sockets.
#[derive(Debug)]
pub enum Event {
    /// A whole message came: one datagram, or one message cut out of a stream.
    Message {
        /// Its bytes.
        bytes: Bytes,
        /// Where it came from.
        source: Source,
    },
    /// A message that was to be sent is known not to have arrived.
    Failed {
        /// The message; after an ICMP error at least its beginning.
        bytes: Bytes,
        /// Where it was to go.
        destination: Destination,
        /// Why it did not get there.
        error: Failure,
    },
}

/// Why a message could not be delivered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// None of our listeners speaks that transport to that kind of address.
    #[error("no listener of ours can send there")]
    NoListener,
    /// The socket's queue or the connection's queue is full.
    #[error("the queue towards the peer is full")]
    QueueFull,
    /// The connection that was asked for is gone.
    #[error("the connection is gone")]
    Gone,
    /// No further connection is allowed.
    #[error("the limit of connections is reached")]
    TooMany,
    /// The connection could not be made in time.
    #[error("the connection was not made in time")]
    ConnectTimeout,
    /// The peer did not read in time.
    #[error("the peer does not read")]
    Stalled,
    /// What the system said.
    #[error("{0}")]
    System(Arc<io::Error>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::System(Arc::new(error))
    }
}
