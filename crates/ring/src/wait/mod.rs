//! Waiting for a message, and waking the processes that wait.
//!
//! One word serves all sleepers of a segment: bit 0 says that a consumer sleeps or is about to, the bits
//! above count the wake-ups. A sleeper sets the bit, looks once more, and sleeps only while the word is
//! what it saw: a wake-up in between changes the count, so none is lost, even when another sleeper sets
//! the bit again. A producer looks at the word once per batch and makes a system call only when the bit
//! is set; a sleeper that is killed costs one needless call. Nothing counts sleepers, so nothing can
//! miscount when one dies.

mod barrier;
mod doorbell;

use std::time::{Duration, Instant};

pub use doorbell::Doorbell;

use crate::segment::{Part, Segment};
use crate::sync::{AtomicU64, Ordering, fence};

/// How a consumer waits. The default is [`WaitStrategy::Adaptive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitStrategy {
    /// Spin: lowest latency, one core in full.
    Spin,
    /// Spin for about as long as a wake-up costs (20 µs), yield, then sleep.
    #[default]
    Adaptive,
    /// Sleep at once: least power, a wake-up (20 to 30 µs) more latency.
    Sleep,
}

/// How long an adaptive wait spins. A futex wake-up takes 20 to 27 µs here, so spinning longer than that cannot pay.
const SPIN_FOR: Duration = Duration::from_micros(20);
/// Spins between looks at the clock.
const SPINS: u32 = 64;
/// Yields between spinning and sleeping.
const YIELDS: u32 = 4;
/// Longest sleep: the backstop should a wake-up ever be missed. In unit tests it is as good as none,
/// for it would hide that waking does not work.
const LONGEST_SLEEP: Duration = if cfg!(test) { A_DAY } else { Duration::from_millis(100) };
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest sleep where this process may not make the producers' stores visible: see `barrier`.
const SLEEP_WITHOUT_BARRIER: Duration = Duration::from_millis(2);

const SLEEPING: u64 = 1;

/// A producer's way to the sleepers.
pub(crate) struct Waker {
    futex: Part<AtomicU64>,
    /// Sleepers make this process's stores visible before their second look.
    registered: bool,
}

impl Waker {
    pub(crate) fn new(segment: &Segment) -> Self {
        let word = segment.layout().futex_word();
        Self { futex: segment.region.part(|words| &words[word]), registered: barrier::register() }
    }

    /// Wakes all sleepers, if any. Called after messages were committed. Costs a load, about 1 ns.
    #[inline]
    pub(crate) fn wake(&self) {
        wake_if_sleeping(&self.futex, self.registered);
    }
}

/// Wakes those that sleep on a segment for another reason than a message: see
/// [`Consumer::wait_or`](crate::Consumer::wait_or).
#[derive(Clone)]
pub struct Sleepers {
    segment: Segment,
}

impl Sleepers {
    /// Those of this segment, in all processes.
    pub fn of(segment: &Segment) -> Self {
        Self { segment: segment.clone() }
    }

    /// Wakes all of them, if any. Called after what one of them waits for was stored. Costs a fence and a load, and
    /// a system call if somebody sleeps.
    pub fn wake(&self) {
        wake(self.segment.futex());
    }
}

/// Wakes all sleepers of a segment, after what they wait for was stored.
pub(crate) fn wake(futex: &AtomicU64) {
    wake_if_sleeping(futex, false);
}

#[inline]
fn wake_if_sleeping(futex: &AtomicU64, registered: bool) {
    // SeqCst, pairs with the fence in `sleep`: either this load sees the sleeper's bit, or the sleeper's
    // second look sees the message. A process that is registered leaves the fence to the sleepers' system call.
    if registered {
        barrier::order_for_compiler();
    } else {
        fence(Ordering::SeqCst);
    }
    let seen = futex.load(Ordering::Relaxed);
    if seen & SLEEPING != 0 {
        wake_sleepers(futex, seen);
    }
}

#[cold]
fn wake_sleepers(futex: &AtomicU64, seen: u64) {
    // Relaxed: the kernel's futex lock orders it before the sleepers' own look. If it fails, another
    // producer has just woken them. Adding one clears the bit and counts the wake-up.
    if futex.compare_exchange(seen, seen.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        system::wake_all(futex);
    }
}

/// Sleeps until woken, `limit` is over, or `ready` holds. May return early.
pub(crate) fn sleep(futex: &AtomicU64, limit: Duration, ready: impl FnOnce() -> bool) {
    let expected = futex.fetch_or(SLEEPING, Ordering::Relaxed) | SLEEPING;
    // SeqCst, pairs with the fence in `wake_if_sleeping`.
    fence(Ordering::SeqCst);
    let limit = if barrier::run_in_all_producers() { limit } else { limit.min(SLEEP_WITHOUT_BARRIER) };
    if !ready() {
        system::wait(futex, expected, limit);
    }
}

/// Waits until `ready` holds or `timeout` is over; true if it holds. Looks every 100 ms whether `stuck` holds, and
/// then ends as well: something is wrong, and to wait on would hide it.
pub(crate) fn wait_until(
    futex: &AtomicU64,
    strategy: WaitStrategy,
    timeout: Duration,
    mut ready: impl FnMut() -> bool,
    stuck: impl Fn() -> bool,
) -> bool {
    if ready() {
        return true;
    }
    let start = Instant::now();
    if strategy == WaitStrategy::Adaptive {
        if spin(SPIN_FOR.min(timeout), &mut ready) {
            return true;
        }
        for _ in 0..YIELDS {
            std::thread::yield_now();
            if ready() {
                return true;
            }
        }
    }
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return ready();
        }
        let turn = left.min(LONGEST_SLEEP);
        match strategy {
            WaitStrategy::Spin => {
                spin(turn, &mut ready);
            }
            WaitStrategy::Adaptive | WaitStrategy::Sleep => sleep(futex, turn, &mut ready),
        }
        if ready() || stuck() {
            return true;
        }
    }
}

/// Spins until `ready` holds or `limit` is over; true if it holds.
fn spin(limit: Duration, ready: &mut impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if ready() {
                return true;
            }
        }
    }
    false
}

#[cfg(all(not(loom), target_os = "linux", not(miri)))]
mod system {
    use super::{AtomicU64, Duration};

    /// The low half of the word, which is the first in memory: segments are little-endian.
    fn address(word: &AtomicU64) -> *const u32 {
        const { assert!(cfg!(target_endian = "little"), "the futex is the low half of a little-endian word") };
        std::ptr::from_ref(word).cast()
    }

    /// Not the PRIVATE kind: the word is shared between processes.
    pub(super) fn wait(word: &AtomicU64, expected: u64, limit: Duration) {
        let limit = libc::timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
        // SAFETY: the address is four bytes of a live atomic, the timespec is valid for the call; every
        // outcome (woken, changed, timed out, interrupted) is answered by looking again.
        unsafe {
            libc::syscall(libc::SYS_futex, address(word), libc::FUTEX_WAIT, expected as u32, &raw const limit)
        };
    }

    pub(super) fn wake_all(word: &AtomicU64) {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_futex, address(word), libc::FUTEX_WAKE, i32::MAX) };
    }
}

/// Where no futex works between processes: short sleeps, bounded.
#[cfg(all(not(loom), any(not(target_os = "linux"), miri)))]
mod system {
    use super::{AtomicU64, Duration};
    use crate::sync::Ordering;

    const NAP: Duration = Duration::from_micros(200);

    pub(super) fn wait(word: &AtomicU64, expected: u64, limit: Duration) {
        let start = std::time::Instant::now();
        while word.load(Ordering::Relaxed) == expected && start.elapsed() < limit {
            std::thread::sleep(NAP);
        }
    }

    pub(super) fn wake_all(_: &AtomicU64) {}
}

/// The futex as loom can model it: compare and block are one step, as in the kernel.
#[cfg(loom)]
mod system {
    use super::{AtomicU64, Duration};
    use crate::sync::Ordering;
    use loom::sync::{Condvar, Mutex};

    loom::lazy_static! {
        static ref KERNEL: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    pub(super) fn wait(word: &AtomicU64, expected: u64, _: Duration) {
        let guard = KERNEL.0.lock().expect("not poisoned");
        if word.load(Ordering::Relaxed) == expected {
            drop(KERNEL.1.wait(guard).expect("not poisoned"));
        }
    }

    pub(super) fn wake_all(_: &AtomicU64) {
        drop(KERNEL.0.lock().expect("not poisoned"));
        KERNEL.1.notify_all();
    }
}

/// Not in loom, which has models of it, nor in Miri, which has no futex and starts no process.
#[cfg(all(test, not(loom), not(miri)))]
mod tests;
