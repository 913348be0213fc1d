//! Whether a consumer has something to read, or is stuck where it will never find anything. Also for a waiter on
//! another thread, which knows the consumer's positions alone.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::resync;
use crate::segment::Segment;
use crate::segment::layout::Layout;
use crate::segment::lines::{self, Line, begins};
use crate::sync::{AtomicU64, Ordering};
use crate::wait::{self, WaitStrategy};

/// True if a poll from this position of a lane finds a message, or something to count as lost or corrupt.
#[inline]
pub(super) fn is_lane_ready(record: &[AtomicU64], lines: &[Line], position: u64, layout: &Layout) -> bool {
    let stamp = lines::stamp(lines, position);
    stamp == begins(position)
        || stamp > begins(position) && resync::is_passed(record, lines, position, layout)
}

/// True if a poll from these positions finds a message, or something to count as lost or corrupt.
#[inline]
fn is_ready(segment: &Segment, position: impl Fn(usize) -> u64) -> bool {
    let is_ready = |lane| {
        is_lane_ready(segment.lane_record(lane), segment.lines(lane), position(lane), segment.layout())
    };
    (0..segment.lanes_used()).any(is_ready)
}

/// True if a consumer that finds nothing at this position of a lane cannot be where the lane is.
fn is_stuck(segment: &Segment, lane: usize, position: u64) -> bool {
    let used = lane < segment.lanes_used();
    used && resync::astray(segment.lane_record(lane), segment.lines(lane), position, segment.layout())
        .is_some()
}

/// Set by a waiter that found its consumer stuck, and cleared by the consumer's next poll.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    /// True if a consumer that finds nothing at these positions of its lanes is stuck in one of them.
    pub(super) fn raise_if_stuck(&self, segment: &Segment, positions: impl Iterator<Item = u64>) -> bool {
        let stuck = positions.enumerate().any(|(lane, position)| is_stuck(segment, lane, position));
        if stuck {
            // Relaxed, as in `take`: a flag alone.
            self.0.store(true, Ordering::Relaxed);
        }
        stuck
    }

    /// True once for any number of raises.
    #[inline]
    pub(super) fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Waits on behalf of a consumer, which may be locked, moved or gone meanwhile: it knows where the consumer was.
#[derive(Clone)]
pub struct Waiter {
    pub(super) segment: Segment,
    /// Where the next message of each lane begins, in lines.
    pub(super) positions: Vec<u64>,
    pub(super) suspicion: Suspicion,
}

impl Waiter {
    /// Waits until there is a message beyond the consumer's position, at most `timeout`. True if there is one.
    pub fn wait(&self, strategy: WaitStrategy, timeout: Duration) -> bool {
        wait_beyond(&self.segment, &self.positions, &self.suspicion, strategy, timeout, || false)
    }
}

/// Waits until a consumer at these positions, in lines, has something to read, or is found stuck, or `stop` says yes;
/// at most `timeout`. False only after `timeout`.
pub(crate) fn wait_beyond(
    segment: &Segment,
    positions: &[u64],
    suspicion: &Suspicion,
    strategy: WaitStrategy,
    timeout: Duration,
    stop: impl Fn() -> bool,
) -> bool {
    let ready = || stop() || is_ready(segment, |lane| positions.get(lane).copied().unwrap_or(0));
    let stuck = || suspicion.raise_if_stuck(segment, positions.iter().copied());
    wait::wait_until(segment.futex(), strategy, timeout, ready, stuck)
}
