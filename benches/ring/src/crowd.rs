//! More than one writer or reader: how far lanes keep them out of each other's way.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openalgo_shm_ring::clock::monotonic_ns;

use crate::link::{Sink, Source, Stream};
use crate::machine::Ticks;
use crate::own::{Publish, Ring};
use crate::processes::with_children;

/// Median ns of one publish, in blocks, with nobody reading.
pub fn publish_alone<S: Stream>(stream: &S, count: u64) -> f64 {
    const BLOCK: u64 = 1000;
    crate::machine::pin(0);
    let mut source = stream.source();
    let ticks = Ticks::calibrate();
    let mut blocks: Vec<u64> = (0..count / BLOCK)
        .map(|_| {
            let start = Ticks::now();
            for number in 0..BLOCK {
                source.put(number, 1);
            }
            Ticks::now() - start
        })
        .collect();
    blocks.sort_unstable();
    ticks.to_ns(blocks[blocks.len() / 2]) / BLOCK as f64
}

/// What a crowd got done, in millions of messages a second, all together.
pub struct Crowd {
    pub published: f64,
    pub received: f64,
}

/// `writers` processes publish for `time`, `readers` processes read all lanes meanwhile. Without readers
/// each writer has a core; readers share the core after the writers'.
pub fn crowd(ring: &Ring<Publish>, writers: usize, readers: usize, batch: usize, time: Duration) -> Crowd {
    let parties = (writers + readers) as u64;
    let (published, received) = (4, 5);
    with_children(
        writers + readers - 1,
        |shared, child| {
            // The parent is writer 0; children are the other writers, then the readers.
            if child + 1 < writers {
                shared.words[published]
                    .0
                    .fetch_add(write(ring, shared, parties, batch, time), Ordering::Relaxed);
            } else {
                crate::machine::pin(writers);
                let mut sink = ring.consumer("reader");
                shared.meet(parties);
                let mut count = 0;
                let end = monotonic_ns() + time.as_nanos() as u64;
                while monotonic_ns() < end {
                    for _ in 0..64 {
                        count += sink.take().0;
                    }
                }
                shared.words[received].0.fetch_add(count, Ordering::Relaxed);
            }
            shared.meet(2 * parties);
        },
        |shared| {
            shared.words[published].0.fetch_add(write(ring, shared, parties, batch, time), Ordering::Relaxed);
            shared.meet(2 * parties);
            let rate =
                |word: usize| shared.words[word].0.load(Ordering::Relaxed) as f64 / time.as_secs_f64() / 1e6;
            Crowd { published: rate(published), received: rate(received) }
        },
    )
}

fn write(
    ring: &Ring<Publish>,
    shared: &crate::processes::Shared,
    parties: u64,
    batch: usize,
    time: Duration,
) -> u64 {
    let mut source = ring.producer(&format!("writer {}", std::process::id()));
    shared.meet(parties);
    let mut count = 0;
    let end = monotonic_ns() + time.as_nanos() as u64;
    while monotonic_ns() < end {
        for _ in 0..256 / batch {
            source.put(count, batch);
            count += batch as u64;
        }
    }
    count
}
