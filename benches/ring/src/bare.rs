//! The bare lane: one line a message, written and read in straight code, with the stamps of the ring and nothing else
//! of it. It has no topics, no other lanes, no longer messages, no waiting, no statistics, and checks nothing: the limit
//! of what the ring can reach.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::link::{Duplex, Link, MESSAGE, MESSAGE_WORDS, Place, Sink, Source, Stream, words};
use crate::processes::SharedMemory;

/// Bytes before the lines: the reader's cursor, alone on its pair of lines.
const HEAD: usize = 128;
/// Most messages between two looks of the writer at the cursor, as with the other readers.
const MOST: u64 = 256;

type Words = [u64; MESSAGE_WORDS - 1];
type Line = [AtomicU64; MESSAGE_WORDS];

/// One lane in memory that processes share. `THREADS` only says where its two ends live.
pub struct Bare<const THREADS: bool> {
    memory: SharedMemory,
    lines: usize,
    lossless: bool,
}

const fn place(threads: bool) -> Place {
    if threads { Place::Threads } else { Place::Processes }
}

impl<const THREADS: bool> Bare<THREADS> {
    pub fn new(bytes: usize, lossless: bool) -> Self {
        let lines = bytes / MESSAGE;
        assert!(lines.is_power_of_two(), "a lane has a power of two of lines");
        Self { memory: SharedMemory::new(HEAD + bytes), lines, lossless }
    }

    /// The end that writes and the end that reads are alike, but for where they stand.
    fn end(&self) -> Lane {
        let address = self.memory.address();
        // SAFETY: the mapping is page-aligned, has room for the cursor and all lines, and outlives both ends: a
        // measurement ends before its link is dropped. Zeroes are valid atomics.
        let (cursor, lines) = unsafe {
            let first = address.add(HEAD).cast::<Line>();
            (&*address.cast::<AtomicU64>(), std::slice::from_raw_parts(first, self.lines))
        };
        let writable_until = if self.lossless { self.lines as u64 } else { u64::MAX };
        Lane { lines, cursor, position: 0, writable_until }
    }
}

struct Lane {
    lines: &'static [Line],
    /// How far the reader is.
    cursor: &'static AtomicU64,
    position: u64,
    /// The writer's: positions below this are free.
    writable_until: u64,
}

impl Lane {
    #[inline]
    fn line(&self) -> &'static Line {
        // SAFETY: a number masked with the last index is below the count.
        unsafe { self.lines.get_unchecked(self.position as usize & (self.lines.len() - 1)) }
    }

    #[inline]
    fn write(&mut self, message: &Words) {
        while self.position >= self.writable_until {
            // Acquire, pairs with the reader's Release: its copies are done.
            self.writable_until = self.cursor.load(Ordering::Acquire) + self.lines.len() as u64;
            if self.position >= self.writable_until {
                std::hint::spin_loop();
            }
        }
        let line = self.line();
        line[0].store(2 * self.position + 1, Ordering::Relaxed);
        // Release, pairs with the reader's Acquire fence.
        fence(Ordering::Release);
        for word in 0..message.len() {
            line[word + 1].store(message[word], Ordering::Relaxed);
        }
        // Release, pairs with the reader's Acquire load of the stamp.
        line[0].store(2 * self.position + 2, Ordering::Release);
        self.position += 1;
    }

    /// Copies the next message. False if it is not there, or was overwritten: then the stamp is a later one.
    #[inline]
    fn read(&mut self, message: &mut Words) -> bool {
        let line = self.line();
        let expected = 2 * self.position + 2;
        // Acquire, pairs with the writer's last store.
        if line[0].load(Ordering::Acquire) != expected {
            return false;
        }
        for word in 0..message.len() {
            message[word] = line[word + 1].load(Ordering::Relaxed);
        }
        // Acquire, pairs with the writer's Release fence.
        fence(Ordering::Acquire);
        if line[0].load(Ordering::Relaxed) != expected {
            return false;
        }
        self.position += 1;
        true
    }

    /// Messages that were overwritten unread. Goes on half a lane behind the writer if there are any.
    #[inline]
    fn skip(&mut self) -> u64 {
        let written = self.line()[0].load(Ordering::Relaxed).saturating_sub(1) / 2;
        if written <= self.position {
            return 0;
        }
        let next = (written - self.lines.len() as u64 / 2).max(self.position + 1);
        next - std::mem::replace(&mut self.position, next)
    }
}

pub struct Writer(Lane);

impl Source for Writer {
    #[inline]
    fn put(&mut self, first: u64, count: usize) {
        for number in first..first + count as u64 {
            self.0.write(&words(number));
        }
    }
}

pub struct Reader {
    lane: Lane,
    lost: u64,
    sum: u64,
}

impl Sink for Reader {
    #[inline]
    fn take(&mut self) -> (u64, u64) {
        let mut message = [0; _];
        let mut count = 0;
        while count < MOST && self.lane.read(&mut message) {
            self.sum ^= message[1];
            count += 1;
        }
        if count > 0 {
            // Release, pairs with the writer's Acquire.
            self.lane.cursor.store(self.lane.position, Ordering::Release);
        } else {
            self.lost += self.lane.skip();
            std::hint::spin_loop();
        }
        std::hint::black_box(&self.sum);
        (count, self.lost)
    }
}

impl<const THREADS: bool> Stream for Bare<THREADS> {
    type Source = Writer;
    type Sink = Reader;
    const PLACE: Place = place(THREADS);

    fn source(&self) -> Writer {
        Writer(self.end())
    }

    fn sink(&self) -> Reader {
        Reader { lane: self.end(), lost: 0, sum: 0 }
    }
}

/// Two bare lanes: there and back.
pub struct BarePair<const THREADS: bool> {
    there: Bare<THREADS>,
    back: Bare<THREADS>,
}

impl<const THREADS: bool> BarePair<THREADS> {
    pub fn new(bytes: usize) -> Self {
        Self { there: Bare::new(bytes, false), back: Bare::new(bytes, false) }
    }
}

pub struct Side {
    out: Lane,
    r#in: Lane,
}

impl<const THREADS: bool> Link for BarePair<THREADS> {
    type Side = Side;
    const PLACE: Place = place(THREADS);

    fn open(&self, first: bool) -> Side {
        let (out, r#in) = if first { (&self.there, &self.back) } else { (&self.back, &self.there) };
        Side { out: out.end(), r#in: r#in.end() }
    }
}

impl Duplex for Side {
    #[inline]
    fn send(&mut self, number: u64) {
        self.out.write(&words(number));
    }

    #[inline]
    fn receive(&mut self) -> u64 {
        let mut message = [0; _];
        while !self.r#in.read(&mut message) {}
        message[0]
    }
}
