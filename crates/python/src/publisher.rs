//! The publisher of a caller that makes its ticks itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openalgo_shm_dialect::timestamps::INDIA_UTC_OFFSET;
use openalgo_shm_dialect::{Strictness, Topic};
use openalgo_shm_ring::layout::MAX_DEPTH_LEVELS;
use openalgo_shm_ring::message::Mode;
use openalgo_shm_ring::{Error, ErrorCode};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::{argument, convert, exception};
use crate::handle::TopicHandle;
use crate::lane::{Lane, LaneOptions, Scratch};
use crate::options::RingOptions;
use crate::raw::{Value, interruption};
use crate::ring;

/// Publishes ticks. Any number of threads may use it.
///
/// - ``buffer_name``: the ring's name. The first process creates the ring; later ones attach and ignore its size options.
/// - ``publisher_name``: what readers see, and clients as ``broker``; at most 48 bytes.
/// - ``exchange``: of ticks that name none. Default ``NSE``.
/// - the others as for ``LockFreeRingBuffer``.
#[pyclass(frozen, subclass, module = "openalgo_shm", name = "SharedMemoryPublisher")]
pub struct Publisher {
    lane: Arc<Lane>,
    exchange: String,
}

#[pymethods]
impl Publisher {
    #[new]
    #[pyo3(signature = (buffer_name = "ws_proxy_buffer", buffer_size = None, *, publisher_name = "publisher", exchange = "NSE", topics = None, depth_levels = None, lanes = None, consumers = None, policy = None, preset = None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        buffer_name: &str,
        buffer_size: Option<i64>,
        publisher_name: &str,
        exchange: &str,
        topics: Option<i64>,
        depth_levels: Option<i64>,
        lanes: Option<i64>,
        consumers: Option<i64>,
        policy: Option<String>,
        preset: Option<String>,
    ) -> PyResult<Self> {
        let ring = RingOptions { buffer_size, topics, depth_levels, lanes, consumers, policy, preset };
        openalgo_shm_ring::check_name(buffer_name).map_err(convert)?;
        Ok(Self {
            lane: Arc::new(Lane::new(LaneOptions {
                ring: buffer_name.to_owned(),
                config: ring.config()?,
                owner: publisher_name.to_owned(),
                strictness: Strictness::Strict,
                utc_offset: INDIA_UTC_OFFSET,
                follows: false,
            })),
            exchange: exchange.to_owned(),
        })
    }

    /// Attaches to the ring as it is, or creates it, and takes a lane. Does nothing if it runs already.
    ///
    /// Raises ``OpenAlgoShmError``: ``ERR_NO_FREE_LANE`` and those of opening a ring.
    fn start<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().lane.start(slf.py())?;
        Ok(slf.clone())
    }

    /// Publishes one tick. Never waits. False if a lossless ring is full.
    ///
    /// ``type`` (or ``mode``) is 1 LTP, 2 quote, 3 depth; by default it follows from the fields. Fields have the names
    /// on the wire or any name that a broker's adapter uses.
    ///
    /// Raises ``OpenAlgoShmError``: ``ERR_INVALID_FIELD`` naming the key, ``ERR_INVALID_SYMBOL``, ``ERR_BOOK_TOO_DEEP``,
    /// ``ERR_TOO_MANY_TOPICS``, ``ERR_SHM_FULL`` (of a new topic), ``ERR_CLOSED``.
    #[pyo3(signature = (symbol, data, exchange = None))]
    fn publish_market_data(
        &self,
        symbol: &str,
        data: Bound<'_, PyAny>,
        exchange: Option<&str>,
    ) -> PyResult<bool> {
        publish(&self.lane, data, Address { symbol: Some(symbol), exchange, ..self.address() })
    }

    /// Publishes ticks that have their symbols inside. Returns how many: all, unless a lossless ring is full. If one
    /// is invalid, those before it are published and it raises.
    fn publish_batch(&self, ticks: Bound<'_, PyAny>) -> PyResult<usize> {
        publish_all(&ticks, |tick| publish(&self.lane, tick, self.address()).map(Offered::from))
    }

    /// The fast way to publish one topic often.
    #[pyo3(signature = (symbol, exchange = None))]
    fn topic(&self, symbol: String, exchange: Option<String>) -> PyResult<TopicHandle> {
        TopicHandle::new(Arc::clone(&self.lane), symbol, exchange.unwrap_or_else(|| self.exchange.clone()))
    }

    fn get_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(&self.lane, py)
    }

    /// The shape of its ring; ``None`` unless it runs.
    fn ring_info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.lane.ring()?.map(|(ring, _)| ring::info(&ring, py)).transpose()
    }

    /// False while it publishes to a ring whose name was removed or leads to a newer one.
    fn is_current(&self) -> PyResult<bool> {
        self.lane.is_current()
    }

    /// Gives the lane back. The ring and what is in it stay. Idempotent.
    fn stop(&self) {
        self.lane.stop();
    }

    /// Stops, and removes the ring's name; processes that have it open keep it. True if there was one.
    fn cleanup(&self) -> PyResult<bool> {
        self.lane.stop();
        ring::remove(&self.lane.options().ring)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::start(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(slf: &Bound<'_, Self>, _error: &Bound<'_, PyTuple>) -> PyResult<()> {
        // A subclass may have a stop of its own.
        slf.call_method0("stop").map(drop)
    }
}

impl Publisher {
    fn address(&self) -> Address<'_> {
        Address { symbol: None, exchange: None, default_exchange: &self.exchange, mode: None }
    }
}

/// Where a tick goes. What is given here wins over what stands inside the tick.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    pub symbol: Option<&'a str>,
    pub exchange: Option<&'a str>,
    /// For a tick that names none.
    pub default_exchange: &'a str,
    pub mode: Option<Mode>,
}

/// Reads a tick and publishes it. False if a lossless ring is full.
pub fn publish(lane: &Lane, tick: Bound<'_, PyAny>, address: Address<'_>) -> PyResult<bool> {
    let (mut scratch, levels) = lane.scratch()?;
    let read = || read(lane, &Value(tick), address, levels, &mut scratch);
    let outcome = match catch_unwind(AssertUnwindSafe(read)) {
        Ok(outcome) => outcome,
        // The scratch may be half written, and is not used again.
        Err(_) => return Err(exception("ERR_NATIVE", "the core panicked while it read the tick")),
    };
    let outcome = interruption().map_or(outcome, Err);
    let (mode, mut held) = match outcome.and_then(|mode| Ok((mode, lane.hold()?))) {
        Ok(both) => both,
        Err(error) => {
            lane.give_back(scratch);
            return Err(error);
        }
    };
    let Scratch { reader, image } = &mut *scratch;
    let exchange = address.exchange.or_else(|| reader.exchange()).unwrap_or(address.default_exchange);
    let symbol = address.symbol.or_else(|| reader.symbol()).ok_or_else(no_symbol);
    let outcome = symbol
        .and_then(|symbol| held.topic(exchange, symbol))
        .and_then(|topic| held.publish(topic, image, mode));
    held.give_back(scratch);
    drop(held);
    outcome.map_err(convert)
}

/// Reads a tick into the scratch; returns its mode.
fn read(
    lane: &Lane,
    tick: &Value<'_>,
    address: Address<'_>,
    levels: usize,
    scratch: &mut Scratch,
) -> PyResult<Mode> {
    let known = Topic { symbol: address.symbol, exchange: address.exchange, mode: address.mode };
    let Scratch { reader, image } = scratch;
    reader.read(tick, known, levels, image).map_err(convert)?;
    if reader.deepest() > levels {
        if lane.options().strictness == Strictness::Strict {
            return Err(too_deep(reader.deepest(), levels));
        }
        lane.count_cut();
    }
    Ok(address.mode.unwrap_or_else(|| reader.mode(image)))
}

/// What became of one tick of several.
pub enum Offered {
    Published,
    /// It was wrong, and the others go on.
    Left,
    /// The ring is lossless and full: nothing behind it is tried.
    Refused,
}

impl From<bool> for Offered {
    fn from(published: bool) -> Self {
        if published { Self::Published } else { Self::Refused }
    }
}

/// Offers the ticks of an iterable, until one is refused; returns how many were published.
pub fn publish_all(
    ticks: &Bound<'_, PyAny>,
    mut offer: impl FnMut(Bound<'_, PyAny>) -> PyResult<Offered>,
) -> PyResult<usize> {
    let mut count = 0;
    for tick in ticks.try_iter()? {
        match offer(tick?)? {
            Offered::Published => count += 1,
            Offered::Left => {}
            Offered::Refused => break,
        }
    }
    Ok(count)
}

fn too_deep(deepest: usize, levels: usize) -> PyErr {
    convert(Error::new(
        ErrorCode::BookTooDeep,
        format!(
            "a book of {deepest} levels a side does not fit a ring made for {levels}: create the ring with more depth_levels (at most {MAX_DEPTH_LEVELS}) or publish fewer levels"
        ),
    ))
}

#[cold]
fn no_symbol() -> Error {
    Error::new(ErrorCode::InvalidSymbol, "the tick has no symbol inside".to_owned())
}

/// The figures of a publisher.
pub fn stats<'py>(lane: &Lane, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let counts = lane.counts()?;
    let own = lane.ring()?.map(|(ring, index)| {
        let own = ring.stats().lanes.into_iter().find(|other| other.lane == index);
        (index, own.map_or(0.0, |own| own.avg_latency_ns))
    });
    let stats = PyDict::new(py);
    stats.set_item("name", &lane.options().owner)?;
    stats.set_item("ring", &lane.options().ring)?;
    stats.set_item("running", own.is_some())?;
    stats.set_item("lane", own.map(|(index, _)| index))?;
    stats.set_item("messages_published", counts.published)?;
    stats.set_item("messages_rejected", counts.rejected)?;
    stats.set_item("avg_latency_ns", own.map_or(0.0, |(_, latency)| latency))?;
    Ok(stats)
}

/// A mode from its number.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT`.
pub fn mode_from(number: u8) -> PyResult<Mode> {
    Mode::from_u8(number).ok_or_else(|| argument(&format!("mode must be 1, 2 or 3, got {number}")))
}
