//! Two processes (or two threads, for peers that know no processes) that start together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::machine::pin;

/// What the two share beside the thing that is measured: each word alone on its pair of lines.
#[repr(C, align(128))]
pub struct Word(pub AtomicU64);

#[repr(C)]
pub struct Shared {
    arrived: Word,
    /// Free for the measurement.
    pub words: [Word; 8],
}

/// Longest that one measurement may take; then the process is killed, so that a broken peer cannot hang the run.
const TIME_LIMIT_SECONDS: u32 = 60;

/// Zeroed memory that this process shares with the children that it forks.
pub struct SharedMemory {
    address: *mut u8,
    bytes: usize,
}

impl SharedMemory {
    pub fn new(bytes: usize) -> Self {
        // SAFETY: asks for a new mapping, and touches no other.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        assert_ne!(address, libc::MAP_FAILED, "no memory to share");
        Self { address: address.cast(), bytes }
    }

    /// Its first byte, at the beginning of a page.
    pub const fn address(&self) -> *mut u8 {
        self.address
    }
}

// SAFETY: an address; who reads or writes there answers for it.
unsafe impl Sync for SharedMemory {}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody uses any more.
        unsafe { libc::munmap(self.address.cast(), self.bytes) };
    }
}

impl Shared {
    /// New ones, all zero, for this process and those that it forks from now on.
    pub fn map() -> &'static Self {
        let memory = std::mem::ManuallyDrop::new(SharedMemory::new(size_of::<Self>()));
        // SAFETY: large enough, page-aligned and never unmapped. Zeroes are valid atomics.
        unsafe { &*memory.address().cast::<Self>() }
    }

    /// Waits until `count` parties have arrived in all.
    pub fn meet(&self, count: u64) {
        // AcqRel, pairs with the Acquire loads below: what a party did before it arrived, all see that meet it.
        self.arrived.0.fetch_add(1, Ordering::AcqRel);
        while self.arrived.0.load(Ordering::Acquire) < count {
            std::thread::yield_now();
        }
    }
}

/// Runs `child` in a process of its own for each number below `children`, and `parent` here. Core 0 is the parent's,
/// the children share the others.
pub fn with_children<T>(
    children: usize,
    child: impl Fn(&'static Shared, usize),
    parent: impl FnOnce(&'static Shared) -> T,
) -> T {
    let shared = Shared::map();
    let mut pids = Vec::new();
    for index in 0..children {
        // SAFETY: this process has no other threads at this point that could hold locks.
        match unsafe { libc::fork() } {
            -1 => panic!("cannot fork"),
            0 => {
                // SAFETY: asks the kernel to end this process with its parent, and touches no memory.
                #[cfg(target_os = "linux")]
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
                };
                limit_time();
                pin(1 + index);
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child(shared, index)));
                // SAFETY: ends the child without running the parent's destructors.
                unsafe { libc::_exit(i32::from(outcome.is_err())) }
            }
            pid => pids.push(pid),
        }
    }
    limit_time();
    pin(0);
    let result = parent(shared);
    for pid in pids {
        let mut status = 0;
        // SAFETY: our own child.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(status, 0, "a measuring process failed");
    }
    result
}

/// The same with one thread in place of a process.
pub fn with_thread<T>(
    child: impl FnOnce(&'static Shared) + Send,
    parent: impl FnOnce(&'static Shared) -> T,
) -> T {
    let shared = Shared::map();
    limit_time();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(1);
            child(shared);
        });
        pin(0);
        parent(shared)
    })
}

fn limit_time() {
    // SAFETY: sets this process's alarm.
    unsafe { libc::alarm(TIME_LIMIT_SECONDS) };
}
