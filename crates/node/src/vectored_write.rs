//! Frames to many sockets in one call: a non-blocking vectored send for each, straight from the arena.
//!
//! It runs on the JavaScript thread, like every other write to these sockets, so order holds; descriptors
//! are looked up by the caller just before and never kept.

use napi::bindgen_prelude::Int32Array;
use napi_derive::napi;

use crate::error::{Result, argument};

/// True where sockets are file descriptors that this call can write to.
#[napi]
pub fn can_write_vectored() -> bool {
    cfg!(any(target_os = "linux", target_os = "macos"))
}

/// Sends slices of `arena` as `plan` says: groups of `clients, slices, slices × (offset, length), clients × descriptor`,
/// up to `length` numbers. For each descriptor in order, `results` takes the bytes that were sent (fewer
/// than asked if the socket is full), or the negative error number. Returns the number of results.
#[napi(catch_unwind)]
pub fn write_vectored(arena: &[u8], plan: &[i32], length: u32, mut results: Int32Array) -> Result<u32> {
    let plan = plan
        .get(..length as usize)
        .ok_or_else(|| argument("the plan is shorter than its length".to_owned()))?;
    // SAFETY: the array is kept alive by its reference and JavaScript does not run meanwhile.
    let results = unsafe { results.as_mut() };
    system::run(arena, plan, results)
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod system {
    use std::io;

    use super::{Result, argument};

    /// Most vectors of one system call, the smallest limit of the systems we write to.
    const MAX_VECTORS: usize = 1024;

    pub(super) fn run(arena: &[u8], mut plan: &[i32], results: &mut [i32]) -> Result<u32> {
        let mut vectors = Vec::new();
        let mut count = 0;
        while let Some((clients, slices, rest)) = header(plan) {
            let (slice_numbers, rest) = rest.split_at_checked(2 * slices).ok_or_else(malformed)?;
            let (descriptors, rest) = rest.split_at_checked(clients).ok_or_else(malformed)?;
            vectors.clear();
            for slice in slice_numbers.chunks_exact(2) {
                push(&mut vectors, arena, slice[0], slice[1])?;
            }
            for &descriptor in descriptors {
                *results.get_mut(count).ok_or_else(malformed)? = send_all(descriptor, &mut vectors);
                count += 1;
            }
            plan = rest;
        }
        Ok(count as u32)
    }

    fn header(plan: &[i32]) -> Option<(usize, usize, &[i32])> {
        match plan {
            [clients, slices, rest @ ..] => {
                Some((usize::try_from(*clients).ok()?, usize::try_from(*slices).ok()?, rest))
            }
            _ => None,
        }
    }

    fn malformed() -> crate::error::Error {
        argument("the plan of a vectored write is malformed".to_owned())
    }

    /// Adds a slice, joined to the one before if they touch.
    fn push(vectors: &mut Vec<libc::iovec>, arena: &[u8], offset: i32, length: i32) -> Result<()> {
        let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
        let bytes =
            range.and_then(|(offset, length)| arena.get(offset..)?.get(..length)).ok_or_else(malformed)?;
        let start = bytes.as_ptr().cast_mut().cast::<libc::c_void>();
        match vectors.last_mut() {
            Some(last) if last.iov_base.wrapping_byte_add(last.iov_len) == start => {
                last.iov_len += bytes.len()
            }
            _ => vectors.push(libc::iovec { iov_base: start, iov_len: bytes.len() }),
        }
        Ok(())
    }

    fn send_all(descriptor: i32, vectors: &mut [libc::iovec]) -> i32 {
        let mut total = 0;
        for chunk in vectors.chunks_mut(MAX_VECTORS) {
            let wanted: usize = chunk.iter().map(|vector| vector.iov_len).sum();
            match send(descriptor, chunk) {
                Ok(sent) => {
                    total += sent;
                    if sent < wanted {
                        break;
                    }
                }
                // What went out before counts; the next write meets the error again.
                Err(_) if total > 0 => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return -error.raw_os_error().unwrap_or(libc::EIO),
            }
        }
        total as i32
    }

    fn send(descriptor: i32, vectors: &mut [libc::iovec]) -> io::Result<usize> {
        // SAFETY: an all-zero msghdr is valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = vectors.as_mut_ptr();
        message.msg_iovlen = vectors.len() as _;
        #[cfg(target_os = "linux")]
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // macOS has no MSG_NOSIGNAL; Node ignores SIGPIPE.
        #[cfg(not(target_os = "linux"))]
        let flags = libc::MSG_DONTWAIT;
        loop {
            // SAFETY: the vectors lie within the arena, which is borrowed for the whole call. A descriptor
            // that is not a socket is an error (ENOTSOCK), never a write to a file.
            let sent = unsafe { libc::sendmsg(descriptor, &raw const message, flags) };
            if sent >= 0 {
                return Ok(sent as usize);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod system {
    use super::{Result, argument};

    pub(super) fn run(_: &[u8], _: &[i32], _: &mut [i32]) -> Result<u32> {
        Err(argument("vectored writes are not supported on this platform".to_owned()))
    }
}
