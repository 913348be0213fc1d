//! Ticks that are held back because the subscribers asked for at most one in an interval. Of what is held back only
//! the newest of each topic and mode is kept.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::fast::RandomState;

use crate::batch::{Frame, FrameKey};

/// The paced topics of one audience.
#[derive(Default, Clone)]
pub(crate) struct Pacing {
    topics: HashMap<FrameKey, Paced, RandomState>,
}

#[derive(Clone)]
struct Paced {
    last_sent_ns: u64,
    held: Option<Frame>,
    /// When its timer is due, if one is set.
    timer_ns: Option<u64>,
}

/// What becomes of a tick.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes now.
    Pass,
    /// It is to be held, and a timer to be set if a time is given.
    Hold(Option<u64>),
}

impl Pacing {
    /// Judges a tick at this time.
    pub fn judge(&mut self, key: FrameKey, interval_ms: u32, now_ns: u64) -> Verdict {
        let Some(paced) = self.topics.get_mut(&key) else {
            self.topics.insert(key, Paced { last_sent_ns: now_ns, held: None, timer_ns: None });
            return Verdict::Pass;
        };
        let due_ns = paced.last_sent_ns + u64::from(interval_ms) * 1_000_000;
        if now_ns >= due_ns {
            paced.last_sent_ns = now_ns;
            paced.held = None;
            return Verdict::Pass;
        }
        let is_timed = paced.timer_ns.is_some();
        paced.timer_ns.get_or_insert(due_ns);
        Verdict::Hold((!is_timed).then_some(due_ns))
    }

    /// Holds a frame that [`judge`](Self::judge) did not let pass.
    pub fn hold(&mut self, key: FrameKey, frame: Frame) {
        if let Some(paced) = self.topics.get_mut(&key) {
            paced.held = Some(frame);
        }
    }

    /// The timer of a topic is over: what was held, if it was not sent or left meanwhile.
    pub fn take(&mut self, key: FrameKey, now_ns: u64) -> Option<Frame> {
        let paced = self.topics.get_mut(&key)?;
        paced.timer_ns = None;
        let frame = paced.held.take()?;
        paced.last_sent_ns = now_ns;
        Some(frame)
    }

    /// Ends the pacing of a topic and mode. Returns what was held.
    pub fn end(&mut self, key: FrameKey) -> Option<Frame> {
        self.topics.remove(&key)?.held
    }

    /// All that is held, which stays held.
    pub fn held(&self) -> impl Iterator<Item = (FrameKey, Frame)> {
        self.topics.iter().filter_map(|(&key, paced)| Some((key, paced.held.clone()?)))
    }

    /// All that was held.
    pub fn into_held(self) -> impl Iterator<Item = (FrameKey, Frame)> {
        self.topics.into_iter().filter_map(|(key, paced)| Some((key, paced.held?)))
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// The keys with a timer and when it is due: a copy needs timers of its own.
    pub fn timed(&self) -> impl Iterator<Item = (FrameKey, u64)> {
        self.topics.iter().filter_map(|(&key, paced)| Some((key, paced.timer_ns?)))
    }
}

/// A moment at which an audience may send what it holds of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub due_ns: u64,
    /// The audience, and its serial number: its place may be another's by then.
    pub audience: usize,
    pub serial: u64,
    pub key: FrameKey,
}

/// All timers, the next first.
#[derive(Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<Timer>>);

impl Timers {
    pub fn set(&mut self, timer: Timer) {
        self.0.push(Reverse(timer));
    }

    /// When the next is due.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse(timer)| timer.due_ns)
    }

    /// Takes out the next if it is due.
    pub fn take_due(&mut self, now_ns: u64) -> Option<Timer> {
        if self.next_due_ns()? > now_ns {
            return None;
        }
        self.0.pop().map(|Reverse(timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FrameKey = FrameKey::new(7, 1);
    const MS: u64 = 1_000_000;

    #[test]
    fn the_newest_of_an_interval_goes_at_its_end() {
        let mut pacing = Pacing::default();
        assert_eq!(pacing.judge(KEY, 100, 1_000 * MS), Verdict::Pass);
        assert_eq!(pacing.judge(KEY, 100, 1_050 * MS), Verdict::Hold(Some(1_100 * MS)));
        pacing.hold(KEY, b"a".as_slice().into());
        assert_eq!(pacing.judge(KEY, 100, 1_060 * MS), Verdict::Hold(None));
        pacing.hold(KEY, b"b".as_slice().into());
        assert_eq!(pacing.take(KEY, 1_100 * MS).as_deref(), Some(b"b".as_slice()));
        assert_eq!(pacing.take(KEY, 1_100 * MS), None);
        assert_eq!(pacing.judge(KEY, 100, 1_150 * MS), Verdict::Hold(Some(1_200 * MS)));
    }

    #[test]
    fn a_tick_that_passes_drops_what_was_held() {
        let mut pacing = Pacing::default();
        pacing.judge(KEY, 100, 0);
        pacing.judge(KEY, 100, 50 * MS);
        pacing.hold(KEY, b"old".as_slice().into());
        assert_eq!(pacing.judge(KEY, 100, 100 * MS), Verdict::Pass);
        assert_eq!(pacing.take(KEY, 100 * MS), None);
    }

    #[test]
    fn timers_come_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        let timer = |due_ns| Timer { due_ns, audience: 0, serial: 0, key: KEY };
        [30, 10, 20].into_iter().for_each(|due| timers.set(timer(due)));
        assert_eq!(timers.take_due(9), None);
        assert_eq!(
            [timers.take_due(25), timers.take_due(25), timers.take_due(25)],
            [Some(timer(10)), Some(timer(20)), None]
        );
    }
}
