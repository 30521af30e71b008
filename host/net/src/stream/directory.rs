//! Which connection leads to a peer's address: the one thing about streams that all lanes share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use switchhook_sip::flow::{FlowId, Transport};

/// Peer addresses and the newest connection with each. As many entries as there are connections.
#[derive(Default)]
pub(crate) struct Directory(Mutex<HashMap<(Transport, SocketAddr), FlowId>>);

impl Directory {
    pub(crate) fn find(&self, transport: Transport, remote: SocketAddr) -> Option<FlowId> {
        self.map().get(&(transport, remote)).copied()
    }

    pub(crate) fn insert(&self, transport: Transport, remote: SocketAddr, flow: FlowId) {
        self.map().insert((transport, remote), flow);
    }

    /// Removes a connection, unless another has taken its place.
    pub(crate) fn remove(&self, transport: Transport, remote: SocketAddr, flow: FlowId) {
        let mut map = self.map();
        if map.get(&(transport, remote)) == Some(&flow) {
            map.remove(&(transport, remote));
        }
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(Transport, SocketAddr), FlowId>> {
        // Each change is one insert or remove, so a map left by a panicking thread is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
