//! Where a frame is written: bytes one after the other, into memory that has room for the longest frame.

/// Copies may write so many bytes of nothing behind what they append.
pub(super) const OVERRUN: usize = 32;

/// A few bytes, in an array of a length that is known when they are copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short {
    bytes: [u8; OVERRUN],
    length: usize,
}

impl Short {
    /// All parts after one another.
    pub const fn concat(parts: &[&[u8]]) -> Self {
        let (mut bytes, mut length, mut part) = ([0; OVERRUN], 0, 0);
        while part < parts.len() {
            let mut index = 0;
            while index < parts[part].len() {
                bytes[length] = parts[part][index];
                length += 1;
                index += 1;
            }
            part += 1;
        }
        Self { bytes, length }
    }
}

/// A part of a frame that is being written. JSON's functions that are not inlined write a part of their own and
/// return its length ([`put_part`](Self::put_part)): so the length stays in a register.
pub(super) struct Bytes<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Bytes<'a> {
    /// Writes at the beginning of `room`.
    pub const fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0 }
    }

    /// Bytes written.
    #[inline(always)]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Appends a part: `write` gets the room that is left and returns how much of it was written.
    #[inline(always)]
    pub fn put_part(&mut self, write: impl FnOnce(&mut [u8]) -> usize) {
        self.length += write(&mut self.room[self.length..]);
    }

    /// Appends the first `length` bytes of an array, of which all are copied.
    #[inline(always)]
    pub fn put_first<const N: usize>(&mut self, bytes: &[u8; N], length: usize) {
        const { assert!(N <= OVERRUN) };
        let room = self.room[self.length..].first_chunk_mut();
        *room.expect("there is room for the longest frame") = *bytes;
        self.length += length;
    }

    #[inline(always)]
    pub fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.put_first(bytes, N);
    }

    #[inline(always)]
    pub fn put_short(&mut self, short: &Short) {
        self.put_first(&short.bytes, short.length);
    }

    #[inline(always)]
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.room[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

impl std::io::Write for Bytes<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.put_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
