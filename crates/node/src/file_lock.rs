//! Locks on files that JavaScript has open.

use napi_derive::napi;

use crate::error::{Error, Result};

/// Locks an open file against all others who ask for a lock on it: true if it is locked, false where another open
/// file has it. The kernel lets go of the lock when the file is closed, and so when the process ends, however it does.
///
/// # Errors
/// `ERR_FILE` where the file system has no locks, and on Windows.
#[napi]
pub fn try_lock_file(descriptor: i32) -> Result<bool> {
    #[cfg(unix)]
    {
        use std::fs::{File, TryLockError};
        use std::mem::ManuallyDrop;
        use std::os::fd::FromRawFd;

        if descriptor < 0 {
            return Err(crate::error::argument(format!("{descriptor} is no descriptor")));
        }
        // SAFETY: the file is JavaScript's, which waits for this call and closes it later: it is only borrowed,
        // and `ManuallyDrop` keeps it open.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        match file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(Error::new("ERR_FILE", error.to_string())),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = descriptor;
        Err(Error::new("ERR_FILE", "this system locks no file by its descriptor".to_owned()))
    }
}
