//! Clients whose subscriptions are equal: a batch of ticks is put together once for all of them.

use std::collections::HashMap;
use std::collections::hash_map::RandomState as SipState;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexSet;
use openalgo_shm_frames::Topic;
use openalgo_shm_frames::encode::Format;

use crate::batch::Batch;
use crate::pacing::{Pacing, Timer};
use crate::subscription::{Subscription, WILDCARD};

/// A wildcard that an audience wants.
#[derive(Clone)]
pub(crate) struct Wildcard {
    pub topic: Arc<Topic>,
    pub subscription: Subscription,
}

impl Wildcard {
    fn matches(&self, exchange: &str) -> bool {
        let own = self.topic.exchange();
        own == WILDCARD || own == exchange
    }
}

pub(crate) struct Audience {
    /// Never given twice.
    pub serial: u64,
    pub format: Format,
    /// Slots of the clients.
    pub members: IndexSet<usize, RandomState>,
    /// Equal for equal subscriptions in the same format.
    pub signature: u128,
    pub pacing: Pacing,
    /// When its timer is due; `u64::MAX` while none is set.
    pub timer_ns: u64,
    /// What the present turn has for it.
    pub batch: Batch,
    topics: HashMap<u32, Subscription, RandomState>,
    wildcards: Vec<Wildcard>,
    /// (topic, mode) pairs with an interval.
    paced: usize,
}

impl Audience {
    pub fn new(serial: u64, format: Format, signature: u128) -> Self {
        Self {
            serial,
            format,
            members: IndexSet::default(),
            signature,
            pacing: Pacing::default(),
            timer_ns: u64::MAX,
            batch: Batch::default(),
            topics: HashMap::default(),
            wildcards: Vec::new(),
            paced: 0,
        }
    }

    /// Another of the same subscriptions, without clients.
    pub fn copy(&self, serial: u64) -> Self {
        Self {
            pacing: self.pacing.clone(),
            topics: self.topics.clone(),
            wildcards: self.wildcards.clone(),
            paced: self.paced,
            ..Self::new(serial, self.format, self.signature)
        }
    }

    /// What it wants of a topic by name, or of a wildcard.
    pub fn named(&self, number: u32) -> Subscription {
        if let Some(&subscription) = self.topics.get(&number) {
            return subscription;
        }
        let mut wildcards = self.wildcards.iter();
        let wildcard = wildcards.find(|wildcard| wildcard.topic.number() == number);
        wildcard.map_or(Subscription::default(), |wildcard| wildcard.subscription)
    }

    /// What it wants of a topic by name, if it does.
    pub fn topics_entry(&self, number: u32) -> Option<Subscription> {
        self.topics.get(&number).copied()
    }

    /// The timer to set when a held frame is due before the timer that is set now. `place` is its own place.
    pub fn earlier_timer(&mut self, place: usize) -> Option<Timer> {
        let due_ns = self.pacing.next_due_ns().filter(|&due_ns| due_ns < self.timer_ns)?;
        self.timer_ns = due_ns;
        Some(Timer { due_ns, audience: place, serial: self.serial })
    }

    /// What it wants of a topic, by name and by wildcards.
    pub fn wanted(&self, topic: u32, exchange: &str) -> Subscription {
        let named = self.topics_entry(topic).unwrap_or_default();
        let mut wanted = named;
        for wildcard in &self.wildcards {
            if wildcard.matches(exchange) {
                wanted.add_wildcard(wildcard.subscription, named);
            }
        }
        wanted
    }

    pub fn is_wild(&self) -> bool {
        !self.wildcards.is_empty()
    }

    /// Number of topics and wildcards.
    pub fn len(&self) -> usize {
        self.topics.len() + self.wildcards.len()
    }

    /// Numbers of the topics and what is wanted of each.
    pub fn topics(&self) -> impl Iterator<Item = (u32, Subscription)> {
        self.topics.iter().map(|(&topic, &subscription)| (topic, subscription))
    }

    pub fn wildcards(&self) -> &[Wildcard] {
        &self.wildcards
    }

    /// Whether an interval was asked for anywhere.
    pub const fn is_paced(&self) -> bool {
        self.paced > 0
    }

    /// Sets what it wants of a topic or wildcard.
    pub fn set(&mut self, topic: &Arc<Topic>, subscription: Subscription) {
        let number = topic.number();
        self.paced -= self.named(number).paced_modes();
        self.paced += subscription.paced_modes();
        if topic.symbol() != WILDCARD {
            if subscription.is_empty() {
                self.topics.remove(&number);
            } else {
                self.topics.insert(number, subscription);
            }
            return;
        }
        self.wildcards.retain(|wildcard| wildcard.topic.number() != number);
        if !subscription.is_empty() {
            self.wildcards.push(Wildcard { topic: Arc::clone(topic), subscription });
        }
    }
}

/// Makes signatures: sums of a keyed hash of each subscription, so that a change costs no look at the others. The
/// keys are random: two different sets have one signature with a chance of 2⁻¹²⁸, whatever clients ask for.
pub(crate) struct Signatures {
    halves: [SipState; 2],
}

impl Default for Signatures {
    fn default() -> Self {
        Self { halves: [SipState::new(), SipState::new()] }
    }
}

impl Signatures {
    /// Of no subscription at all.
    pub fn empty(&self, format: Format) -> u128 {
        self.hash(u32::MAX, Subscription::default(), format as u8)
    }

    /// After one subscription was `before` and is `after`.
    pub fn after(&self, signature: u128, topic: u32, before: Subscription, after: Subscription) -> u128 {
        let of = |subscription: Subscription| {
            if subscription.is_empty() { 0 } else { self.hash(topic, subscription, 0) }
        };
        signature.wrapping_sub(of(before)).wrapping_add(of(after))
    }

    fn hash(&self, topic: u32, subscription: Subscription, format: u8) -> u128 {
        let [high, low] =
            [0, 1].map(|half| u128::from(self.halves[half].hash_one((topic, subscription, format))));
        high << 64 | low
    }
}
