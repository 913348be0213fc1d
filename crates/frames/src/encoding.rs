//! From a tick to its entries.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use hdrhistogram::Histogram;
use openalgo_shm_ring::Consumer;
use openalgo_shm_ring::message::{Field, MessageView, Mode};
use openalgo_shm_ring::stats::PublisherNames;

use crate::encode::{BrokerText, Context, Format, SnapshotAge, write_frame};
use crate::lane_topics::LaneTopics;
use crate::last_values::published_ns;
use crate::snapshot::Snapshot;
use crate::topic_table::TopicTable;
use crate::topics::{LocalTopic, Topics, text_of};
use crate::variants::{Variants, mode_and_format, variants_up_to};

/// Latencies above this (10 s) are recorded as this.
const LONGEST_LATENCY_NS: u64 = 10_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// A frame in the arena of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The number of the topic.
    pub topic: u32,
    /// The number of the variant: its bit in [`Variants`].
    pub variant: u8,
    /// Whether it is the first entry of its tick.
    pub is_first: bool,
    /// Whether the tick says a price (LTP).
    pub has_price: bool,
    /// Where the frame begins in the arena, bytes.
    pub offset: u32,
    /// Bytes of the frame.
    pub length: u32,
    /// When the tick was published, ns of the monotonic clock; of what another proxy had kept, when it was read here.
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
    pub dropped: u64,
    /// Last values of another proxy go to subscribers up to this age, ns.
    pub carried_max_age_ns: u64,
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
            dropped: 0,
            carried_max_age_ns: u64::MAX,
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
        if tick.annex().is_some_and(|annex| annex.age().is_some()) {
            return self.encode_carried(consumer, tick, now, arena, used, entries);
        }
        let age = now.saturating_sub(publish_ns);
        self.latency.saturating_record(age.clamp(1, LONGEST_LATENCY_NS));
        let Some((place, publisher)) = self.place_of(consumer, tick) else { return used };
        let Some(local) = self.topics.at_mut(place) else { return used };
        for sequence in &mut local.sequences[..tick.mode() as usize] {
            *sequence += 1;
        }
        let mut wanted = wanted_of(local, self.any, &self.exchanges) & variants_up_to(tick.mode());
        if wanted != 0 {
            let mut is_first = true;
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
                    snapshot: None,
                };
                let length = write_frame(&mut arena[used..], text, tick, &context);
                let (offset, length) = (used as u32, length as u32);
                entries.push(Entry {
                    topic: *number,
                    variant,
                    is_first,
                    has_price,
                    offset,
                    length,
                    publish_ns,
                });
                is_first = false;
                used += length as usize;
            }
        }
        local.last.keep(tick, publisher, local.ticks());
        used
    }

    /// The place of a tick's topic, and the number of its publisher. `None` of a topic that has no room, which counts.
    #[inline]
    fn place_of(&mut self, consumer: &Consumer, tick: MessageView<'_>) -> Option<(u32, u32)> {
        let (lane, number) = (tick.lane(), tick.topic());
        let (topics, table) = (&mut self.topics, &self.table);
        let enter = || Some(topics.enter(&table.intern_ticked(&consumer.topic_name(lane, number)?)?));
        let Some(place) = self.lane_topics.of(lane, number, enter) else {
            self.dropped += 1;
            return None;
        };
        let publisher = self.publishers.of(consumer.segment(), lane);
        while self.brokers.len() <= publisher as usize {
            self.brokers.push(BrokerText::new(self.publishers.name(self.brokers.len() as u32)));
        }
        Some((place, publisher))
    }

    /// The last value of another proxy: it has no number and no latency, and goes out as a snapshot to those who have
    /// seen nothing newer, if it is not too old to be sent unasked.
    #[cold]
    fn encode_carried(
        &mut self,
        consumer: &Consumer,
        tick: MessageView<'_>,
        now: u64,
        arena: &mut [u8],
        mut used: usize,
        entries: &mut Vec<Entry>,
    ) -> usize {
        let Some((place, publisher)) = self.place_of(consumer, tick) else { return used };
        let Some(local) = self.topics.at_mut(place) else { return used };
        local.carried += 1;
        let is_newer = local.last.keep_carried(tick, publisher, local.ticks());
        let earliest_ns = earliest_of(now, self.carried_max_age_ns);
        // A book that is kept from a ring of deeper books would not fit where there is room for one tick.
        let is_too_deep = local.last.most_levels() > 2 * consumer.segment().layout().depth_levels;
        if published_ns(tick) < earliest_ns || is_too_deep {
            return used;
        }
        let mut wanted = wanted_of(local, self.any, &self.exchanges) & variants_up_to(tick.mode());
        let mut is_first = true;
        while let Some(variant) = wanted.checked_ilog2() {
            wanted ^= 1 << variant;
            let variant = variant as u8;
            let Some((mode, format)) = mode_and_format(variant) else { continue };
            if !is_newer[mode as usize - 1] {
                continue;
            }
            let room = &mut arena[used..];
            let Some(length) = write_snapshot(local, &self.brokers, (mode, format), now, earliest_ns, room)
            else {
                continue;
            };
            let has_price = tick.field(Field::Ltp).is_some();
            let (topic, offset, length) = (local.number, used as u32, length as u32);
            entries.push(Entry { topic, variant, is_first, has_price, offset, length, publish_ns: now });
            is_first = false;
            used += length as usize;
        }
        used
    }
}

/// When what is so old was published, ns: below 0 if that was before the clock began.
pub(crate) fn earliest_of(now: u64, max_age_ns: u64) -> i64 {
    now as i64 - i64::try_from(max_age_ns).unwrap_or(i64::MAX)
}

/// Variants of a topic that are wanted, also through its exchange.
#[inline]
fn wanted_of(
    local: &LocalTopic,
    any: Variants,
    exchanges: &HashMap<String, Variants, RandomState>,
) -> Variants {
    let wanted = local.wanted | any;
    if exchanges.is_empty() {
        return wanted;
    }
    wanted | exchanges.get(local.topic.exchange()).copied().unwrap_or(0)
}

/// Writes a frame of a topic's last values at the beginning of `room`, and returns its length. Values that were
/// published before `earliest_ns` are left out; `None` if the newest tick was, or there is none.
pub(crate) fn write_snapshot(
    local: &mut LocalTopic,
    brokers: &[BrokerText],
    (mode, format): (Mode, Format),
    now: u64,
    earliest_ns: i64,
    room: &mut [u8],
) -> Option<usize> {
    let snapshot = Snapshot::new(&local.last, mode, earliest_ns)?;
    let tick = snapshot.view();
    let age_ms = |publish_ns| ((now as i64).saturating_sub(publish_ns) / NS_PER_MS).max(0) as u64;
    let has_older = snapshot.newest_ns.saturating_sub(snapshot.oldest_ns) >= NS_PER_MS;
    let context = Context {
        format,
        mode,
        sequence: local.sequences[mode as usize - 1],
        broker: &brokers[snapshot.publisher as usize],
        snapshot: Some(SnapshotAge {
            newest_ms: age_ms(snapshot.newest_ns),
            oldest_ms: has_older.then(|| age_ms(snapshot.oldest_ns)),
        }),
    };
    Some(write_frame(room, local.text(), tick, &context))
}
