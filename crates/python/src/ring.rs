//! The segment: create, attach, look, remove.

use openalgo_shm_ring::layout::Kind;
use openalgo_shm_ring::{ErrorCode, LockFreeRingBuffer as Ring, event, find, interest};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::error::{closed, convert};
use crate::options::RingOptions;

/// A named ring in shared memory.
///
/// - ``buffer_size``: bytes of one lane, in lines of 64 bytes, rounded down to a power of two. Default 1 MiB.
/// - ``topics``: topics that one publisher can name, 1 to 262,144. Default 32,768.
/// - ``depth_levels``: levels a side, 0 to 200. Default 5.
/// - ``lanes``: publishers at the same time, 1 to 64. Default 8.
/// - ``consumers``: subscribers that can register, 1 to 256. Default 64.
/// - ``policy``: ``"overwrite"`` (default) or ``"lossless"``. ``preset``: ``"mpmc"`` (default) or ``"spsc"``.
///
/// Raises ``OpenAlgoShmError``: ``ERR_SHM_MISMATCH`` if the ring exists with other options, ``ERR_INVALID_OPTION``,
/// ``ERR_SHM_NAME``, ``ERR_SHM_FULL``, ``ERR_SHM_PERMISSION``, ``ERR_SHM_VERSION``, ``ERR_SHM_LAYOUT``, ``ERR_SHM_BUSY``.
#[pyclass(module = "openalgo_shm")]
pub struct LockFreeRingBuffer {
    ring: Option<Ring>,
}

#[pymethods]
impl LockFreeRingBuffer {
    #[new]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer", buffer_size = None, *, topics = None, depth_levels = None, lanes = None, consumers = None, policy = None, preset = None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        py: Python<'_>,
        buffer_name: &str,
        buffer_size: Option<i64>,
        topics: Option<i64>,
        depth_levels: Option<i64>,
        lanes: Option<i64>,
        consumers: Option<i64>,
        policy: Option<String>,
        preset: Option<String>,
    ) -> PyResult<Self> {
        let options = RingOptions { buffer_size, topics, depth_levels, lanes, consumers, policy, preset };
        let config = options.config()?;
        let ring = py.detach(|| Ring::create(buffer_name, config)).map_err(convert)?;
        Ok(Self { ring: Some(ring) })
    }

    /// Attaches to an existing ring as it is. Raises ``ERR_SHM_NOT_FOUND`` and those of the constructor.
    #[staticmethod]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer"))]
    fn open(py: Python<'_>, buffer_name: &str) -> PyResult<Self> {
        Ok(Self { ring: Some(py.detach(|| Ring::open(buffer_name)).map_err(convert)?) })
    }

    /// The rings on this machine that this user may open.
    #[staticmethod]
    fn list(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
        let found = py.detach(find::find_segments);
        let list = PyList::empty(py);
        for segment in found {
            let entry = PyDict::new(py);
            entry.set_item("name", segment.name)?;
            entry.set_item("bytes", segment.bytes)?;
            entry.set_item("in_use", segment.in_use)?;
            entry.set_item("version", segment.version)?;
            list.append(entry)?;
        }
        Ok(list)
    }

    /// Removes a ring that no living process holds. True if it was removed.
    #[staticmethod]
    fn remove_if_unused(py: Python<'_>, buffer_name: &str) -> PyResult<bool> {
        py.detach(|| find::remove_if_unused(buffer_name)).map_err(convert)
    }

    #[getter]
    fn name(&self) -> PyResult<String> {
        Ok(self.ring()?.name().to_owned())
    }

    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        info(self.ring()?, py)
    }

    /// A picture of its publishers and subscribers now; costs microseconds and disturbs nobody.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(self.ring()?, py)
    }

    /// False once the name was removed or leads to a newer ring.
    fn is_current(&self) -> PyResult<bool> {
        Ok(self.ring()?.is_current())
    }

    /// Removes the name if it still leads to this ring, and the small rings beside it unless somebody holds them.
    /// Processes that have it open keep it. True if it was removed.
    fn unlink(&self, py: Python<'_>) -> PyResult<bool> {
        let ring = self.ring()?;
        py.detach(|| unlink_with_companions(ring)).map_err(convert)
    }

    fn close(&mut self) {
        self.ring = None;
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&mut self, _error: &Bound<'_, PyTuple>) {
        self.close();
    }
}

impl LockFreeRingBuffer {
    fn ring(&self) -> PyResult<&Ring> {
        self.ring.as_ref().ok_or_else(|| closed("ring"))
    }
}

/// Removes a ring's name. True if there was one.
pub fn remove(name: &str) -> PyResult<bool> {
    Python::attach(|py| {
        py.detach(|| match Ring::open(name) {
            Ok(ring) => unlink_with_companions(&ring),
            Err(error) if error.code() == ErrorCode::ShmNotFound => {
                remove_companions(name)?;
                Ok(false)
            }
            Err(error) => Err(error),
        })
    })
    .map_err(convert)
}

fn unlink_with_companions(ring: &Ring) -> openalgo_shm_ring::Result<bool> {
    let removed = ring.unlink_own()?;
    if removed && ring.layout().kind == Kind::Ticks {
        remove_companions(ring.name())?;
    }
    Ok(removed)
}

/// The small rings beside a ring go too, unless somebody living holds them.
fn remove_companions(name: &str) -> openalgo_shm_ring::Result<()> {
    for companion in [interest::ring_of(name).0, event::ring_of(name).0] {
        find::remove_if_unused(&companion)?;
    }
    Ok(())
}

/// The shape of a ring.
pub fn info<'py>(ring: &Ring, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let layout = ring.layout();
    let info = PyDict::new(py);
    let kind = match layout.kind {
        Kind::Ticks => "ticks",
        Kind::Interest => "interest",
        Kind::Events => "events",
    };
    info.set_item("name", ring.name())?;
    info.set_item("kind", kind)?;
    info.set_item("lanes", layout.lanes)?;
    info.set_item("consumers", layout.consumers)?;
    info.set_item("capacity", layout.capacity)?;
    info.set_item("topics", layout.topics)?;
    info.set_item("depth_levels", layout.depth_levels)?;
    info.set_item("policy", layout.policy.as_str())?;
    info.set_item("bytes", layout.total_bytes())?;
    Ok(info)
}

/// A picture of a ring's publishers and subscribers now.
pub fn stats<'py>(ring: &Ring, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let stats = ring.stats();
    let publishers = PyList::empty(py);
    for lane in stats.lanes {
        let entry = PyDict::new(py);
        entry.set_item("lane", lane.lane)?;
        entry.set_item("publisher", lane.publisher)?;
        entry.set_item("pid", lane.pid)?;
        entry.set_item("alive", lane.alive)?;
        entry.set_item("started_ns", lane.started_ns)?;
        entry.set_item("messages_published", lane.messages_published)?;
        entry.set_item("messages_rejected", lane.messages_rejected)?;
        entry.set_item("lines_published", lane.lines_published)?;
        entry.set_item("topics", lane.topics)?;
        entry.set_item("topics_refused", lane.topics_refused)?;
        entry.set_item("avg_latency_ns", lane.avg_latency_ns)?;
        entry.set_item("last_publish_ns", lane.last_publish_ns)?;
        publishers.append(entry)?;
    }
    let subscribers = PyList::empty(py);
    for consumer in stats.consumers {
        let entry = PyDict::new(py);
        entry.set_item("consumer", consumer.consumer)?;
        entry.set_item("name", consumer.name)?;
        entry.set_item("pid", consumer.pid)?;
        entry.set_item("started_ns", consumer.started_ns)?;
        entry.set_item("messages_received", consumer.messages_received)?;
        entry.set_item("messages_lost", consumer.messages_lost)?;
        entry.set_item("messages_corrupt", consumer.messages_corrupt)?;
        entry.set_item("lag", consumer.lag)?;
        subscribers.append(entry)?;
    }
    let result = info(ring, py)?;
    result.set_item("created_ns", stats.created_ns)?;
    result.set_item("current", stats.current)?;
    result.set_item("publishers", publishers)?;
    result.set_item("subscribers", subscribers)?;
    Ok(result)
}

/// Nanoseconds of the clock that stamps messages.
#[pyfunction]
pub fn monotonic_ns() -> u64 {
    openalgo_shm_ring::clock::monotonic_ns()
}
