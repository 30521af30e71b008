//! Frames of a byte stream: a length, then that many bytes. The length has two bytes in a handshake over TCP, else four.
//!
//! Memory grows with what has come, never with what a length claims. A frame of no bytes is a tick.

use bytes::{Buf as _, Bytes, BytesMut};

/// How long the length is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// In a handshake over TCP.
    Two,
    /// In a handshake over TLS, and everywhere after it.
    Four,
}

/// A frame that is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes, at most {limit} are taken")]
pub struct TooLong {
    /// What the peer announced.
    pub length: u64,
    /// What we take.
    pub limit: usize,
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub(crate) struct Framer {
    buffer: BytesMut,
    prefix: Prefix,
    limit: usize,
}

impl Framer {
    pub(crate) fn new(prefix: Prefix, limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            prefix,
            limit,
        }
    }

    /// What follows has these lengths.
    pub(crate) fn switch(&mut self, prefix: Prefix, limit: usize) {
        self.prefix = prefix;
        self.limit = limit;
    }

    /// For reading into its tail. Nothing but appending may be done to it.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next frame, or `None` until more comes.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let (head, length) = match (self.prefix, &self.buffer[..]) {
            (Prefix::Two, [a, b, ..]) => (2, u32::from(u16::from_be_bytes([*a, *b]))),
            (Prefix::Four, [a, b, c, d, ..]) => (4, u32::from_be_bytes([*a, *b, *c, *d])),
            _ => return Ok(None),
        };
        let whole = match usize::try_from(length) {
            Ok(length) if length <= self.limit => head + length,
            _ => {
                return Err(TooLong {
                    length: length.into(),
                    limit: self.limit,
                });
            }
        };
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(whole);
        frame.advance(head);
        Ok(Some(frame.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut framer = Framer::new(Prefix::Two, 10);
        framer.buffer().extend_from_slice(&[0, 1, 7, 0]);
        assert_eq!(framer.next(), Ok(Some(Bytes::from_static(&[7]))));
        assert_eq!(framer.next(), Ok(None));
        framer.buffer().extend_from_slice(&[0]);
        assert_eq!(framer.next(), Ok(Some(Bytes::new())));
        framer.switch(Prefix::Four, 10);
        framer.buffer().extend_from_slice(&[0, 0, 0, 2, 1, 2, 3]);
        assert_eq!(framer.next(), Ok(Some(Bytes::from_static(&[1, 2]))));
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut framer = Framer::new(Prefix::Four, 1 << 20);
        framer.buffer().extend_from_slice(&[0xff; 4]);
        let error = framer.next().unwrap_err();
        assert_eq!(error.length, 0xffff_ffff);
        let mut framer = Framer::new(Prefix::Four, 1 << 20);
        framer.buffer().extend_from_slice(&[0, 0x10, 0, 0]);
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.buffer().capacity() < 1024);
    }
}
