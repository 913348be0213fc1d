//! What a ring is made with.

use openalgo_shm_ring::layout::Policy;
use openalgo_shm_ring::{RingConfig, WaitStrategy};
use pyo3::prelude::*;

use crate::error::exception;

/// Options that every class has which may create a ring.
pub struct RingOptions {
    pub buffer_size: Option<i64>,
    pub topics: Option<i64>,
    pub depth_levels: Option<i64>,
    pub lanes: Option<i64>,
    pub consumers: Option<i64>,
    pub policy: Option<String>,
    pub preset: Option<String>,
}

impl RingOptions {
    /// The configuration; the ring checks the ranges.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION`.
    pub fn config(&self) -> PyResult<RingConfig> {
        let mut config = match self.preset.as_deref() {
            None | Some("mpmc") => RingConfig::mpmc(),
            Some("spsc") => RingConfig::spsc(),
            Some(other) => return Err(invalid("preset", &format!("'{other}'"), "mpmc or spsc")),
        };
        if let Some(bytes) = count("buffer_size", self.buffer_size)? {
            config = config.buffer_size(bytes);
        }
        if let Some(topics) = count("topics", self.topics)? {
            config = config.topics(topics);
        }
        if let Some(levels) = count("depth_levels", self.depth_levels)? {
            config = config.depth_levels(levels);
        }
        if let Some(lanes) = count("lanes", self.lanes)? {
            config = config.lanes(lanes);
        }
        if let Some(consumers) = count("consumers", self.consumers)? {
            config = config.consumers(consumers);
        }
        config = match self.policy.as_deref() {
            None => config,
            Some("overwrite") => config.policy(Policy::Overwrite),
            Some("lossless") => config.policy(Policy::Lossless),
            Some(other) => return Err(invalid("policy", &format!("'{other}'"), "overwrite or lossless")),
        };
        config.layout().map_err(crate::error::convert)?;
        Ok(config)
    }
}

fn count(name: &str, value: Option<i64>) -> PyResult<Option<usize>> {
    value
        .map(|value| {
            usize::try_from(value)
                .map_err(|_| invalid(name, &value.to_string(), "a whole number, not negative"))
        })
        .transpose()
}

/// How a subscriber waits.
///
/// # Errors
/// `ERR_INVALID_OPTION`.
pub fn wait_strategy(name: &str) -> PyResult<WaitStrategy> {
    match name {
        "spin" => Ok(WaitStrategy::Spin),
        "adaptive" => Ok(WaitStrategy::Adaptive),
        "sleep" => Ok(WaitStrategy::Sleep),
        other => Err(invalid("wait", &format!("'{other}'"), "spin, adaptive or sleep")),
    }
}

/// The exception for an option that is out of range.
pub fn invalid(name: &str, found: &str, expected: &str) -> PyErr {
    exception("ERR_INVALID_OPTION", &format!("option {name} is {found}, expected {expected}"))
}
