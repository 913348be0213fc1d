//! Locked files: around a name, and (where locks on bytes of the segment do not exist) for an owner.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::faults::system_fault;
use super::{check_name, directory};
use crate::error::{Error, ErrorCode, Result};

/// How long a thread waits for another process that creates or removes the same name, if nothing else is said.
const NAME_LOCK_WAIT: Duration = Duration::from_secs(3);

thread_local! {
    static WAIT: Cell<Duration> = const { Cell::new(NAME_LOCK_WAIT) };
}

/// Runs a call that waits at most this long for another process that creates or removes the same name, instead of
/// three seconds. For threads that have other work to do; zero for not at all.
pub fn waiting_at_most<T>(wait: Duration, call: impl FnOnce() -> T) -> T {
    struct Restored(Duration);
    impl Drop for Restored {
        fn drop(&mut self) {
            WAIT.set(self.0);
        }
    }
    let _restored = Restored(WAIT.replace(wait));
    call()
}

/// What Windows answers while another removes the file that is to be opened.
#[cfg(windows)]
const ERROR_SHARING_VIOLATION: i32 = 32;
#[cfg(windows)]
const ERROR_DELETE_PENDING: i32 = 303;

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

/// Held around create and unlink of a name, so that these never interleave.
pub(crate) struct NameLock {
    _lock: LockFile,
}

impl NameLock {
    /// # Errors
    /// `ERR_SHM_BUSY` when another process holds it for longer than three seconds, or than [`waiting_at_most`] says.
    pub(crate) fn acquire(name: &str) -> Result<Self> {
        check_name(name)?;
        #[cfg(not(target_os = "linux"))]
        fs::create_dir_all(directory()).map_err(|error| system_fault(name, &error))?;
        let path = directory().join(format!("{name}.lock"));
        let wait = WAIT.get();
        let start = Instant::now();
        loop {
            let lock =
                LockFile::try_take(&path).map_err(|error| system_fault(&format!("{name}.lock"), &error))?;
            if let Some(lock) = lock {
                return Ok(Self { _lock: lock });
            }
            if start.elapsed() >= wait {
                return Err(Error::new(
                    ErrorCode::ShmBusy,
                    format!(
                        "another process has held {} for {} ms or longer: it is creating or removing ring '{name}', or is stopped; try again, and end it if that does not help",
                        path.display(),
                        wait.as_millis()
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
