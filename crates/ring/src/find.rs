//! The segments on this machine.

use crate::error::{ErrorCode, Result};
use crate::ownership;
use crate::ring::LockFreeRingBuffer;
use crate::segment::layout::{Header, MAGIC, word_of};
use crate::segment::{Region, Segment, read_header};
use crate::shm::{self, Mapping, NameLock};
use crate::sync::Ordering;

/// A segment found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSegment {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// True if a living process owns a lane or a consumer record of it.
    pub in_use: bool,
    /// Its format version. One of another version than [`FORMAT_VERSION`](crate::layout::FORMAT_VERSION)
    /// cannot be read, only removed, as one with a corrupt header.
    pub version: u64,
}

/// The segments of this library, of any version and sound or not, on this machine that this user may open.
pub fn find_segments() -> Vec<FoundSegment> {
    shm::candidate_names()
        .into_iter()
        // Not so much as a lock file beside it is taken of what somebody else made.
        .filter(|name| shm::begins_with(name, MAGIC))
        .filter_map(|name| examine(name).ok())
        .collect()
}

fn examine(name: String) -> Result<FoundSegment> {
    // On Linux its first word has said that it is finished, and nobody is waited for.
    let _lock = if cfg!(target_os = "linux") { None } else { Some(NameLock::acquire(&name)?) };
    let region = Region::Shared(Mapping::open(&name)?.into());
    let (bytes, in_use) = match read_header(&region) {
        Ok(layout) => (layout.total_bytes(), Segment::new(region.clone(), layout).is_in_use()),
        Err(error) if [ErrorCode::ShmVersion, ErrorCode::ShmLayout].contains(&error.code()) => {
            (region.bytes(), ownership::is_any_owned(&region))
        }
        Err(error) => return Err(error),
    };
    let version = region[word_of!(Header, version)].load(Ordering::Relaxed);
    Ok(FoundSegment { name, bytes, in_use, version })
}

/// As [`LockFreeRingBuffer::unlink_if_unused`].
///
/// # Errors
/// The same.
pub fn remove_if_unused(name: &str) -> Result<bool> {
    LockFreeRingBuffer::unlink_if_unused(name)
}
