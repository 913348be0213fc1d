//! Latency and throughput over anything that carries messages from one place to another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;
use openalgo_shm_ring::clock::monotonic_ns;

use crate::machine::Ticks;
use crate::processes::{Shared, with_children, with_thread};

/// Bytes of a message: one cache line, as an LTP tick takes in the ring.
pub const MESSAGE: usize = 64;
/// Words of the message of the peers.
pub const MESSAGE_WORDS: usize = MESSAGE / size_of::<u64>();

/// The message of the peers. It is aligned, so that no peer has to move two cache lines for it.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Payload(pub [u64; MESSAGE_WORDS]);

/// A message that begins with this number.
#[inline]
pub fn payload(first: u64) -> Payload {
    Payload(words(first))
}

/// So many words, the first of which is this number.
#[inline]
pub fn words<const WORDS: usize>(first: u64) -> [u64; WORDS] {
    let mut words = [0x4011_2233_4455_6677; WORDS];
    words[0] = first;
    words
}

/// Where the two ends of a link live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Processes,
    Threads,
}

/// A connection in both directions. Made before the second process or thread starts; each side is opened in its own.
pub trait Link: Sync {
    type Side: Duplex;
    const PLACE: Place;
    fn open(&self, first: bool) -> Self::Side;
}

/// One side of a link.
pub trait Duplex {
    fn send(&mut self, number: u64);
    /// Waits for the next message. Returns its first number.
    fn receive(&mut self) -> u64;
}

/// A connection in one direction.
pub trait Stream: Sync {
    type Source: Source;
    type Sink: Sink;
    const PLACE: Place;
    /// How long writer and reader need to find one another once both are there.
    const SETTLE: Duration = Duration::from_millis(2);
    fn source(&self) -> Self::Source;
    fn sink(&self) -> Self::Sink;
}

pub trait Source {
    /// Sends `count` messages, numbered from `first`, in the way that suits this many best; waits for room.
    fn put(&mut self, first: u64, count: usize);
}

pub trait Sink {
    /// Takes what is there. Returns how many messages, and how many were lost.
    fn take(&mut self) -> (u64, u64);
}

/// Half a round trip, ns.
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

pub fn latency<L: Link>(link: &L, rounds: u64) -> Latency {
    let warm_up = rounds / 10 + 1;
    let answer = |shared: &Shared| {
        let mut side = link.open(false);
        shared.meet(2);
        for _ in 0..warm_up + rounds {
            let number = side.receive();
            side.send(number);
        }
        shared.meet(4);
    };
    let ask = |shared: &Shared| {
        let mut side = link.open(true);
        let ticks = Ticks::calibrate();
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 3).expect("valid bounds");
        shared.meet(2);
        for number in 1..=warm_up + rounds {
            let start = Ticks::now();
            side.send(number);
            assert_eq!(side.receive(), number, "messages came out of order");
            let spent = Ticks::now() - start;
            if number > warm_up {
                histogram.saturating_record(spent);
            }
        }
        shared.meet(4);
        let at = |quantile| ticks.to_ns(histogram.value_at_quantile(quantile)) / 2.0;
        Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    };
    match L::PLACE {
        Place::Processes => with_children(1, |shared, _| answer(shared), ask),
        Place::Threads => with_thread(answer, ask),
    }
}

/// What came out of a stream.
pub struct Throughput {
    /// Millions of messages a second at the reader.
    pub received: f64,
    /// Share of the messages that the reader missed because it was overtaken, in percent.
    pub lost: f64,
}

/// Sends `total` messages, `batch` at a time; the clock stops when the reader has seen or missed the last.
pub fn throughput<S: Stream>(stream: &S, total: u64, batch: usize) -> Throughput {
    let read = |shared: &Shared| {
        let mut sink = stream.sink();
        shared.meet(2);
        let (mut received, mut lost) = (0, 0);
        while received + lost < total {
            let (more, missed) = sink.take();
            received += more;
            lost = missed;
        }
        shared.words[1].0.store(received, Ordering::Relaxed);
        shared.words[0].0.store(monotonic_ns(), Ordering::Release);
        shared.meet(4);
    };
    let write = |shared: &Shared| {
        let mut source = stream.source();
        shared.meet(2);
        std::thread::sleep(S::SETTLE);
        let start = monotonic_ns();
        let mut sent = 0;
        while sent < total {
            source.put(sent, batch);
            sent += batch as u64;
        }
        shared.meet(4);
        let received = shared.words[1].0.load(Ordering::Relaxed);
        let ns = shared.words[0].0.load(Ordering::Acquire) - start;
        Throughput {
            received: received as f64 * 1e3 / ns as f64,
            lost: 100.0 - received as f64 / total as f64 * 100.0,
        }
    };
    assert_eq!(total % batch as u64, 0, "whole batches");
    match S::PLACE {
        Place::Processes => with_children(1, |shared, _| read(shared), write),
        Place::Threads => with_thread(read, write),
    }
}
