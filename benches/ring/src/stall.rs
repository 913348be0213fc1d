//! What a reader misses that stands still while the feed goes on, as a process does whose event loop is blocked.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openalgo_shm_ring::clock::monotonic_ns;

use crate::link::{Sink, Source};
use crate::own::{Publish, Ring};
use crate::processes::with_children;

/// Ticks that a reader in a process of its own loses of a feed of `rate` ticks a second: it reads for 100 ms, does
/// nothing for `pause`, and reads until it has seen or missed the last.
pub fn lost(ring: &Ring<Publish>, rate: u64, pause: Duration) -> f64 {
    const BEFORE: Duration = Duration::from_millis(100);
    let total = rate * (2 * BEFORE + pause).as_millis() as u64 / 1000;
    with_children(
        1,
        |shared, _| {
            let mut sink = ring.consumer("stands still");
            shared.meet(2);
            let (start, mut paused) = (monotonic_ns(), false);
            let (mut received, mut lost) = (0, 0);
            while received + lost < total {
                if !paused && monotonic_ns() - start > BEFORE.as_nanos() as u64 {
                    std::thread::sleep(pause);
                    paused = true;
                }
                let (more, missed) = sink.take();
                received += more;
                lost = missed;
            }
            shared.words[0].0.store(lost, Ordering::Release);
            shared.meet(4);
        },
        |shared| {
            let mut source = ring.producer("feed");
            shared.meet(2);
            let start = monotonic_ns();
            for number in 0..total {
                while monotonic_ns() < start + number * 1_000_000_000 / rate {
                    std::hint::spin_loop();
                }
                source.put(number, 1);
            }
            shared.meet(4);
            shared.words[0].0.load(Ordering::Acquire) as f64
        },
    )
}
