//! Where a broker's adapter hands over its ticks, just as they are.

use std::sync::Arc;

use openalgo_shm_dialect::Strictness;
use openalgo_shm_dialect::timestamps::parse_utc_offset;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::error::{OpenAlgoShmError, argument, convert};
use crate::lane::{Lane, LaneOptions};
use crate::options::RingOptions;
use crate::publisher::{Address, Offered, mode_from, publish, publish_all, stats};
use crate::ring;

#[pyclass(frozen, subclass, module = "openalgo_shm", name = "BrokerAdapter")]
pub struct BrokerAdapter {
    lane: Arc<Lane>,
    exchange: String,
}

#[pymethods]
impl BrokerAdapter {
    #[new]
    #[pyo3(signature = (broker_name, *, buffer_name = "ws_proxy_buffer", exchange = "NSE", utc_offset = "+05:30", buffer_size = None, topics = None, depth_levels = None, lanes = None, consumers = None, policy = None, preset = None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        broker_name: &str,
        buffer_name: &str,
        exchange: &str,
        utc_offset: &str,
        buffer_size: Option<i64>,
        topics: Option<i64>,
        depth_levels: Option<i64>,
        lanes: Option<i64>,
        consumers: Option<i64>,
        policy: Option<String>,
        preset: Option<String>,
    ) -> PyResult<Self> {
        if broker_name.is_empty() {
            return Err(argument("broker_name must be the broker's name, got an empty text"));
        }
        let ring = RingOptions { buffer_size, topics, depth_levels, lanes, consumers, policy, preset };
        openalgo_shm_ring::check_name(buffer_name).map_err(convert)?;
        Ok(Self {
            lane: Arc::new(Lane::new(LaneOptions {
                ring: buffer_name.to_owned(),
                config: ring.config()?,
                owner: broker_name.to_owned(),
                strictness: Strictness::Lenient,
                utc_offset: parse_utc_offset(utc_offset).map_err(convert)?,
                follows: true,
            })),
            exchange: exchange.to_owned(),
        })
    }

    #[getter]
    fn broker_name(&self) -> &str {
        &self.lane.options().owner
    }

    #[getter]
    fn buffer_name(&self) -> &str {
        &self.lane.options().ring
    }

    /// Opens the ring and takes a lane. Without it the first tick does so.
    fn start<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().lane.start(slf.py())?;
        Ok(slf.clone())
    }

    /// Publishes a tick. What is given beside it wins over what stands inside. False if a lossless ring is full.
    ///
    /// A value that cannot be read is left out and counted. Raises ``OpenAlgoShmError``: ``ERR_INVALID_FIELD`` for what
    /// is no dictionary or holds nothing that can be read, ``ERR_INVALID_SYMBOL``, ``ERR_TOO_MANY_TOPICS``, those of ``start``.
    #[pyo3(signature = (symbol, tick, exchange = None, mode = None))]
    fn publish_tick_data(
        &self,
        symbol: &str,
        tick: Bound<'_, PyAny>,
        exchange: Option<&str>,
        mode: Option<u8>,
    ) -> PyResult<bool> {
        let mode = mode.map(mode_from).transpose()?;
        self.publish(tick, Address { symbol: Some(symbol), exchange, default_exchange: &self.exchange, mode })
    }

    /// Publishes ticks that have their symbols inside, in order. Returns how many: all, unless a lossless ring is full.
    fn publish_ticks(&self, ticks: Bound<'_, PyAny>) -> PyResult<usize> {
        let address = Address { symbol: None, exchange: None, default_exchange: &self.exchange, mode: None };
        // One that is wrong costs none of the others.
        let mut first = None;
        let count = publish_all(&ticks, |tick| match self.publish(tick, address) {
            Err(error) if error.is_instance_of::<OpenAlgoShmError>(ticks.py()) => {
                first.get_or_insert(error);
                Ok(Offered::Left)
            }
            outcome => outcome.map(Offered::from),
        })?;
        first.map_or(Ok(count), Err)
    }

    fn get_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = stats(&self.lane, py)?;
        let counts = self.lane.counts()?;
        stats.set_item("ticks_invalid", counts.invalid)?;
        stats.set_item("books_cut", counts.books_cut)?;
        let names = ["unknown_keys", "values_unreadable"];
        for (name, tally) in names.into_iter().zip(self.lane.tallies()?) {
            let counts = PyDict::new(py);
            for (key, count) in tally.iter() {
                counts.set_item(key, count)?;
            }
            stats.set_item(name, counts)?;
        }
        Ok(stats)
    }

    fn is_current(&self) -> PyResult<bool> {
        self.lane.is_current()
    }

    fn stop(&self) {
        self.lane.stop();
    }

    fn cleanup(&self) -> PyResult<bool> {
        self.lane.stop();
        ring::remove(&self.lane.options().ring)
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::start(slf)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(slf: &Bound<'_, Self>, _error: &Bound<'_, PyTuple>) -> PyResult<()> {
        // A subclass has a stop of its own.
        slf.call_method0("stop").map(drop)
    }
}

impl BrokerAdapter {
    /// The first tick opens the ring; a tick that fails is counted.
    fn publish(&self, tick: Bound<'_, PyAny>, address: Address<'_>) -> PyResult<bool> {
        if !self.lane.is_open() {
            self.lane.start(tick.py())?;
        }
        publish(&self.lane, tick, address).inspect_err(|_| self.lane.count_invalid())
    }
}
