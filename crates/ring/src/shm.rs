//! Named shared memory: create, open, reserve, unlink. The only file that names the `shared_memory` crate.

mod faults;
mod lock_file;

use std::fs::{self, File};
use std::path::PathBuf;

use shared_memory::{Shmem, ShmemConf, ShmemError};

use crate::error::{Error, ErrorCode, Result};
#[cfg(not(loom))]
use crate::sync::AtomicU64;
#[cfg(all(windows, not(loom)))]
use crate::sync::Ordering;
#[cfg(target_os = "linux")]
use faults::not_a_file;
use faults::{empty, full, os_fault, permission, system_fault};
pub(crate) use faults::{place_of, remedy};
#[cfg(not(target_os = "linux"))]
pub(crate) use lock_file::LockFile;
pub(crate) use lock_file::NameLock;
pub use lock_file::waiting_at_most;

/// Longest name of a segment in bytes: leaves room for suffixes in a file's name.
pub const MAX_NAME_BYTES: usize = 200;

/// What Windows answers when an empty file is to be mapped.
#[cfg(windows)]
const ERROR_FILE_INVALID: u32 = 1006;
/// Words of a header.
#[cfg(all(windows, not(loom)))]
const HEADER_WORDS: usize = crate::segment::layout::ALONE / crate::segment::layout::WORD;

/// Checks a segment's name: letters, digits, `.`, `_` and `-`, not beginning with a dot, not ending in `.lock`.
///
/// # Errors
/// `ERR_SHM_NAME`.
pub fn check_name(name: &str) -> Result<()> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || !plain
        || name.starts_with('.')
        || name.ends_with(".lock")
    {
        return Err(Error::new(
            ErrorCode::ShmName,
            format!(
                "{name:?} cannot name a ring: expected 1 to {MAX_NAME_BYTES} letters, digits, '.', '_' or '-', no leading dot, no slash, not ending in .lock"
            ),
        ));
    }
    Ok(())
}

/// Where the segment's files lie. Windows: where the `shared_memory` crate keeps the files behind its
/// mappings. Other systems without `/dev/shm` show no list of their segments: an empty file stands for each.
fn directory() -> PathBuf {
    match () {
        () if cfg!(target_os = "linux") => PathBuf::from("/dev/shm"),
        () if cfg!(windows) => std::env::temp_dir().join("shared_memory-rs"),
        () => std::env::temp_dir().join("openalgo-shm"),
    }
}

/// The path of a segment's own file on Linux and Windows, of the file that stands for it elsewhere, and the
/// stem of its lock files everywhere.
pub(crate) fn path_of(name: &str) -> PathBuf {
    directory().join(name)
}

/// Names of all files in the directory of segments that could be segments.
pub(crate) fn candidate_names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory()) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| check_name(name).is_ok())
        .collect();
    names.sort();
    names
}

/// True if the file behind a name begins with this word. Looks only where a segment is a file.
pub(crate) fn begins_with(name: &str, word: u64) -> bool {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::{FileExt, OpenOptionsExt};
        let mut first = [0; 8];
        // Without waiting: any user may have put a pipe there.
        let read = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(path_of(name))
            .and_then(|file| file.read_exact_at(&mut first, 0));
        read.is_ok() && u64::from_le_bytes(first) == word
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (name, word);
        true
    }
}

/// A mapped segment.
pub(crate) struct Mapping {
    shmem: Shmem,
    name: String,
    /// The segment's own file, of which its locks are taken (Linux).
    #[cfg(target_os = "linux")]
    file: File,
}

// SAFETY: `Shmem` holds a pointer to memory that stays mapped as long as it lives, and this type gives
// access to it only as atomics; its other fields are plain values that are not changed after creation.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Makes a new segment of zeros. The caller holds the [`NameLock`].
    pub(crate) fn create(name: &str, bytes: usize) -> Result<Self> {
        let shmem = ShmemConf::new()
            .os_id(os_id(name))
            .size(bytes)
            .create()
            .map_err(|error| fault(name, bytes, &error))?;
        #[cfg(all(unix, not(target_os = "linux")))]
        fs::write(path_of(name), []).map_err(|error| system_fault(name, &error))?;
        let mapping = Self::adopt(
            name,
            shmem,
            #[cfg(target_os = "linux")]
            Self::own_file(name)?,
        )?;
        #[cfg(all(windows, not(loom)))]
        if mapping.words().iter().take(HEADER_WORDS).any(|word| word.load(Ordering::Relaxed) != 0) {
            // Windows knows a mapping by its name until the last handle on it is closed.
            mapping.discard();
            return Err(Error::new(
                ErrorCode::ShmBusy,
                format!(
                    "ring '{name}' was removed, and a process still uses its memory: end it, or use another name"
                ),
            ));
        }
        Ok(mapping)
    }

    /// Removes the file behind this mapping as soon as nobody has it open, and its name at once.
    #[cfg(windows)]
    fn discard(mut self) {
        self.shmem.set_owner(true);
    }

    /// Maps an existing segment. The caller holds the [`NameLock`], or has seen that the segment is finished.
    pub(crate) fn open(name: &str) -> Result<Self> {
        #[cfg(target_os = "linux")]
        let own = match Self::own_file(name)? {
            (_, 0) => return Err(empty(name)),
            own => own,
        };
        let shmem = ShmemConf::new().os_id(os_id(name)).open().map_err(|error| fault(name, 0, &error))?;
        Self::adopt(
            name,
            shmem,
            #[cfg(target_os = "linux")]
            own,
        )
    }

    fn adopt(name: &str, mut shmem: Shmem, #[cfg(target_os = "linux")] own: (File, u64)) -> Result<Self> {
        // Only `unlink` below removes a segment, whichever process made it.
        shmem.set_owner(false);
        #[cfg(target_os = "linux")]
        let file = Self::map_own_file(name, &shmem, own)?;
        Ok(Self {
            shmem,
            name: name.to_owned(),
            #[cfg(target_os = "linux")]
            file,
        })
    }

    /// Puts the segment's own file, whose owner was checked on the same descriptor, in place of what the crate
    /// has mapped: the crate opens the name itself and does not show its descriptor, and between two opens the
    /// name may come to lead elsewhere.
    #[cfg(target_os = "linux")]
    fn map_own_file(name: &str, shmem: &Shmem, (file, bytes): (File, u64)) -> Result<File> {
        use std::os::fd::AsRawFd;
        if bytes != shmem.len() as u64 {
            return Err(Error::new(
                ErrorCode::ShmLayout,
                format!("segment '{name}' had {} bytes and has {bytes}: it is being replaced", shmem.len()),
            ));
        }
        // SAFETY: the range is the crate's own mapping, which nothing refers to yet, and the file is as long
        // as it. The crate unmaps the range when it is dropped.
        let mapped = unsafe {
            libc::mmap(
                shmem.as_ptr().cast(),
                shmem.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                file.as_raw_fd(),
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(system_fault(name, &std::io::Error::last_os_error()));
        }
        Ok(file)
    }

    /// The segment's file and its length. Another user's is refused even where its mode lets us in: the owner
    /// of a file can cut it short, which kills every process that has it mapped.
    #[cfg(target_os = "linux")]
    fn own_file(name: &str) -> Result<(File, u64)> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
        let open = || {
            // Without waiting: it may be a pipe, which nobody else has open.
            let file = File::options()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path_of(name))?;
            Ok((file.metadata()?, file))
        };
        let (found, file) =
            open().map_err(|error| not_a_file(name).unwrap_or_else(|| system_fault(name, &error)))?;
        if !found.is_file() {
            return Err(not_a_file(name).unwrap_or_else(|| empty(name)));
        }
        // SAFETY: a plain system call.
        let own = found.uid() == unsafe { libc::geteuid() };
        if own { Ok((file, found.len())) } else { Err(permission(name)) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shmem.len()
    }

    #[cfg(not(loom))]
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, readable and writable, `len` bytes long and lives as long
        // as `self`; every bit pattern is a valid AtomicU64, and all access in all processes is atomic.
        unsafe { std::slice::from_raw_parts(self.shmem.as_ptr().cast::<AtomicU64>(), self.shmem.len() / 8) }
    }

    /// Takes memory for a range of the segment now, so that a full file system is an error here and not
    /// a SIGBUS at the first write.
    ///
    /// # Errors
    /// `ERR_SHM_FULL`.
    pub(crate) fn reserve(&self, offset: usize, bytes: usize) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            // SAFETY: a plain system call on a descriptor that is open.
            while unsafe { libc::fallocate(self.file.as_raw_fd(), 0, offset as i64, bytes as i64) } != 0 {
                let error = std::io::Error::last_os_error();
                match error.raw_os_error() {
                    // A signal came, or the process was stopped and continued.
                    Some(libc::EINTR) => {}
                    Some(libc::ENOSPC) => return Err(full(&self.name, bytes)),
                    Some(libc::EOPNOTSUPP) => break,
                    _ => return Err(system_fault(&self.name, &error)),
                }
            }
            const MADV_POPULATE_WRITE: libc::c_int = 23;
            // Takes the page faults out of the first lap. Best effort: kernels before 5.14 do not know it.
            // SAFETY: the range lies inside the mapping and starts on a page; its content is not changed.
            unsafe {
                let start = self.shmem.as_ptr().add(offset & !(crate::segment::layout::PAGE - 1));
                libc::madvise(
                    start.cast(),
                    bytes + offset % crate::segment::layout::PAGE,
                    MADV_POPULATE_WRITE,
                );
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, bytes);
        Ok(())
    }

    /// A second, independent open file of the same segment, even if it was unlinked since.
    #[cfg(target_os = "linux")]
    pub(crate) fn reopen(&self) -> Result<File> {
        use std::os::fd::AsRawFd;
        File::options()
            .read(true)
            .write(true)
            .open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
            .map_err(|error| system_fault(&self.name, &error))
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// True while the name still leads to this very segment.
    pub(crate) fn is_current(&self) -> bool {
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt;
            match (self.file.metadata(), fs::metadata(path_of(&self.name))) {
                (Ok(mine), Ok(named)) => mine.ino() == named.ino() && mine.dev() == named.dev(),
                _ => false,
            }
        }
        #[cfg(all(not(target_os = "linux"), not(loom)))]
        {
            use crate::segment::layout::{Header, word_of};
            let created = |mapping: &Self| {
                mapping.words()[word_of!(Header, created_ns)].load(std::sync::atomic::Ordering::Relaxed)
            };
            Self::open(&self.name).is_ok_and(|named| created(&named) == created(self))
        }
        #[cfg(all(not(target_os = "linux"), loom))]
        true
    }
}

/// Removes the name; processes that have the segment mapped keep their memory. True if there was one.
/// The caller holds the [`NameLock`].
pub(crate) fn unlink(name: &str) -> Result<bool> {
    #[cfg(unix)]
    {
        let id = std::ffi::CString::new(os_id(name)).expect("checked by check_name");
        // SAFETY: `id` is a NUL-terminated string.
        let removed = unsafe { libc::shm_unlink(id.as_ptr()) } == 0;
        let error = std::io::Error::last_os_error();
        #[cfg(not(target_os = "linux"))]
        let _ = fs::remove_file(path_of(name));
        if removed {
            return Ok(true);
        }
        if error.kind() == std::io::ErrorKind::NotFound { Ok(false) } else { Err(system_fault(name, &error)) }
    }
    #[cfg(windows)]
    {
        // A file that is mapped cannot be removed, but renamed, and removed with its last handle: so does
        // the crate for an owner. One that cannot be mapped, because it is empty, can be removed.
        match Mapping::open(name) {
            Ok(mapping) => mapping.discard(),
            Err(error) if error.code() == ErrorCode::ShmNotFound => return Ok(false),
            Err(_) => fs::remove_file(path_of(name)).map_err(|error| system_fault(name, &error))?,
        }
        Ok(true)
    }
}

/// What the system calls the segment. macOS allows 31 bytes: a longer name stands there by its hash.
fn os_id(name: &str) -> String {
    const MACOS_LONGEST: usize = 30;
    match () {
        () if cfg!(windows) => name.to_owned(),
        () if cfg!(target_os = "macos") && name.len() > MACOS_LONGEST => {
            format!("/{:.12}~{:016x}", name, crate::segment::layout::fnv1a(name.as_bytes()))
        }
        () => format!("/{name}"),
    }
}

fn fault(name: &str, bytes: usize, error: &ShmemError) -> Error {
    match error {
        ShmemError::MapSizeZero => empty(name),
        #[cfg(windows)]
        ShmemError::MapOpenFailed(ERROR_FILE_INVALID) => empty(name),
        ShmemError::MapOpenFailed(code)
        | ShmemError::MapCreateFailed(code)
        | ShmemError::UnknownOsError(code) => os_fault(name, bytes, *code),
        other => Error::new(ErrorCode::ShmSystem, format!("ring '{name}': {other}")),
    }
}
