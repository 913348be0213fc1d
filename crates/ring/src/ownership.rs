//! Who owns a lane or a consumer record: a lock of the operating system, which the kernel releases when
//! its holder dies, however it dies. No heartbeat, no guess by process id, right across containers.
//!
//! On Linux: an open-file-description lock on one byte of the segment itself, so a removed segment takes
//! its locks along, and asking for the holder does not take the lock. Elsewhere: a locked file per owner.

use crate::error::{Error, ErrorCode, Result};
use crate::segment::Region;

/// What can be owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Lane(usize),
    Consumer(usize),
}

impl Place {
    /// The byte that is locked.
    fn byte(self) -> usize {
        match self {
            Self::Lane(lane) => lane,
            Self::Consumer(consumer) => crate::segment::layout::MAX_LANES + consumer,
        }
    }
}

/// Ownership of a place, until dropped.
pub(crate) struct Owned {
    held: Held,
    /// A process made by `fork` has a copy of this, and does not own.
    pid: u32,
}

enum Held {
    Heap {
        region: Region,
        word: usize,
    },
    #[cfg(target_os = "linux")]
    Byte {
        file: std::fs::File,
        byte: usize,
    },
    #[cfg(not(target_os = "linux"))]
    File(#[expect(dead_code, reason = "dropping it releases the lock")] crate::shm::LockFile),
}

/// Tries to own a place. `None` if somebody living owns it.
pub(crate) fn acquire(region: &Region, heap_word: usize, place: Place) -> Result<Option<Owned>> {
    match region.mapping() {
        None => Ok(heap::acquire(region, heap_word)
            .then(|| Owned::new(Held::Heap { region: region.clone(), word: heap_word }))),
        #[cfg(target_os = "linux")]
        Some(mapping) => {
            let file = mapping.reopen()?;
            let byte = place.byte();
            Ok(linux::try_lock(&file, byte).map_err(system)?.then_some(Owned::new(Held::Byte { file, byte })))
        }
        #[cfg(not(target_os = "linux"))]
        Some(mapping) => {
            let path = files::path(region, mapping.name(), place);
            Ok(files::take(&path).map_err(system)?.map(|lock| Owned::new(Held::File(lock))))
        }
    }
}

/// True if somebody living owns the place.
pub(crate) fn is_owned(region: &Region, heap_word: usize, place: Place) -> bool {
    match region.mapping() {
        None => heap::is_owned(region, heap_word),
        #[cfg(target_os = "linux")]
        Some(mapping) => linux::is_locked(mapping.file(), place.byte()),
        #[cfg(not(target_os = "linux"))]
        Some(mapping) => crate::shm::LockFile::is_taken(&files::path(region, mapping.name(), place)),
    }
}

/// True if anybody living owns a place of a segment whose header need not be sound.
pub(crate) fn is_any_owned(region: &Region) -> bool {
    let mut places = (0..crate::segment::layout::MAX_LANES)
        .map(Place::Lane)
        .chain((0..crate::segment::layout::MAX_CONSUMERS).map(Place::Consumer));
    region.mapping().is_some() && places.any(|place| is_owned(region, 0, place))
}

impl Owned {
    fn new(held: Held) -> Self {
        Self { held, pid: std::process::id() }
    }

    /// False in a process made by `fork`: what is owned is the parent's, and must be left alone.
    pub(crate) fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        match &self.held {
            Held::Heap { region, word } => heap::release(region, *word),
            #[cfg(target_os = "linux")]
            Held::Byte { file, byte } if self.is_ours() => linux::unlock(file, *byte),
            #[cfg(target_os = "linux")]
            Held::Byte { .. } => {}
            #[cfg(not(target_os = "linux"))]
            Held::File(_) => {}
        }
    }
}

fn system(error: std::io::Error) -> Error {
    Error::new(ErrorCode::ShmSystem, format!("the lock of a lane could not be taken: {error}"))
}

/// Rings on the heap live in one process: a word of their own says who owns.
mod heap {
    use super::Region;
    use crate::sync::Ordering;

    pub(super) fn acquire(region: &Region, word: usize) -> bool {
        // Acquire, pairs with the Release of the last owner: a successor sees all that it wrote.
        region[word].compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub(super) fn is_owned(region: &Region, word: usize) -> bool {
        // Acquire, pairs with the Release in `release`: who finds a place free finds its owner's work done.
        region[word].load(Ordering::Acquire) == 1
    }

    pub(super) fn release(region: &Region, word: usize) {
        region[word].store(0, Ordering::Release);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    fn range(byte: usize, kind: libc::c_int) -> libc::flock {
        // SAFETY: an all-zero flock is valid.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as libc::c_short;
        range.l_whence = libc::SEEK_SET as libc::c_short;
        range.l_start = byte as libc::off_t;
        range.l_len = 1;
        range
    }

    pub(super) fn try_lock(file: &File, byte: usize) -> io::Result<bool> {
        let range = range(byte, libc::F_WRLCK);
        // SAFETY: the descriptor is open and `range` is valid for the call.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        }
    }

    /// Said, not left to the closing of the file: a process that is just being started has, until it becomes
    /// another program, a descriptor of the same open file, and would keep the lock.
    pub(super) fn unlock(file: &File, byte: usize) {
        let range = range(byte, libc::F_UNLCK);
        // SAFETY: as above. It cannot fail for a range that this open file has locked.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const range) };
    }

    /// Costs about 0.6 µs. `file` must not be the one that holds the lock.
    pub(super) fn is_locked(file: &File, byte: usize) -> bool {
        let mut range = range(byte, libc::F_WRLCK);
        // SAFETY: as above, and the call writes only into `range`.
        let asked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut range) } == 0;
        asked && range.l_type != libc::F_UNLCK as libc::c_short
    }
}

#[cfg(not(target_os = "linux"))]
mod files {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::{Place, Region};
    use crate::segment::layout::{Header, word_of};
    use crate::shm::LockFile;
    use crate::sync::Ordering;

    /// Who asks for the holder has the file locked for microseconds: an owner's lock outlasts these tries.
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(1);

    /// The creation time in the name keeps the locks of a removed segment apart from its successor's.
    pub(super) fn path(region: &Region, name: &str, place: Place) -> PathBuf {
        let created = region[word_of!(Header, created_ns)].load(Ordering::Relaxed);
        crate::shm::path_of(&format!("{name}.{created:x}.{}.lock", place.byte()))
    }

    pub(super) fn take(path: &Path) -> io::Result<Option<LockFile>> {
        for _ in 1..TRIES {
            if let Some(lock) = LockFile::try_take(path)? {
                return Ok(Some(lock));
            }
            std::thread::sleep(PAUSE);
        }
        LockFile::try_take(path)
    }
}
