//! Waits with the interpreter released, in turns short enough for Ctrl-C and for the end.

use std::time::{Duration, Instant};

use openalgo_shm_ring::{WaitStrategy, Waiter};
use pyo3::prelude::*;

use crate::error::argument;

/// How often a reader looks whether its ring was created anew.
pub const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait in which neither a signal nor the end is noticed.
const TURN: Duration = Duration::from_millis(100);

/// Waits at most `timeout` seconds until there is something to read; true if there is. `is_over` ends the wait with
/// false. `look` gives what to wait with, or `None` if there is something already; others may read between its calls.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT` for a timeout that is no number; those of `look`; and what a signal's handler raises.
pub fn wait(
    py: Python<'_>,
    timeout: Option<f64>,
    strategy: WaitStrategy,
    is_over: impl Fn() -> bool,
    mut look: impl FnMut() -> PyResult<Option<Waiter>>,
) -> PyResult<bool> {
    let limit = limit_of(timeout)?;
    let begun = Instant::now();
    loop {
        let left = limit.map_or(TURN, |limit| limit.saturating_sub(begun.elapsed()).min(TURN));
        let Some(waiter) = look()? else { return Ok(true) };
        let found = py.detach(|| waiter.wait(strategy, left));
        py.check_signals()?;
        if is_over() {
            return Ok(false);
        }
        if found {
            return Ok(true);
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(false);
        }
    }
}

/// The longest wait, from a number of seconds; what is negative counts as 0, `None` as for ever.
fn limit_of(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    match timeout {
        None => Ok(None),
        Some(seconds) if seconds.is_nan() => Err(argument("timeout must be a number of seconds, got nan")),
        Some(seconds) => Ok(Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))),
    }
}
