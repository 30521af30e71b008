//! How much a peer may cost us. Each limit says what happens when it is reached; each such event is counted.

use std::time::Duration;

/// Bounds of one lane's sockets. The defaults suit a site of some thousand phones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetLimits {
    /// Longest message in bytes; on a stream its header and its body each. A longer datagram is dropped; a longer message
    /// on a stream is answered 513 where it can be, and closes its connection.
    pub max_message: usize,
    /// Datagrams that wait for a full socket buffer, per socket. When full, the newest is dropped and reported as failed.
    pub udp_queue: usize,
    /// Receive and send buffer asked of the kernel for each UDP socket, in bytes; 0 leaves the system's default.
    pub udp_buffer: usize,
    /// Messages from streams that wait for the lane. When full, the connections are not read (their peers feel it).
    pub stream_inbox: usize,
    /// Stream connections of a lane. A further one is closed as soon as it is accepted; an outgoing one fails.
    pub connections: usize,
    /// Stream connections of a lane with one peer address. A further one is closed as soon as it is accepted.
    pub connections_per_address: usize,
    /// Bytes that wait to be written to one connection. When full, the connection is closed and what waited is reported
    /// as failed.
    pub write_queue: usize,
    /// Time for an outgoing connection to be made; what waited for it is then reported as failed.
    pub connect: Duration,
    /// Time for the first whole message on an accepted connection, before it is closed.
    pub first_message: Duration,
    /// Time for a message that has begun to be whole, before the connection is closed.
    pub whole_message: Duration,
    /// Time without a byte in either direction before a connection is closed.
    pub idle: Duration,
    /// Time in which a peer must take some of what waits for it, before the connection is closed.
    pub stalled: Duration,
}

impl Default for NetLimits {
    fn default() -> NetLimits {
        NetLimits {
            max_message: 65535,
            udp_queue: 4096,
            udp_buffer: 4 << 20,
            stream_inbox: 1024,
            connections: 16384,
            connections_per_address: 512,
            write_queue: 1 << 20,
            connect: Duration::from_secs(5),
            first_message: Duration::from_secs(32),
            whole_message: Duration::from_secs(10),
            idle: Duration::from_secs(15 * 60),
            stalled: Duration::from_secs(20),
        }
    }
}
