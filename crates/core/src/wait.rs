//! Waiting for a message, and waking who waits.
//!
//! One word serves all sleepers of a segment: bit 0 says that somebody sleeps or is about to, the bits
//! above count the wake-ups. A sleeper sets the bit, looks once more, and sleeps only while the word is
//! what it saw: a wake-up in between changes the count, so none is lost, even when another sleeper sets
//! the bit again. A producer looks at the word once per batch and makes a system call only when the bit
//! is set; a sleeper that is killed costs one needless call. Nothing counts sleepers, so nothing can
//! miscount when one dies.

use std::time::{Duration, Instant};

use crate::region::Region;
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

const SLEEPING: u64 = 1;

/// Wakes all sleepers, if any. Called after messages were committed, or whatever else they wait for was stored.
#[inline]
pub(crate) fn wake(region: &Region, word: usize) {
    // SeqCst, pairs with the fence in `sleep`: either this load sees the sleeper's bit, or the sleeper's
    // second look sees the message.
    fence(Ordering::SeqCst);
    let seen = region[word].load(Ordering::Relaxed);
    if seen & SLEEPING != 0 {
        wake_sleepers(region, word, seen);
    }
}

#[cold]
fn wake_sleepers(region: &Region, word: usize, seen: u64) {
    // Relaxed: the kernel's futex lock orders it before the sleepers' own look. If it fails, another
    // producer has just woken them. Adding one clears the bit and counts the wake-up.
    if region[word].compare_exchange(seen, seen.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    {
        futex::wake_all(region, &region[word]);
    }
}

/// Sleeps until woken, `limit` is over, or `ready` holds. May return early.
pub(crate) fn sleep(region: &Region, word: usize, limit: Duration, ready: impl FnOnce() -> bool) {
    let expected = region[word].fetch_or(SLEEPING, Ordering::Relaxed) | SLEEPING;
    // SeqCst, pairs with the fence in `wake`.
    fence(Ordering::SeqCst);
    if !ready() {
        futex::wait(region, &region[word], expected, limit);
    }
}

/// Waits until `ready` holds or `timeout` is over; true if it holds.
pub(crate) fn wait_until(
    region: &Region,
    word: usize,
    strategy: WaitStrategy,
    timeout: Duration,
    mut ready: impl FnMut() -> bool,
) -> bool {
    if ready() {
        return true;
    }
    let start = Instant::now();
    let spin_for = match strategy {
        WaitStrategy::Spin => timeout,
        WaitStrategy::Adaptive => SPIN_FOR.min(timeout),
        WaitStrategy::Sleep => Duration::ZERO,
    };
    while start.elapsed() < spin_for {
        for _ in 0..SPINS {
            std::hint::spin_loop();
            if ready() {
                return true;
            }
        }
    }
    if strategy == WaitStrategy::Adaptive {
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
        sleep(region, word, left.min(LONGEST_SLEEP), &mut ready);
        if ready() {
            return true;
        }
    }
}

#[cfg(all(not(loom), target_os = "linux", not(miri)))]
mod futex {
    use super::{AtomicU64, Duration, Region};

    /// The low half of the word, which is the first in memory: segments are little-endian.
    fn address(word: &AtomicU64) -> *const u32 {
        const { assert!(cfg!(target_endian = "little"), "the futex is the low half of a little-endian word") };
        std::ptr::from_ref(word).cast()
    }

    /// Not the PRIVATE kind: the word is shared between processes.
    pub(super) fn wait(_: &Region, word: &AtomicU64, expected: u64, limit: Duration) {
        let limit = libc::timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
        // SAFETY: the address is four bytes of a live atomic, the timespec is valid for the call; every
        // outcome (woken, changed, timed out, interrupted) is answered by looking again.
        unsafe {
            libc::syscall(libc::SYS_futex, address(word), libc::FUTEX_WAIT, expected as u32, &raw const limit)
        };
    }

    pub(super) fn wake_all(_: &Region, word: &AtomicU64) {
        // SAFETY: as above.
        unsafe { libc::syscall(libc::SYS_futex, address(word), libc::FUTEX_WAKE, i32::MAX) };
    }
}

/// Where no futex works between processes: short sleeps, bounded.
#[cfg(all(not(loom), any(not(target_os = "linux"), miri)))]
mod futex {
    use super::{AtomicU64, Duration, Region};
    use crate::sync::Ordering;

    const NAP: Duration = Duration::from_micros(200);

    pub(super) fn wait(_: &Region, word: &AtomicU64, expected: u64, limit: Duration) {
        let start = std::time::Instant::now();
        while word.load(Ordering::Relaxed) == expected && start.elapsed() < limit {
            std::thread::sleep(NAP);
        }
    }

    pub(super) fn wake_all(_: &Region, _: &AtomicU64) {}
}

/// The futex as loom can model it: compare and block are one step, as in the kernel.
#[cfg(loom)]
mod futex {
    use super::{AtomicU64, Duration, Region};
    use crate::sync::Ordering;
    use loom::sync::{Condvar, Mutex};

    loom::lazy_static! {
        static ref KERNEL: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    }

    pub(super) fn wait(_: &Region, word: &AtomicU64, expected: u64, _: Duration) {
        let guard = KERNEL.0.lock().expect("not poisoned");
        if word.load(Ordering::Relaxed) == expected {
            drop(KERNEL.1.wait(guard).expect("not poisoned"));
        }
    }

    pub(super) fn wake_all(_: &Region, _: &AtomicU64) {
        drop(KERNEL.0.lock().expect("not poisoned"));
        KERNEL.1.notify_all();
    }
}

/// Not in loom, which has models of it, nor in Miri, which has no futex and starts no process.
#[cfg(all(test, not(loom), not(miri)))]
mod tests;
