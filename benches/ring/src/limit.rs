//! What the machine itself costs: a cache line handed over, and a sleeper woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use openalgo_shm_ring::WaitStrategy;
use openalgo_shm_ring::clock::monotonic_ns;

use crate::link::{Duplex, Link, Place, Sink, Source};
use crate::own::{Publish, Ring};
use crate::processes::{Shared, with_children};

/// One cache line that two processes hand back and forth.
pub struct Line(&'static AtomicU64);

impl Line {
    pub fn new() -> Self {
        Self(&Shared::map().words[0].0)
    }
}

pub struct LineSide {
    word: &'static AtomicU64,
    turn: u64,
}

impl Link for Line {
    type Side = LineSide;
    const PLACE: Place = Place::Processes;

    fn open(&self, first: bool) -> LineSide {
        LineSide { word: self.0, turn: if first { 0 } else { 1 } }
    }
}

impl Duplex for LineSide {
    #[inline]
    fn send(&mut self, _: u64) {
        // Release, pairs with the Acquire load in `receive` of the other side.
        self.word.store(self.turn + 1, Ordering::Release);
        self.turn += 2;
    }

    #[inline]
    fn receive(&mut self) -> u64 {
        while self.word.load(Ordering::Acquire) != self.turn {}
        self.turn / 2
    }
}

/// Median ns from a wake-up to the sleeper's first instruction.
pub fn bare_futex_wake(rounds: u64) -> f64 {
    wake(
        rounds,
        |shared, round| {
            let word = std::ptr::from_ref(&shared.words[2].0).cast::<u32>();
            while shared.words[2].0.load(Ordering::Acquire) <= round {
                // SAFETY: the word is a live atomic; every outcome is answered by looking again.
                unsafe {
                    libc::syscall(
                        libc::SYS_futex,
                        word,
                        libc::FUTEX_WAIT,
                        round as u32,
                        std::ptr::null::<()>(),
                    )
                };
            }
        },
        |shared, round| {
            shared.words[2].0.store(round + 1, Ordering::Release);
            // SAFETY: as above.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    std::ptr::from_ref(&shared.words[2].0),
                    libc::FUTEX_WAKE,
                    i32::MAX,
                )
            };
        },
    )
}

/// The same from a publish to a subscriber that sleeps on the ring.
pub fn ring_wake(ring: &Ring<Publish>, rounds: u64) -> f64 {
    let (sink, source) = (std::cell::OnceCell::new(), std::cell::OnceCell::new());
    wake(
        rounds,
        |_, _| {
            let sink = sink.get_or_init(|| std::cell::RefCell::new(ring.consumer("sleeper")));
            let mut sink = sink.borrow_mut();
            while sink.take().0 == 0 {
                sink.consumer.wait(WaitStrategy::Sleep, Duration::from_secs(1));
            }
        },
        |_, round| {
            let source = source.get_or_init(|| std::cell::RefCell::new(ring.producer("waker")));
            source.borrow_mut().put(round, 1);
        },
    )
}

fn wake(rounds: u64, sleep: impl Fn(&Shared, u64), rouse: impl Fn(&Shared, u64)) -> f64 {
    with_children(
        1,
        |shared, _| {
            shared.meet(2);
            for round in 0..rounds {
                // Says that it is about to sleep.
                shared.words[0].0.store(round + 1, Ordering::Release);
                sleep(shared, round);
                shared.words[1].0.store(monotonic_ns(), Ordering::Release);
                while shared.words[3].0.load(Ordering::Acquire) <= round {
                    std::thread::yield_now();
                }
            }
        },
        |shared| {
            let mut histogram =
                Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 3).expect("valid bounds");
            shared.meet(2);
            for round in 0..rounds {
                while shared.words[0].0.load(Ordering::Acquire) <= round {
                    std::thread::yield_now();
                }
                // Long enough for the other to be asleep.
                std::thread::sleep(Duration::from_micros(200));
                shared.words[1].0.store(0, Ordering::Release);
                let start = monotonic_ns();
                rouse(shared, round);
                let mut woken = 0;
                while woken == 0 {
                    woken = shared.words[1].0.load(Ordering::Acquire);
                }
                histogram.saturating_record(woken.saturating_sub(start));
                shared.words[3].0.store(round + 1, Ordering::Release);
            }
            histogram.value_at_quantile(0.5) as f64
        },
    )
}
