//! What waits to be written to one connection: bounded in bytes, shared by the lane (pushes) and the connection's task (writes).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use switchhook_sip::flow::FlowId;
use tokio::sync::Notify;

use crate::event::Failure;

/// Messages handed to the kernel in one write.
const GATHER: usize = 16;

pub(crate) struct Outbox {
    pub(crate) flow: FlowId,
    /// Whole messages as they were queued; of the first one `written` bytes are gone.
    queue: RefCell<VecDeque<Bytes>>,
    written: Cell<usize>,
    bytes: Cell<usize>,
    limit: usize,
    state: Cell<State>,
    pub(crate) wake: Notify,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    /// The peer has sent all it will: answers to it may still go out.
    RepliesOnly,
    /// Too much waits: the task shall close.
    Overflown,
}

impl Outbox {
    pub(crate) fn new(flow: FlowId, limit: usize) -> Outbox {
        Outbox {
            flow,
            queue: RefCell::default(),
            written: Cell::new(0),
            bytes: Cell::new(0),
            limit,
            state: Cell::new(State::Open),
            wake: Notify::new(),
        }
    }

    /// Queues a whole message, or says why it can't be sent here.
    pub(crate) fn push(&self, bytes: &Bytes) -> Result<(), Failure> {
        match self.state.get() {
            State::Open => {}
            State::RepliesOnly if bytes.starts_with(b"SIP/") => {}
            State::RepliesOnly => return Err(Failure::Gone),
            State::Overflown => return Err(Failure::QueueFull),
        }
        if self.bytes.get() + bytes.len() > self.limit {
            self.state.set(State::Overflown);
            self.wake.notify_one();
            return Err(Failure::QueueFull);
        }
        self.bytes.set(self.bytes.get() + bytes.len());
        self.queue.borrow_mut().push_back(bytes.clone());
        self.wake.notify_one();
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    pub(crate) fn overflown(&self) -> bool {
        self.state.get() == State::Overflown
    }

    pub(crate) fn replies_only(&self) {
        if self.state.get() == State::Open {
            self.state.set(State::RepliesOnly);
        }
    }

    /// Calls `write` with what waits; it says how many bytes it took.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&[IoSlice<'_>]) -> std::io::Result<usize>,
    ) -> std::io::Result<()> {
        let mut queue = self.queue.borrow_mut();
        let mut slices = [IoSlice::new(&[]); GATHER];
        let mut skip = self.written.get();
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(queue.iter()) {
            *slice = IoSlice::new(bytes.get(skip..).unwrap_or_default());
            skip = 0;
            count += 1;
        }
        let taken = write(slices.get(..count).unwrap_or_default())?;
        self.bytes.set(self.bytes.get().saturating_sub(taken));
        let mut taken = taken + self.written.get();
        while let Some(first) = queue.front() {
            if taken < first.remaining() {
                break;
            }
            taken -= first.remaining();
            queue.pop_front();
        }
        self.written.set(taken);
        Ok(())
    }

    /// Takes out every message that was not wholly written, in order; closes the outbox.
    pub(crate) fn drain(&self) -> Vec<Bytes> {
        self.state.set(State::Overflown);
        self.bytes.set(0);
        self.written.set(0);
        self.queue.borrow_mut().drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_half_written_is_finished_and_one_unfinished_is_given_back() {
        let outbox = Outbox::new(FlowId::new(1), 100);
        outbox.push(&Bytes::from_static(b"one")).unwrap();
        outbox.push(&Bytes::from_static(b"second")).unwrap();
        let mut seen = Vec::new();
        for take in [2, 3] {
            outbox
                .write(|slices| {
                    let all: Vec<u8> = slices.iter().flat_map(|s| s.to_vec()).collect();
                    seen.extend_from_slice(&all[..take]);
                    Ok(take)
                })
                .unwrap();
        }
        assert_eq!(seen, b"onese");
        assert!(!outbox.is_empty());
        assert_eq!(outbox.drain(), [Bytes::from_static(b"second")]);
    }

    #[test]
    fn too_much_overflows_for_good() {
        let outbox = Outbox::new(FlowId::new(1), 4);
        outbox.push(&Bytes::from_static(b"four")).unwrap();
        assert!(matches!(
            outbox.push(&Bytes::from_static(b"5")),
            Err(Failure::QueueFull)
        ));
        assert!(outbox.overflown());
        assert!(outbox.push(&Bytes::new()).is_err());
    }

    #[test]
    fn after_the_peers_end_only_replies_go_out() {
        let outbox = Outbox::new(FlowId::new(1), 400);
        outbox.replies_only();
        assert!(outbox.push(&Bytes::from_static(b"SIP/2.0 200 OK")).is_ok());
        assert!(
            outbox
                .push(&Bytes::from_static(b"BYE sip:a SIP/2.0"))
                .is_err()
        );
    }
}
