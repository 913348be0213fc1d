//! What a ring shows of itself to anyone who may read it.

use crate::layout::{ConsumerRecord, Header, LaneRecord, Layout, word_of};
use crate::ownership::{self, Place};
use crate::record::{self, WhoWords};
use crate::ring::LockFreeRingBuffer;
use crate::shm;
use crate::sync::Ordering;

/// One lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneStats {
    /// Index of the lane.
    pub lane: usize,
    /// Name of its owner, or of its last.
    pub publisher: String,
    /// Process id of the owner in its own pid namespace.
    pub pid: u32,
    /// True while the owner lives.
    pub alive: bool,
    /// When the owner came, ns since 1970.
    pub started_ns: u64,
    /// Messages ever committed.
    pub messages_published: u64,
    /// Messages that the lossless ring refused because it was full.
    pub messages_rejected: u64,
    /// Average duration of a publish in ns, of a sample of all; 0 before the first.
    pub avg_latency_ns: f64,
    /// Time of the newest message, ns of the monotonic clock; 0 if none.
    pub last_publish_ns: u64,
}

/// One registered consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerStats {
    /// Index of its record.
    pub consumer: usize,
    /// Its name.
    pub name: String,
    /// Process id in its own pid namespace.
    pub pid: u32,
    /// When it came, ns since 1970.
    pub started_ns: u64,
    /// Messages read.
    pub messages_received: u64,
    /// Messages overwritten before it read them.
    pub messages_lost: u64,
    /// Messages that could not be one.
    pub messages_corrupt: u64,
    /// Messages published and not yet read.
    pub lag: u64,
}

/// A ring, its lanes that were ever used, and its living consumers.
#[derive(Debug, Clone, PartialEq)]
pub struct RingStats {
    /// Name of the segment.
    pub name: String,
    /// Its shape.
    pub layout: Layout,
    /// When it was created, ns since 1970.
    pub created_ns: u64,
    /// True while the name leads to this segment.
    pub current: bool,
    /// Lanes that ever had an owner.
    pub lanes: Vec<LaneStats>,
    /// Registered consumers that live.
    pub consumers: Vec<ConsumerStats>,
}

impl RingStats {
    pub(crate) fn read(ring: &LockFreeRingBuffer) -> Self {
        Self {
            name: ring.name().to_owned(),
            layout: ring.layout,
            created_ns: ring.region[word_of!(Header, created_ns)].load(Ordering::Relaxed),
            current: ring.is_current(),
            lanes: (0..ring.lanes_used()).filter_map(|lane| lane_stats(ring, lane)).collect(),
            consumers: (0..ring.layout.consumers)
                .filter_map(|consumer| consumer_stats(ring, consumer))
                .collect(),
        }
    }
}

fn lane_stats(ring: &LockFreeRingBuffer, lane: usize) -> Option<LaneStats> {
    let at = ring.layout.lane_word(lane);
    let counter = |word: usize| ring.region[at + word].load(Ordering::Relaxed);
    let who = record::read_or_unknown(&ring.region, WhoWords::lane(at))?;
    let place = Place::Lane(lane);
    let sampled = counter(word_of!(LaneRecord, sampled));
    Some(LaneStats {
        lane,
        publisher: who.name,
        pid: who.pid,
        alive: ownership::is_owned(&ring.region, ring.heap_owner_word(place), place),
        started_ns: who.started_ns,
        messages_published: counter(word_of!(LaneRecord, tail)),
        messages_rejected: counter(word_of!(LaneRecord, rejected)),
        avg_latency_ns: if sampled == 0 {
            0.0
        } else {
            counter(word_of!(LaneRecord, sampled_ns)) as f64 / sampled as f64
        },
        last_publish_ns: counter(word_of!(LaneRecord, last_publish_ns)),
    })
}

fn consumer_stats(ring: &LockFreeRingBuffer, consumer: usize) -> Option<ConsumerStats> {
    let place = Place::Consumer(consumer);
    let at = ring.layout.consumer_word(consumer);
    let counter = |word: usize| ring.region[at + word].load(Ordering::Relaxed);
    let who = record::read_or_unknown(&ring.region, WhoWords::consumer(at))?;
    if !ownership::is_owned(&ring.region, ring.heap_owner_word(place), place) {
        return None;
    }
    let lag = (0..ring.lanes_used())
        .map(|lane| {
            let tail =
                ring.region[ring.layout.lane_word(lane) + word_of!(LaneRecord, tail)].load(Ordering::Relaxed);
            tail.saturating_sub(ring.region[ring.layout.cursor_word(consumer, lane)].load(Ordering::Relaxed))
        })
        .fold(0, u64::saturating_add);
    Some(ConsumerStats {
        consumer,
        name: who.name,
        pid: who.pid,
        started_ns: who.started_ns,
        messages_received: counter(word_of!(ConsumerRecord, received)),
        messages_lost: counter(word_of!(ConsumerRecord, lost)),
        messages_corrupt: counter(word_of!(ConsumerRecord, corrupt)),
        lag,
    })
}

/// Names of publishers, numbered; a lane's name is read anew only when the lane changes hands.
#[derive(Default)]
pub struct PublisherNames {
    names: Vec<String>,
    /// Generation and number of each lane's publisher.
    lanes: Vec<(u64, u32)>,
}

impl PublisherNames {
    /// The number of a lane's publisher. Costs one load when the lane did not change hands.
    pub fn of(&mut self, ring: &LockFreeRingBuffer, lane: usize) -> u32 {
        let lane = lane.min(ring.layout.lanes - 1);
        if self.lanes.len() <= lane {
            let nobody = self.number_of(String::new());
            self.lanes.resize(lane + 1, (0, nobody));
        }
        let at = WhoWords::lane(ring.layout.lane_word(lane));
        if self.lanes[lane].0 != record::generation(&ring.region, at)
            && let Some(who) = record::read(&ring.region, at)
        {
            self.lanes[lane] = (who.generation * 2, self.number_of(who.name));
        }
        self.lanes[lane].1
    }

    /// The name behind a number.
    pub fn name(&self, publisher: u32) -> &str {
        self.names.get(publisher as usize).map_or("", String::as_str)
    }

    /// Forgets which lane is whose, after the segment was created anew.
    pub fn forget_lanes(&mut self) {
        self.lanes.clear();
    }

    fn number_of(&mut self, name: String) -> u32 {
        let known = self.names.iter().position(|other| *other == name);
        known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        }) as u32
    }
}

/// A segment found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSegment {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// True if a living process owns a lane or a consumer record of it.
    pub in_use: bool,
}

/// The segments of this library on this machine that this user may open.
pub fn find_segments() -> Vec<FoundSegment> {
    shm::candidate_names()
        .into_iter()
        // Not so much as a lock file beside it is taken of what somebody else made.
        .filter(|name| shm::begins_with(name, crate::layout::MAGIC))
        .filter_map(|name| {
            let ring = LockFreeRingBuffer::open(&name).ok()?;
            Some(FoundSegment { bytes: ring.layout.total_bytes(), in_use: ring.is_in_use(), name })
        })
        .collect()
}

/// As [`LockFreeRingBuffer::unlink_if_unused`].
///
/// # Errors
/// The same.
pub fn remove_if_unused(name: &str) -> crate::error::Result<bool> {
    LockFreeRingBuffer::unlink_if_unused(name)
}
