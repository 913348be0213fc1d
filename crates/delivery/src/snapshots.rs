//! Last values that a client has asked for and not got yet: a few in each turn, and none while it does not take them.

use std::collections::VecDeque;
use std::sync::Arc;

use openalgo_shm_frames::{Topic, TopicTable};
use openalgo_shm_ring::message::Mode;

use crate::subscription::WILDCARD;

/// Topics of a wildcard that are looked at at once.
const STRETCH: usize = 64;

/// What is left to be sent.
#[derive(Default)]
pub(crate) struct SnapshotJob {
    steps: VecDeque<Step>,
}

struct Step {
    topic: Arc<Topic>,
    mode: Mode,
    oldest_ns: Option<u64>,
    /// Of a wildcard: how many of the topics that have ticked were looked at.
    seen: usize,
}

/// A last value to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Number of the topic.
    pub topic: u32,
    pub mode: Mode,
    /// Oldest that it may be, ns.
    pub oldest_ns: Option<u64>,
}

impl SnapshotJob {
    pub fn add(&mut self, wanted: impl IntoIterator<Item = (Arc<Topic>, Mode)>, oldest_ns: Option<u64>) {
        let steps = wanted.into_iter().map(|(topic, mode)| Step { topic, mode, oldest_ns, seen: 0 });
        self.steps.extend(steps);
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The next ones, at most 127; there may be none although more are left.
    pub fn next(&mut self, table: &TopicTable) -> Vec<Wanted> {
        let mut next = Vec::new();
        while next.len() < STRETCH
            && let Some(step) = self.steps.front_mut()
        {
            let Step { mode, oldest_ns, .. } = *step;
            if step.topic.symbol() != WILDCARD {
                next.push(Wanted { topic: step.topic.number(), mode, oldest_ns });
                self.steps.pop_front();
                continue;
            }
            let topics = table.ticked(step.seen, STRETCH);
            step.seen += topics.len();
            let exchange = step.topic.exchange();
            let matching = topics.iter().filter(|topic| exchange == WILDCARD || topic.exchange() == exchange);
            next.extend(matching.map(|topic| Wanted { topic: topic.number(), mode, oldest_ns }));
            if topics.len() < STRETCH {
                self.steps.pop_front();
            }
            // One stretch at a time, whatever was found in it.
            break;
        }
        next
    }
}
