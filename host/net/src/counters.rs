//! What a lane's sockets count. Written by their lane alone, read by anyone: relaxed atomics, no lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only one thread writes.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds some. One writer, so a load and a store are enough and cost no locked instruction.
    pub fn add(&self, some: u64) {
        let value = self.0.load(Ordering::Relaxed).wrapping_add(some);
        self.0.store(value, Ordering::Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it says now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a struct of [`Counter`]s, each with its name for `stats.get`.
#[macro_export]
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        // On cache lines of its own, and on pairs of them, as processors fetch them: another lane's are written all the time.
        #[repr(align(128))]
        pub struct $name { $($(#[$doc])* pub $field: $crate::Counter,)* }

        impl $name {
            /// Every number with its name for `stats.get`.
            pub fn each(&self, mut visit: impl FnMut(&'static str, u64)) {
                $(visit($text, self.$field.value());)*
            }
        }
    };
}

counters! {
    /// Counters of one lane's sockets.
    NetCounters {
        /// Datagrams received that were messages.
        udp_in: "net.udp.in",
        /// Datagrams sent.
        udp_out: "net.udp.out",
        /// Messages received on TCP.
        tcp_in: "net.tcp.in",
        /// Messages queued for TCP connections.
        tcp_out: "net.tcp.out",
        /// Keep-alives answered or swallowed: empty datagrams, CRLF on streams.
        keepalives: "net.keepalives",
        /// Datagrams dropped because they were longer than the limit.
        udp_oversize: "net.drop.udp_oversize",
        /// Datagrams dropped because the socket's queue was full.
        udp_queue_full: "net.drop.udp_queue_full",
        /// Datagrams the kernel refused to send or reported undelivered.
        udp_failed: "net.udp.failed",
        /// Messages for a stream that could not be delivered.
        tcp_failed: "net.tcp.failed",
        /// Connections open now.
        connections: "net.tcp.connections",
        /// Connections accepted.
        accepted: "net.tcp.accepted",
        /// Connections made.
        connected: "net.tcp.connected",
        /// Connections refused because of a limit.
        refused: "net.tcp.refused",
        /// Connections closed because a message broke the framing or was too long.
        broken: "net.tcp.closed_broken",
        /// Connections closed because a message did not come in time.
        slow: "net.tcp.closed_slow",
        /// Connections closed because nothing came for too long.
        idle: "net.tcp.closed_idle",
        /// Connections closed because the peer did not read or the write queue was full.
        stalled: "net.tcp.closed_stalled",
        /// Accepts that failed for want of descriptors or memory.
        accept_failed: "net.tcp.accept_failed",
    }
}
