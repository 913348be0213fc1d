//! From a tick to its entries.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use hdrhistogram::Histogram;
use openalgo_shm_ring::Consumer;
use openalgo_shm_ring::message::{Field, MessageView};
use openalgo_shm_ring::stats::PublisherNames;

use crate::encode::{BrokerText, Context, write_frame};
use crate::lane_topics::LaneTopics;
use crate::topic_table::TopicTable;
use crate::topics::{LocalTopic, Topics, text_of};
use crate::variants::{Variants, mode_and_format, variants_up_to};

/// Latencies above this (10 s) are recorded as this.
const LONGEST_LATENCY_NS: u64 = 10_000_000_000;

/// A frame in the arena of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The number of the topic.
    pub topic: u32,
    /// The number of the variant: its bit in [`Variants`].
    pub variant: u8,
    /// Whether the tick says a price (LTP).
    pub has_price: bool,
    /// Where the frame begins in the arena, bytes.
    pub offset: u32,
    /// Bytes of the frame.
    pub length: u32,
    /// When the tick was published, ns of the monotonic clock.
    pub publish_ns: u64,
}

/// What it takes to turn a tick into frames.
pub(crate) struct Encoding {
    pub table: TopicTable,
    pub topics: Topics,
    pub lane_topics: LaneTopics,
    /// Variants wanted of every topic of an exchange, and of all.
    pub exchanges: HashMap<String, Variants, RandomState>,
    pub any: Variants,
    pub publishers: PublisherNames,
    /// By the number of the publisher.
    pub brokers: Vec<BrokerText>,
    /// Time from a publisher's stamp to the read here, ns.
    pub latency: Histogram<u64>,
    pub wall_offset_ns: i64,
    pub dropped: u64,
}

impl Encoding {
    pub fn new(table: TopicTable) -> Self {
        Self {
            table,
            topics: Topics::default(),
            lane_topics: LaneTopics::default(),
            exchanges: HashMap::default(),
            any: 0,
            publishers: PublisherNames::default(),
            brokers: Vec::new(),
            latency: Histogram::new_with_bounds(1, LONGEST_LATENCY_NS, 2).expect("constant bounds are valid"),
            wall_offset_ns: 0,
            dropped: 0,
        }
    }

    /// Writes the frames of a tick one after the other into `arena` from `used` on. Returns where they end.
    #[inline]
    pub fn encode(
        &mut self,
        consumer: &Consumer,
        tick: MessageView<'_>,
        now: u64,
        arena: &mut [u8],
        mut used: usize,
        entries: &mut Vec<Entry>,
    ) -> usize {
        let publish_ns = tick.publish_ns();
        let age = now.saturating_sub(publish_ns);
        self.latency.saturating_record(age.clamp(1, LONGEST_LATENCY_NS));
        let (lane, number) = (tick.lane(), tick.topic());
        let (topics, table) = (&mut self.topics, &self.table);
        let enter = || Some(topics.enter(&table.intern_ticked(&consumer.topic_name(lane, number)?)?));
        let place = self.lane_topics.of(lane, number, enter);
        let Some(local) = place.and_then(|place| self.topics.at_mut(place)) else {
            self.dropped += 1;
            return used;
        };
        let publisher = self.publishers.of(consumer.segment(), lane);
        while self.brokers.len() <= publisher as usize {
            self.brokers.push(BrokerText::new(self.publishers.name(self.brokers.len() as u32)));
        }
        for sequence in &mut local.sequences[..tick.mode() as usize] {
            *sequence += 1;
        }
        let mut wanted = local.wanted | self.any;
        if !self.exchanges.is_empty() {
            wanted |= self.exchanges.get(local.topic.exchange()).copied().unwrap_or(0);
        }
        wanted &= variants_up_to(tick.mode());
        if wanted != 0 {
            let LocalTopic { topic, number, text, sequences, .. } = local;
            let text = text.get_or_insert_with(|| text_of(topic));
            let has_price = tick.field(Field::Ltp).is_some();
            // Descending, so that the first that a client wants is its highest mode.
            while let Some(variant) = wanted.checked_ilog2() {
                wanted ^= 1 << variant;
                let variant = variant as u8;
                let Some((mode, format)) = mode_and_format(variant) else { continue };
                let context = Context {
                    format,
                    mode,
                    sequence: sequences[mode as usize - 1],
                    broker: &self.brokers[publisher as usize],
                    wall_offset_ns: self.wall_offset_ns,
                    snapshot: None,
                };
                let length = write_frame(&mut arena[used..], text, tick, &context);
                let (offset, length) = (used as u32, length as u32);
                entries.push(Entry { topic: *number, variant, has_price, offset, length, publish_ns });
                used += length as usize;
            }
        }
        local.last.keep(tick, publisher, local.sequences[0]);
        used
    }
}
