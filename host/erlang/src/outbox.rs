//! Bytes that wait to be written to one peer.
//!
//! Frames that are small are gathered in one piece, large payloads stay where they are; what was put in together is written
//! together. How much waits is known, so that its owner can say no.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// A payload from this size on is not copied.
const LARGE: usize = 16 * 1024;
/// A piece is handed on when it has grown to this.
const PIECE: usize = 64 * 1024;

/// See the module's header.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Bytes>,
    tail: Vec<u8>,
    held: usize,
    /// Of the first piece, so much is written.
    written: usize,
}

impl Outbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.held += bytes.len();
        self.tail.extend_from_slice(bytes);
        if self.tail.len() >= PIECE {
            self.close_tail();
        }
    }

    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if bytes.len() < LARGE {
            return self.push(&bytes);
        }
        self.close_tail();
        self.held += bytes.len();
        self.pieces.push_back(bytes);
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.tail).into());
        }
    }

    /// The bytes that wait.
    pub fn len(&self) -> usize {
        self.held
    }

    /// True where nothing waits.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Hands what waits, or the first of it, to a vectored write; takes off what that wrote.
    pub fn write<E>(
        &mut self,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.close_tail();
        let mut slices = [IoSlice::new(&[]); 16];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let from = if count == 0 { self.written } else { 0 };
            *slice = IoSlice::new(piece.get(from..).unwrap_or_default());
            count += 1;
        }
        let done = write(slices.get(..count).unwrap_or_default())?;
        self.held = self.held.saturating_sub(done);
        self.written += done;
        while let Some(first) = self.pieces.front()
            && self.written >= first.len()
        {
            self.written -= first.len();
            self.pieces.pop_front();
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_however_little_is_written() {
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for round in 0..50u8 {
            outbox.push(&[round; 100]);
            expected.extend([round; 100]);
            let large = vec![round; LARGE];
            expected.extend(&large);
            outbox.push_shared(large.into());
        }
        assert_eq!(outbox.len(), expected.len());
        let mut out: Vec<u8> = Vec::new();
        let mut step = 1;
        while !outbox.is_empty() {
            let done = outbox.write(|slices| {
                let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                let count = step.min(all.len());
                out.extend(&all[..count]);
                Ok::<_, ()>(count)
            });
            assert_eq!(done, Ok(step.min(done.unwrap_or(0))));
            step = step * 3 % 9973;
        }
        assert_eq!(out, expected);
    }
}
