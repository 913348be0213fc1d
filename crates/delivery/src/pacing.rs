//! Ticks that are held back because the subscribers asked for at most one in an interval. Of what is held back only
//! the newest of each topic and mode is kept.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::batch::{Frame, FrameKey};

/// Times that may be of no use any more before they are looked through.
const IDLE_TIMES: usize = 64;

/// The paced topics of one audience.
#[derive(Default, Clone)]
pub(crate) struct Pacing {
    topics: HashMap<FrameKey, Paced, RandomState>,
    /// When something may go, the next first. What is not the entry's own time any more is passed over.
    due: BinaryHeap<Reverse<(u64, FrameKey)>>,
}

#[derive(Clone)]
struct Paced {
    last_sent_ns: u64,
    held: Option<Frame>,
    /// When what is held may go.
    due_ns: Option<u64>,
}

impl Pacing {
    /// Judges a tick at this time. True if it goes now; else it is to be held.
    pub fn passes(&mut self, key: FrameKey, interval_ms: u32, now_ns: u64) -> bool {
        let Some(paced) = self.topics.get_mut(&key) else {
            self.topics.insert(key, Paced { last_sent_ns: now_ns, held: None, due_ns: None });
            return true;
        };
        let due_ns = paced.last_sent_ns + u64::from(interval_ms) * 1_000_000;
        if now_ns >= due_ns {
            *paced = Paced { last_sent_ns: now_ns, held: None, due_ns: None };
            return true;
        }
        if paced.due_ns.is_none() {
            paced.due_ns = Some(due_ns);
            self.due.push(Reverse((due_ns, key)));
        }
        false
    }

    /// Holds a frame that did not pass.
    pub fn hold(&mut self, key: FrameKey, frame: Frame) {
        if let Some(paced) = self.topics.get_mut(&key) {
            paced.held = Some(frame);
        }
    }

    /// When the next may go.
    pub fn next_due_ns(&mut self) -> Option<u64> {
        while let Some(&Reverse((due_ns, key))) = self.due.peek() {
            if self.topics.get(&key).is_some_and(|paced| paced.due_ns == Some(due_ns)) {
                return Some(due_ns);
            }
            self.due.pop();
        }
        None
    }

    /// Takes out what may go by now, at most so many.
    pub fn take_due(&mut self, now_ns: u64, most: usize) -> Vec<(FrameKey, Frame)> {
        let mut taken = Vec::new();
        while taken.len() < most && self.next_due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            let Some(Reverse((_, key))) = self.due.pop() else { break };
            let Some(paced) = self.topics.get_mut(&key) else { continue };
            paced.due_ns = None;
            if let Some(frame) = paced.held.take() {
                paced.last_sent_ns = now_ns;
                taken.push((key, frame));
            }
        }
        taken
    }

    /// Drops what is held of a topic and mode: the subscribers have got something newer. The interval goes on.
    pub fn drop_held(&mut self, key: FrameKey) {
        if let Some(paced) = self.topics.get_mut(&key) {
            paced.held = None;
        }
    }

    /// Ends the pacing of a topic and mode. Returns what was held.
    pub fn end(&mut self, key: FrameKey) -> Option<Frame> {
        let ended = self.topics.remove(&key)?;
        self.forget_idle_times();
        ended.held
    }

    /// Ends the pacing of all that match. Returns what was held.
    pub fn end_all(&mut self, mut matches: impl FnMut(FrameKey) -> bool) -> Vec<(FrameKey, Frame)> {
        let mut freed = Vec::new();
        self.topics.retain(|&key, paced| {
            let ends = matches(key);
            if ends {
                freed.extend(paced.held.take().map(|frame| (key, frame)));
            }
            !ends
        });
        self.forget_idle_times();
        freed
    }

    /// Times that do not count any more would stay for an hour where the interval was one.
    fn forget_idle_times(&mut self) {
        let Self { topics, due } = self;
        if due.len() > IDLE_TIMES + 2 * topics.len() {
            due.retain(|Reverse((due_ns, key))| {
                topics.get(key).is_some_and(|paced| paced.due_ns == Some(*due_ns))
            });
        }
    }

    /// What is held here and not by the other, in the same place.
    pub fn held_beside(&self, other: &Self) -> impl Iterator<Item = (FrameKey, &Frame)> {
        let held = self.topics.iter().filter_map(|(&key, paced)| Some((key, paced.held.as_ref()?)));
        held.filter(|&(key, frame)| {
            let there = other.topics.get(&key).and_then(|paced| paced.held.as_ref());
            !there.is_some_and(|there| Arc::ptr_eq(there, frame))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Number of topics and modes.
    pub fn len(&self) -> usize {
        self.topics.len()
    }
}

/// A moment at which an audience may send what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub due_ns: u64,
    /// The audience, and its serial number: its place may be another's by then.
    pub audience: usize,
    pub serial: u64,
}

/// The timers of all audiences, the next first. Each audience has one that counts; earlier ones of it are passed over.
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

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets those that do not count any more.
    pub fn retain(&mut self, mut counts: impl FnMut(&Timer) -> bool) {
        self.0.retain(|Reverse(timer)| counts(timer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FrameKey = FrameKey::new(7, 1);
    const MS: u64 = 1_000_000;

    fn frame(text: &str) -> Frame {
        text.as_bytes().into()
    }

    fn hold(pacing: &mut Pacing, interval_ms: u32, now_ns: u64, text: &str) {
        assert!(!pacing.passes(KEY, interval_ms, now_ns));
        pacing.hold(KEY, frame(text));
    }

    #[test]
    fn the_newest_of_an_interval_goes_at_its_end() {
        let mut pacing = Pacing::default();
        assert!(pacing.passes(KEY, 100, 1_000 * MS));
        hold(&mut pacing, 100, 1_050 * MS, "a");
        hold(&mut pacing, 100, 1_060 * MS, "b");
        assert_eq!(pacing.next_due_ns(), Some(1_100 * MS));
        assert!(pacing.take_due(1_099 * MS, 9).is_empty());
        assert_eq!(pacing.take_due(1_100 * MS, 9), [(KEY, frame("b"))]);
        assert_eq!(pacing.next_due_ns(), None);
        hold(&mut pacing, 100, 1_150 * MS, "c");
        assert_eq!(pacing.next_due_ns(), Some(1_200 * MS));
    }

    #[test]
    fn a_tick_that_passes_drops_what_was_held_and_its_time() {
        let mut pacing = Pacing::default();
        pacing.passes(KEY, 100, 0);
        hold(&mut pacing, 100, 50 * MS, "old");
        assert!(pacing.passes(KEY, 100, 100 * MS));
        hold(&mut pacing, 100, 101 * MS, "new");
        assert_eq!(pacing.next_due_ns(), Some(200 * MS));
        assert!(pacing.take_due(150 * MS, 9).is_empty());
    }

    #[test]
    fn after_an_end_a_new_interval_counts_alone() {
        let mut pacing = Pacing::default();
        pacing.passes(KEY, 3_600_000, 0);
        hold(&mut pacing, 3_600_000, MS, "held");
        assert_eq!(pacing.end(KEY), Some(frame("held")));
        assert!(pacing.passes(KEY, 10, 2 * MS));
        hold(&mut pacing, 10, 3 * MS, "next");
        assert_eq!(pacing.next_due_ns(), Some(12 * MS));
    }

    #[test]
    fn what_another_holds_too_is_not_held_beside_it() {
        let mut pacing = Pacing::default();
        pacing.passes(KEY, 100, 0);
        hold(&mut pacing, 100, MS, "shared");
        let mut copy = pacing.clone();
        assert_eq!(copy.held_beside(&pacing).count(), 0);
        hold(&mut copy, 100, 2 * MS, "own");
        assert_eq!(copy.held_beside(&pacing).collect::<Vec<_>>(), [(KEY, &frame("own"))]);
    }

    #[test]
    fn what_is_dropped_is_not_sent_and_the_interval_goes_on() {
        let mut pacing = Pacing::default();
        pacing.passes(KEY, 100, 0);
        hold(&mut pacing, 100, 50 * MS, "older than what came otherwise");
        pacing.drop_held(KEY);
        assert!(pacing.take_due(200 * MS, 9).is_empty());
        hold(&mut pacing, 100, 60 * MS, "newer");
        assert_eq!(pacing.take_due(100 * MS, 9), [(KEY, frame("newer"))]);
    }

    #[test]
    fn times_of_intervals_that_have_ended_do_not_gather() {
        let mut pacing = Pacing::default();
        for round in 0..10_000 {
            pacing.passes(KEY, 3_600_000, round * MS);
            hold(&mut pacing, 3_600_000, round * MS, "held");
            if round % 2 == 0 {
                pacing.end(KEY);
            } else {
                pacing.end_all(|_| true);
            }
        }
        assert!(pacing.due.len() <= IDLE_TIMES, "{}", pacing.due.len());
    }

    #[test]
    fn timers_come_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        let timer = |due_ns| Timer { due_ns, audience: 0, serial: 0 };
        [30, 10, 20].into_iter().for_each(|due| timers.set(timer(due)));
        assert_eq!(timers.take_due(9), None);
        let taken = [timers.take_due(25), timers.take_due(25), timers.take_due(25)];
        assert_eq!(taken, [Some(timer(10)), Some(timer(20)), None]);
    }
}
