//! Bytes that a client's socket has not taken yet.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::batch::Frame;

/// Pieces of one write: more would not make it faster.
const MOST_PIECES: usize = 64;

/// Shared pieces in order; the first may be sent in part.
#[derive(Default)]
pub(crate) struct Backlog {
    pieces: VecDeque<Frame>,
    /// Bytes of the first piece that were sent.
    sent: usize,
    bytes: usize,
}

impl Backlog {
    /// Bytes that are left.
    pub const fn byte_length(&self) -> usize {
        self.bytes
    }

    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a piece, of which the first bytes were sent already.
    pub fn push(&mut self, piece: Frame, sent: usize) {
        let left = piece.len() - sent;
        if left == 0 {
            return;
        }
        debug_assert!(sent == 0 || self.pieces.is_empty());
        if self.pieces.is_empty() {
            self.sent = sent;
        }
        self.bytes += left;
        self.pieces.push_back(piece);
    }

    /// The next bytes to send.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let first = self.pieces.iter().take(1).map(|piece| &piece[self.sent..]);
        let others = self.pieces.iter().take(MOST_PIECES).skip(1).map(|piece| &piece[..]);
        first.chain(others).map(IoSlice::new).collect()
    }

    /// So many bytes were sent.
    pub fn advance(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while let Some(first) = self.pieces.front() {
            let left = first.len() - self.sent;
            if sent < left {
                self.sent += sent;
                return;
            }
            sent -= left;
            self.sent = 0;
            self.pieces.pop_front();
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_out_in_order_however_they_are_cut() {
        let mut backlog = Backlog::default();
        backlog.push(b"abcdef".as_slice().into(), 2);
        backlog.push(b"ghi".as_slice().into(), 0);
        backlog.push(b"".as_slice().into(), 0);
        backlog.push(b"j".as_slice().into(), 0);
        let mut out = Vec::new();
        for step in [1, 4, 2, 1] {
            let bytes: Vec<u8> = backlog.slices().iter().flat_map(|slice| slice.to_vec()).collect();
            out.extend_from_slice(&bytes[..step]);
            backlog.advance(step);
        }
        assert_eq!(out, b"cdefghij");
        assert!(backlog.is_empty() && backlog.slices().is_empty());
    }
}
