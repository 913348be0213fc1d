//! A reader of all ticks of a ring.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openalgo_shm_ring::layout::Kind;
use openalgo_shm_ring::message::{Head, LINE_WORDS};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{
    Consumer, ConsumerOptions, Error, ErrorCode, LockFreeRingBuffer, MessageCounts, RingConfig, Start,
    WaitStrategy,
};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::batch::{ArrowBatch, Batcher};
use crate::error::{closed, convert};
use crate::fork::Origin;
use crate::options::{RingOptions, invalid, wait_strategy};
use crate::ring;
use crate::tick::Tick;
use crate::wait::{FOLLOW_INTERVAL, wait};

/// Ticks that an iteration reads at a time.
const ITERATION_BATCH: usize = 256;

#[pyclass(frozen, subclass, module = "openalgo_shm", name = "Subscriber")]
pub struct Subscriber {
    options: Options,
    /// A child made by `fork` must not even look at the lock: a thread of the parent may have held it.
    origin: Origin,
    /// A flag alone, hence Relaxed everywhere: what a stop takes away is under the lock.
    stopping: AtomicBool,
    inner: Mutex<Inner>,
}

struct Options {
    ring: String,
    config: RingConfig,
    create: bool,
    name: String,
    from: Start,
    register: Option<bool>,
    wait: WaitStrategy,
}

#[derive(Default)]
struct Inner {
    joined: Option<Joined>,
    /// Counts of the rings that it has read before.
    earlier: MessageCounts,
}

struct Joined {
    ring: LockFreeRingBuffer,
    consumer: Consumer,
    looked: Instant,
    names: Names,
    batcher: Batcher,
    heads: Vec<Head>,
    rest: Vec<u64>,
    /// Heads that were read, and the next of them that the iteration gives.
    read: usize,
    next: usize,
}

/// Exchange and symbol.
type TopicTexts = (Py<PyString>, Py<PyString>);

/// Names as Python's text, made once each.
#[derive(Default)]
struct Names {
    /// Exchange and symbol, by lane and number.
    topics: Vec<Vec<Option<TopicTexts>>>,
    publishers: PublisherNames,
    texts: Vec<Py<PyString>>,
}

#[pymethods]
impl Subscriber {
    #[new]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer", buffer_size = None, *, subscriber_name = "subscriber", start_from = "newest", register = None, create = true, wait = "adaptive", topics = None, depth_levels = None, lanes = None, consumers = None, policy = None, preset = None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        buffer_name: &str,
        buffer_size: Option<i64>,
        subscriber_name: &str,
        start_from: &str,
        register: Option<bool>,
        create: bool,
        wait: &str,
        topics: Option<i64>,
        depth_levels: Option<i64>,
        lanes: Option<i64>,
        consumers: Option<i64>,
        policy: Option<String>,
        preset: Option<String>,
    ) -> PyResult<Self> {
        openalgo_shm_ring::check_name(buffer_name).map_err(convert)?;
        let from = match start_from {
            "newest" => Start::Newest,
            "oldest" => Start::Oldest,
            other => return Err(invalid("start_from", &format!("'{other}'"), "newest or oldest")),
        };
        let ring = RingOptions { buffer_size, topics, depth_levels, lanes, consumers, policy, preset };
        Ok(Self {
            options: Options {
                ring: buffer_name.to_owned(),
                config: ring.config()?,
                create,
                name: subscriber_name.to_owned(),
                from,
                register,
                wait: wait_strategy(wait)?,
            },
            origin: Origin::here(),
            stopping: AtomicBool::new(false),
            inner: Mutex::default(),
        })
    }

    /// Attaches to the ring as it is, or creates it, and joins. Does nothing if it has joined already.
    ///
    /// Raises ``OpenAlgoShmError``: ``ERR_NO_FREE_CONSUMER``, ``ERR_SHM_NOT_FOUND`` (with ``create=False``),
    /// ``ERR_SHM_MISMATCH`` (it carries something else than ticks) and those of opening a ring.
    fn start<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        let (subscriber, py) = (slf.get(), slf.py());
        subscriber.stopping.store(false, Ordering::Relaxed);
        if subscriber.lock(py)?.joined.is_none() {
            let options = &subscriber.options;
            let joined = py.detach(|| options.join(options.from)).map_err(convert)?;
            // Another thread may have been faster.
            subscriber.lock(py)?.joined.get_or_insert(joined);
        }
        Ok(slf.clone())
    }

    /// Up to ``max`` ticks, without waiting. Raises ``ERR_CLOSED``.
    #[pyo3(signature = (max = 256))]
    fn poll<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Bound<'py, PyList>> {
        // Before the lock: making a list may run the garbage collector, and with it code of Python's.
        let list = PyList::empty(py);
        let mut inner = self.lock(py)?;
        inner.follow(&self.options);
        let joined = inner.joined()?;
        while list.len() < max {
            if !joined.is_left() && joined.fill(max - list.len()) == 0 {
                break;
            }
            let tick = joined.take(py);
            list.append(tick)?;
        }
        Ok(list)
    }

    /// Waits until there is a tick. False after ``timeout`` seconds, and when it is stopped meanwhile. Ctrl-C works.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let is_over = || self.stopping.load(Ordering::Relaxed);
        wait(py, timeout, self.options.wait, is_over, || {
            let mut inner = self.lock(py)?;
            inner.follow(&self.options);
            let joined = inner.joined()?;
            let is_ready = joined.is_left() || joined.consumer.is_ready();
            Ok((!is_ready).then(|| joined.consumer.waiter()))
        })
    }

    /// Up to ``max`` ticks as columns, without waiting. Raises ``ERR_CLOSED``.
    #[pyo3(signature = (max = 65_536))]
    fn poll_arrow(&self, py: Python<'_>, max: usize) -> PyResult<ArrowBatch> {
        let mut inner = self.lock(py)?;
        inner.follow(&self.options);
        let joined = inner.joined()?;
        let batch = py.detach(|| joined.batch(max));
        drop(inner);
        batch.map_err(convert)
    }

    fn __iter__(slf: &Bound<'_, Self>) -> PyResult<Py<Self>> {
        if slf.get().lock(slf.py())?.joined.is_none() {
            Self::start(slf)?;
        }
        Ok(slf.clone().unbind())
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Tick>> {
        loop {
            if let Some(joined) = &mut self.lock(py)?.joined {
                if joined.has_next() {
                    return Ok(Some(joined.take(py)));
                }
            } else {
                return Ok(None);
            }
            match self.wait(py, None) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(_) if self.is_stopped(py) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next tick, or ``None`` if there is none now.
    fn next_or_none(&self, py: Python<'_>) -> PyResult<Option<Tick>> {
        let mut inner = self.lock(py)?;
        inner.follow(&self.options);
        let joined = inner.joined()?;
        Ok(if joined.has_next() { Some(joined.take(py)) } else { None })
    }

    fn get_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mut inner = self.lock(py)?;
        let earlier = inner.earlier;
        let joined = inner.joined()?;
        let counts = joined.consumer.counts();
        let lag = joined.consumer.lag() + (joined.read - joined.next) as u64;
        let registered = joined.consumer.is_registered();
        drop(inner);
        let stats = PyDict::new(py);
        stats.set_item("messages_received", earlier.received + counts.received)?;
        stats.set_item("messages_lost", earlier.lost + counts.lost)?;
        stats.set_item("messages_corrupt", earlier.corrupt + counts.corrupt)?;
        stats.set_item("lag", lag)?;
        stats.set_item("registered", registered)?;
        Ok(stats)
    }

    /// The whole ring: all publishers and subscribers.
    fn ring_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let ring = self.lock(py)?.joined()?.ring.clone();
        ring::stats(&ring, py)
    }

    #[getter]
    fn buffer_name(&self) -> &str {
        &self.options.ring
    }

    /// True before `start` and after `stop`.
    #[getter]
    fn is_stopped(&self, py: Python<'_>) -> bool {
        self.lock(py).map_or(true, |inner| inner.joined.is_none())
    }

    fn is_current(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.joined.as_ref().is_none_or(|joined| joined.ring.is_current()))
    }

    /// Leaves the ring. An iteration or a wait in another thread ends within 0.1 s.
    fn stop(&self, py: Python<'_>) {
        self.stopping.store(true, Ordering::Relaxed);
        // In a child made by `fork` there is nothing to leave.
        if let Ok(mut inner) = self.lock(py) {
            inner.joined = None;
        }
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.call_method0("stop").map(drop)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::start(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(slf: &Bound<'_, Self>, _error: &Bound<'_, PyTuple>) -> PyResult<()> {
        // A subclass has a stop of its own.
        Self::close(slf)
    }
}

impl Subscriber {
    /// Another thread that has it may need the interpreter before it lets go.
    ///
    /// # Errors
    /// `ERR_CLOSED` in a child of the process that made this.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        self.origin.check()?;
        Ok(self.inner.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
    }
}

impl Options {
    fn join(&self, from: Start) -> Result<Joined, Error> {
        let ring = if self.create {
            LockFreeRingBuffer::create_or_attach(&self.ring, self.config)?
        } else {
            LockFreeRingBuffer::open(&self.ring)?
        };
        self.join_ring(ring, from)
    }

    fn join_ring(&self, ring: LockFreeRingBuffer, from: Start) -> Result<Joined, Error> {
        if ring.layout().kind != Kind::Ticks {
            return Err(Error::new(
                ErrorCode::ShmMismatch,
                format!(
                    "ring '{}' carries something else than ticks: give the name of a ring of ticks",
                    self.ring
                ),
            ));
        }
        let options = ConsumerOptions::new(self.name.clone()).from(from);
        let options = match self.register {
            Some(register) => options.register(register),
            None => options,
        };
        let consumer = ring.consumer(options)?;
        let longest = ring.layout().longest_rest();
        Ok(Joined {
            batcher: Batcher::new(ring.layout().lanes),
            heads: vec![[0; LINE_WORDS]; ITERATION_BATCH],
            rest: vec![0; longest * ITERATION_BATCH],
            read: 0,
            next: 0,
            names: Names::default(),
            looked: Instant::now(),
            consumer,
            ring,
        })
    }
}

impl Inner {
    /// # Errors
    /// `ERR_CLOSED`.
    fn joined(&mut self) -> PyResult<&mut Joined> {
        self.joined.as_mut().ok_or_else(|| closed("subscriber"))
    }

    /// Goes over to a ring that was created anew, once all of the older one is read.
    fn follow(&mut self, options: &Options) {
        let Some(joined) = &mut self.joined else { return };
        if joined.looked.elapsed() < FOLLOW_INTERVAL {
            return;
        }
        joined.looked = Instant::now();
        if joined.ring.is_current() || joined.is_left() || joined.consumer.is_ready() {
            return;
        }
        // Not made by this: what its publisher removed is not to come back in another shape. Nobody has read anything
        // of the newer one yet.
        let successor = LockFreeRingBuffer::open(&options.ring);
        if let Ok(successor) = successor.and_then(|ring| options.join_ring(ring, Start::Oldest)) {
            let counts = joined.consumer.counts();
            self.earlier.received += counts.received;
            self.earlier.lost += counts.lost;
            self.earlier.corrupt += counts.corrupt;
            self.joined = Some(successor);
        }
    }
}

impl Joined {
    /// True if ticks were read that the iteration has not given yet.
    const fn is_left(&self) -> bool {
        self.next < self.read
    }

    fn fill(&mut self, max: usize) -> usize {
        let max = max.min(self.heads.len());
        (self.read, self.next) = (self.consumer.poll_into(&mut self.heads[..max], &mut self.rest), 0);
        self.read
    }

    fn has_next(&mut self) -> bool {
        self.is_left() || self.fill(ITERATION_BATCH) > 0
    }

    fn take(&mut self, py: Python<'_>) -> Tick {
        let head = self.heads[self.next];
        self.next += 1;
        let view = self.consumer.view(&head, &self.rest);
        let (lane, topic) = (view.lane(), view.topic());
        let (_, rest) = view.parts();
        let publisher = self.names.publisher(py, &self.consumer, lane);
        let (exchange, symbol) = self.names.topic(py, &self.consumer, lane, topic as usize);
        Tick::new(head, rest, symbol, exchange, publisher)
    }

    fn batch(&mut self, max: usize) -> Result<ArrowBatch, Error> {
        let end = self.read.min(self.next.saturating_add(max));
        let batch = self.batcher.collect(&mut self.consumer, &self.heads[self.next..end], &self.rest, max);
        self.next = end;
        batch
    }
}

impl Names {
    fn topic(&mut self, py: Python<'_>, consumer: &Consumer, lane: usize, number: usize) -> TopicTexts {
        if self.topics.len() <= lane {
            self.topics.resize_with(lane + 1, Vec::new);
        }
        let topics = &mut self.topics[lane];
        if topics.len() <= number {
            topics.resize_with(number + 1, || None);
        }
        let (exchange, symbol) = topics[number].get_or_insert_with(|| {
            let name = consumer.topic_name(lane, number as u32);
            let text = |text: String| PyString::new(py, &text).unbind();
            (
                text(name.map_or_else(String::new, |name| name.exchange())),
                text(name.map_or_else(String::new, |name| name.symbol())),
            )
        });
        (exchange.clone_ref(py), symbol.clone_ref(py))
    }

    fn publisher(&mut self, py: Python<'_>, consumer: &Consumer, lane: usize) -> Py<PyString> {
        let publisher = self.publishers.of(consumer.segment(), lane);
        while self.texts.len() <= publisher as usize {
            let next = self.texts.len();
            self.texts.push(PyString::new(py, self.publishers.name(next as _)).unbind());
        }
        self.texts[publisher as usize].clone_ref(py)
    }
}
