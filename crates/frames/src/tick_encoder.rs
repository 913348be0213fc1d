//! From ring to frames: a consumer that keeps the last tick of every topic and encodes each tick that
//! somebody wants once for every subscribed mode.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use hdrhistogram::Histogram;
use openalgo_shm_ring::message::{Head, LINE_WORDS, MessageView, Mode, TopicName};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{Consumer, MessageCounts, Result, clock};

use crate::encode::{BrokerText, Context, Format, longest_frame, write_frame};
use crate::lane_topics::LaneTopics;
use crate::topics::Topics;

/// Numbers of an entry: topic, variant, offset in bytes, length in bytes.
pub const ENTRY_WORDS: usize = 4;
/// Latencies above this (10 s) are recorded as this.
const LONGEST_LATENCY_NS: u64 = 10_000_000_000;
/// Ticks that are read at once.
const TURN: usize = 64;
/// Every exchange, in [`TickEncoder::want_exchange`].
pub const ANY: &str = "*";

/// The variants of a tick that somebody wants: bit m for mode m as JSON, bit m + 4 for mode m as MessagePack.
pub type Variants = u8;

/// Most variants of a tick.
const VARIANT_COUNT: usize = 6;

/// The mode and format of a variant's number: its bit in [`Variants`].
const fn mode_and_format(variant: u8) -> Option<(Mode, Format)> {
    let format = if variant & 4 == 0 { Format::Json } else { Format::MessagePack };
    match Mode::from_u8(variant & 3) {
        Some(mode) if variant < 8 => Some((mode, format)),
        _ => None,
    }
}

/// The variants that a tick of this mode has.
const fn variants_up_to(mode: Mode) -> Variants {
    let modes = (2 << mode as u8) - 2;
    modes | modes << 4
}

/// Percentiles of the time from a publisher's stamp to the read here, ns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Ticks measured.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Longest.
    pub max: u64,
    /// Mean.
    pub mean: f64,
}

/// Reads a ring and writes each tick that somebody wants as finished frames.
pub struct TickEncoder {
    consumer: Consumer,
    /// Of the segments before this consumer's.
    before: MessageCounts,
    /// Ticks that were read at once.
    heads: Box<[Head; TURN]>,
    rest: Box<[u64]>,
    encoding: Encoding,
}

/// What it takes to turn a tick into frames.
struct Encoding {
    topics: Topics,
    lane_topics: LaneTopics,
    /// Variants wanted of every topic of an exchange, and of all.
    exchanges: HashMap<String, Variants, RandomState>,
    any: Variants,
    publishers: PublisherNames,
    /// By the number of the publisher.
    brokers: Vec<BrokerText>,
    latency: Histogram<u64>,
    wall_offset_ns: i64,
    dropped: u64,
}

impl TickEncoder {
    /// An encoder that reads through this consumer of a ring of ticks.
    pub fn new(consumer: Consumer) -> Self {
        Self {
            before: MessageCounts::default(),
            heads: Box::new([[0; LINE_WORDS]; TURN]),
            rest: room_for_rest(&consumer),
            consumer,
            encoding: Encoding {
                topics: Topics::default(),
                lane_topics: LaneTopics::default(),
                exchanges: HashMap::default(),
                any: 0,
                publishers: PublisherNames::default(),
                brokers: Vec::new(),
                latency: Histogram::new_with_bounds(1, LONGEST_LATENCY_NS, 2)
                    .expect("constant bounds are valid"),
                wall_offset_ns: 0,
                dropped: 0,
            },
        }
    }

    /// Bytes that the frames of one tick can take: the least room to give to [`drain`](Self::drain).
    pub fn longest_tick(&self) -> usize {
        longest_tick(&self.consumer)
    }

    /// The number of a topic that is about to be wanted. It is the topic's for good once that has ticked; until
    /// then as long as it is wanted. `None` when [`MAX_TOPICS`](crate::MAX_TOPICS) are wanted that never ticked.
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL`.
    pub fn topic(&mut self, exchange: &str, symbol: &str) -> Result<Option<u32>> {
        let name = TopicName::new(exchange, symbol)?;
        Ok(self.encoding.topics.intern_wanted(&name))
    }

    /// The number of a topic that has ticked or is wanted.
    pub fn find_topic(&self, exchange: &str, symbol: &str) -> Option<u32> {
        self.encoding.topics.find(&TopicName::new(exchange, symbol).ok()?)
    }

    /// Exchange and symbol of a topic.
    pub fn topic_name(&self, topic: u32) -> Option<(&str, &str)> {
        self.encoding.topics.get(topic).map(|topic| (topic.text.exchange(), topic.text.symbol()))
    }

    /// All topics' numbers are below this.
    pub fn topic_count(&self) -> usize {
        self.encoding.topics.end()
    }

    /// Numbers of the topics that have ticked, in the order of their first ticks. It only grows.
    pub fn ticked(&self) -> &[u32] {
        self.encoding.topics.ticked()
    }

    /// Sets which variants of a topic are wanted. With none, a topic that never ticked is forgotten: its number
    /// may become another's.
    pub fn want(&mut self, topic: u32, variants: Variants) {
        self.encoding.topics.want(topic, variants);
    }

    /// Sets which variants are wanted of every topic of an exchange, or of all exchanges with [`ANY`],
    /// beside what is wanted of the topic itself.
    pub fn want_exchange(&mut self, exchange: &str, variants: Variants) {
        if exchange == ANY {
            self.encoding.any = variants;
        } else if variants == 0 {
            self.encoding.exchanges.remove(exchange);
        } else {
            self.encoding.exchanges.insert(exchange.to_owned(), variants);
        }
    }

    /// Reads what is in the ring, as far as there is room, and writes the frames into `arena`, four
    /// numbers each into `entries` (topic, variant, offset, length) and the publish times (ns) into `stamps`.
    /// Returns the number of entries; the entries of one tick follow one another, descending by variant.
    pub fn drain(&mut self, arena: &mut [u8], entries: &mut [i32], stamps: &mut [f64]) -> usize {
        let Self { consumer, heads, rest, encoding, .. } = self;
        encoding.wall_offset_ns = clock::wall_ns() as i64 - clock::monotonic_ns() as i64;
        let longest = longest_tick(consumer);
        let (mut count, mut used) = (0, 0);
        loop {
            let room = (arena.len() - used) / longest;
            let places = (entries.len() / ENTRY_WORDS).min(stamps.len()) - count;
            let most = room.min(places / VARIANT_COUNT).min(TURN);
            let read = consumer.poll_into(&mut heads[..most], rest);
            if read == 0 {
                break;
            }
            // After the read of these: a full ring takes long to drain, and ticks come meanwhile.
            let now = clock::monotonic_ns();
            for head in &heads[..read] {
                let tick = consumer.view(head, rest);
                used += encoding.encode(
                    consumer,
                    tick,
                    now,
                    &mut arena[used..],
                    |topic, variant, offset, length| {
                        let entry = [topic as i32, i32::from(variant), (used + offset) as i32, length as i32];
                        entries[count * ENTRY_WORDS..][..ENTRY_WORDS].copy_from_slice(&entry);
                        stamps[count] = tick.publish_ns() as f64;
                        count += 1;
                    },
                );
            }
            if read < most {
                break;
            }
        }
        count
    }

    /// The last tick that a subscriber of this variant would have got, as a frame that says it is a
    /// snapshot and how old it is. False if there was none, or no such variant.
    pub fn snapshot(&mut self, topic: u32, variant: u8, out: &mut Vec<u8>) -> bool {
        let Some((mode, format)) = mode_and_format(variant) else { return false };
        let Some(topic) = self.encoding.topics.get(topic) else { return false };
        let newest =
            topic.last[mode as usize - 1..].iter().flatten().max_by_key(|last| last.view().publish_ns());
        let Some(last) = newest else { return false };
        let tick = last.view();
        let now = clock::monotonic_ns();
        let context = Context {
            format,
            mode,
            sequence: topic.sequences[mode as usize - 1],
            broker: &self.encoding.brokers[last.publisher as usize],
            wall_offset_ns: clock::wall_ns() as i64 - now as i64,
            snapshot_age_ms: Some(now.saturating_sub(tick.publish_ns()) / 1_000_000),
        };
        let mut room = vec![0; longest_frame(tick.levels())];
        let length = write_frame(&mut room, &topic.text, tick, &context);
        out.extend_from_slice(&room[..length]);
        true
    }

    /// The consumer it reads through.
    pub const fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Messages of this ring and of all that it was created anew from.
    pub const fn counts(&self) -> MessageCounts {
        let (before, consumer) = (self.before, &self.consumer);
        MessageCounts {
            received: before.received + consumer.received(),
            lost: before.lost.saturating_add(consumer.lost()),
            corrupt: before.corrupt + consumer.corrupt(),
        }
    }

    /// Goes on with another consumer, after the segment was created anew. Topics, wanted variants, last ticks
    /// and counts stay; what is behind the older consumer in its segment, or before the start of the newer one,
    /// is lost.
    pub fn reattach(&mut self, consumer: Consumer) {
        let counts = self.counts();
        let unread =
            consumer.positions().iter().fold(self.consumer.lag(), |sum, &next| sum.saturating_add(next));
        self.before = MessageCounts { lost: counts.lost.saturating_add(unread), ..counts };
        self.rest = room_for_rest(&consumer);
        self.consumer = consumer;
        self.encoding.lane_topics.clear();
        self.encoding.publishers.forget_lanes();
    }

    /// Ticks that were read and dropped because [`MAX_TOPICS`](crate::MAX_TOPICS) others have ticked.
    pub const fn dropped(&self) -> u64 {
        self.encoding.dropped
    }

    /// Latencies since the last call with `reset`, or since the beginning.
    pub fn latency(&mut self, reset: bool) -> Latency {
        let histogram = &mut self.encoding.latency;
        let latency = Latency {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
        };
        if reset {
            histogram.reset();
        }
        latency
    }
}

impl Encoding {
    /// Writes the frames of a tick one after the other into `room`, and gives topic, variant, offset and length
    /// of each. Returns the bytes written.
    #[inline]
    fn encode(
        &mut self,
        consumer: &Consumer,
        tick: MessageView<'_>,
        now: u64,
        room: &mut [u8],
        mut entry: impl FnMut(u32, u8, usize, usize),
    ) -> usize {
        let age = now.saturating_sub(tick.publish_ns());
        self.latency.saturating_record(age.clamp(1, LONGEST_LATENCY_NS));
        let (lane, number) = (tick.lane(), tick.topic());
        let topics = &mut self.topics;
        let intern = || topics.intern_ticked(&consumer.topic_name(lane, number)?);
        let id = self.lane_topics.of(lane, number, intern);
        let Some((id, topic)) = id.and_then(|id| Some((id, self.topics.get_mut(id)?))) else {
            self.dropped += 1;
            return 0;
        };
        let publisher = self.publishers.of(consumer.segment(), lane);
        while self.brokers.len() <= publisher as usize {
            self.brokers.push(BrokerText::new(self.publishers.name(self.brokers.len() as u32)));
        }
        for sequence in &mut topic.sequences[..tick.mode() as usize] {
            *sequence += 1;
        }
        let mut wanted = topic.wanted | self.any;
        if !self.exchanges.is_empty() {
            wanted |= self.exchanges.get(topic.text.exchange()).copied().unwrap_or(0);
        }
        wanted &= variants_up_to(tick.mode());
        let mut used = 0;
        // Descending, so that the first that a client wants is its highest mode.
        while let Some(variant) = wanted.checked_ilog2() {
            wanted ^= 1 << variant;
            let variant = variant as u8;
            let Some((mode, format)) = mode_and_format(variant) else { continue };
            let context = Context {
                format,
                mode,
                sequence: topic.sequences[mode as usize - 1],
                broker: &self.brokers[publisher as usize],
                wall_offset_ns: self.wall_offset_ns,
                snapshot_age_ms: None,
            };
            let length = write_frame(&mut room[used..], &topic.text, tick, &context);
            entry(id, variant, used, length);
            used += length;
        }
        topic.keep(tick, publisher);
        used
    }
}

/// Bytes that the frames of one tick of this ring can take.
fn longest_tick(consumer: &Consumer) -> usize {
    VARIANT_COUNT * longest_frame(2 * consumer.segment().layout().depth_levels)
}

/// Room for the words behind the heads of [`TURN`] ticks.
fn room_for_rest(consumer: &Consumer) -> Box<[u64]> {
    vec![0; TURN * consumer.segment().layout().longest_rest()].into()
}
