//! Errors of the ring as JavaScript errors with the same code.

use openalgo_shm_ring as ring;

/// Error whose `code` in JavaScript is the stable code of the ring.
pub type Error = napi::Error<&'static str>;
/// Result of exported functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Converts an error of the ring.
pub fn convert(error: ring::Error) -> Error {
    Error::new(error.code().as_str(), error.message().to_owned())
}

/// The error of a handle that was closed.
pub fn closed() -> Error {
    Error::new("ERR_CLOSED", "the handle was closed".to_owned())
}

/// The error of an argument that the TypeScript side should have refused.
pub fn argument(what: String) -> Error {
    Error::new("ERR_INVALID_ARGUMENT", what)
}

/// An error of N-API itself.
pub fn native(error: napi::Error) -> Error {
    Error::new("ERR_NATIVE", error.reason)
}
