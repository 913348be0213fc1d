//! From ring to frames: a consumer that keeps the last tick of every topic and encodes each tick that
//! somebody wants once for every subscribed mode.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use crate::clock;
use crate::consumer::Consumer;
use crate::encode::{Context, Format, longest_frame, write_frame};
use crate::error::Result;
use crate::message::{MessageView, Mode, topic_words};
use crate::monitor::PublisherNames;
use crate::ring::LockFreeRingBuffer;
use crate::topics::{LastTick, Topics};

/// Numbers of an entry: topic, variant, offset in bytes, length in bytes.
pub const ENTRY_WORDS: usize = 4;
/// Latencies above this (10 s) are recorded as this.
const LONGEST_LATENCY_NS: u64 = 10_000_000_000;
/// Every exchange, in [`TickEncoder::want_exchange`].
pub const ANY: &str = "*";

/// The variants of a tick that somebody wants: bit m for mode m as JSON, bit m + 4 for mode m as MessagePack.
pub type Variants = u8;

/// Number of the variant of a mode in a format: its bit in [`Variants`].
const fn variant_of(mode: Mode, format: Format) -> u8 {
    mode as u8 + 4 * format as u8
}

/// The mode and format of a variant's number.
fn mode_and_format(variant: u8) -> Option<(Mode, Format)> {
    VARIANTS.into_iter().find(|&(mode, format)| variant_of(mode, format) == variant)
}

/// Every variant in the order of a tick's frames: descending, so that the first that a client wants is its highest mode.
const VARIANTS: [(Mode, Format); 6] = [
    (Mode::Depth, Format::MessagePack),
    (Mode::Quote, Format::MessagePack),
    (Mode::Ltp, Format::MessagePack),
    (Mode::Depth, Format::Json),
    (Mode::Quote, Format::Json),
    (Mode::Ltp, Format::Json),
];

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

/// What became of the messages of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accounts {
    /// Messages read.
    pub received: u64,
    /// Messages never read: overwritten before, or left in a segment that was created anew.
    pub lost: u64,
    /// Messages skipped because they could not be one.
    pub corrupt: u64,
}

/// Reads a ring and writes each tick that somebody wants as finished frames.
pub struct TickEncoder {
    consumer: Consumer,
    /// Of the segments before this consumer's.
    before: Accounts,
    topics: Topics,
    /// Variants wanted of every topic of an exchange, or of all with [`ANY`].
    exchanges: HashMap<String, Variants>,
    publishers: PublisherNames,
    /// Drained records and the frames made of them, kept for their memory.
    records: Vec<u64>,
    frames: Vec<u8>,
    latency: Histogram<u64>,
    wall_offset_ns: i64,
    dropped: u64,
}

impl TickEncoder {
    /// An encoder that reads through this consumer of a ring of ticks.
    pub fn new(consumer: Consumer) -> Self {
        Self {
            consumer,
            before: Accounts::default(),
            topics: Topics::default(),
            exchanges: HashMap::new(),
            publishers: PublisherNames::default(),
            records: Vec::new(),
            frames: Vec::new(),
            latency: Histogram::new_with_bounds(1, LONGEST_LATENCY_NS, 2).expect("constant bounds are valid"),
            wall_offset_ns: 0,
            dropped: 0,
        }
    }

    /// Bytes that the frames of one tick can take: the least room to give to [`drain`](Self::drain).
    pub fn longest_tick(&self) -> usize {
        VARIANTS.len() * longest_frame(2 * self.consumer.ring().layout().depth_levels)
    }

    /// The number of a topic that is about to be wanted. It is the topic's for good once that has ticked; until
    /// then as long as it is wanted. `None` when [`MAX_TOPICS`](crate::MAX_TOPICS) are wanted that never ticked.
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL`.
    pub fn topic(&mut self, exchange: &str, symbol: &str) -> Result<Option<u32>> {
        let key = topic_words(exchange, symbol)?;
        Ok(self.topics.ask(&key))
    }

    /// The number of a topic that has ticked or is wanted.
    pub fn find_topic(&self, exchange: &str, symbol: &str) -> Option<u32> {
        self.topics.find(&topic_words(exchange, symbol).ok()?)
    }

    /// Exchange and symbol of a topic.
    pub fn topic_name(&self, topic: u32) -> Option<(&str, &str)> {
        self.topics.get(topic).map(|topic| (topic.text.exchange(), topic.text.symbol()))
    }

    /// All topics' numbers are below this.
    pub fn topic_count(&self) -> usize {
        self.topics.end()
    }

    /// Numbers of the topics that have ticked, in the order of their first ticks. It only grows.
    pub fn ticked(&self) -> &[u32] {
        self.topics.ticked()
    }

    /// Sets which variants of a topic are wanted. With none, a topic that never ticked is forgotten: its number
    /// may become another's.
    pub fn want(&mut self, topic: u32, variants: Variants) {
        self.topics.want(topic, variants);
    }

    /// Sets which variants are wanted of every topic of an exchange, or of all exchanges with [`ANY`],
    /// beside what is wanted of the topic itself.
    pub fn want_exchange(&mut self, exchange: &str, variants: Variants) {
        if variants == 0 {
            self.exchanges.remove(exchange);
        } else {
            self.exchanges.insert(exchange.to_owned(), variants);
        }
    }

    /// Reads what is in the ring, as far as there is room, and writes the frames into `arena`, four
    /// numbers each into `entries` (topic, variant, offset, length) and the publish times (ns) into `stamps`.
    /// Returns the number of entries; the entries of one tick follow one another, descending by variant.
    pub fn drain(&mut self, arena: &mut [u8], entries: &mut [i32], stamps: &mut [f64]) -> usize {
        self.wall_offset_ns = clock::wall_ns() as i64 - clock::monotonic_ns() as i64;
        let mut out = std::mem::take(&mut self.frames);
        out.clear();
        let longest = self.longest_tick();
        let mut count = 0;
        loop {
            let room = (arena.len() - out.len()) / longest;
            let places = (entries.len() / ENTRY_WORDS).min(stamps.len()) - count;
            let max = room.min(places / VARIANTS.len()).min(64);
            if max == 0 || self.drain_some(max, &mut out, entries, stamps, &mut count) < max {
                break;
            }
        }
        arena[..out.len()].copy_from_slice(&out);
        self.frames = out;
        count
    }

    fn drain_some(
        &mut self,
        max: usize,
        out: &mut Vec<u8>,
        entries: &mut [i32],
        stamps: &mut [f64],
        count: &mut usize,
    ) -> usize {
        let ring = self.consumer.ring().clone();
        let slot_words = ring.layout().slot_words();
        let mut records = std::mem::take(&mut self.records);
        records.resize(max.max(records.len() / slot_words) * slot_words, 0);
        let read = self.consumer.poll_into(&mut records, max);
        // After the read of these: a full ring takes long to drain, and ticks come meanwhile.
        let now = clock::monotonic_ns();
        for record in records.chunks_exact(slot_words).take(read) {
            self.encode(&ring, record, now, out, |topic, variant, offset, length, stamp| {
                let entry = [topic as i32, i32::from(variant), offset as i32, length as i32];
                entries[*count * ENTRY_WORDS..][..ENTRY_WORDS].copy_from_slice(&entry);
                stamps[*count] = stamp as f64;
                *count += 1;
            });
        }
        self.records = records;
        read
    }

    fn encode(
        &mut self,
        ring: &LockFreeRingBuffer,
        record: &[u64],
        now: u64,
        out: &mut Vec<u8>,
        mut entry: impl FnMut(u32, u8, usize, usize, u64),
    ) {
        let tick = MessageView::new(record);
        let stamp = tick.publish_ns();
        self.latency.saturating_record(now.saturating_sub(stamp).clamp(1, LONGEST_LATENCY_NS));
        let Some((id, topic)) = self.topics.ticking(tick.topic()) else {
            self.dropped += 1;
            return;
        };
        let publisher = self.publishers.of(ring, tick.lane());
        let wanted = topic.wanted | wanted_of_exchange(&self.exchanges, topic.text.exchange());
        for sequence in &mut topic.sequences[..tick.mode() as usize] {
            *sequence += 1;
        }
        for (mode, format) in VARIANTS {
            let variant = variant_of(mode, format);
            if mode > tick.mode() || wanted >> variant & 1 == 0 {
                continue;
            }
            let start = out.len();
            let context = Context {
                format,
                mode,
                sequence: topic.sequences[mode as usize - 1],
                broker: self.publishers.name(publisher),
                wall_offset_ns: self.wall_offset_ns,
                snapshot_age_ms: None,
            };
            write_frame(out, &topic.text, tick, &context);
            entry(id, variant, start, out.len() - start, stamp);
        }
        topic.last[tick.mode() as usize - 1] =
            Some(LastTick::keep(topic.last[tick.mode() as usize - 1].take(), record, publisher));
    }

    /// The last tick that a subscriber of this variant would have got, as a frame that says it is a
    /// snapshot and how old it is. False if there was none, or no such variant.
    pub fn snapshot(&mut self, topic: u32, variant: u8, out: &mut Vec<u8>) -> bool {
        let Some((mode, format)) = mode_and_format(variant) else { return false };
        let Some(topic) = self.topics.get(topic) else { return false };
        let newest = topic.last[mode as usize - 1..]
            .iter()
            .flatten()
            .max_by_key(|last| MessageView::new(&last.words).publish_ns());
        let Some(last) = newest else { return false };
        let tick = MessageView::new(&last.words);
        let now = clock::monotonic_ns();
        let context = Context {
            format,
            mode,
            sequence: topic.sequences[mode as usize - 1],
            broker: self.publishers.name(last.publisher),
            wall_offset_ns: clock::wall_ns() as i64 - now as i64,
            snapshot_age_ms: Some(now.saturating_sub(tick.publish_ns()) / 1_000_000),
        };
        write_frame(out, &topic.text, tick, &context);
        true
    }

    /// The consumer it reads through.
    pub const fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Messages of this ring and of all that it was created anew from.
    pub const fn accounts(&self) -> Accounts {
        let (before, consumer) = (self.before, &self.consumer);
        Accounts {
            received: before.received + consumer.received(),
            lost: before.lost.saturating_add(consumer.lost()),
            corrupt: before.corrupt + consumer.corrupt(),
        }
    }

    /// Goes on with another consumer, after the segment was created anew. Topics, wishes, last values and
    /// accounts stay; what is behind it in the older segment, or before its start in the newer, is lost.
    pub fn reattach(&mut self, consumer: Consumer) {
        let accounts = self.accounts();
        let unread =
            consumer.positions().iter().fold(self.consumer.lag(), |sum, &next| sum.saturating_add(next));
        self.before = Accounts { lost: accounts.lost.saturating_add(unread), ..accounts };
        self.consumer = consumer;
        self.publishers.forget_lanes();
    }

    /// Ticks that were read and dropped because [`MAX_TOPICS`](crate::MAX_TOPICS) others have ticked.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Latencies since the last call with `reset`, or since the beginning.
    pub fn latency(&mut self, reset: bool) -> Latency {
        let histogram = &self.latency;
        let latency = Latency {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
            mean: histogram.mean(),
        };
        if reset {
            self.latency.reset();
        }
        latency
    }
}

fn wanted_of_exchange(exchanges: &HashMap<String, Variants>, exchange: &str) -> Variants {
    if exchanges.is_empty() {
        return 0;
    }
    exchanges.get(exchange).copied().unwrap_or(0) | exchanges.get(ANY).copied().unwrap_or(0)
}
