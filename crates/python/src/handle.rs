//! One topic of a publisher, for callers that publish it often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openalgo_shm_ring::Error;
use openalgo_shm_ring::message::{Field, Mode, TickImage, TopicNumber};
use pyo3::prelude::*;

use crate::error::convert;
use crate::lane::{Held, Lane};
use crate::publisher::{Address, publish};

/// One topic of a publisher, for callers that publish it often: its name is checked and looked up once. It stays
/// valid when the publisher is stopped and started again.
#[pyclass(frozen, module = "openalgo_shm")]
pub struct TopicHandle {
    lane: Arc<Lane>,
    #[pyo3(get)]
    symbol: String,
    #[pyo3(get)]
    exchange: String,
    /// The lane's generation in the upper half, the number in its table in the lower.
    number: AtomicU64,
}

impl TopicHandle {
    pub fn new(lane: Arc<Lane>, symbol: String, exchange: String) -> PyResult<Self> {
        let handle = Self { lane, symbol, exchange, number: AtomicU64::new(0) };
        let mut held = handle.lane.hold()?;
        let found = handle.number(&mut held);
        drop(held);
        found.map_err(convert)?;
        Ok(handle)
    }

    /// The topic's number in the lane's table; looked up again after the publisher was restarted.
    #[inline]
    fn number(&self, held: &mut Held<'_>) -> Result<TopicNumber, Error> {
        // Relaxed, as is the store: read and written under the lane's lock, which orders them.
        let known = self.number.load(Ordering::Relaxed);
        if known >> 32 == held.generation() & 0xffff_ffff {
            return Ok(TopicNumber::new(known as u32));
        }
        let number = held.topic(&self.exchange, &self.symbol)?;
        self.number.store(held.generation() << 32 | u64::from(number.get()), Ordering::Relaxed);
        Ok(number)
    }

    fn tick(&self, data: Bound<'_, PyAny>, mode: Mode) -> PyResult<bool> {
        let address = Address {
            symbol: Some(&self.symbol),
            exchange: Some(&self.exchange),
            default_exchange: &self.exchange,
            mode: Some(mode),
        };
        publish(&self.lane, data, address)
    }
}

#[pymethods]
impl TopicHandle {
    /// Publishes an LTP tick; times in ms since 1970. False if a lossless ring is full. Raises ``ERR_CLOSED``.
    #[pyo3(signature = (price, /, *, volume = None, ltt = None, timestamp = None))]
    fn ltp(
        &self,
        price: f64,
        volume: Option<f64>,
        ltt: Option<f64>,
        timestamp: Option<f64>,
    ) -> PyResult<bool> {
        let mut held = self.lane.hold()?;
        let outcome = self.number(&mut held).and_then(|number| {
            held.publish_with(number, Mode::Ltp, |image: &mut TickImage| {
                let finite = |value: f64| if value.is_finite() { value } else { f64::NAN };
                image.set(Field::Ltp, finite(price));
                let others = [(Field::Volume, volume), (Field::Ltt, ltt), (Field::Timestamp, timestamp)];
                for (field, value) in others {
                    if let Some(value) = value {
                        image.set(field, finite(value));
                    }
                }
            })
        });
        drop(held);
        outcome.map_err(convert)
    }

    /// Publishes a quote. Raises as ``publish_market_data``.
    fn quote(&self, data: Bound<'_, PyAny>) -> PyResult<bool> {
        self.tick(data, Mode::Quote)
    }

    /// Publishes an order book, and the other fields that are given. Raises as ``publish_market_data``.
    fn depth(&self, data: Bound<'_, PyAny>) -> PyResult<bool> {
        self.tick(data, Mode::Depth)
    }

    fn __repr__(&self) -> String {
        format!("TopicHandle({}:{})", self.exchange, self.symbol)
    }
}
