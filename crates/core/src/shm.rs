//! Named shared memory: create, open, reserve, unlink. The only file that names the `shared_memory` crate.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shared_memory::{Shmem, ShmemConf, ShmemError};

use crate::error::{Error, ErrorCode, Result};
#[cfg(not(loom))]
use crate::sync::AtomicU64;
#[cfg(all(windows, not(loom)))]
use crate::sync::Ordering;

/// Longest name of a segment in bytes: leaves room for suffixes in a file's name.
pub const MAX_NAME_BYTES: usize = 200;
/// How long to wait for another process that creates, opens or unlinks the same name.
const NAME_LOCK_WAIT: Duration = Duration::from_secs(3);

/// What Windows answers when an empty file is to be mapped.
#[cfg(windows)]
const ERROR_FILE_INVALID: u32 = 1006;
/// What Windows answers while another removes the file that is to be opened.
#[cfg(windows)]
const ERROR_SHARING_VIOLATION: i32 = 32;
#[cfg(windows)]
const ERROR_DELETE_PENDING: i32 = 303;
/// Words of a header.
#[cfg(all(windows, not(loom)))]
const LINE_WORDS: usize = crate::layout::LINE / crate::layout::WORD;

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
        let mut first = [0; 8];
        let read = File::open(path_of(name))
            .and_then(|file| std::os::unix::fs::FileExt::read_exact_at(&file, &mut first, 0));
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
        let mapping = Self::adopt(name, shmem)?;
        #[cfg(all(windows, not(loom)))]
        if mapping.words().iter().take(LINE_WORDS).any(|word| word.load(Ordering::Relaxed) != 0) {
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

    /// Maps an existing segment. The caller holds the [`NameLock`].
    pub(crate) fn open(name: &str) -> Result<Self> {
        #[cfg(target_os = "linux")]
        match fs::metadata(path_of(name)) {
            Ok(found) if found.len() == 0 => return Err(empty(name)),
            Ok(_) => {}
            Err(error) => return Err(system_fault(name, &error)),
        }
        let shmem = ShmemConf::new().os_id(os_id(name)).open().map_err(|error| fault(name, 0, &error))?;
        Self::adopt(name, shmem)
    }

    fn adopt(name: &str, mut shmem: Shmem) -> Result<Self> {
        // Whoever made the segment, only `unlink` below removes it.
        shmem.set_owner(false);
        Ok(Self {
            shmem,
            name: name.to_owned(),
            #[cfg(target_os = "linux")]
            file: Self::own_file(name)?,
        })
    }

    /// The segment's file. Another user's is refused even where its mode lets us in: who owns a file can cut it
    /// short, which kills whoever has it mapped.
    #[cfg(target_os = "linux")]
    fn own_file(name: &str) -> Result<File> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
        let open = || {
            let file =
                File::options().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path_of(name))?;
            Ok((file.metadata()?.uid(), file))
        };
        let (owner, file) = open().map_err(|error| system_fault(name, &error))?;
        // SAFETY: a plain system call.
        if owner == unsafe { libc::geteuid() } { Ok(file) } else { Err(permission(name)) }
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
                let start = self.shmem.as_ptr().add(offset & !(crate::layout::PAGE - 1));
                libc::madvise(start.cast(), bytes + offset % crate::layout::PAGE, MADV_POPULATE_WRITE);
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
            use crate::layout::{Header, word_of};
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
            format!("/{:.12}~{:016x}", name, crate::layout::fnv1a(name.as_bytes()))
        }
        () => format!("/{name}"),
    }
}

/// A locked file, until dropped. The kernel releases the lock when its holder dies; the file is removed by
/// its holder, or taken over by the next.
pub(crate) struct LockFile {
    path: PathBuf,
    file: Option<File>,
}

impl LockFile {
    /// Creates and locks the file. `None` while another has it locked, or looks whether it is.
    pub(crate) fn try_take(path: &Path) -> std::io::Result<Option<Self>> {
        let file = match Self::options().create(true).open(path) {
            #[cfg(windows)]
            Err(error)
                if matches!(error.raw_os_error(), Some(ERROR_SHARING_VIOLATION | ERROR_DELETE_PENDING)) =>
            {
                return Ok(None);
            }
            opened => opened?,
        };
        // Dropped only once it is known to be ours: who drops it removes the file.
        Ok((file.try_lock().is_ok() && same_file(&file, path))
            .then(|| Self { path: path.to_owned(), file: Some(file) }))
    }

    /// True while somebody has the file locked.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn is_taken(path: &Path) -> bool {
        Self::options().open(path).is_ok_and(|file| file.try_lock_shared().is_err())
    }

    fn options() -> std::fs::OpenOptions {
        let mut options = File::options();
        options.truncate(false).read(true).write(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            // In a directory that all may write to, a name can be another user's link to a file of ours.
            options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
        }
        // Reading and writing are shared, removing is not: nobody removes a file that another has open.
        #[cfg(windows)]
        std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 3);
        options
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Unix removes the file while it is locked: a lock on a removed file is no lock. Windows removes only
        // what nobody has open, so a failure means that another is about to take it over.
        #[cfg(windows)]
        drop(self.file.take());
        let _ = fs::remove_file(&self.path);
        drop(self.file.take());
    }
}

/// Held around create, open and unlink of a name, so that these never interleave.
pub(crate) struct NameLock {
    _lock: LockFile,
}

impl NameLock {
    /// # Errors
    /// `ERR_SHM_BUSY` when another process holds it for longer than three seconds.
    pub(crate) fn acquire(name: &str) -> Result<Self> {
        check_name(name)?;
        #[cfg(not(target_os = "linux"))]
        fs::create_dir_all(directory()).map_err(|error| system_fault(name, &error))?;
        let path = directory().join(format!("{name}.lock"));
        let until = Instant::now() + NAME_LOCK_WAIT;
        loop {
            let lock =
                LockFile::try_take(&path).map_err(|error| system_fault(&format!("{name}.lock"), &error))?;
            if let Some(lock) = lock {
                return Ok(Self { _lock: lock });
            }
            if Instant::now() > until {
                return Err(Error::new(
                    ErrorCode::ShmBusy,
                    format!(
                        "another process has held {} for {} s: it is creating or removing ring '{name}', or is stopped; end it and try again",
                        path.display(),
                        NAME_LOCK_WAIT.as_secs()
                    ),
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    matches!((file.metadata(), fs::metadata(path)), (Ok(held), Ok(named)) if held.ino() == named.ino() && held.dev() == named.dev())
}

#[cfg(not(unix))]
fn same_file(_: &File, _: &Path) -> bool {
    true
}

fn full(name: &str, bytes: usize) -> Error {
    Error::new(
        ErrorCode::ShmFull,
        format!(
            "no room for ring '{name}': it needs {bytes} bytes more, {} has {} free; use a smaller bufferSize, fewer depthLevels, remove leftovers with `openalgo-shm cleanup`, or raise the limit (docker run --shm-size=1g, mount -o remount,size=1g /dev/shm)",
            directory().display(),
            free_bytes().map_or("an unknown number of bytes".to_owned(), |free| format!("{free} bytes")),
        ),
    )
}

/// Bytes that the file system of the segments has left.
pub(crate) fn free_bytes() -> Option<u64> {
    #[cfg(unix)]
    {
        let path = std::ffi::CString::new(directory().to_str()?).ok()?;
        // SAFETY: a zeroed statvfs is valid, and both pointers are valid for the call.
        unsafe {
            let mut found: libc::statvfs = std::mem::zeroed();
            (libc::statvfs(path.as_ptr(), &raw mut found) == 0)
                .then(|| found.f_bavail as u64 * found.f_frsize as u64)
        }
    }
    #[cfg(not(unix))]
    None
}

fn system_fault(name: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => not_found(name),
        std::io::ErrorKind::PermissionDenied => permission(name),
        std::io::ErrorKind::StorageFull => full(name, crate::layout::PAGE),
        _ => Error::new(ErrorCode::ShmSystem, format!("{}: {error}", path_of(name).display())),
    }
}

fn not_found(name: &str) -> Error {
    Error::new(
        ErrorCode::ShmNotFound,
        format!("there is no ring '{name}': start a feed or the proxy first, or check the name"),
    )
}

fn empty(name: &str) -> Error {
    Error::new(ErrorCode::ShmLayout, format!("segment '{name}' is empty: its creator died"))
}

fn permission(name: &str) -> Error {
    let path = path_of(name);
    #[cfg(unix)]
    let owner = fs::metadata(&path).map_or("another user".to_owned(), |found| {
        format!("user id {}", std::os::unix::fs::MetadataExt::uid(&found))
    });
    #[cfg(not(unix))]
    let owner = "another user";
    Error::new(
        ErrorCode::ShmPermission,
        format!(
            "{} belongs to {owner} and nobody else may use it: run as that user, or choose another ring name",
            path.display()
        ),
    )
}

fn fault(name: &str, bytes: usize, error: &ShmemError) -> Error {
    let os = |code: u32| std::io::Error::from_raw_os_error(code as i32);
    match error {
        ShmemError::MapSizeZero => empty(name),
        #[cfg(windows)]
        ShmemError::MapOpenFailed(ERROR_FILE_INVALID) => empty(name),
        ShmemError::MapOpenFailed(code)
        | ShmemError::MapCreateFailed(code)
        | ShmemError::UnknownOsError(code) => {
            if os(*code).kind() == std::io::ErrorKind::StorageFull {
                full(name, bytes)
            } else {
                system_fault(name, &os(*code))
            }
        }
        other => Error::new(ErrorCode::ShmSystem, format!("ring '{name}': {other}")),
    }
}
