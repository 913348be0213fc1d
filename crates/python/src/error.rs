//! Errors of the ring as Python exceptions with the same code.

use openalgo_shm_ring::{Error, ErrorCode};
use pyo3::prelude::*;

pyo3::create_exception!(
    openalgo_shm,
    OpenAlgoShmError,
    pyo3::exceptions::PyException,
    "An error that says what was found, what was expected and what to do. `code` never changes, e.g. `ERR_SHM_NOT_FOUND`."
);

/// The exception for an error of the ring.
pub fn convert(error: Error) -> PyErr {
    exception(error.code().as_str(), error.message())
}

/// The exception of a handle that is not open.
#[cold]
pub fn closed(what: &str) -> PyErr {
    exception(ErrorCode::Closed.as_str(), &format!("the {what} is not running: call start() first"))
}

/// The exception of an argument that has the wrong form.
#[cold]
pub fn argument(message: &str) -> PyErr {
    exception(ErrorCode::InvalidArgument.as_str(), message)
}

/// The exception with a code, for the package's own Python.
#[pyfunction]
pub fn error<'py>(py: Python<'py>, code: &str, message: &str) -> PyResult<Bound<'py, PyAny>> {
    // Made at once, not when somebody looks at it: that may be while the interpreter ends.
    let error = py.get_type::<OpenAlgoShmError>().call1((format!("{code}: {message}"),))?;
    error.setattr("code", code)?;
    Ok(error)
}

/// The exception with this code. Its message begins with the code, as those of the other languages do not: Python
/// shows an exception's text and not its attributes.
pub fn exception(code: &'static str, message: &str) -> PyErr {
    Python::attach(|py| error(py, code, message).map_or_else(|failed| failed, PyErr::from_value))
}
