//! From ring to frames: a consumer that keeps the last values of every topic and encodes each tick that
//! somebody wants once for every subscribed mode.

use std::sync::Arc;

use hdrhistogram::Histogram;
use openalgo_shm_ring::message::{Head, LINE_WORDS};
use openalgo_shm_ring::{Consumer, MessageCounts, clock};

use crate::encode::longest_frame;
use crate::encoding::{Encoding, Entry, earliest_of, write_snapshot};
use crate::topic_table::{Topic, TopicTable};
use crate::variants::{VARIANT_COUNT, Variants, mode_and_format};

/// Ticks that are read at once.
const TURN: usize = 64;
/// Most entries that one [`drain`](TickEncoder::drain) appends, and most ticks that it reads.
pub const MOST_ENTRIES: usize = 16_384;
/// Every exchange, in [`TickEncoder::want_exchange`].
pub const ANY: &str = "*";

/// What a [`drain`](TickEncoder::drain) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Ticks read from the ring, wanted or not.
    pub ticks: usize,
    /// Entries appended.
    pub entries: usize,
    /// True if it ended because the arena has no room for a tick more, or at [`MOST_ENTRIES`]: the ring may hold
    /// more. False if it ended because the ring was empty.
    pub is_full: bool,
}

/// Reads a ring and writes each tick that somebody wants as finished frames. It belongs to one thread at a time;
/// the encoders of several threads share the numbers of topics through their [`TopicTable`].
pub struct TickEncoder {
    consumer: Consumer,
    /// Of the segments before this consumer's.
    before: MessageCounts,
    /// Ticks that were read at once.
    heads: Box<[Head; TURN]>,
    rest: Box<[u64]>,
    encoding: Encoding,
}

impl TickEncoder {
    /// An encoder that reads through this consumer of a ring of ticks.
    pub fn new(consumer: Consumer, table: TopicTable) -> Self {
        Self {
            before: MessageCounts::default(),
            heads: Box::new([[0; LINE_WORDS]; TURN]),
            rest: room_for_rest(&consumer),
            consumer,
            encoding: Encoding::new(table),
        }
    }

    /// Bytes that the frames of one tick can take: the least room to give to [`drain`](Self::drain).
    pub fn longest_tick(&self) -> usize {
        longest_tick(&self.consumer)
    }

    /// A topic that has ticked here or is wanted here, by its number.
    pub fn topic(&self, number: u32) -> Option<&Arc<Topic>> {
        self.encoding.topics.get(number).map(|local| &local.topic)
    }

    /// Sets which variants are wanted of a topic of the encoder's table. With none, the encoder drops its [`Arc`] of
    /// a topic that never ticked here.
    pub fn want(&mut self, topic: &Arc<Topic>, variants: Variants) {
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

    /// Sets up to which age, ns, the last values of another proxy go to subscribers, who have not asked for them.
    /// Without a limit all do.
    pub const fn limit_carried_age(&mut self, max_age_ns: u64) {
        self.encoding.carried_max_age_ns = max_age_ns;
    }

    /// Reads what is in the ring, as far as there is room, writes the frames into `arena` and appends an entry for
    /// each. The entries of one tick follow one another, descending by variant. Appends at most [`MOST_ENTRIES`],
    /// and uses at most 4 GiB of the arena.
    pub fn drain(&mut self, arena: &mut [u8], entries: &mut Vec<Entry>) -> Drained {
        let Self { consumer, heads, rest, encoding, .. } = self;
        let longest = longest_tick(consumer);
        let arena_bytes = arena.len().min(u32::MAX as usize);
        let before = entries.len();
        let (mut ticks, mut used) = (0, 0);
        let is_full = loop {
            let room = (arena_bytes - used) / longest;
            let places = (MOST_ENTRIES - (entries.len() - before)) / VARIANT_COUNT;
            let most = room.min(places).min(MOST_ENTRIES - ticks).min(TURN);
            if most == 0 {
                break true;
            }
            let read = consumer.poll_into(&mut heads[..most], rest);
            // After the read of these: a full ring takes long to drain, and ticks come meanwhile.
            let now = clock::monotonic_ns();
            for head in &heads[..read] {
                let tick = consumer.view(head, rest);
                used = encoding.encode(consumer, tick, now, arena, used, entries);
            }
            ticks += read;
            if read < most {
                break false;
            }
        };
        Drained { ticks, entries: entries.len() - before, is_full }
    }

    /// Appends a frame of what a subscriber of this variant has seen: the newest value of each field, and the newest
    /// order book, of all ticks of the mode or a higher one. It says that it is a snapshot, how old the newest tick
    /// is, and how old the oldest value. Values older than `max_age_ns` are left out. False if there was no tick, or
    /// the newest is older than that, or there is no such variant.
    ///
    /// Mode, publisher, timestamp and all that no field says are those of the newest tick. Takes about 1 µs with a book of five
    /// levels.
    pub fn snapshot(&mut self, topic: u32, variant: u8, max_age_ns: Option<u64>, out: &mut Vec<u8>) -> bool {
        let Some((mode, format)) = mode_and_format(variant) else { return false };
        let Some(local) = self.encoding.topics.get_mut(topic) else { return false };
        let now = clock::monotonic_ns();
        let earliest_ns = max_age_ns.map_or(i64::MIN, |age| earliest_of(now, age));
        let start = out.len();
        out.resize(start + longest_frame(local.last.most_levels()), 0);
        let room = &mut out[start..];
        let length = write_snapshot(local, &self.encoding.brokers, (mode, format), now, earliest_ns, room);
        out.truncate(start + length.unwrap_or_default());
        length.is_some()
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

    /// Goes on with another consumer, after the segment was created anew. Topics, wanted variants, last values
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

    /// Times from the publishers' stamps to the read here, ns, since the beginning. Those of several encoders can be added.
    pub const fn latency(&self) -> &Histogram<u64> {
        &self.encoding.latency
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
