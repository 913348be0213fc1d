//! The rings beside a ring of ticks: what clients want, and events.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openalgo_shm_ring::interest::{self, Change, Message, Union};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{
    Consumer, ConsumerOptions, Error, LockFreeRingBuffer, Producer, RingConfig, Start, WaitStrategy, Waiter,
    event,
};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyList, PyTuple};

use crate::error::{closed, convert};
use crate::fork::Origin;
use crate::wait::{FOLLOW_INTERVAL, wait};

/// Messages of interest that are read at a time, and the most times in one poll.
const BATCH: usize = 1024;
const MOST_BATCHES: usize = 256;
/// Events of one poll.
const MOST_EVENTS: usize = 4096;

/// A companion ring that is followed when it is created anew.
struct Reader {
    ring_name: String,
    config: RingConfig,
    owner: String,
    ring: LockFreeRingBuffer,
    consumer: Consumer,
    looked: Instant,
    lost_before: u64,
}

impl Reader {
    fn open((ring_name, config): (String, RingConfig), owner: &str) -> Result<Self, Error> {
        let (ring, consumer) = join(&ring_name, config, owner, Start::Newest)?;
        let looked = Instant::now();
        Ok(Self { ring_name, config, owner: owner.to_owned(), ring, consumer, looked, lost_before: 0 })
    }

    /// True once a second.
    fn is_due(&mut self) -> bool {
        let is_due = self.looked.elapsed() >= FOLLOW_INTERVAL;
        if is_due {
            self.looked = Instant::now();
        }
        is_due
    }

    /// Goes over to a ring that was created anew, once all of the older one is read; true if it did.
    fn follow(&mut self) -> bool {
        if self.ring.is_current() || self.consumer.is_ready() {
            return false;
        }
        // Nobody has read anything of the newer one yet. If it cannot be joined, the next look tries again.
        let Ok((ring, consumer)) = join(&self.ring_name, self.config, &self.owner, Start::Oldest) else {
            return false;
        };
        self.lost_before += self.consumer.lost();
        (self.ring, self.consumer) = (ring, consumer);
        true
    }

    /// What to wait with; `None` if there is something to read already.
    fn waiter(&self) -> Option<Waiter> {
        (!self.consumer.is_ready()).then(|| self.consumer.waiter())
    }

    fn lost(&self) -> u64 {
        self.lost_before + self.consumer.lost()
    }
}

fn join(
    name: &str,
    config: RingConfig,
    owner: &str,
    from: Start,
) -> Result<(LockFreeRingBuffer, Consumer), Error> {
    let ring = LockFreeRingBuffer::create_or_attach(name, config)?;
    let consumer = ring.consumer(ConsumerOptions::new(owner).from(from))?;
    Ok((ring, consumer))
}

/// A topic is wanted in a mode, or no longer. ``depth`` is the deepest book that anybody wants, levels a side; 0 for
/// modes without a book.
#[pyclass(frozen, module = "openalgo_shm", get_all)]
pub struct InterestChange {
    kind: &'static str,
    exchange: String,
    symbol: String,
    mode: u8,
    depth: u32,
}

impl From<Change> for InterestChange {
    fn from(change: Change) -> Self {
        Self {
            kind: if change.wanted { "subscribe" } else { "unsubscribe" },
            exchange: change.topic.exchange(),
            symbol: change.topic.symbol(),
            mode: change.mode as u8,
            depth: change.depth,
        }
    }
}

#[pymethods]
impl InterestChange {
    fn __repr__(&self) -> String {
        let Self { kind, exchange, symbol, mode, depth } = self;
        format!("InterestChange({kind}, {exchange}:{symbol}, mode={mode}, depth={depth})")
    }
}

/// What the clients of all living proxies want together, each topic and mode once. A proxy that dies is forgotten
/// within a second. Raises ``OpenAlgoShmError``: those of opening a ring.
#[pyclass(frozen, module = "openalgo_shm")]
pub struct InterestReader {
    origin: Origin,
    inner: Mutex<Option<Interest>>,
}

struct Interest {
    reader: Reader,
    union: Union,
}

#[pymethods]
impl InterestReader {
    #[new]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer", owner_name = "feed"))]
    fn new(py: Python<'_>, buffer_name: &str, owner_name: &str) -> PyResult<Self> {
        let reader =
            py.detach(|| Reader::open(interest::ring_of(buffer_name), owner_name)).map_err(convert)?;
        let interest = Interest { reader, union: Union::default() };
        Ok(Self { origin: Origin::here(), inner: Mutex::new(Some(interest)) })
    }

    /// What has changed since the last call. Call it at least once a second: it forgets proxies that died.
    fn poll<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock(py)?;
        let interest = open(&mut inner)?;
        let changes: Vec<Change> = py.detach(|| interest.poll());
        drop(inner);
        PyList::new(py, changes.into_iter().map(InterestChange::from).collect::<Vec<_>>())
    }

    /// Waits until something has changed, at most ``timeout`` seconds.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let look = || Ok(open(&mut *self.lock(py)?)?.reader.waiter());
        wait(py, timeout, WaitStrategy::Sleep, || false, look)
    }

    fn wanted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock(py)?;
        let wanted: Vec<_> = open(&mut inner)?.union.wanted().map(InterestChange::from).collect();
        drop(inner);
        PyList::new(py, wanted)
    }

    fn close(&self, py: Python<'_>) {
        if let Ok(mut inner) = self.lock(py) {
            *inner = None;
        }
    }
}

impl InterestReader {
    /// # Errors
    /// `ERR_CLOSED` in a child of the process that made this.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<Interest>>> {
        self.origin.check()?;
        Ok(self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }
}

fn open(inner: &mut Option<Interest>) -> PyResult<&mut Interest> {
    inner.as_mut().ok_or_else(|| closed("interest reader"))
}

impl Interest {
    fn poll(&mut self) -> Vec<Change> {
        let Self { reader, union } = self;
        let mut changes = Vec::new();
        let mut each = |change| changes.push(change);
        // What is beyond comes with the next call: writers that never rest must not hold it for ever.
        for _ in 0..MOST_BATCHES {
            let read = reader.consumer.poll_words(BATCH, |record| {
                if let Some(message) = Message::read(record) {
                    union.apply(record.lane(), &message, &mut each);
                }
            });
            if read < BATCH {
                break;
            }
        }
        if reader.is_due() {
            let is_new_ring = reader.follow();
            let stats = reader.ring.stats();
            let is_alive = |lane: usize| stats.lanes.iter().any(|other| other.lane == lane && other.alive);
            for lane in union.lanes() {
                if is_new_ring || !is_alive(lane) {
                    union.drop_proxy(lane, &mut each);
                }
            }
        }
        changes
    }
}

/// Reads the events of all feeds as text.
#[pyclass(frozen, subclass, module = "openalgo_shm")]
pub struct EventReader {
    origin: Origin,
    inner: Mutex<Option<Events>>,
}

struct Events {
    reader: Reader,
    names: PublisherNames,
}

#[pymethods]
impl EventReader {
    #[new]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer", owner_name = "reader"))]
    fn new(py: Python<'_>, buffer_name: &str, owner_name: &str) -> PyResult<Self> {
        let reader = py.detach(|| Reader::open(event::ring_of(buffer_name), owner_name)).map_err(convert)?;
        let events = Events { reader, names: PublisherNames::default() };
        Ok(Self { origin: Origin::here(), inner: Mutex::new(Some(events)) })
    }

    /// Texts of the events since the last call, each with the name of who published it.
    fn poll_texts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock(py)?;
        let events = Self::open(&mut inner)?;
        let texts = py.detach(|| events.poll());
        drop(inner);
        PyList::new(py, texts)
    }

    /// Waits until there is an event, at most ``timeout`` seconds.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let look = || Ok(Self::open(&mut *self.lock(py)?)?.reader.waiter());
        wait(py, timeout, WaitStrategy::Sleep, || false, look)
    }

    /// Events that were overwritten before they were read.
    #[getter]
    fn events_lost(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(Self::open(&mut *self.lock(py)?)?.reader.lost())
    }

    fn close(&self, py: Python<'_>) {
        if let Ok(mut inner) = self.lock(py) {
            *inner = None;
        }
    }
}

impl EventReader {
    /// # Errors
    /// `ERR_CLOSED` in a child of the process that made this.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<Events>>> {
        self.origin.check()?;
        Ok(self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }

    fn open(inner: &mut Option<Events>) -> PyResult<&mut Events> {
        inner.as_mut().ok_or_else(|| closed("event reader"))
    }
}

impl Events {
    fn poll(&mut self) -> Vec<(String, String)> {
        let Self { reader, names } = self;
        let mut found = Vec::new();
        reader.consumer.poll_words(MOST_EVENTS, |record| found.push((event::read(record), record.lane())));
        let segment = reader.consumer.segment();
        let named = found.into_iter().map(|(text, lane)| {
            let publisher = names.of(segment, lane);
            (text, names.name(publisher).to_owned())
        });
        let texts = named.collect();
        if reader.is_due() && reader.follow() {
            names.forget_lanes();
        }
        texts
    }
}

/// Publishes events as text.
#[pyclass(frozen, subclass, module = "openalgo_shm")]
pub struct EventWriter {
    ring_name: String,
    config: RingConfig,
    owner: String,
    origin: Origin,
    inner: Mutex<Option<Writer>>,
}

struct Writer {
    ring: LockFreeRingBuffer,
    producer: Producer,
}

#[pymethods]
impl EventWriter {
    #[new]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer", owner_name = "feed"))]
    fn new(py: Python<'_>, buffer_name: &str, owner_name: &str) -> PyResult<Self> {
        let (ring_name, config) = event::ring_of(buffer_name);
        let writer = py.detach(|| Writer::open(&ring_name, config, owner_name)).map_err(convert)?;
        let owner = owner_name.to_owned();
        Ok(Self { ring_name, config, owner, origin: Origin::here(), inner: Mutex::new(Some(writer)) })
    }

    fn publish_text(&self, py: Python<'_>, text: &str) -> PyResult<()> {
        let words = event::to_words(text).map_err(convert)?;
        self.origin.check()?;
        let mut inner = self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let writer = inner.as_mut().ok_or_else(|| closed("event publisher"))?;
        py.detach(|| {
            // An event is not repeated: none may go into a ring that nobody reads any more.
            if !writer.ring.is_current()
                && let Ok(successor) = Writer::open(&self.ring_name, self.config, &self.owner)
            {
                *writer = successor;
            }
            writer.producer.publish(&words).map(|_| ())
        })
        .map_err(convert)
    }

    fn close(&self, py: Python<'_>) {
        if self.origin.is_here() {
            *self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

impl Writer {
    fn open(name: &str, config: RingConfig, owner: &str) -> Result<Self, Error> {
        let ring = LockFreeRingBuffer::create_or_attach(name, config)?;
        let producer = ring.producer(owner)?;
        Ok(Self { ring, producer })
    }
}
