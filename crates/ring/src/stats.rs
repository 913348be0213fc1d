//! What a ring shows of itself to anyone who may read it.

use crate::ownership::Place;
use crate::segment::Segment;
use crate::segment::layout::{ConsumerRecord, LaneRecord, Layout, word_of};
use crate::segment::record::{self, WhoWords};
use crate::segment::tail;
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
    /// Lines that those messages took.
    pub lines_published: u64,
    /// Topics that the lane has named.
    pub topics: u64,
    /// Messages that were refused because the topic table was full.
    pub topics_refused: u64,
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
    pub(crate) fn read(segment: &Segment) -> Self {
        // Before the lanes: what a consumer had read by then is never more than what they carry.
        let mut consumers: Vec<_> = (0..segment.layout().consumers)
            .filter_map(|consumer| consumer_stats(segment, consumer))
            .collect();
        let lanes: Vec<_> = (0..segment.lanes_used()).filter_map(|lane| lane_stats(segment, lane)).collect();
        let published = lanes.iter().map(|lane| lane.messages_published).fold(0, u64::saturating_add);
        for (consumer, next) in &mut consumers {
            consumer.lag = published.saturating_sub(*next);
        }
        Self {
            name: segment.name().to_owned(),
            layout: *segment.layout(),
            created_ns: segment.created_ns(),
            current: segment.is_current(),
            lanes,
            consumers: consumers.into_iter().map(|(consumer, _)| consumer).collect(),
        }
    }
}

/// Names and process ids of the owners of the lanes, for people.
pub(crate) fn lane_owners(segment: &Segment) -> Vec<String> {
    (0..segment.lanes_used())
        .filter_map(|lane| lane_stats(segment, lane))
        .map(|lane| format!("{} (pid {})", lane.publisher, lane.pid))
        .collect()
}

fn lane_stats(segment: &Segment, lane: usize) -> Option<LaneStats> {
    let record = segment.lane_record(lane);
    let counter = |word: usize| record[word].load(Ordering::Relaxed);
    let who = record::read_or_unknown(&segment.region, WhoWords::lane(segment.layout().lane_word(lane)))?;
    let sampled = counter(word_of!(LaneRecord, sampled));
    let (end, newest_ns) = tail::end(record, segment.lines(lane), segment.layout());
    Some(LaneStats {
        lane,
        publisher: who.name,
        pid: who.pid,
        alive: segment.is_owned(Place::Lane(lane)),
        started_ns: who.started_ns,
        messages_published: end.sequence,
        messages_rejected: counter(word_of!(LaneRecord, rejected)),
        lines_published: end.position,
        topics: counter(word_of!(LaneRecord, topics)).min(segment.layout().topics as u64),
        topics_refused: counter(word_of!(LaneRecord, topics_refused)),
        avg_latency_ns: if sampled == 0 {
            0.0
        } else {
            counter(word_of!(LaneRecord, sampled_ns)) as f64 / sampled as f64
        },
        last_publish_ns: counter(word_of!(LaneRecord, last_publish_ns)).max(newest_ns.unwrap_or_default()),
    })
}

/// A consumer, its lag not known yet, and the sum of its next sequences.
fn consumer_stats(segment: &Segment, consumer: usize) -> Option<(ConsumerStats, u64)> {
    let at = segment.layout().consumer_word(consumer);
    let counter = |word: usize| segment.region[at + word].load(Ordering::Relaxed);
    let who = record::read_or_unknown(&segment.region, WhoWords::consumer(at))?;
    if !segment.is_owned(Place::Consumer(consumer)) {
        return None;
    }
    let stats = ConsumerStats {
        consumer,
        name: who.name,
        pid: who.pid,
        started_ns: who.started_ns,
        messages_received: counter(word_of!(ConsumerRecord, received)),
        messages_lost: counter(word_of!(ConsumerRecord, lost)),
        messages_corrupt: counter(word_of!(ConsumerRecord, corrupt)),
        lag: 0,
    };
    Some((stats, counter(word_of!(ConsumerRecord, next))))
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
    pub fn of(&mut self, segment: &Segment, lane: usize) -> u32 {
        let lane = lane.min(segment.layout().lanes - 1);
        if self.lanes.len() <= lane {
            let nobody = self.number_of(String::new());
            self.lanes.resize(lane + 1, (0, nobody));
        }
        let at = WhoWords::lane(segment.layout().lane_word(lane));
        if self.lanes[lane].0 != record::generation(&segment.region, at)
            && let Some(who) = record::read(&segment.region, at)
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
