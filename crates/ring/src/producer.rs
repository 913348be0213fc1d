//! The writer of one lane.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::clock::{self, Stamps};
use crate::error::{Error, ErrorCode, Result};
use crate::message::head::{HEAD_FIELDS, META, Meta, PAYLOAD, PRESENCE, PUBLISH_NS, lines_of, rest_words};
use crate::message::{
    FIELDS_WORD, HEAD_PAYLOAD, Head, LEVEL_WORDS, LEVELS_WORD, LINE_WORDS, SYNONYMS_IN_IMAGE, TOPIC_WORD,
    TOPIC_WORDS, TopicName, TopicNumber, age_of, book_too_deep,
};
use crate::ownership::{Owned, Place};
use crate::segment::layout::{
    ConsumerRecord, Header, Kind, LINE, LaneRecord, POSITION_LIMIT, Policy, word_of,
};
use crate::segment::lines::{self, Line};
use crate::segment::record::{self, WhoWords};
use crate::segment::tail::{self, Tail};
use crate::segment::{Part, Segment, topics};
use crate::stats;
use crate::sync::{AtomicU64, Ordering, fence};
use crate::wait::Waker;

/// One publish in this many is timed for the lane's average, so that the clock costs the others nothing.
const SAMPLE_EVERY: u64 = 64;
/// Messages after which a long batch wakes sleepers.
const FLUSH_EVERY: usize = 256;
/// How often a producer that finds its ring full asks whether the consumer it waits for lives, in ns.
const LIVENESS_CHECK_INTERVAL_NS: u64 = 1_000_000;
const NS_PER_MS: u64 = 1_000_000;
/// Entries of the topic table for which memory is taken at a time.
const TOPICS_RESERVED: u32 = 1024;
/// Words of a tick's image before its levels.
type Image = [u64; LEVELS_WORD];

/// A publisher's end of a ring: the owner of one lane. Publishing never waits and never allocates, but for
/// the first message of a topic. The lane is free again when this is dropped, or when its process dies.
pub struct Producer {
    segment: Segment,
    lane: usize,
    lines: Part<[Line]>,
    record: Part<[AtomicU64]>,
    waker: Waker,
    stamps: Stamps,
    hot: Hot,
    /// Lossless: when it was last asked whether the slowest consumer lives, ns.
    asked_ns: u64,
    /// Lossless: generation of the consumer of each record that was found dead. Kept here: a producer that
    /// cleared the shared record could clear that of a successor.
    dead: Box<[u64]>,
    topics: Topics,
    rejected: u64,
    sampled: u64,
    sampled_ns: u64,
    #[cfg(all(loom, test))]
    is_killed: bool,
    owned: Owned,
}

/// What every message changes, on one line of its own: each further line that is stored between those of the
/// messages costs throughput (see `tail.rs`).
#[repr(align(64))]
struct Hot {
    /// The end of the last message.
    next: Tail,
    /// Publish time of the last message, ns.
    publish_ns: u64,
    /// From this position on the tail must be recorded.
    record_from: u64,
    /// Every position below this is known to be free to write. Overwriting: all.
    writable_until: u64,
}

/// The lane's topic table as its owner knows it.
struct Topics {
    table: Part<[Line]>,
    numbers: HashMap<[u64; TOPIC_WORDS], u32, RandomState>,
    length: u32,
    /// Entries that memory was taken for.
    reserved: u32,
    refused: u64,
}

impl Producer {
    pub(crate) fn take_lane(segment: &Segment, name: &str) -> Result<Self> {
        let words = record::name_words("publisher name", name)?;
        let mut corrupt = None;
        for lane in lanes_by_preference(segment, name) {
            let Some(owned) = segment.acquire(Place::Lane(lane))? else { continue };
            match Self::adopt(segment, lane, owned, &words) {
                // Another lane may be sound.
                Err(error) if error.code() == ErrorCode::ShmLayout => corrupt = Some(error),
                outcome => return outcome,
            }
        }
        if let Some(error) = corrupt {
            return Err(error);
        }
        Err(Error::new(
            ErrorCode::NoFreeLane,
            format!(
                "all {} lanes of ring '{}' are taken by living publishers: {}; stop one, or create the ring with more lanes",
                segment.layout().lanes,
                segment.name(),
                stats::lane_owners(segment).join(", ")
            ),
        ))
    }

    fn adopt(segment: &Segment, lane: usize, owned: Owned, name: &[u64; 6]) -> Result<Self> {
        let layout = *segment.layout();
        segment.reserve(layout.lines_offset(lane), layout.lane_bytes())?;
        let lane_record = segment.lane_record_part(lane);
        let counter = |word: usize| lane_record[word].load(Ordering::Relaxed);
        let (tail, sequence) = (counter(word_of!(LaneRecord, tail)), counter(word_of!(LaneRecord, sequence)));
        let length = topics::length(&lane_record);
        let limits = [
            ("messages", sequence, POSITION_LIMIT),
            ("lines", tail, POSITION_LIMIT),
            ("topics", length, layout.topics as u64 + 1),
        ];
        if let Some((what, found, _)) = limits.into_iter().find(|(_, found, limit)| found >= limit) {
            return Err(Error::new(
                ErrorCode::ShmLayout,
                format!(
                    "lane {lane} of ring '{}' says that it carried {found} {what}: the segment is corrupt, remove it",
                    segment.name()
                ),
            ));
        }
        let lines = segment.lines_part(lane);
        // The lock that the predecessor lost and this owner took orders all that it wrote.
        let (next, _) = tail::end(&lane_record, &lines, &layout);
        let is_possible = tail::is_plausible(Tail { position: 0, sequence: 0 }, next, layout.longest);
        if !is_possible || !tail::is_confirmed(&lines, next.position) {
            return Err(Error::new(
                ErrorCode::ShmLayout,
                format!(
                    "lane {lane} of ring '{}' says that it carried {} messages in {} lines, and its lines do not: the segment is corrupt, remove it",
                    segment.name(),
                    next.sequence,
                    next.position
                ),
            ));
        }
        let topics = Topics::read(
            segment.topics_part(lane),
            length as u32,
            counter(word_of!(LaneRecord, topics_refused)),
        );
        let mut producer = Self {
            segment: segment.clone(),
            lane,
            stamps: Stamps::default(),
            hot: Hot {
                next,
                publish_ns: counter(word_of!(LaneRecord, last_publish_ns)),
                record_from: 0,
                writable_until: if layout.policy == Policy::Lossless { 0 } else { u64::MAX },
            },
            asked_ns: 0,
            dead: vec![0; layout.consumers].into(),
            topics,
            rejected: counter(word_of!(LaneRecord, rejected)),
            // The average is this owner's own.
            sampled: 0,
            sampled_ns: 0,
            lines,
            record: lane_record,
            waker: Waker::new(segment),
            #[cfg(all(loom, test))]
            is_killed: false,
            owned,
        };
        record::write(&segment.region, WhoWords::lane(layout.lane_word(lane)), name);
        producer.store_samples();
        producer.record_tail();
        producer.waker.wake();
        Ok(producer)
    }

    /// The number of a topic in this lane's table, where the name is written if it is new. A number saves
    /// the search for the name at every publish: see [`publish_to`](Self::publish_to).
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL`; `ERR_TOO_MANY_TOPICS` when the table is full; `ERR_SHM_FULL`.
    pub fn topic(&mut self, exchange: &str, symbol: &str) -> Result<TopicNumber> {
        let name = TopicName::new(exchange, symbol)?;
        self.number_of(name.words()).map(TopicNumber::new)
    }

    /// Publishes one message, stamped with the time: a tick's image
    /// ([`MarketDataMessage::as_words`](crate::message::MarketDataMessage::as_words)), or plain words on a
    /// ring of another kind. False if a lossless ring is full. Costs one clock read (about 7 ns on
    /// x86-64 Linux whose clock source is tsc, else 25), the search for the name (about 10 ns), and 4 ns for a tick of one line.
    ///
    /// # Errors
    /// `ERR_BOOK_TOO_DEEP` or `ERR_MESSAGE_TOO_LONG` when the message does not fit the ring;
    /// `ERR_INVALID_SYMBOL`, `ERR_TOO_MANY_TOPICS`, `ERR_SHM_FULL` for the name of a new topic.
    #[inline]
    pub fn publish(&mut self, message: &[u64]) -> Result<bool> {
        let start = self.stamps.now();
        let published = self.write(message, start)?;
        self.end_publish(published, start);
        Ok(published)
    }

    /// As [`publish`](Self::publish), with a topic's number in place of the name in the image.
    ///
    /// # Errors
    /// `ERR_BOOK_TOO_DEEP`, `ERR_MESSAGE_TOO_LONG`, or `ERR_INVALID_ARGUMENT` for a number that the lane's
    /// table does not have.
    #[inline]
    pub fn publish_to(&mut self, topic: TopicNumber, image: &[u64]) -> Result<bool> {
        let start = self.stamps.now();
        let published = self.write_to(topic, image, start)?;
        self.end_publish(published, start);
        Ok(published)
    }

    #[inline]
    fn end_publish(&mut self, published: bool, start: u64) {
        self.flush();
        if published && self.hot.next.sequence & (SAMPLE_EVERY - 1) == 1 {
            self.sampled += 1;
            self.sampled_ns += self.stamps.now().saturating_sub(start);
            self.store_samples();
        }
    }

    /// The time that a publish now would be stamped with, ns. Costs about 7 ns where the clock source is tsc.
    #[inline]
    pub fn now(&mut self) -> u64 {
        self.stamps.now()
    }

    /// Publishes messages with one clock read and at most one wake-up; returns how many a lossless ring took.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); what came before the faulty message is published.
    pub fn publish_batch<'a>(&mut self, messages: impl IntoIterator<Item = &'a [u64]>) -> Result<usize> {
        self.batch(messages.into_iter(), |producer, message, start| producer.write(message, start))
    }

    /// As [`publish_batch`](Self::publish_batch), with a topic's number in place of each name.
    ///
    /// # Errors
    /// As [`publish_to`](Self::publish_to); what came before the faulty message is published.
    pub fn publish_batch_to<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (TopicNumber, &'a [u64])>,
    ) -> Result<usize> {
        self.batch(messages.into_iter(), |producer, (topic, image), start| {
            producer.write_to(topic, image, start)
        })
    }

    fn batch<T>(
        &mut self,
        mut messages: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Self, T, u64) -> Result<bool>,
    ) -> Result<usize> {
        let start = self.stamps.now();
        let mut count = 0;
        let mut outcome = Ok(());
        while let Some(message) = messages.next() {
            match write(self, message, start) {
                Ok(true) => count += 1,
                Ok(false) => {
                    self.refuse(messages.count() as u64);
                    break;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            if count % FLUSH_EVERY == 0 {
                self.flush();
            }
        }
        self.flush();
        let first = self.hot.next.sequence - count as u64;
        if first.div_ceil(SAMPLE_EVERY) != self.hot.next.sequence.div_ceil(SAMPLE_EVERY) {
            self.sampled += count as u64;
            self.sampled_ns += self.stamps.now().saturating_sub(start);
            self.store_samples();
        }
        outcome.map(|()| count)
    }

    /// Writes one message with a given publish time and shows it to consumers that poll, and to
    /// monitors; sleepers see it after [`flush`](Self::flush). False if a lossless ring is full.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    #[inline]
    pub fn write(&mut self, message: &[u64], publish_ns: u64) -> Result<bool> {
        if self.segment.layout().kind != Kind::Ticks {
            return self.write_words(message, publish_ns);
        }
        let Some(image) = message.first_chunk::<LEVELS_WORD>() else { return Err(self.no_image(message)) };
        let name = image[TOPIC_WORD..].first_chunk().expect("an image has a name");
        let topic = TopicNumber::new(self.number_of(name)?);
        self.write_tick(topic, image, &message[LEVELS_WORD..], publish_ns)
    }

    /// As [`write`](Self::write), with a topic's number in place of the name in the image.
    ///
    /// # Errors
    /// As [`publish_to`](Self::publish_to).
    #[inline(always)]
    pub fn write_to(&mut self, topic: TopicNumber, image: &[u64], publish_ns: u64) -> Result<bool> {
        match image.first_chunk::<LEVELS_WORD>() {
            Some(fields) => self.write_tick(topic, fields, &image[LEVELS_WORD..], publish_ns),
            None => Err(self.no_image(image)),
        }
    }

    /// Inlined always: the call would cost as much as writing a tick of one line.
    #[inline(always)]
    fn write_tick(
        &mut self,
        topic: TopicNumber,
        image: &Image,
        levels: &[u64],
        publish_ns: u64,
    ) -> Result<bool> {
        if topic.get() >= self.topics.length {
            return Err(self.no_topic(topic));
        }
        let meta = Meta(image[META]).without_place();
        let presence = (image[PRESENCE] >> 32) as u32;
        if presence & !HEAD_FIELDS == 0 && !meta.has_more_than_fields() {
            if !self.has_room(1) {
                return Ok(false);
            }
            let head = self.head(meta.placed(topic.get(), 1), presence, publish_ns, &image[PAYLOAD..]);
            lines::write_line(&self.lines, self.hot.next.position, &head);
            self.advance(1, publish_ns);
            return Ok(true);
        }
        self.write_long_tick::<false>(topic, meta, presence, image, levels, publish_ns)
    }

    /// Not inlined: what it needs would slow down the ticks of one line. With `BEHIND_LEVELS` it is for ticks that have
    /// an annex or synonyms: what these need would slow down the others, by an eighth of the throughput of quotes.
    #[inline(never)]
    fn write_long_tick<const BEHIND_LEVELS: bool>(
        &mut self,
        topic: TopicNumber,
        meta: Meta,
        presence: u32,
        image: &Image,
        levels: &[u64],
        publish_ns: u64,
    ) -> Result<bool> {
        if !BEHIND_LEVELS && meta.words_behind_levels() > 0 {
            return self.write_long_tick::<true>(topic, meta, presence, image, levels, publish_ns);
        }
        let deepest = meta.buys().max(meta.sells());
        let level_words = (meta.buys() + meta.sells()) * LEVEL_WORDS;
        if deepest > self.segment.layout().depth_levels {
            return Err(book_too_deep(deepest, self.segment.layout().depth_levels));
        }
        // An image that says 3 has what a message can have.
        let meta = if BEHIND_LEVELS { meta.with_synonym_words(meta.synonym_words()) } else { meta };
        let annex_words = if BEHIND_LEVELS { meta.annex_words() } else { 0 };
        let Some(levels) = levels.get(..level_words + annex_words) else {
            return Err(self.too_long(image.len() + level_words + annex_words));
        };
        let synonym_words = if BEHIND_LEVELS { meta.synonym_words() } else { 0 };
        let behind_levels = annex_words + synonym_words;
        let count = lines_of(rest_words(presence, meta.buys() + meta.sells(), behind_levels));
        if !self.has_room(count) {
            return Ok(false);
        }
        // What was published elsewhere is as old as it was there, whoever asks for its age here.
        let published_ns = match age_of(&levels[level_words..]) {
            Some(age) if BEHIND_LEVELS => publish_ns.saturating_sub(u64::from(age.newest_ms) * NS_PER_MS),
            _ => publish_ns,
        };
        let head = self.head(meta.placed(topic.get(), count), presence, published_ns, &image[PAYLOAD..]);
        let fields = Bits(presence & !HEAD_FIELDS).map(|bit| image[FIELDS_WORD - HEAD_PAYLOAD + bit]);
        let rest = fields.chain(levels.iter().copied());
        let position = self.hot.next.position;
        if BEHIND_LEVELS {
            let synonyms = SYNONYMS_IN_IMAGE[..synonym_words].iter().map(|&word| image[word]);
            lines::write_lines(&self.lines, position, count, &head, rest.chain(synonyms));
        } else {
            lines::write_lines(&self.lines, position, count, &head, rest);
        }
        // A lane's newest tick is no older for an old one behind it.
        let newest_ns = if BEHIND_LEVELS { published_ns.max(self.hot.publish_ns) } else { published_ns };
        self.advance(count, newest_ns);
        Ok(true)
    }

    fn write_words(&mut self, words: &[u64], publish_ns: u64) -> Result<bool> {
        let count = crate::segment::layout::lines_of_words(words.len());
        if count > self.segment.layout().longest {
            return Err(self.too_long(words.len()));
        }
        if !self.has_room(count) {
            return Ok(false);
        }
        let (first, rest) = words.split_at(words.len().min(HEAD_PAYLOAD));
        let mut payload = [0; HEAD_PAYLOAD];
        payload[..first.len()].copy_from_slice(first);
        let head = self.head(Meta(0).placed(0, count), words.len() as u32, publish_ns, &payload);
        lines::write_lines(&self.lines, self.hot.next.position, count, &head, rest.iter().copied());
        self.advance(count, publish_ns);
        Ok(true)
    }

    /// The first line of the next message. `presence` is the number of words where it is no tick.
    #[inline]
    fn head(&self, meta: Meta, presence: u32, publish_ns: u64, payload: &[u64]) -> Head {
        let mut head = [0; LINE_WORDS];
        head[META] = meta.0;
        head[PRESENCE] = u64::from(self.hot.next.sequence as u32) | u64::from(presence) << 32;
        head[PUBLISH_NS] = publish_ns;
        head[PAYLOAD..].copy_from_slice(&payload[..HEAD_PAYLOAD]);
        head
    }

    #[inline]
    fn has_room(&mut self, lines: usize) -> bool {
        let end = self.hot.next.position + lines as u64;
        if end <= self.hot.writable_until || self.find_room(end) {
            return true;
        }
        self.refuse(1);
        false
    }

    /// Goes on behind a message that was written.
    #[inline]
    fn advance(&mut self, lines: usize, publish_ns: u64) {
        let hot = &mut self.hot;
        hot.next = Tail { position: hot.next.position + lines as u64, sequence: hot.next.sequence + 1 };
        hot.publish_ns = publish_ns;
        if hot.next.position >= hot.record_from {
            self.record_tail();
        }
    }

    /// Records the tail: readers that were lapped, monitors and the next owner of the lane begin there.
    fn record_tail(&mut self) {
        self.record[word_of!(LaneRecord, last_publish_ns)].store(self.hot.publish_ns, Ordering::Relaxed);
        tail::record(&self.record, self.hot.next);
        self.hot.record_from = self.hot.next.position + tail::record_every(self.lines.len());
    }

    #[cold]
    fn refuse(&mut self, messages: u64) {
        self.rejected = self.rejected.wrapping_add(messages);
        self.record[word_of!(LaneRecord, rejected)].store(self.rejected, Ordering::Relaxed);
    }

    /// Wakes sleeping consumers.
    #[inline]
    pub fn flush(&mut self) {
        self.waker.wake();
    }

    /// The lane it owns.
    pub const fn lane(&self) -> usize {
        self.lane
    }

    /// Messages ever committed in this lane, by all its owners.
    pub const fn tail(&self) -> u64 {
        self.hot.next.sequence
    }

    /// Lines of all those messages.
    pub const fn position(&self) -> u64 {
        self.hot.next.position
    }

    /// Loses its lock with all as it is, as a process that is killed.
    #[cfg(all(loom, test))]
    pub(crate) fn die(mut self) {
        self.is_killed = true;
    }

    /// The segment it writes to.
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    fn store_samples(&self) {
        self.record[word_of!(LaneRecord, sampled)].store(self.sampled, Ordering::Relaxed);
        self.record[word_of!(LaneRecord, sampled_ns)].store(self.sampled_ns, Ordering::Relaxed);
        topics::store_length(&self.record, self.topics.length);
        // Relaxed, as in `lanes_used`. Looked at again and again, for another process may have changed it.
        let used = &self.segment.region[word_of!(Header, lanes_used)];
        if used.load(Ordering::Relaxed) <= self.lane as u64 {
            used.fetch_max(self.lane as u64 + 1, Ordering::Relaxed);
        }
    }

    #[inline]
    fn number_of(&mut self, name: &[u64; TOPIC_WORDS]) -> Result<u32> {
        match self.topics.numbers.get(name) {
            Some(&number) => Ok(number),
            None => self.add_topic(name),
        }
    }

    #[cold]
    fn add_topic(&mut self, name: &[u64; TOPIC_WORDS]) -> Result<u32> {
        if TopicName::from_words(*name).is_none() {
            return Err(Error::new(
                ErrorCode::InvalidSymbol,
                "the tick has no exchange and symbol of 1 to 16 and 1 to 48 bytes of UTF-8 without control characters"
                    .to_owned(),
            ));
        }
        let most = self.segment.layout().topics;
        let number = self.topics.length;
        if number as usize == most {
            self.topics.refused = self.topics.refused.wrapping_add(1);
            self.record[word_of!(LaneRecord, topics_refused)].store(self.topics.refused, Ordering::Relaxed);
            return Err(Error::new(
                ErrorCode::TooManyTopics,
                format!(
                    "lane {} of ring '{}' has named {most} topics, and its table has room for no more: create the ring with a larger `topics` option (at most {})",
                    self.lane,
                    self.segment.name(),
                    crate::segment::layout::MAX_TOPICS
                ),
            ));
        }
        if number >= self.topics.reserved {
            let entries = (most - number as usize).min(TOPICS_RESERVED as usize);
            let offset = self.segment.layout().topics_offset(self.lane) + number as usize * LINE;
            self.segment.reserve(offset, entries * LINE)?;
            self.topics.reserved = number + entries as u32;
        }
        topics::append(&self.record, &self.topics.table, number, name);
        self.topics.numbers.insert(*name, number);
        self.topics.length = number + 1;
        Ok(number)
    }

    /// Looks how far the slowest registered consumer has read. True if the positions before `end` are free.
    #[cold]
    fn find_room(&mut self, end: u64) -> bool {
        self.record_tail();
        // SeqCst fence, pairs with the one in `Consumer::register`: either a joining consumer is seen
        // here, or it sees this tail and starts behind nothing that we overwrite.
        fence(Ordering::SeqCst);
        let capacity = self.lines.len() as u64;
        let mut slowest = self.slowest_cursor(end, false);
        if end > slowest.saturating_add(capacity) && self.liveness_check_due() {
            slowest = self.slowest_cursor(end, true);
        }
        // A consumer may join at any time, so room is never taken for granted further than one ring.
        self.hot.writable_until = slowest.min(self.hot.next.position).saturating_add(capacity);
        end <= self.hot.writable_until
    }

    /// True once in a while: asking the kernel costs more than a publish.
    fn liveness_check_due(&mut self) -> bool {
        let now = clock::monotonic_ns();
        let due = cfg!(loom) || now.saturating_sub(self.asked_ns) > LIVENESS_CHECK_INTERVAL_NS;
        if due {
            self.asked_ns = now;
        }
        due
    }

    /// The smallest cursor of the consumers that gate. With `ask`, those that hold the producer back and
    /// no longer hold their lock are left out from then on; asking costs a system call each.
    fn slowest_cursor(&mut self, end: u64, ask: bool) -> u64 {
        let (segment, capacity) = (&self.segment, self.lines.len() as u64);
        let layout = segment.layout();
        let mut slowest = u64::MAX;
        for consumer in 0..layout.consumers {
            let gates = &segment.region[layout.consumer_word(consumer) + word_of!(ConsumerRecord, gates)];
            // Acquire, pairs with the Release in `Consumer::drop`: its last copies are done before we overwrite.
            let generation = gates.load(Ordering::Acquire);
            if generation == 0 || generation == self.dead[consumer] {
                continue;
            }
            // Acquire, pairs with the Release store of the cursor: its copies are done before we overwrite.
            let cursor = segment.region[layout.cursor_word(consumer, self.lane)].load(Ordering::Acquire);
            if ask && end > cursor.saturating_add(capacity) && !segment.is_owned(Place::Consumer(consumer)) {
                self.dead[consumer] = generation;
                continue;
            }
            slowest = slowest.min(cursor);
        }
        slowest
    }

    #[cold]
    fn no_image(&self, message: &[u64]) -> Error {
        Error::new(
            ErrorCode::MessageTooLong,
            format!("a tick's image has at least {LEVELS_WORD} words, this one has {}", message.len()),
        )
    }

    #[cold]
    fn no_topic(&self, topic: TopicNumber) -> Error {
        Error::new(
            ErrorCode::InvalidArgument,
            format!(
                "topic {} is not in the table of lane {}, which has {}: numbers come from `topic` of the same producer",
                topic.get(),
                self.lane,
                self.topics.length
            ),
        )
    }

    #[cold]
    fn too_long(&self, words: usize) -> Error {
        let layout = self.segment.layout();
        Error::new(
            ErrorCode::MessageTooLong,
            format!(
                "a message of {words} words does not fit: messages of this ring have at most {} words",
                HEAD_PAYLOAD + layout.longest_rest()
            ),
        )
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        #[cfg(all(loom, test))]
        if self.is_killed {
            return;
        }
        // A child that was made by `fork` has a copy that is behind what its parent has published since.
        if self.owned.is_ours() {
            self.record_tail();
        }
    }
}

impl Topics {
    /// Reads what former owners wrote. Entries that are no name stay as they are and are never used.
    fn read(table: Part<[Line]>, length: u32, refused: u64) -> Self {
        let mut numbers = HashMap::default();
        for (number, entry) in table.iter().take(length as usize).enumerate() {
            if let Some(name) = TopicName::from_words(topics::read_name(entry)) {
                numbers.entry(*name.words()).or_insert(number as u32);
            }
        }
        // Memory was taken up to a multiple, by whichever owner wrote the last entry.
        let reserved = length;
        Self { table, numbers, length, reserved, refused }
    }
}

/// The numbers of the bits that are set, ascending.
struct Bits(u32);

impl Iterator for Bits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let bit = self.0.trailing_zeros() as usize;
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            bit
        })
    }
}

/// Lanes last owned by this name, then lanes never owned, then the others. A publisher that restarts gets
/// its lane again, so messages not yet read keep their publisher's name.
fn lanes_by_preference(segment: &Segment, name: &str) -> Vec<usize> {
    let mut lanes: Vec<(u8, usize)> = (0..segment.layout().lanes)
        .map(|lane| {
            let who = record::read(&segment.region, WhoWords::lane(segment.layout().lane_word(lane)));
            let rank = match who {
                Some(who) if who.name == name => 0,
                None => 1,
                Some(_) => 2,
            };
            (rank, lane)
        })
        .collect();
    lanes.sort_unstable();
    lanes.into_iter().map(|(_, lane)| lane).collect()
}
