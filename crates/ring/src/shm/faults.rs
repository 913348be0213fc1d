//! The errors of shared memory: what was found, what was expected, what to do.

use std::fs;

use super::{directory, path_of};
use crate::error::{Error, ErrorCode};

pub(super) fn full(name: &str, bytes: usize) -> Error {
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
fn free_bytes() -> Option<u64> {
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

pub(super) fn system_fault(name: &str, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => not_found(name),
        std::io::ErrorKind::PermissionDenied => permission(name),
        std::io::ErrorKind::StorageFull => full(name, crate::segment::layout::PAGE),
        _ => Error::new(ErrorCode::ShmSystem, format!("{}: {error}", path_of(name).display())),
    }
}

fn not_found(name: &str) -> Error {
    Error::new(
        ErrorCode::ShmNotFound,
        format!("there is no ring '{name}': start a feed or the proxy first, or check the name"),
    )
}

/// What has a ring's name and is no file at all. Its code is not that of a segment which may be replaced.
#[cfg(target_os = "linux")]
pub(super) fn not_a_file(name: &str) -> Option<Error> {
    use std::os::unix::fs::FileTypeExt;
    let kind = fs::symlink_metadata(path_of(name)).ok()?.file_type();
    let what = match () {
        () if kind.is_file() => return None,
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Some(Error::new(
        ErrorCode::ShmSystem,
        format!("{} is {what}, expected was a segment; {}", place_of(name), remedy(name)),
    ))
}

/// Where something with a ring's name stands, for people.
pub(crate) fn place_of(name: &str) -> String {
    if cfg!(target_os = "macos") { format!("'{name}'") } else { path_of(name).display().to_string() }
}

/// What to do about something that has a ring's name and is none.
pub(crate) fn remedy(name: &str) -> String {
    if cfg!(target_os = "macos") {
        return "take another ring name".to_owned();
    }
    format!(
        "take another ring name, or remove it if nothing else uses it ({})",
        match path_of(name) {
            path if cfg!(windows) => format!("del \"{}\"", path.display()),
            path if path.is_dir() && !path.is_symlink() => format!("rm -r {}", path.display()),
            path => format!("rm {}", path.display()),
        }
    )
}

pub(super) fn empty(name: &str) -> Error {
    Error::new(
        ErrorCode::ShmLayout,
        format!(
            "{} is empty: the process that was creating ring '{name}' died; the next one that creates the ring replaces it, or {}",
            place_of(name),
            remedy(name)
        ),
    )
}

pub(super) fn permission(name: &str) -> Error {
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
            "{} belongs to {owner}, and no other user may use it: run as that user, or choose another ring name",
            path.display()
        ),
    )
}

/// What a system call said while a segment of so many bytes was mapped.
pub(super) fn os_fault(name: &str, bytes: usize, code: u32) -> Error {
    let error = std::io::Error::from_raw_os_error(code as i32);
    if error.kind() == std::io::ErrorKind::StorageFull {
        full(name, bytes)
    } else {
        system_fault(name, &error)
    }
}
