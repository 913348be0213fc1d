//! A memory barrier that the sleepers pay for, and not the producers.
//!
//! A producer that has stored a message looks whether a consumer sleeps; a consumer that has said that it
//! sleeps looks for a message. Each needs its store to be visible before its load: a full fence, 2 to 5 ns
//! of every publish. On Linux a sleeper can make one system call instead (`membarrier`, about 1 µs), which
//! runs a full fence on every processor that runs a thread of a registered process. Producers register
//! their process and then only keep the compiler from reordering. See membarrier(2),
//! `MEMBARRIER_CMD_GLOBAL_EXPEDITED`.
//!
//! A producer that cannot register (an older kernel, another system, a sandbox) runs the fence itself. A
//! sleeper that cannot make the call sleeps for 2 ms at most, for it cannot know what the producers do.

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod linux {
    const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
    const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: a system call without pointers.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// True if this process is registered from now on. Costs about 1 µs.
    pub(in crate::wait) fn register() -> bool {
        membarrier(REGISTER_GLOBAL_EXPEDITED)
    }

    /// Runs a full fence in every registered process. False if the system does not allow it.
    pub(in crate::wait) fn run_in_all_producers() -> bool {
        membarrier(GLOBAL_EXPEDITED)
    }

    #[inline]
    pub(in crate::wait) fn order_for_compiler() {
        std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
    }
}

/// Elsewhere producers run the fence themselves. Loom explores that form: the barrier is a fence that runs
/// in the producer at the moment of the sleeper's call, which is one of the moments that the models try.
#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
mod elsewhere {
    pub(in crate::wait) fn register() -> bool {
        false
    }

    pub(in crate::wait) fn run_in_all_producers() -> bool {
        true
    }

    #[inline]
    pub(in crate::wait) fn order_for_compiler() {}
}

#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
pub(super) use elsewhere::{order_for_compiler, register, run_in_all_producers};
#[cfg(all(target_os = "linux", not(loom), not(miri)))]
pub(super) use linux::{order_for_compiler, register, run_in_all_producers};
