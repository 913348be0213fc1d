//! A process made by `fork` has copies of its parent's handles, and must not use them: two writers of one lane would
//! tear its messages.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

use crate::error::exception;

/// Grows in every child.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Begins to count forks. Called once, when the module is loaded.
pub fn watch() {
    #[cfg(unix)]
    {
        extern "C" fn in_child() {
            // Relaxed: a child begins with one thread, and starting another one orders what came before.
            GENERATION.fetch_add(1, Ordering::Relaxed);
        }
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: the handler does nothing but an atomic addition, and this module is never unloaded.
        ONCE.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(in_child));
        });
    }
}

/// The process that a handle was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u32);

impl Origin {
    /// This process.
    pub fn here() -> Self {
        // Relaxed: within a process it never changes, see `watch`.
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// True in the process where the handle was made.
    #[inline]
    pub fn is_here(self) -> bool {
        self == Self::here()
    }

    /// # Errors
    /// `ERR_CLOSED` in a child of the process where the handle was made.
    #[inline]
    pub fn check(self) -> PyResult<()> {
        if self.is_here() { Ok(()) } else { Err(forked()) }
    }
}

#[cold]
fn forked() -> PyErr {
    exception(
        "ERR_CLOSED",
        "this handle belongs to the process that forked this one: make a new one after the fork",
    )
}
