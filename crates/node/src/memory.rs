//! Memory of the process.

use napi_derive::napi;

/// Gives memory that was freed back to the system, where the allocator would keep it. Takes some ms after much was
/// freed.
#[napi]
pub fn trim_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: no arguments but a number; the allocator locks what it looks at.
    unsafe {
        libc::malloc_trim(0);
    }
}
