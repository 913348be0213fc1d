//! A Unix stream socket between two processes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::link::{Duplex, Link, MESSAGE, Place, Sink, Source, Stream, payload};

pub struct Socket {
    ends: (UnixStream, UnixStream),
}

impl Socket {
    pub fn new() -> Self {
        Self { ends: UnixStream::pair().expect("a pair of sockets") }
    }
}

fn bytes(number: u64) -> [u8; MESSAGE] {
    let mut bytes = [0; MESSAGE];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(payload(number).0) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

pub struct Side(UnixStream);

impl Link for Socket {
    type Side = Side;
    const PLACE: Place = Place::Processes;

    fn open(&self, first: bool) -> Side {
        let end = if first { &self.ends.0 } else { &self.ends.1 };
        Side(end.try_clone().expect("a descriptor"))
    }
}

impl Duplex for Side {
    fn send(&mut self, number: u64) {
        self.0.write_all(&bytes(number)).expect("an open socket");
    }

    fn receive(&mut self) -> u64 {
        let mut bytes = [0; MESSAGE];
        self.0.read_exact(&mut bytes).expect("an open socket");
        u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
    }
}

pub struct Writer(UnixStream);

impl Source for Writer {
    fn put(&mut self, first: u64, count: usize) {
        let mut batch = [0; MESSAGE * 16];
        for (message, number) in batch.chunks_exact_mut(MESSAGE).zip(first..).take(count) {
            message.copy_from_slice(&bytes(number));
        }
        self.0.write_all(&batch[..MESSAGE * count]).expect("an open socket");
    }
}

pub struct Reader {
    end: UnixStream,
    buffer: Vec<u8>,
    bytes: usize,
}

impl Sink for Reader {
    fn take(&mut self) -> (u64, u64) {
        self.bytes += self.end.read(&mut self.buffer).expect("an open socket");
        let whole = self.bytes / MESSAGE;
        self.bytes -= whole * MESSAGE;
        (whole as u64, 0)
    }
}

impl Stream for Socket {
    type Source = Writer;
    type Sink = Reader;
    const PLACE: Place = Place::Processes;

    fn source(&self) -> Writer {
        Writer(self.ends.0.try_clone().expect("a descriptor"))
    }

    fn sink(&self) -> Reader {
        Reader { end: self.ends.1.try_clone().expect("a descriptor"), buffer: vec![0; 1 << 16], bytes: 0 }
    }
}
